//! A store and a catalog in memory, to run plans against.

use std::collections::{HashMap, HashSet};

use serde_json::json;
use steelyard_domain::command::{
    CancelOrder, CommandFrame, CommandKind, CommandMessage, PayOrder, ReturnOrder, ShipOrder,
};
use steelyard_domain::event::OrderEvent;
use steelyard_domain::id::{CommandId, CustomerId, Fingerprint, IdempotencyKey, OrderId};
use steelyard_domain::internal::{PricedLine, ReserveResult};
use steelyard_domain::order::place::{PlaceOrderBody, PlaceRights};
use steelyard_domain::order::{Order, OrderStatus, PlaceOrder, Reason};
use steelyard_domain::tax::TaxTable;
use time::OffsetDateTime;
use time::macros::datetime;

use crate::plan::{
    Asked, Customer, CustomerPlan, Known, Planner, Stored, Verdict, reservations_needed,
};

pub(super) const NOW: OffsetDateTime = datetime!(2026-11-22 12:00 UTC);

/// A message as the gateway makes it, with its body.
#[derive(Clone)]
pub(super) struct Sent {
    pub(super) message: CommandMessage,
    pub(super) body: String,
}

pub(super) fn customer(id: &str) -> CustomerId {
    id.parse().expect("a customer id")
}

pub(super) fn order_id(customer_id: &str, key: &str) -> OrderId {
    let key: IdempotencyKey = key.parse().expect("a key");
    OrderId::derive("https://id.example", &customer(customer_id), &key)
}

fn seal<P: serde::Serialize>(
    customer_id: &str,
    order: OrderId,
    key: &str,
    second: i64,
    kind: CommandKind,
    payload: &P,
) -> Sent {
    let frame = CommandFrame {
        order_id: order,
        customer_id: &customer(customer_id),
        key: &key.parse().expect("a key"),
        accepted_at: datetime!(2026-11-22 10:00 UTC) + time::Duration::seconds(second),
        requested_by: "shop",
    };
    let body = frame.seal(kind, payload).expect("serializes").body;
    let message = CommandMessage::decode(&body).expect("decodes");
    Sent { message, body }
}

/// `quantity` says which body it is; SKU `none` is unknown to the catalog.
pub(super) fn place_body(customer_id: &str, sku: &str, quantity: i64, prepaid: bool) -> PlaceOrder {
    let body: PlaceOrderBody = serde_json::from_value(json!({
        "currency": "GBP",
        "reference": "536365",
        "lines": [
            {"sku": sku, "quantity": quantity, "unit_price": "2.55"},
            {"sku": "71053", "quantity": 1, "unit_price": "3.39"},
        ],
        "ship_to": {"name": "A", "line1": "B", "city": "London", "country": "GB"},
        "payment": {"method": if prepaid { "prepaid" } else { "invoice" }},
    }))
    .expect("the shape is right");
    let rights = PlaceRights { may_price: false };
    body.check(customer(customer_id), rights).expect("valid")
}

pub(super) fn place(customer_id: &str, key: &str, second: i64) -> Sent {
    let body = place_body(customer_id, "85123A", 6, false);
    place_of(customer_id, key, second, &body)
}

pub(super) fn place_of(customer_id: &str, key: &str, second: i64, body: &PlaceOrder) -> Sent {
    let order = order_id(customer_id, key);
    seal(customer_id, order, key, second, CommandKind::Place, body)
}

/// A command of `kind` about `order`, under a key of its own per second.
pub(super) fn command(kind: CommandKind, customer_id: &str, order: OrderId, second: i64) -> Sent {
    command_under(kind, customer_id, order, &format!("key-{second}"), second)
}

pub(super) fn command_under(
    kind: CommandKind,
    customer_id: &str,
    order: OrderId,
    key: &str,
    second: i64,
) -> Sent {
    let note = Some(format!("at {second}"));
    match kind {
        CommandKind::Place => place(customer_id, key, second),
        CommandKind::Cancel => {
            let reason = Reason::CustomerRequest;
            seal(
                customer_id,
                order,
                key,
                second,
                kind,
                &CancelOrder { reason, note },
            )
        }
        CommandKind::Pay => {
            let payment_reference = note;
            seal(
                customer_id,
                order,
                key,
                second,
                kind,
                &PayOrder { payment_reference },
            )
        }
        CommandKind::Ship => {
            let tracking_number = note;
            seal(
                customer_id,
                order,
                key,
                second,
                kind,
                &ShipOrder { tracking_number },
            )
        }
        CommandKind::Return => {
            let restock = true;
            seal(
                customer_id,
                order,
                key,
                second,
                kind,
                &ReturnOrder { restock, note },
            )
        }
    }
}

/// What a store and a catalog would hold.
#[derive(Default)]
pub(super) struct World {
    pub(super) orders: HashMap<OrderId, Order>,
    pub(super) events: Vec<OrderEvent>,
    pub(super) held: HashSet<OrderId>,
    pub(super) released: HashSet<OrderId>,
    pub(super) ignored: Vec<(CommandId, CustomerId)>,
    pub(super) tombstones: Vec<Sent>,
    pub(super) asked_for: Vec<OrderId>,
    inbox: HashMap<CommandId, Fingerprint>,
    customers: HashMap<CustomerId, Customer>,
}

impl World {
    /// Runs one set; one verdict per message.
    pub(super) fn run(&mut self, set: &[Sent]) -> Vec<Verdict> {
        let asked: Vec<Asked<'_>> = set
            .iter()
            .enumerate()
            .map(|(at, sent)| Asked {
                at,
                message: sent.message.clone(),
                body: &sent.body,
                traceparent: None,
            })
            .collect();
        let known = self.known(set);
        let needed = reservations_needed(&asked, &known);
        let answers = needed
            .iter()
            .map(|need| {
                let unknown =
                    serde_json::to_string(need).is_ok_and(|json| json.contains("\"none\""));
                (need.order_id, self.reserve(need.order_id, unknown))
            })
            .collect();
        self.asked_for
            .extend(needed.iter().map(|need| need.order_id));
        drop(needed);
        let tax = TaxTable::parse(TaxTable::DEFAULT_TOML).expect("valid");
        let planner = Planner {
            tax: &tax,
            now: NOW,
        };
        let plans = planner.plan(asked, known, answers).expect("a plan");
        let mut verdicts = vec![None; set.len()];
        for plan in plans {
            for (at, verdict) in &plan.verdicts {
                assert!(verdicts[*at].replace(verdict.clone()).is_none());
            }
            self.write(plan);
        }
        verdicts.into_iter().map(|v| v.expect("one each")).collect()
    }

    fn known(&self, set: &[Sent]) -> Known {
        let mut known = Known::default();
        for Sent { message, .. } in set {
            if let Some(customer) = self.customers.get(&message.customer_id) {
                known
                    .customers
                    .insert(message.customer_id.clone(), *customer);
            }
            if let Some(fingerprint) = self.inbox.get(&message.message_id) {
                known.commands.insert(message.message_id, *fingerprint);
            }
            if let Some(order) = self.orders.get(&message.order_id) {
                let customer_id = order.customer_id.clone();
                let order = Some(order.clone());
                known
                    .orders
                    .insert(message.order_id, Stored { customer_id, order });
            }
            let early = self.tombstones.iter().map(|sent| &sent.message);
            let early: Vec<_> = early
                .filter(|early| early.order_id == message.order_id)
                .cloned()
                .collect();
            if !early.is_empty() {
                known.early.insert(message.order_id, early);
            }
        }
        known
    }

    fn reserve(&mut self, id: OrderId, unknown: bool) -> ReserveResult {
        if self.released.contains(&id) {
            return ReserveResult::Released;
        }
        if unknown {
            return ReserveResult::Rejected {
                reason: Reason::UnknownSku,
                line: 0,
                detail: "is not in the catalog".into(),
            };
        }
        self.held.insert(id);
        let line = |name: &str, price: &str| PricedLine {
            name: name.into(),
            unit_price: price.parse().expect("a price"),
            tax_category: "standard".into(),
        };
        ReserveResult::Reserved(vec![line("HOLDER", "2.55"), line("LANTERN", "3.39")])
    }

    fn write(&mut self, plan: CustomerPlan) {
        let calls = &plan.calls;
        for id in calls.release.iter().chain(&calls.release_after) {
            self.held.remove(id);
            self.released.insert(*id);
        }
        for row in &plan.inbox {
            let known = self.inbox.insert(row.message_id, row.fingerprint);
            assert!(known.is_none(), "a command takes effect once");
        }
        for row in plan.orders {
            let order: Order = serde_json::from_str(&row.doc).expect("an order");
            assert_eq!((order.version, order.status), (row.version, row.status));
            let replaced = self.orders.insert(row.id, order);
            assert_eq!(replaced.map(|order| order.version), row.replaces);
        }
        for row in &plan.events {
            let event: OrderEvent = serde_json::from_str(&row.body).expect("an event");
            assert_eq!((event.event_id, event.kind), (row.event_id, row.kind));
            self.events.push(event);
        }
        self.tombstones
            .retain(|sent| !plan.tombstones_taken.contains(&sent.message.order_id));
        self.tombstones
            .extend(plan.tombstones.into_iter().map(|row| Sent {
                message: CommandMessage::decode(&row.body).expect("decodes"),
                body: row.body,
            }));
        let ignored = plan.ignored.into_iter();
        self.ignored
            .extend(ignored.map(|row| (row.message_id, row.customer_id)));
        let customer = Customer {
            version: Some(1),
            last_sequence: plan.last_sequence,
        };
        self.customers.insert(plan.customer_id, customer);
    }

    pub(super) fn order(&self, id: OrderId) -> &Order {
        self.orders.get(&id).expect("the order exists")
    }

    pub(super) fn status(&self, id: OrderId) -> OrderStatus {
        self.order(id).status
    }

    /// The kinds of the events so far, in order.
    pub(super) fn event_kinds(&self) -> Vec<&'static str> {
        self.events
            .iter()
            .map(|event| event.kind.as_str())
            .collect()
    }
}
