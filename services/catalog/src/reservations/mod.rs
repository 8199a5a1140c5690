//! What orders hold of the stock.

mod decide;
mod reserve;
mod settle;

use std::collections::BTreeMap;

use sqlx::types::Json;

pub(crate) use reserve::{quote, reserve};
pub(crate) use settle::{Step, settle};

/// Units per SKU, sorted: locks are taken in this order.
type Units = BTreeMap<String, i64>;

/// [`Units`] as the table keeps them.
type StoredUnits = Json<Units>;

/// The columns of units for a statement over arrays.
fn columns(units: &Units) -> (Vec<&str>, Vec<i64>) {
    units
        .iter()
        .map(|(sku, units)| (sku.as_str(), *units))
        .unzip()
}

/// Adds `more` to `sum`.
fn add(sum: &mut Units, more: &Units) {
    for (sku, units) in more {
        *sum.entry(sku.clone()).or_default() += units;
    }
}
