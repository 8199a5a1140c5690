//! Stock: what the catalog tells, against what orders and goods receipts say.

use std::collections::HashMap;

use steelyard_domain::order::{FulfillmentStatus, OrderStatus};
use uuid::Uuid;

use super::{Customer, Fact, Findings};
use crate::journal::{Asked, Receipt};
use crate::shop::Product;

/// What the catalog tells of a product.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Level {
    /// Stock-keeping unit.
    pub sku: String,
    /// Units in the warehouse.
    pub on_hand: i64,
    /// Of them held for orders.
    pub reserved: i64,
    /// The rest, as the product's page tells it.
    pub available: i64,
}

/// What there must be of each product.
#[derive(Debug)]
pub(super) struct Sums {
    due: HashMap<String, Due>,
    skus: Vec<String>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Due {
    on_hand: i64,
    reserved: i64,
    /// Receipts that may or may not be booked.
    uncertain: i64,
}

impl Sums {
    pub(super) fn new(products: &[Product]) -> Self {
        let due = |product: &Product| {
            let on_hand = product.opening;
            (
                product.sku.clone(),
                Due {
                    on_hand,
                    ..Due::default()
                },
            )
        };
        Self {
            due: products.iter().map(due).collect(),
            skus: products.iter().map(|product| product.sku.clone()).collect(),
        }
    }

    pub(super) fn receive(&mut self, receipts: &[Receipt], findings: &mut Findings) {
        for receipt in receipts {
            let Some(sku) = self.skus.get(usize::from(receipt.product)) else {
                continue;
            };
            findings.check(Fact::Received, receipt.booked, || {
                format!("{} units of {sku}: never booked", receipt.units)
            });
            let due = self.due.entry(sku.clone()).or_default();
            if receipt.booked {
                due.on_hand += receipt.units;
            } else {
                due.uncertain += receipt.units;
            }
        }
    }

    /// Adds what one customer's orders hold and took.
    pub(super) fn add(&mut self, customer: &Customer<'_>) {
        let restocked = restocked(customer);
        for order in customer.orders {
            let is_active = matches!(
                order.status,
                OrderStatus::Confirmed | OrderStatus::Completed
            );
            if !is_active {
                continue;
            }
            for line in &order.lines {
                let due = self.due.entry(line.sku.as_str().to_owned()).or_default();
                match order.fulfillment_status {
                    FulfillmentStatus::Unfulfilled => due.reserved += line.quantity,
                    FulfillmentStatus::Returned if restocked.contains(&order.id.0) => {}
                    FulfillmentStatus::Shipped | FulfillmentStatus::Returned => {
                        due.on_hand -= line.quantity;
                    }
                }
            }
        }
    }

    pub(super) fn check(&self, levels: &[Level], findings: &mut Findings) {
        let found: HashMap<&str, &Level> = levels.iter().map(|l| (l.sku.as_str(), l)).collect();
        for sku in &self.skus {
            let due = self.due.get(sku).copied().unwrap_or_default();
            let Some(level) = found.get(sku.as_str()) else {
                findings.violated(Fact::Stocked, format!("{sku}: the catalog does not tell"));
                continue;
            };
            let below_zero = level.on_hand < 0 || level.reserved < 0 || level.available < 0;
            let on_hand = due.on_hand..=due.on_hand + due.uncertain;
            let holds = !below_zero
                && level.available == level.on_hand - level.reserved
                && level.reserved == due.reserved
                && on_hand.contains(&level.on_hand);
            findings.check(Fact::Stocked, holds, || format!("{level:?}, {due:?}"));
        }
    }
}

/// Orders whose goods came back and went on the shelf again.
fn restocked(customer: &Customer<'_>) -> Vec<Uuid> {
    customer
        .entries
        .iter()
        .filter(|entry| entry.asked == Asked::Return { restock: true })
        .filter_map(|entry| entry.order_id)
        .collect()
}
