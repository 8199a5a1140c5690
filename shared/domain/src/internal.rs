//! Calls between services. They carry a service token, a deadline and the trace, and are not part
//! of the public API.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::ToSchema;

use crate::id::{OrderId, Sku};
use crate::money::{Currency, UnitPrice};
use crate::order::{OrderStatus, Reason};

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
    /// catalog: reservations that hold goods while their order does not stand: a page of
    /// [`super::UnsettledReservation`] (`limit`, `cursor`).
    pub const UNSETTLED: &str = "/internal/reservations/unsettled";
    /// catalog: products, the paths below it as in the public API (`/{sku}`, `/import`, …).
    pub const PRODUCTS: &str = "/internal/products";
    /// catalog: categories, the paths below it as in the public API (`/{code}`).
    pub const CATEGORIES: &str = "/internal/categories";
    /// orders: one order at `/{id}`, lists with `customer_id`, `status`, `reference`, `limit`,
    /// `cursor`. With `customer_id`, an order of anyone else is not found.
    pub const ORDERS: &str = "/internal/orders";
    /// orders: sales by day of a `period` ([`crate::report::DailySales`]).
    pub const DAILY_SALES: &str = "/internal/reports/daily-sales";
    /// documents: lists as in the public API, one at `/{id}`, its file at `/{id}/content` (302), and
    /// brought back from the archive by `/{id}/restore`. With `customer_id`, a
    /// document of anyone else is not found.
    pub const DOCUMENTS: &str = "/internal/documents";
    /// documents: bulk imports, one at `/{id}`, its faults at `/{id}/faults`.
    pub const IMPORTS: &str = "/internal/documents/imports";
    /// documents: bundles, the paths below it as in the public API.
    pub const BUNDLES: &str = "/internal/documents/bundles";
    /// orders: which of these orders ([`super::OrderIds`]) there are ([`super::OrdersKnown`]).
    pub const ORDERS_KNOWN: &str = "/internal/orders/known";
}

/// The header of a change that names who asked for it: the subject of the caller's token, percent-encoded (RFC 3986)
/// as a header takes no other characters. It stands in audits.
pub const ON_BEHALF_OF: &str = "x-on-behalf-of";

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
    /// When it was accepted: prices are those of this moment. The catalog's own time when left out.
    #[serde(
        default,
        with = "time::serde::rfc3339::option",
        skip_serializing_if = "Option::is_none"
    )]
    pub at: Option<OffsetDateTime>,
    /// Where the goods go, for prices of a country.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub country: Option<String>,
    /// The customer's groups, for theirs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<String>,
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

/// Of the orders that were asked about, those that there are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrdersKnown {
    /// Orders that were settled, in any order.
    pub orders: Vec<KnownOrder>,
}

/// An order that there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct KnownOrder {
    /// Its id.
    pub id: OrderId,
    /// How it stands.
    pub status: OrderStatus,
}

/// Goods that are held for an order that does not stand.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct UnsettledReservation {
    /// The order.
    pub order_id: OrderId,
    /// `order_unknown`: orders does not have it. `order_rejected`, `order_cancelled`: its release was lost.
    /// `order_completed`: its shipment was.
    pub trouble: String,
    /// Units held, by SKU.
    pub units: BTreeMap<String, i64>,
    /// Since when.
    #[serde(with = "time::serde::rfc3339")]
    pub reserved_at: OffsetDateTime,
    /// When that was found.
    #[serde(with = "time::serde::rfc3339")]
    pub found_at: OffsetDateTime,
}
