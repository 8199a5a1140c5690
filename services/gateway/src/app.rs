//! What the handlers share.

use std::sync::Arc;

use steelyard_domain::scope::Scope;
use steelyard_queue::Producer;
use steelyard_runtime::client::Internal;
use steelyard_status::Watch;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::auth::{Authenticator, Caller};
use crate::config::Limits;
use crate::intake::RateLimiter;
use crate::ops::{Lines, Pace};
use crate::products::{Copies, Flights};
use crate::receipts::Receipts;

/// Everything behind the routes. One producer: orders of all connections share its batches.
pub(crate) struct App {
    pub(crate) auth: Authenticator,
    pub(crate) limiter: Option<RateLimiter>,
    /// Order ids are derived from it.
    pub(crate) issuer: String,
    pub(crate) producer: Producer,
    pub(crate) receipts: Receipts,
    pub(crate) watch: Watch,
    pub(crate) orders: Internal,
    pub(crate) catalog: Internal,
    pub(crate) documents: Internal,
    pub(crate) copies: Copies,
    /// Questions to the catalog, each asked once for all who wait.
    pub(crate) flights: Arc<Flights>,
    /// The queues, for operators.
    pub(crate) lines: Lines,
    /// How long "not yet" takes.
    pub(crate) pace: Pace,
    pub(crate) event_streams: Arc<Semaphore>,
    pub(crate) limits: Limits,
    /// Waits and streams end when it is cancelled.
    pub(crate) stop: CancellationToken,
}

impl Caller {
    /// Whether the caller may see every customer's orders and documents.
    pub(crate) fn sees_all(&self) -> bool {
        self.scopes
            .has_any(&[Scope::Storefront, Scope::OrdersManage])
    }
}
