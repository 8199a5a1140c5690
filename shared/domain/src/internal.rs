//! Calls between services. They carry a service token, a deadline and the trace, and are not part
//! of the public API.

use serde::{Deserialize, Serialize};

use crate::id::{OrderId, Sku};
use crate::money::{Currency, UnitPrice};
use crate::order::Reason;

/// Paths of internal calls.
pub mod paths {
    /// catalog: price and reserve many orders ([`super::ReserveRequest`]).
    pub const RESERVATIONS: &str = "/internal/reservations";
    /// catalog: give reserved stock back ([`super::OrderIds`]); idempotent, and final: an order
    /// that was released is never reserved again.
    pub const RELEASE: &str = "/internal/reservations/release";
    /// catalog: reserved goods left the warehouse ([`super::OrderIds`]); idempotent.
    pub const CONSUME: &str = "/internal/reservations/consume";
    /// catalog: shipped goods are back on the shelf ([`super::OrderIds`]); idempotent.
    pub const RESTOCK: &str = "/internal/reservations/restock";
    /// catalog: products, the paths below it as in the public API (`/{sku}`, `/import`, …).
    pub const PRODUCTS: &str = "/internal/products";
    /// orders: one order at `/{id}`, lists with `customer_id`, `status`, `reference`, `limit`,
    /// `cursor`. With `customer_id`, an order of anyone else is not found.
    pub const ORDERS: &str = "/internal/orders";
}

/// Orders that one reserve call may carry.
pub const RESERVE_ORDERS_MAX: usize = 500;

/// Price and reserve these orders.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReserveRequest {
    /// In the order in which they shall be served; at most [`RESERVE_ORDERS_MAX`].
    pub orders: Vec<ReserveOrder>,
}

/// One order to price and reserve, all or nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReserveOrder {
    /// The same id again gives the same answer and holds no more stock.
    pub order_id: OrderId,
    /// Prices are looked up in it.
    pub currency: Currency,
    /// The caller's prices stand, and unknown SKUs that it names are taken without stock.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub prices_authoritative: bool,
    /// Its lines; a SKU may stand on several and is summed before stock is looked at.
    pub lines: Vec<ReserveLine>,
}

/// One line to price and reserve.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReserveLine {
    /// Stock-keeping unit.
    pub sku: Sku,
    /// Units.
    pub quantity: i64,
    /// The price that the shopper was shown.
    pub unit_price: UnitPrice,
    /// A name for an unknown SKU.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// One result per order, in the request's order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReserveResponse {
    /// The results.
    pub results: Vec<ReserveResult>,
}

/// What came of one order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReserveResult {
    /// Priced and held: one entry per line.
    Reserved(Vec<PricedLine>),
    /// Nothing is held.
    Rejected {
        /// Why.
        reason: Reason,
        /// Index of the line that it is about.
        line: usize,
        /// In words.
        detail: String,
    },
    /// It was released before (cancelled): nothing is held, and never will be.
    Released,
}

/// A line as the catalog knows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PricedLine {
    /// What it is called.
    pub name: String,
    /// The price that applies.
    pub unit_price: UnitPrice,
    /// Which of the destination country's rates applies.
    pub tax_category: String,
}

/// Orders to release, consume or restock; at most [`RESERVE_ORDERS_MAX`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderIds {
    /// Their ids.
    pub order_ids: Vec<OrderId>,
}
