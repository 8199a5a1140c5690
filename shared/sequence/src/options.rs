//! Tokens, errors, limits.

use std::fmt;
use std::time::Duration;

/// A fencing token: of two leases of one customer, the later one has the larger token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Token(i64);

impl Token {
    /// A token as it is stored.
    pub const fn new(value: i64) -> Self {
        Self(value)
    }

    /// For storing.
    pub const fn get(self) -> i64 {
        self.0
    }
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Why a lease call failed.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum LeaseError {
    /// Redis cannot be reached, does not answer in time, or cannot serve now (loading, read-only, out of memory).
    /// Passes by itself: close the tap until [`Leases::probe`](crate::Leases::probe) succeeds.
    #[error("the lease store is unavailable: {0}")]
    Unavailable(String),
    /// Redis refuses what is asked of it: credentials, permissions, configuration. Needs a human.
    #[error("the lease store refuses: {0}")]
    Refused(String),
}

/// Limits and names.
#[derive(Clone, Debug)]
pub struct LeaseOptions {
    /// First part of all keys; one per queue whose customers are to be kept apart.
    pub prefix: String,
    /// How long a lease lasts without renewal: the time after which a crashed instance's customers are taken over.
    /// Renewed at a third of it.
    pub ttl: Duration,
    /// How long the last token of a customer is remembered. Beyond it Redis's clock alone keeps tokens growing.
    pub token_ttl: Duration,
    /// A call to Redis may take this long. Keep it below a tenth of `ttl`.
    pub call_timeout: Duration,
    /// Customers in one script call.
    pub customers_per_call_max: usize,
    /// Over how many hash tags to spread the customers in a cluster, and so over its nodes; a call takes one script for
    /// each. Without a cluster all goes by one script. The same for all instances.
    pub cluster_tags: u16,
}

impl Default for LeaseOptions {
    fn default() -> Self {
        Self {
            prefix: "steelyard".to_owned(),
            ttl: Duration::from_secs(15),
            token_ttl: Duration::from_secs(7 * 24 * 3_600),
            call_timeout: Duration::from_secs(1),
            customers_per_call_max: 500,
            cluster_tags: 16,
        }
    }
}

impl LeaseOptions {
    /// The lease counts as ours for this long after the call that granted or renewed it began: a tenth is kept back
    /// against clocks that run at different speeds and against the time that it takes to stop working.
    pub(crate) fn safe(&self) -> Duration {
        self.ttl - self.ttl / 10
    }
}

impl From<steelyard_redis::Error> for LeaseError {
    fn from(error: steelyard_redis::Error) -> Self {
        match error {
            steelyard_redis::Error::Refused(reason) => Self::Refused(reason),
            passing => Self::Unavailable(passing.to_string()),
        }
    }
}

impl From<steelyard_redis::InvalidUrl> for LeaseError {
    fn from(error: steelyard_redis::InvalidUrl) -> Self {
        Self::Refused(format!("the URL {error}"))
    }
}
