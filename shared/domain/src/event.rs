//! What leaves a service through its outbox, after the transaction that made it true.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::id::{CustomerId, Sku};
use crate::order::Order;

/// Something that became true about an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum OrderEventKind {
    /// Priced, stock reserved: the invoice is due.
    #[serde(rename = "order.confirmed")]
    Confirmed,
    /// Could not be taken.
    #[serde(rename = "order.rejected")]
    Rejected,
    /// Called off: a credit note is due if there was an invoice.
    #[serde(rename = "order.cancelled")]
    Cancelled,
    /// Paid.
    #[serde(rename = "order.paid")]
    Paid,
    /// Goods went out: the delivery note is due.
    #[serde(rename = "order.shipped")]
    Shipped,
    /// Goods came back: a credit note is due.
    #[serde(rename = "order.returned")]
    Returned,
}

impl OrderEventKind {
    /// Every kind.
    pub const ALL: [Self; 6] = [
        Self::Confirmed,
        Self::Rejected,
        Self::Cancelled,
        Self::Paid,
        Self::Shipped,
        Self::Returned,
    ];

    /// Reads the word back.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == word)
    }

    /// The word on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Confirmed => "order.confirmed",
            Self::Rejected => "order.rejected",
            Self::Cancelled => "order.cancelled",
            Self::Paid => "order.paid",
            Self::Shipped => "order.shipped",
            Self::Returned => "order.returned",
        }
    }

    /// Whether a document is made of it.
    #[must_use]
    pub const fn makes_document(self) -> bool {
        matches!(
            self,
            Self::Confirmed | Self::Cancelled | Self::Shipped | Self::Returned
        )
    }
}

/// An event as it stands in the queue.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OrderEvent {
    /// Version of this shape.
    pub v: u32,
    /// What became true.
    #[serde(rename = "type")]
    pub kind: OrderEventKind,
    /// The event, once: receivers deduplicate by it.
    pub event_id: Uuid,
    /// Whose order.
    pub customer_id: CustomerId,
    /// When.
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
    /// The order as it was then, whole, so that a receiver need not ask.
    pub order: Order,
}

/// Something that became true about products.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum CatalogEventKind {
    /// They are new, were changed, or have another price from now on.
    #[serde(rename = "product.changed")]
    ProductChanged,
    /// So few units are left as someone wants to be told of.
    #[serde(rename = "stock.low")]
    StockLow,
}

impl CatalogEventKind {
    /// The word on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ProductChanged => "product.changed",
            Self::StockLow => "stock.low",
        }
    }
}

/// An event of the catalog as it stands in the queue: what happened to which products, not what they are now. Events
/// of one product come in their order, and may come twice.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CatalogEvent {
    /// Version of this shape.
    pub v: u32,
    /// What became true.
    #[serde(rename = "type")]
    pub kind: CatalogEventKind,
    /// The event, once: receivers deduplicate by it.
    pub event_id: Uuid,
    /// When.
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
    /// The products, at most [`CatalogEvent::PRODUCTS_MAX`].
    pub products: Vec<EventProduct>,
}

impl CatalogEvent {
    /// Products of one event: an import tells of many at once.
    pub const PRODUCTS_MAX: usize = 500;
}

/// What an event says of one product.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EventProduct {
    /// Its SKU.
    pub sku: Sku,
    /// Its version, for `product.changed`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<i64>,
    /// Units that can still be ordered, for `stock.low`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub available: Option<i64>,
}

#[cfg(test)]
mod tests {
    use super::OrderEventKind;

    #[test]
    fn every_kind_reads_back_from_its_word_and_is_written_with_it() {
        for kind in OrderEventKind::ALL {
            assert_eq!(OrderEventKind::from_word(kind.as_str()), Some(kind));
            let json = serde_json::to_string(&kind).expect("serializes");
            assert_eq!(json, format!("\"{}\"", kind.as_str()));
        }
        assert_eq!(OrderEventKind::from_word("order.lost"), None);
    }
}
