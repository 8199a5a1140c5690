//! Shapes that every resource of the REST API shares.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::ToSchema;

use crate::fault::Fault;
use crate::id::{CustomerId, OrderId};
use crate::order::OrderStatus;

/// An error as RFC 9457 `application/problem+json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Problem {
    /// The page about this code, relative to the API: `/problems/{code}`.
    #[serde(rename = "type")]
    #[schema(example = "/problems/validation_failed")]
    pub kind: String,
    /// What went wrong, the same words for the same code.
    #[schema(example = "The request is not valid")]
    pub title: String,
    /// The HTTP status.
    #[schema(example = 422)]
    pub status: u16,
    /// What went wrong this time, and what to do.
    pub detail: String,
    /// Stable, for programs.
    #[schema(example = "validation_failed")]
    pub code: String,
    /// Finds the request in the logs.
    #[serde(default)]
    pub request_id: String,
    /// Each fault with its place.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<Fault>,
}

/// One page of a list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Page<T> {
    /// The entries.
    pub data: Vec<T>,
    /// Give it as `cursor` for the next page; null on the last.
    pub next_cursor: Option<String>,
}

/// Entries of a page when `limit` is left out.
pub const LIMIT_DEFAULT: u32 = 20;
/// The largest `limit`.
pub const LIMIT_MAX: u32 = 100;

/// What a 202 says: the order is on the queue, and will be settled.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Receipt {
    /// The order's id; the same for every retry under the same key.
    pub id: OrderId,
    /// Whose it is.
    pub customer_id: CustomerId,
    /// The shop's own number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
    /// `accepted`, until a worker has settled it.
    pub status: OrderStatus,
    /// When the gateway took it.
    #[serde(with = "time::serde::rfc3339")]
    pub accepted_at: OffsetDateTime,
}
