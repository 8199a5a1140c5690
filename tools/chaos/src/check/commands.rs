//! Every accepted command is in its order's history once, and the order is as its history says.

use std::collections::{HashMap, HashSet};

use steelyard_domain::order::{FulfillmentStatus, HistoryEntry, Order, OrderStatus, PaymentStatus};
use uuid::Uuid;

use super::{Customer, Fact, Findings};

pub(super) fn check(customer: &Customer<'_>, findings: &mut Findings) {
    let mut sent: HashMap<Uuid, Sent> = HashMap::new();
    for entry in customer
        .entries
        .iter()
        .filter(|entry| !entry.is_of_the_order())
    {
        let Some(order_id) = entry.order_id else {
            continue;
        };
        let of_order = sent.entry(order_id).or_default();
        let Some(command_id) = entry.command_id else {
            of_order.unanswered += 1;
            continue;
        };
        of_order.accepted.insert(command_id);
        let order = customer.by_id.get(&order_id);
        let times = order.map_or(0, |order| times(order, command_id));
        findings.check(Fact::Commanded, times == 1, || {
            format!(
                "command {command_id} ({}) is {times} times in the history of order {order_id}",
                entry.label()
            )
        });
    }
    let none = Sent::default();
    for order in customer.orders {
        let of_order = sent.get(&order.id.0).unwrap_or(&none);
        nobody_else_commanded(order, of_order, findings);
        is_as_its_history_says(order, findings);
    }
}

/// Commands of one order.
#[derive(Default)]
struct Sent {
    accepted: HashSet<Uuid>,
    /// Sent, and nobody knows whether they arrived.
    unanswered: usize,
}

fn times(order: &Order, command_id: Uuid) -> usize {
    let same = |entry: &&HistoryEntry| entry.command_id.0 == command_id;
    order.history.iter().filter(same).count()
}

fn nobody_else_commanded(order: &Order, sent: &Sent, findings: &mut Findings) {
    let others = order
        .history
        .iter()
        .filter(|entry| entry.command != PLACE && !sent.accepted.contains(&entry.command_id.0));
    let others = others.count();
    findings.check(Fact::Commanded, others <= sent.unanswered, || {
        format!(
            "order {}: {others} commands in its history that nobody sent",
            order.id
        )
    });
}

const PLACE: &str = "order.place";

fn is_as_its_history_says(order: &Order, findings: &mut Findings) {
    let took_effect = |command: &str| {
        let effects = order.history.iter().filter(|entry| entry.refused.is_none());
        effects.filter(|entry| entry.command == command).count()
    };
    let places = order.history.iter().filter(|entry| entry.command == PLACE);
    let [cancels, pays, ships, returns] =
        ["order.cancel", "order.pay", "order.ship", "order.return"].map(took_effect);
    let is_paid = order.payment_status != PaymentStatus::Unpaid;
    let is_shipped = order.fulfillment_status != FulfillmentStatus::Unfulfilled;
    let is_returned = order.fulfillment_status == FulfillmentStatus::Returned;
    let says = [
        (places.count() == 1, "it was placed once"),
        (
            order
                .history
                .first()
                .is_some_and(|entry| entry.command == PLACE),
            "it was placed first",
        ),
        (
            cancels == usize::from(order.status == OrderStatus::Cancelled),
            "it is cancelled",
        ),
        (pays == usize::from(is_paid), "it is paid"),
        (ships == usize::from(is_shipped), "it is shipped"),
        (returns == usize::from(is_returned), "it came back"),
        (counts_up(order), "its version counts its changes"),
    ];
    for (holds, what) in says {
        findings.check(Fact::Commanded, holds, || {
            format!(
                "order {}: its history does not say that {what}: {:?}",
                order.id, order.history
            )
        });
    }
}

/// Every change is one more: in the history or among the conflicts.
fn counts_up(order: &Order) -> bool {
    let changes = order.history.len() + order.conflicts.len();
    let versions = order.history.iter().map(|entry| entry.version);
    order.version == i64::try_from(changes).unwrap_or(i64::MAX)
        && versions.is_sorted_by(|earlier, later| earlier < later)
}
