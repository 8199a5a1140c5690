//! Sequence numbers without gaps, and effects in the order of acceptance.
//!
//! A client knows that one request was accepted before another only if it had the first one's answer before it sent the
//! second: requests that overlap may take effect in either order.

use std::collections::HashMap;
use std::time::Duration;

use uuid::Uuid;

use super::{Customer, Fact, Findings};
use crate::journal::{Asked, Entry};

pub(super) fn check(customer: &Customer<'_>, findings: &mut Findings) {
    numbered(customer, findings);
    let accepted = || {
        customer
            .entries
            .iter()
            .filter(|entry| entry.accepted.is_some())
    };
    let by_sequence = accepted().filter(|entry| entry.asked == Asked::Place);
    let by_sequence = by_sequence.filter_map(|entry| {
        let order = customer.by_id.get(&entry.order_id?)?;
        Step::new(entry, order.sequence)
    });
    in_order(
        customer,
        "orders",
        &by_sequence.collect::<Vec<_>>(),
        findings,
    );
    let delivered = positions(customer);
    let by_delivery = accepted().filter_map(|entry| {
        let event = match entry.asked {
            Asked::Place => *delivered.placed.get(&entry.order_id?)?,
            Asked::Again | Asked::OtherBody => return None,
            _ => *delivered.commanded.get(&entry.command_id?)?,
        };
        Step::new(entry, event)
    });
    in_order(
        customer,
        "effects",
        &by_delivery.collect::<Vec<_>>(),
        findings,
    );
}

fn numbered(customer: &Customer<'_>, findings: &mut Findings) {
    let mut numbers: Vec<(i64, Uuid)> = customer
        .orders
        .iter()
        .map(|order| (order.sequence, order.id.0))
        .collect();
    numbers.sort_unstable();
    for ((number, order), expected) in numbers.into_iter().zip(1..) {
        findings.check(Fact::Numbered, number == expected, || {
            format!(
                "order {order} of {} has number {number}, {expected} is due",
                customer.id
            )
        });
    }
}

/// Where an effect stands in the stream of events; the events of a customer come in the order of the effects.
struct Positions {
    /// By order.
    placed: HashMap<Uuid, i64>,
    /// By command.
    commanded: HashMap<Uuid, i64>,
}

fn positions(customer: &Customer<'_>) -> Positions {
    use steelyard_domain::event::OrderEventKind::{Confirmed, Rejected};
    let (mut placed, mut commanded) = (HashMap::new(), HashMap::new());
    for (event, at) in customer.webhooks.iter().zip(0..) {
        if matches!(event.kind, Confirmed | Rejected) {
            placed.insert(event.order_id, at);
        }
        commanded.insert(event.event_id, at);
    }
    Positions { placed, commanded }
}

/// A request with the place of its effect.
struct Step<'a> {
    entry: &'a Entry,
    accepted: Duration,
    effect: i64,
}

impl<'a> Step<'a> {
    fn new(entry: &'a Entry, effect: i64) -> Option<Self> {
        let accepted = entry.accepted?;
        Some(Self {
            entry,
            accepted,
            effect,
        })
    }
}

/// For every request: of all that were accepted before it was sent, the one whose effect came last came before its own.
fn in_order(customer: &Customer<'_>, what: &str, steps: &[Step<'_>], findings: &mut Findings) {
    let mut by_accepted: Vec<&Step<'_>> = steps.iter().collect();
    by_accepted.sort_by_key(|step| step.accepted);
    let mut by_sent: Vec<&Step<'_>> = steps.iter().collect();
    by_sent.sort_by_key(|step| step.entry.sent);
    let mut earlier = by_accepted.into_iter().peekable();
    let mut last: Option<&Step<'_>> = None;
    for step in by_sent {
        while let Some(before) = earlier.next_if(|before| before.accepted < step.entry.sent) {
            if last.is_none_or(|last| last.effect < before.effect) {
                last = Some(before);
            }
        }
        let Some(last) = last else { continue };
        findings.check(Fact::InOrder, last.effect < step.effect, || {
            let tell = |step: &Step<'_>| {
                let id = step
                    .entry
                    .command_id
                    .or(step.entry.order_id)
                    .unwrap_or_default();
                format!("{} {id} (effect {})", step.entry.label(), step.effect)
            };
            let (first, second) = (tell(last), tell(step));
            format!(
                "{what} of {}: {first} was accepted before {second} was sent",
                customer.id
            )
        });
    }
}
