//! What orders hold of the stock.

mod decide;
mod desk;
mod reserve;
mod settle;
mod unsettled;

use std::collections::BTreeMap;

use sqlx::types::Json;

pub(crate) use desk::Desk;
pub(crate) use reserve::quote;
pub(crate) use settle::{Step, settle};
pub(crate) use unsettled::{Looked, Position, list as unsettled, look};

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
