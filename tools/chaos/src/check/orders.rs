//! Every accepted order is there, once, settled, as it was asked for, and decided about rightly.

use std::collections::{HashMap, HashSet};

use steelyard_domain::order::{Order, OrderStatus, Reason};

use super::{Customer, Fact, Findings};
use crate::journal::{Asked, Entry};
use crate::shop::{Product, Shop, Sort, UNKNOWN_SKU, Visit};

pub(super) fn check(
    shop: Shop,
    products: &[Product],
    customer: &Customer<'_>,
    findings: &mut Findings,
) {
    let mut visits: HashMap<u64, &Entry> = HashMap::new();
    for entry in customer
        .entries
        .iter()
        .filter(|entry| entry.asked == Asked::Place)
    {
        visits.insert(entry.visit, entry);
        if entry.accepted.is_some() {
            is_settled(customer, entry, findings);
        }
    }
    let mut seen = HashSet::new();
    for order in customer.orders {
        let visit: Option<u64> = order
            .reference
            .as_deref()
            .and_then(|text| text.parse().ok());
        let Some(entry) = visit.and_then(|visit| visits.get(&visit)) else {
            let what = format!("order {} of {}: nobody sent it", order.id, customer.id);
            findings.violated(Fact::Settled, what);
            continue;
        };
        if !seen.insert(entry.visit) {
            let what = format!("order {}: a second one of {}", order.id, entry.label());
            findings.violated(Fact::Settled, what);
            continue;
        }
        let visit = shop.visit(entry.visit);
        is_as_asked_for(products, customer, entry, &visit, order, findings);
        is_decided_rightly(&visit, order, findings);
    }
}

fn is_settled(customer: &Customer<'_>, entry: &Entry, findings: &mut Findings) {
    let found = entry.order_id.and_then(|id| customer.by_id.get(&id));
    findings.check(
        Fact::Settled,
        found.is_some_and(|order| order.status.is_settled()),
        || {
            let id = entry.order_id.unwrap_or_default();
            match found {
                None => format!(
                    "order {id} ({}, {}): accepted and not there",
                    entry.label(),
                    customer.id
                ),
                Some(order) => format!("order {id} ({}): still {}", entry.label(), order.status),
            }
        },
    );
}

/// The first body under a key stands; another one is noted as a conflict, once, and the same one is not noted at all.
fn is_as_asked_for(
    products: &[Product],
    customer: &Customer<'_>,
    entry: &Entry,
    visit: &Visit,
    order: &Order,
    findings: &mut Findings,
) {
    let mut asked: Vec<(&str, i64)> = visit
        .lines
        .iter()
        .map(|line| {
            (
                products[usize::from(line.product)].sku.as_str(),
                line.quantity,
            )
        })
        .collect();
    if visit.sort == Sort::UnknownSku {
        asked.push((UNKNOWN_SKU, 1));
    }
    let lines = order
        .lines
        .iter()
        .map(|line| (line.sku.as_str(), line.quantity));
    let same = lines.eq(asked.iter().copied())
        && order.customer_id.as_str() == customer.id
        && entry.order_id.is_none_or(|id| id == order.id.0);
    findings.check(Fact::Settled, same, || {
        format!(
            "order {} ({}): not what was asked for: {:?}",
            order.id,
            entry.label(),
            order.lines
        )
    });
    let of_visit = || {
        customer
            .entries
            .iter()
            .filter(|other| other.visit == entry.visit)
    };
    // One that was sent and never answered may or may not have come.
    let sent = of_visit().filter(|other| other.asked == Asked::OtherBody);
    let accepted = sent
        .clone()
        .filter(|other| other.accepted.is_some())
        .count();
    let conflicts = accepted.min(1)..=sent.count().min(1);
    findings.check(
        Fact::Settled,
        conflicts.contains(&order.conflicts.len()),
        || {
            let (id, count) = (order.id, order.conflicts.len());
            format!(
                "order {id} ({}): {count} conflicts, {conflicts:?} expected",
                entry.label()
            )
        },
    );
    for other in of_visit().filter(|other| other.is_of_the_order()) {
        findings.check(
            Fact::Settled,
            other.order_id.is_none_or(|id| id == order.id.0),
            || {
                let id = other.order_id.unwrap_or_default();
                format!(
                    "{}: answered with order {id} instead of {}",
                    other.label(),
                    order.id
                )
            },
        );
    }
}

fn is_decided_rightly(visit: &Visit, order: &Order, findings: &mut Findings) {
    let is_rejected = order.status == OrderStatus::Rejected;
    let holds = match visit.sort {
        Sort::Plain => !is_rejected,
        Sort::Scarce => !is_rejected || order.reason == Some(Reason::OutOfStock),
        Sort::WrongPrice => is_rejected && order.reason == Some(Reason::PriceChanged),
        Sort::UnknownSku => is_rejected && order.reason == Some(Reason::UnknownSku),
    };
    findings.check(Fact::Decided, holds, || {
        let (id, status, reason) = (order.id, order.status, order.reason);
        let detail = order.reason_detail.as_deref().unwrap_or_default();
        format!(
            "order {id} (visit-{}, {:?}): {status} {reason:?} {detail}",
            visit.number, visit.sort
        )
    });
}
