//! One customer's commands, applied one after the other.

use std::collections::HashMap;

use serde::Serialize;
use steelyard_domain::command::{Command, CommandKind, CommandMessage};
use steelyard_domain::event::OrderEventKind;
use steelyard_domain::id::{CommandId, CustomerId, Fingerprint, OrderId};
use steelyard_domain::internal::ReserveResult;
use steelyard_domain::order::{Effect, Order, OrderStatus, PlaceOrder};
use time::OffsetDateTime;
use uuid::Uuid;

use super::change::{self, By};
use super::early::is_called_off;
use super::known::{Asked, Customer, Known};
use super::planner::{PlanError, Planner};
use super::rows::{
    CatalogCalls, CustomerPlan, EventRow, IgnoredRow, InboxRow, OrderRow, TombstoneRow, Verdict,
};
use super::{TOMBSTONES_MAX, place};

/// Version of [`steelyard_domain::event::OrderEvent`] that is written.
const EVENT_VERSION: u32 = 1;

/// A customer's orders on the desk.
pub(super) struct Desk<'a> {
    planner: Planner<'a>,
    plan: CustomerPlan,
    orders: Vec<Open>,
    by_id: HashMap<OrderId, usize>,
    /// Commands of this set that the plan's inbox has.
    taken: HashMap<CommandId, Fingerprint>,
    /// Commands of this set whose order has not come.
    early: Vec<(CommandMessage, String)>,
    /// The trace of the command in hand.
    traceparent: Option<String>,
}

/// An order that is being worked on.
struct Open {
    order: Order,
    /// The version in the store; `None` for a new order.
    stored: Option<i64>,
    /// The order as JSON, if nothing has changed since it was written.
    doc: Option<String>,
    /// This very plan was given its stock: catalog must not take it back before the commit.
    just_reserved: bool,
}

/// The place command without its payload.
struct Placed {
    order_id: OrderId,
    message_id: CommandId,
    fingerprint: Fingerprint,
    accepted_at: OffsetDateTime,
    requested_by: String,
}

impl<'a> Desk<'a> {
    pub(super) fn new(planner: Planner<'a>, customer_id: CustomerId, seen: Customer) -> Self {
        Self {
            planner,
            plan: CustomerPlan {
                customer_id,
                seen,
                last_sequence: seen.last_sequence,
                orders: Vec::new(),
                inbox: Vec::new(),
                events: Vec::new(),
                tombstones: Vec::new(),
                tombstones_taken: Vec::new(),
                ignored: Vec::new(),
                calls: CatalogCalls::default(),
                verdicts: Vec::new(),
            },
            orders: Vec::new(),
            by_id: HashMap::new(),
            taken: HashMap::new(),
            early: Vec::new(),
            traceparent: None,
        }
    }

    pub(super) fn take(
        &mut self,
        asked: Asked<'_>,
        known: &mut Known,
        answers: &mut HashMap<OrderId, ReserveResult>,
    ) -> Result<(), PlanError> {
        let Asked {
            at,
            message,
            body,
            traceparent,
        } = asked;
        self.traceparent = traceparent.map(str::to_owned);
        let id = message.order_id;
        let verdict = if let Some(index) = self.open(id, known) {
            self.take_on(index, &message, known)?;
            Verdict::Settled
        } else if known.orders.contains_key(&id) {
            self.refuse_foreign(&message)
        } else if let Command::Place(order) = message.command {
            let placed = Placed {
                order_id: id,
                message_id: message.message_id,
                fingerprint: message.fingerprint,
                accepted_at: message.accepted_at,
                requested_by: message.requested_by,
            };
            self.place(&placed, *order, known, answers.remove(&id))?
        } else {
            self.keep(message, body, known);
            Verdict::Settled
        };
        self.plan.verdicts.push((at, verdict));
        Ok(())
    }

    pub(super) fn finish(mut self) -> Result<CustomerPlan, PlanError> {
        for open in self.orders {
            if open.stored != Some(open.order.version) {
                self.plan.orders.push(row(open)?);
            }
        }
        let rows = self.early.into_iter().map(|(message, body)| TombstoneRow {
            order_id: message.order_id,
            message_id: message.message_id,
            fingerprint: message.fingerprint,
            accepted_at: message.accepted_at,
            body,
        });
        self.plan.tombstones.extend(rows);
        Ok(self.plan)
    }

    /// The order's index on the desk, once it lies there or can be had from the store's.
    fn open(&mut self, id: OrderId, known: &mut Known) -> Option<usize> {
        if let Some(&index) = self.by_id.get(&id) {
            return Some(index);
        }
        let stored = known.orders.get_mut(&id)?;
        if stored.customer_id != self.plan.customer_id {
            return None;
        }
        let order = stored.order.take()?;
        Some(self.lay_out(Open {
            stored: Some(order.version),
            order,
            doc: None,
            just_reserved: false,
        }))
    }

    fn lay_out(&mut self, open: Open) -> usize {
        let index = self.orders.len();
        self.by_id.insert(open.order.id, index);
        self.orders.push(open);
        index
    }

    /// A command of an order that exists.
    fn take_on(
        &mut self,
        index: usize,
        message: &CommandMessage,
        known: &Known,
    ) -> Result<(), PlanError> {
        let id = message.message_id;
        let before = self.taken.get(&id).or_else(|| known.commands.get(&id));
        let open = &mut self.orders[index];
        match (before, change::effect_of(&message.command)) {
            (Some(before), effect) if *before == message.fingerprint => {
                let holds_none = matches!(
                    open.order.status,
                    OrderStatus::Rejected | OrderStatus::Cancelled
                );
                if effect.is_none() && holds_none {
                    self.plan.calls.release_after.push(open.order.id);
                }
            }
            (None, Some(effect)) => {
                let by = By::of(message);
                let took_effect = self.apply(index, effect, by, message.fingerprint)?;
                if let Command::Return(goods) = &message.command
                    && goods.restock
                    && took_effect
                {
                    self.plan.calls.restock.push(message.order_id);
                }
            }
            (Some(_), _) | (None, None) => {
                change::note_conflict(&mut open.order, message, self.planner.now);
                open.doc = None;
            }
        }
        Ok(())
    }

    /// A command of somebody else's order. A place must not vanish (P1), so it is set aside.
    fn refuse_foreign(&mut self, message: &CommandMessage) -> Verdict {
        if matches!(message.command, Command::Place(_)) {
            let reason = format!("order {} belongs to another customer", message.order_id);
            return Verdict::Park(reason);
        }
        self.plan.ignored.push(ignored(message));
        Verdict::Settled
    }

    /// A command whose order has not come.
    fn keep(&mut self, message: CommandMessage, body: &str, known: &Known) {
        let same_order = |early: &CommandMessage| {
            early.order_id == message.order_id && early.customer_id == message.customer_id
        };
        let stored = known.early.get(&message.order_id).into_iter().flatten();
        let here = self.early.iter().map(|(early, _)| early);
        let (mut count, mut is_known) = (0, false);
        for early in stored.chain(here).filter(|early| same_order(early)) {
            count += 1;
            is_known |=
                early.message_id == message.message_id && early.fingerprint == message.fingerprint;
        }
        if is_known {
            return;
        }
        if count >= TOMBSTONES_MAX {
            tracing::warn!(order_id = %message.order_id, message_id = %message.message_id,
                "dropped: too many commands wait for this order");
            return;
        }
        self.early.push((message, body.to_owned()));
    }

    /// The commands that waited for an order, oldest first; strangers' are put aside.
    fn waiting_for(&mut self, id: OrderId, known: &mut Known) -> Vec<CommandMessage> {
        let stored = known.early.remove(&id).unwrap_or_default();
        if !stored.is_empty() {
            self.plan.tombstones_taken.push(id);
        }
        let (mut ours, foreign): (Vec<_>, Vec<_>) = stored
            .into_iter()
            .partition(|early| early.customer_id == self.plan.customer_id);
        self.plan.ignored.extend(foreign.iter().map(ignored));
        let (here, later) = std::mem::take(&mut self.early)
            .into_iter()
            .partition::<Vec<_>, _>(|(early, _)| early.order_id == id);
        self.early = later;
        ours.extend(here.into_iter().map(|(early, _)| early));
        ours.sort_by_key(|early| early.accepted_at);
        ours
    }

    /// A new order.
    fn place(
        &mut self,
        placed: &Placed,
        order: PlaceOrder,
        known: &mut Known,
        answer: Option<ReserveResult>,
    ) -> Result<Verdict, PlanError> {
        let id = placed.order_id;
        let early = self.waiting_for(id, known);
        let (decision, priced) = if is_called_off(early.iter(), order.payment_method) {
            (None, None)
        } else {
            let answer = answer.ok_or(PlanError::Unanswered(id))?;
            let (decision, priced) = place::decide(answer);
            (Some(decision), priced)
        };
        let (sequence, now) = (self.plan.last_sequence + 1, self.planner.now);
        let built = place::build(
            id,
            placed.accepted_at,
            order,
            priced,
            self.planner.tax,
            sequence,
            now,
        );
        let mut order = match built {
            Ok(order) => order,
            Err(too_large) => {
                self.plan.calls.release_after.push(id);
                return Ok(Verdict::Park(too_large.to_string()));
            }
        };
        self.plan.last_sequence = sequence;
        let by = By {
            command_id: placed.message_id,
            kind: CommandKind::Place,
            requested_by: &placed.requested_by,
            note: None,
        };
        let Some(decision) = decision else {
            change::note(&mut order, by, None, now);
            self.remember(placed.message_id, placed.fingerprint);
            let index = self.lay_out(Open::new(order));
            self.apply_all(index, &early, known)?;
            return Ok(Verdict::Settled);
        };
        order.reason_detail = decision.detail;
        let index = self.lay_out(Open {
            just_reserved: true,
            ..Open::new(order)
        });
        self.apply(index, decision.effect, by, placed.fingerprint)?;
        self.apply_all(index, &early, known)?;
        Ok(Verdict::Settled)
    }

    fn apply_all(
        &mut self,
        index: usize,
        early: &[CommandMessage],
        known: &Known,
    ) -> Result<(), PlanError> {
        early
            .iter()
            .try_for_each(|message| self.take_on(index, message, known))
    }

    /// Applies an effect with its calls and its event; says whether it could take effect.
    fn apply(
        &mut self,
        index: usize,
        effect: Effect,
        by: By<'_>,
        fingerprint: Fingerprint,
    ) -> Result<bool, PlanError> {
        self.remember(by.command_id, fingerprint);
        let open = &mut self.orders[index];
        open.doc = None;
        if change::apply(&mut open.order, effect, by, self.planner.now).is_err() {
            return Ok(false);
        }
        let calls = &mut self.plan.calls;
        match effect {
            Effect::Cancel(_) if !open.just_reserved => calls.release.push(open.order.id),
            Effect::Cancel(_) | Effect::Reject(_) => calls.release_after.push(open.order.id),
            Effect::Ship => calls.consume.push(open.order.id),
            Effect::Confirm | Effect::Pay | Effect::Return => {}
        }
        let mut event = event(open, change::event_of(effect), by.command_id)?;
        event.traceparent.clone_from(&self.traceparent);
        self.plan.events.push(event);
        Ok(true)
    }

    fn remember(&mut self, message_id: CommandId, fingerprint: Fingerprint) {
        self.taken.insert(message_id, fingerprint);
        self.plan.inbox.push(InboxRow {
            message_id,
            fingerprint,
        });
    }
}

impl Open {
    fn new(order: Order) -> Self {
        Self {
            order,
            stored: None,
            doc: None,
            just_reserved: false,
        }
    }
}

/// The fields of an event before its order, which is JSON already.
#[derive(Serialize)]
struct EventHead<'a> {
    v: u32,
    #[serde(rename = "type")]
    kind: OrderEventKind,
    event_id: Uuid,
    customer_id: &'a CustomerId,
    #[serde(with = "time::serde::rfc3339")]
    at: OffsetDateTime,
}

fn event(
    open: &mut Open,
    kind: OrderEventKind,
    command_id: CommandId,
) -> Result<EventRow, PlanError> {
    let doc = serde_json::to_string(&open.order)?;
    let order = &open.order;
    let mut body = serde_json::to_string(&EventHead {
        v: EVENT_VERSION,
        kind,
        event_id: command_id.0,
        customer_id: &order.customer_id,
        at: order.updated_at,
    })?;
    // The head's closing brace makes room for the last field.
    body.pop();
    body.reserve_exact(doc.len() + 10);
    body.push_str(",\"order\":");
    body.push_str(&doc);
    body.push('}');
    let event = EventRow {
        event_id: command_id.0,
        kind,
        order_id: order.id,
        status: order.status,
        version: order.version,
        body,
        traceparent: None,
    };
    open.doc = Some(doc);
    Ok(event)
}

fn row(open: Open) -> Result<OrderRow, PlanError> {
    let Open {
        order, stored, doc, ..
    } = open;
    let doc = match doc {
        Some(doc) => doc,
        None => serde_json::to_string(&order)?,
    };
    Ok(OrderRow {
        id: order.id,
        replaces: stored,
        reference: order.reference,
        status: order.status,
        payment_status: order.payment_status,
        fulfillment_status: order.fulfillment_status,
        reason: order.reason,
        currency: order.currency,
        subtotal: order.subtotal,
        tax_total: order.tax_total,
        total: order.total,
        sequence: order.sequence,
        version: order.version,
        placed_at: order.placed_at,
        accepted_at: order.accepted_at,
        updated_at: order.updated_at,
        doc,
    })
}

fn ignored(message: &CommandMessage) -> IgnoredRow {
    IgnoredRow {
        message_id: message.message_id,
        customer_id: message.customer_id.clone(),
        order_id: message.order_id,
        kind: message.command.kind(),
        requested_by: message.requested_by.clone(),
    }
}
