//! Amounts, added up once more in whole pennies, from the shop's own prices and rates.

use rust_decimal::Decimal;
use steelyard_domain::order::{Order, OrderStatus};

use super::{Customer, Fact, Findings};
use crate::shop::{COUNTRIES, Product, Shop, Sort, Visit};

pub(super) fn check(
    shop: Shop,
    products: &[Product],
    customer: &Customer<'_>,
    findings: &mut Findings,
) {
    for order in customer.orders {
        let number: Option<u64> = order
            .reference
            .as_deref()
            .and_then(|text| text.parse().ok());
        let Some(number) = number else { continue };
        let due = Due::of(&shop.visit(number), products, order);
        let found = Due::told_by(order);
        findings.check(Fact::Exact, due == found, || {
            format!(
                "order {} (visit-{number}): {found:?}, {due:?} is due",
                order.id
            )
        });
    }
    for event in customer.webhooks.iter().chain(customer.documents) {
        let Some(order) = customer.by_id.get(&event.order_id) else {
            continue;
        };
        findings.check(Fact::Exact, event.total == order.total, || {
            let (id, told, total) = (event.event_id, event.total, order.total);
            format!("event {id} tells {told}, its order {} {total}", order.id)
        });
    }
}

/// What an order costs.
#[derive(Debug, PartialEq, Eq)]
struct Due {
    lines: Vec<Decimal>,
    subtotal: Decimal,
    tax: Decimal,
    tax_of_lines: Decimal,
    total: Decimal,
}

impl Due {
    /// Each line rounded half up to the penny, tax once over their sum; a rejected order is not taxed.
    fn of(visit: &Visit, products: &[Product], order: &Order) -> Self {
        let mut pence: Vec<i64> = visit
            .lines
            .iter()
            .map(|line| {
                let price_e4 = visit.asked_price_e4(&products[usize::from(line.product)]);
                (line.quantity * price_e4 + 50) / 100
            })
            .collect();
        if visit.sort == Sort::UnknownSku {
            pence.push(100);
        }
        let percent = match order.status {
            OrderStatus::Rejected => 0,
            _ => COUNTRIES
                .iter()
                .find(|(country, _)| *country == visit.country)
                .map_or(0, |(_, percent)| *percent),
        };
        let subtotal: i64 = pence.iter().sum();
        let tax = (subtotal * percent + 50) / 100;
        let amount = |pence: i64| Decimal::new(pence, 2);
        Self {
            lines: pence.into_iter().map(amount).collect(),
            subtotal: amount(subtotal),
            tax: amount(tax),
            tax_of_lines: amount(tax),
            total: amount(subtotal + tax),
        }
    }

    fn told_by(order: &Order) -> Self {
        Self {
            lines: order.lines.iter().map(|line| line.line_total).collect(),
            subtotal: order.subtotal,
            tax: order.tax_total,
            tax_of_lines: order.lines.iter().map(|line| line.tax).sum(),
            total: order.total,
        }
    }
}
