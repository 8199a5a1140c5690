//! Status changes, published by the worker after its transaction.

use serde::{Deserialize, Serialize};
use steelyard_domain::id::{CustomerId, OrderId};
use steelyard_domain::order::OrderStatus;
use steelyard_redis::redis;

use crate::connect::{Error, Redis};

/// The channel that every gateway listens on.
pub(crate) const CHANNEL: &str = "steelyard:order-status";
/// Changes that one message carries at most; more are split.
pub const CHANGES_MAX: usize = 500;

/// An order changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatusChange {
    /// Which order.
    pub order_id: OrderId,
    /// Whose it is.
    pub customer_id: CustomerId,
    /// Where it stands now.
    pub status: OrderStatus,
    /// The order's version with this change.
    pub version: i64,
}

/// Publishes status changes.
#[derive(Debug, Clone)]
pub struct Publisher {
    redis: Redis,
}

impl Publisher {
    /// A publisher on this connection.
    #[must_use]
    pub const fn new(redis: Redis) -> Self {
        Self { redis }
    }

    /// Publishes what a transaction changed, in one message. Who is not listening misses it:
    /// waiters ask again when they may have missed something.
    ///
    /// # Errors
    /// [`Error::Unavailable`] or [`Error::TimedOut`]; the caller logs it and goes on.
    pub async fn publish(&self, changes: &[StatusChange]) -> Result<(), Error> {
        for changes in changes.chunks(CHANGES_MAX) {
            let message = serde_json::to_vec(changes)?;
            self.redis
                .call::<()>(redis::cmd("PUBLISH").arg(CHANNEL).arg(message))
                .await?;
        }
        Ok(())
    }
}
