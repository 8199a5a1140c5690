//! The order as the API shows it.

use std::collections::BTreeMap;

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::ToSchema;

use super::{
    Address, FulfillmentStatus, OrderStatus, PaymentMethod, PaymentStatus, Reason, Refusal,
};
use crate::id::{CommandId, CustomerId, OrderId, Sku};
use crate::money::{Currency, UnitPrice};
use crate::tax::PriceMode;
use crate::totals::RateTotal;

/// An order, whole.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Order {
    /// Its id.
    pub id: OrderId,
    /// Whose it is.
    pub customer_id: CustomerId,
    /// The shop's own number.
    pub reference: Option<String>,
    /// As a whole.
    pub status: OrderStatus,
    /// Its money.
    pub payment_status: PaymentStatus,
    /// Its goods.
    pub fulfillment_status: FulfillmentStatus,
    /// Why it was rejected or cancelled.
    pub reason: Option<Reason>,
    /// The same in words, with the line it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason_detail: Option<String>,
    /// In which currency all amounts are.
    pub currency: Currency,
    /// Whether `unit_price` and `line_total` hold tax.
    pub prices: PriceMode,
    /// What was ordered. Lines of a rejected order carry no tax.
    pub lines: Vec<OrderLine>,
    /// Σ of the lines without tax.
    #[schema(value_type = String, example = "15.30")]
    pub subtotal: Decimal,
    /// Σ of the taxes.
    #[schema(value_type = String, example = "3.06")]
    pub tax_total: Decimal,
    /// `subtotal + tax_total`.
    #[schema(value_type = String, example = "18.36")]
    pub total: Decimal,
    /// One entry per tax rate.
    pub taxes: Vec<RateTotal>,
    /// Where the goods go.
    pub ship_to: Address,
    /// Where the invoice goes, when that is elsewhere.
    pub bill_to: Option<Address>,
    /// For messages.
    pub email: Option<String>,
    /// How it is paid.
    pub payment_method: PaymentMethod,
    /// The shop's own notes.
    pub metadata: BTreeMap<String, String>,
    /// When it was placed: as the import said, else when it was accepted.
    #[serde(with = "time::serde::rfc3339")]
    pub placed_at: OffsetDateTime,
    /// When the gateway took it.
    #[serde(with = "time::serde::rfc3339")]
    pub accepted_at: OffsetDateTime,
    /// When it last changed.
    #[serde(with = "time::serde::rfc3339")]
    pub updated_at: OffsetDateTime,
    /// Counts the changes, from 1.
    pub version: i64,
    /// 1, 2, 3… per customer, in the order in which orders took effect; 0 while `accepted`.
    pub sequence: i64,
    /// Everything that happened to it, oldest first.
    pub history: Vec<HistoryEntry>,
    /// Requests under the same idempotency key that asked for something else; they had no effect.
    pub conflicts: Vec<Conflict>,
    /// Ids of its invoices, credit notes and delivery notes.
    pub documents: Vec<String>,
}

/// One line of an order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct OrderLine {
    /// Stock-keeping unit.
    pub sku: Sku,
    /// What it is called.
    pub name: String,
    /// Units.
    pub quantity: i64,
    /// Price of one unit.
    pub unit_price: UnitPrice,
    /// `quantity × unit_price`, rounded half-up to the minor unit; with tax when prices are gross.
    #[schema(value_type = String, example = "15.30")]
    pub line_total: Decimal,
    /// Percent.
    #[schema(value_type = String, example = "20")]
    pub tax_rate: Decimal,
    /// Which rate of the destination country: `standard`, `reduced`, …
    pub tax_category: String,
    /// The line's share of its rate's tax: Σ over the lines of a rate = the rate's tax.
    #[schema(value_type = String, example = "3.06")]
    pub tax: Decimal,
}

/// One thing that happened to an order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct HistoryEntry {
    /// The order's version after it.
    pub version: i64,
    /// When.
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
    /// By which command.
    pub command_id: CommandId,
    /// `order.place`, `order.cancel`, …
    pub command: String,
    /// Who asked for it: the token's `sub`.
    pub requested_by: String,
    /// The status after it.
    pub status: OrderStatus,
    /// Why the command had no effect, when it had none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<Refusal>,
    /// The caller's own note: a payment reference, a tracking number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// A request under a used idempotency key that asked for something else.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Conflict {
    /// When it was accepted.
    #[serde(with = "time::serde::rfc3339")]
    pub accepted_at: OffsetDateTime,
    /// Which command.
    pub command: String,
    /// SHA-256 of what it asked for.
    pub fingerprint: String,
}
