//! Figures for those who watch sales.

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::ToSchema;

use crate::money::Currency;

/// Sales by day and currency.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DailySales {
    /// What was settled until then is in the figures; also in the header `As-Of`.
    #[serde(with = "time::serde::rfc3339")]
    pub as_of: OffsetDateTime,
    /// One entry per day with orders and currency, by day.
    pub data: Vec<DaySales>,
}

/// A day's sales in one currency.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DaySales {
    /// The day on which the orders were accepted, UTC.
    #[schema(example = "2026-11-24")]
    pub day: String,
    /// The currency of the amounts.
    pub currency: Currency,
    /// Orders that stand: confirmed or completed.
    pub orders: i64,
    /// Their goods, without tax.
    #[schema(value_type = String, example = "1530.00")]
    pub subtotal: Decimal,
    /// Their taxes.
    #[schema(value_type = String, example = "306.00")]
    pub tax_total: Decimal,
    /// `subtotal + tax_total`.
    #[schema(value_type = String, example = "1836.00")]
    pub total: Decimal,
    /// Orders that were rejected.
    pub rejected: i64,
    /// Orders that were cancelled.
    pub cancelled: i64,
}
