//! Every effect's event reached the queues that it belongs to, and in order.

use std::collections::{HashMap, HashSet};

use steelyard_domain::event::OrderEventKind;
use steelyard_domain::order::{HistoryEntry, Order, OrderStatus};
use uuid::Uuid;

use super::{Customer, Fact, Findings};
use crate::collect::Event;

pub(super) fn check(customer: &Customer<'_>, findings: &mut Findings) {
    let makes_document: fn(OrderEventKind) -> bool = OrderEventKind::makes_document;
    let any: fn(OrderEventKind) -> bool = |_| true;
    for (queue, events, wants) in [
        ("documents", customer.documents, makes_document),
        ("webhooks", customer.webhooks, any),
    ] {
        let received: HashMap<Uuid, &Event> = events.iter().map(|e| (e.event_id, e)).collect();
        let mut due = HashSet::new();
        for order in customer.orders {
            for entry in &order.history {
                let Some(kind) = event_of(entry).filter(|kind| wants(*kind)) else {
                    continue;
                };
                due.insert(entry.command_id.0);
                let event = received.get(&entry.command_id.0);
                findings.check(
                    Fact::Delivered,
                    event.is_some_and(|e| tells(e, order, entry, kind)),
                    || {
                        let (id, order) = (entry.command_id, order.id);
                        format!(
                            "{queue}: event {id} ({}) of order {order} is due, found {event:?}",
                            kind.as_str()
                        )
                    },
                );
            }
        }
        for event in events.iter().filter(|event| !due.contains(&event.event_id)) {
            let what = format!(
                "{queue}: {event:?} of {}: nothing of the kind happened",
                customer.id
            );
            findings.violated(Fact::Delivered, what);
        }
        in_order(queue, customer, events, findings);
    }
}

/// The event that a history's entry makes; a refusal makes none.
fn event_of(entry: &HistoryEntry) -> Option<OrderEventKind> {
    if entry.refused.is_some() {
        return None;
    }
    Some(match (entry.command.as_str(), entry.status) {
        ("order.place", OrderStatus::Confirmed) => OrderEventKind::Confirmed,
        ("order.place", OrderStatus::Rejected) => OrderEventKind::Rejected,
        ("order.cancel", _) => OrderEventKind::Cancelled,
        ("order.pay", _) => OrderEventKind::Paid,
        ("order.ship", _) => OrderEventKind::Shipped,
        ("order.return", _) => OrderEventKind::Returned,
        _ => return None,
    })
}

fn tells(event: &Event, order: &Order, entry: &HistoryEntry, kind: OrderEventKind) -> bool {
    event.kind == kind
        && event.order_id == order.id.0
        && event.version == entry.version
        && event.status == entry.status
        && event.sequence == order.sequence
}

/// An order's events by version; orders' first events by sequence.
fn in_order(queue: &str, customer: &Customer<'_>, events: &[Event], findings: &mut Findings) {
    let mut versions: HashMap<Uuid, i64> = HashMap::new();
    let mut sequence = 0;
    for event in events {
        let before = versions.insert(event.order_id, event.version);
        let holds = match before {
            Some(version) => version < event.version,
            None => event.sequence > std::mem::replace(&mut sequence, event.sequence),
        };
        findings.check(Fact::DeliveredInOrder, holds, || {
            format!(
                "{queue}: {event:?} of {} came after version {before:?}",
                customer.id
            )
        });
    }
}
