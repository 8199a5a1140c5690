//! An honest run in miniature, to be tampered with.

use std::collections::BTreeMap;
use std::time::Duration;

use rust_decimal::Decimal;
use steelyard_domain::event::OrderEventKind;
use steelyard_domain::id::{CommandId, OrderId};
use steelyard_domain::order::view::Conflict;
use steelyard_domain::order::{
    Address, Effect, FulfillmentStatus, HistoryEntry, Order, OrderLine, OrderState, OrderStatus,
    PaymentMethod, PaymentStatus, Reason,
};
use steelyard_domain::tax::PriceMode;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::check::{Books, Findings, Level};
use crate::collect::{Collected, DeadLetter, Event, Received};
use crate::journal::{Asked, Entry, Receipt, Record};
use crate::shop::{COUNTRIES, Product, Shop, Sort, Step, UNKNOWN_SKU, Visit, customer_id};

const VISITS: u64 = 400;

/// Everything that the checker is given.
pub(super) struct World {
    pub(super) shop: Shop,
    pub(super) record: Record,
    pub(super) orders: BTreeMap<u32, Vec<Order>>,
    pub(super) collected: Collected,
    pub(super) levels: Vec<Level>,
    pub(super) letters: Vec<DeadLetter>,
    products: Vec<Product>,
    now: u64,
}

impl World {
    /// Everybody was served at once, and all of it adds up.
    pub(super) fn honest() -> Self {
        let shop = Shop::new(11);
        let products = shop.products();
        let level = |product: &Product| Level {
            sku: product.sku.clone(),
            on_hand: product.opening,
            reserved: 0,
            available: 0,
        };
        let mut world = Self {
            shop,
            record: Record::default(),
            orders: BTreeMap::new(),
            collected: Collected::default(),
            levels: products.iter().map(level).collect(),
            letters: Vec::new(),
            products,
            now: 0,
        };
        world.record.answers.good = VISITS;
        for number in 0..VISITS {
            world.serve(&shop.visit(number));
        }
        world.record.receipts.push(Receipt {
            product: 3,
            units: 40,
            booked: true,
        });
        world.levels[3].on_hand += 40;
        for level in &mut world.levels {
            level.available = level.on_hand - level.reserved;
        }
        world.collected.planted.push("planted 0".to_owned());
        world.letters.push(DeadLetter {
            body: "planted 0".to_owned(),
            parked: Some("not JSON".to_owned()),
        });
        world
    }

    /// What the checker says.
    pub(super) fn check(self) -> Findings {
        let mut books = Books::open(self.shop, self.record, self.collected);
        for customer in self.shop.customers() {
            let orders = self.orders.get(&customer).map_or(&[][..], Vec::as_slice);
            books.customer(customer, orders);
        }
        books.stock(&self.levels);
        books.dead_letters(&self.letters);
        books.close()
    }

    /// The first order, by visit, of which this is true; with its customer.
    pub(super) fn order(&mut self, wanted: impl Fn(&Order) -> bool) -> &mut Order {
        let all = self.orders.values_mut().flatten();
        all.into_iter().find(|order| wanted(order)).unwrap()
    }

    /// The events of the customer who has most of them.
    pub(super) fn most(received: &mut Received) -> &mut Vec<Event> {
        received
            .events
            .values_mut()
            .max_by_key(|events| events.len())
            .unwrap()
    }

    fn serve(&mut self, visit: &Visit) {
        let id = Uuid::from_u128(u128::from(visit.number) + 1);
        let sequence = self.orders.get(&visit.customer).map_or(0, Vec::len) + 1;
        let mut order = self.priced(visit, id, sequence);
        self.enter(visit, Asked::Place, id, None);
        let effect = match visit.sort {
            Sort::Plain => Effect::Confirm,
            Sort::Scarce if visit.number.is_multiple_of(2) => Effect::Reject(Reason::OutOfStock),
            Sort::Scarce => Effect::Confirm,
            Sort::WrongPrice => Effect::Reject(Reason::PriceChanged),
            Sort::UnknownSku => Effect::Reject(Reason::UnknownSku),
        };
        self.apply(
            &mut order,
            "order.place",
            effect,
            Uuid::from_u128(id.as_u128() << 16),
        );
        if order.status == OrderStatus::Rejected {
            untaxed(&mut order);
            if let Some(event) = self.last_event(visit.customer) {
                event.total = order.total;
            }
        }
        for (at, (_, step)) in visit.steps.iter().enumerate() {
            self.step(
                visit,
                &mut order,
                *step,
                Uuid::from_u128((id.as_u128() << 16) + 1 + at as u128),
            );
        }
        self.book(&order, visit);
        self.orders.entry(visit.customer).or_default().push(order);
    }

    fn step(&mut self, visit: &Visit, order: &mut Order, step: Step, command: Uuid) {
        let (asked, name, effect) = match step {
            Step::Look => return,
            Step::Again => return self.enter(visit, Asked::Again, order.id.0, None),
            Step::OtherBody => {
                self.enter(visit, Asked::OtherBody, order.id.0, None);
                order.version += 1;
                order.conflicts.push(Conflict {
                    accepted_at: OffsetDateTime::UNIX_EPOCH,
                    command: "order.place".to_owned(),
                    fingerprint: String::new(),
                });
                return;
            }
            Step::Cancel => (
                Asked::Cancel,
                "order.cancel",
                Effect::Cancel(Reason::CustomerRequest),
            ),
            Step::Pay => (Asked::Pay, "order.pay", Effect::Pay),
            Step::Ship => (Asked::Ship, "order.ship", Effect::Ship),
            Step::Return { restock } => (Asked::Return { restock }, "order.return", Effect::Return),
        };
        self.enter(visit, asked, order.id.0, Some(command));
        self.apply(order, name, effect, command);
    }

    fn apply(&mut self, order: &mut Order, name: &str, effect: Effect, command: Uuid) {
        let before = OrderState {
            status: order.status,
            payment: order.payment_status,
            fulfillment: order.fulfillment_status,
            reason: order.reason,
        };
        let after = before.apply(effect, order.payment_method);
        if let Ok(state) = after {
            order.status = state.status;
            order.payment_status = state.payment;
            order.fulfillment_status = state.fulfillment;
            order.reason = state.reason;
        }
        order.version += 1;
        order.history.push(HistoryEntry {
            version: order.version,
            at: OffsetDateTime::UNIX_EPOCH,
            command_id: CommandId(command),
            command: name.to_owned(),
            requested_by: String::new(),
            status: order.status,
            refused: after.err(),
            note: None,
        });
        if after.is_ok() {
            self.publish(order, effect, command);
        }
    }

    fn publish(&mut self, order: &Order, effect: Effect, event_id: Uuid) {
        let event = Event {
            event_id,
            kind: match effect {
                Effect::Confirm => OrderEventKind::Confirmed,
                Effect::Reject(_) => OrderEventKind::Rejected,
                Effect::Cancel(_) => OrderEventKind::Cancelled,
                Effect::Pay => OrderEventKind::Paid,
                Effect::Ship => OrderEventKind::Shipped,
                Effect::Return => OrderEventKind::Returned,
            },
            order_id: order.id.0,
            version: order.version,
            status: order.status,
            sequence: order.sequence,
            total: order.total,
        };
        let customer = order.customer_id.as_str();
        if event.kind.makes_document() {
            let events = &mut self.collected.documents.events;
            events
                .entry(customer.to_owned())
                .or_default()
                .push(event.clone());
        }
        let events = &mut self.collected.webhooks.events;
        events.entry(customer.to_owned()).or_default().push(event);
    }

    fn last_event(&mut self, customer: u32) -> Option<&mut Event> {
        self.collected
            .webhooks
            .events
            .get_mut(&customer_id(customer))?
            .last_mut()
    }

    fn enter(&mut self, visit: &Visit, asked: Asked, order_id: Uuid, command_id: Option<Uuid>) {
        let sent = Duration::from_millis(self.now);
        self.now += 2;
        self.record.entries.push(Entry {
            visit: visit.number,
            customer: visit.customer,
            asked,
            sent,
            accepted: Some(sent + Duration::from_millis(1)),
            tries: 1,
            order_id: Some(order_id),
            command_id,
        });
    }

    /// What the order does to the stock in the end.
    fn book(&mut self, order: &Order, visit: &Visit) {
        if !matches!(
            order.status,
            OrderStatus::Confirmed | OrderStatus::Completed
        ) {
            return;
        }
        let comes_back = visit
            .steps
            .iter()
            .any(|(_, s)| *s == Step::Return { restock: true });
        for line in &order.lines {
            let level = self
                .levels
                .iter_mut()
                .find(|l| l.sku == line.sku.as_str())
                .unwrap();
            match order.fulfillment_status {
                FulfillmentStatus::Unfulfilled => level.reserved += line.quantity,
                FulfillmentStatus::Returned if comes_back => {}
                _ => level.on_hand -= line.quantity,
            }
        }
    }

    fn priced(&self, visit: &Visit, id: Uuid, sequence: usize) -> Order {
        let percent = COUNTRIES
            .iter()
            .find(|(c, _)| *c == visit.country)
            .unwrap()
            .1;
        let mut lines: Vec<OrderLine> = visit
            .lines
            .iter()
            .map(|line| {
                let product = &self.products[usize::from(line.product)];
                let price_e4 = visit.asked_price_e4(product);
                order_line(&product.sku, line.quantity, price_e4)
            })
            .collect();
        if visit.sort == Sort::UnknownSku {
            lines.push(order_line(UNKNOWN_SKU, 1, 10_000));
        }
        let subtotal: Decimal = lines.iter().map(|line| line.line_total).sum();
        let tax_total = half_up(subtotal * Decimal::from(percent) / Decimal::ONE_HUNDRED);
        lines[0].tax = tax_total;
        Order {
            id: OrderId(id),
            customer_id: customer_id(visit.customer).parse().unwrap(),
            reference: Some(visit.number.to_string()),
            status: OrderStatus::Accepted,
            payment_status: PaymentStatus::Unpaid,
            fulfillment_status: FulfillmentStatus::Unfulfilled,
            reason: None,
            reason_detail: None,
            currency: "GBP".parse().unwrap(),
            prices: PriceMode::Net,
            lines,
            subtotal,
            tax_total,
            total: subtotal + tax_total,
            taxes: Vec::new(),
            ship_to: address(visit.country),
            bill_to: None,
            email: None,
            payment_method: match visit.prepaid {
                true => PaymentMethod::Prepaid,
                false => PaymentMethod::Invoice,
            },
            metadata: BTreeMap::new(),
            placed_at: OffsetDateTime::UNIX_EPOCH,
            accepted_at: OffsetDateTime::UNIX_EPOCH,
            updated_at: OffsetDateTime::UNIX_EPOCH,
            version: 0,
            sequence: sequence.try_into().unwrap(),
            history: Vec::new(),
            conflicts: Vec::new(),
            documents: Vec::new(),
        }
    }
}

fn order_line(sku: &str, quantity: i64, price_e4: i64) -> OrderLine {
    let price = Decimal::new(price_e4, 4);
    OrderLine {
        sku: sku.to_owned().try_into().unwrap(),
        name: sku.to_owned(),
        quantity,
        unit_price: price.to_string().parse().unwrap(),
        line_total: half_up(price * Decimal::from(quantity)),
        tax_rate: Decimal::ZERO,
        tax_category: "standard".to_owned(),
        tax: Decimal::ZERO,
    }
}

fn untaxed(order: &mut Order) {
    order.lines[0].tax = Decimal::ZERO;
    order.tax_total = Decimal::ZERO;
    order.total = order.subtotal;
}

fn half_up(amount: Decimal) -> Decimal {
    amount.round_dp_with_strategy(2, rust_decimal::RoundingStrategy::MidpointAwayFromZero)
}

fn address(country: &str) -> Address {
    serde_json::from_value(serde_json::json!({
        "name": "A", "line1": "B", "city": "C", "country": country,
    }))
    .unwrap()
}
