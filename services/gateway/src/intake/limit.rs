//! A limit on requests per client: the generic cell rate algorithm, in whole nanoseconds.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use axum::http::StatusCode;
use quick_cache::sync::Cache;
use steelyard_runtime::http::HttpError;

/// Clients that are remembered; one that is forgotten starts with a full allowance.
const CLIENTS_MAX: usize = 10_000;
const SECOND_NS: u64 = 1_000_000_000;

/// How many requests a client may make.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// In the long run, per second.
    pub per_s: u32,
    /// At once.
    pub burst: u32,
}

/// Counts each client's requests.
pub(crate) struct RateLimiter {
    started: Instant,
    interval_ns: u64,
    burst_ns: u64,
    /// Per client, when its next request would be due if all came evenly, in ns since the start.
    due: Cache<String, Arc<AtomicU64>>,
}

impl RateLimiter {
    pub(crate) fn new(rate: Rate) -> Self {
        let interval_ns = SECOND_NS / u64::from(rate.per_s.max(1));
        Self {
            started: Instant::now(),
            interval_ns,
            burst_ns: interval_ns * u64::from(rate.burst.max(1)),
            due: Cache::new(CLIENTS_MAX),
        }
    }

    /// Takes one request of `client`.
    ///
    /// # Errors
    /// 429 with the seconds until the next is taken.
    pub(crate) fn admit(&self, client: &str) -> Result<(), HttpError> {
        let now_ns = u64::try_from(self.started.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.admit_at(client, now_ns).map_err(|wait_ns| {
            let seconds = u32::try_from(wait_ns.div_ceil(SECOND_NS)).unwrap_or(u32::MAX);
            let detail = "this client sends more requests than it may";
            HttpError::new(StatusCode::TOO_MANY_REQUESTS, "too_many_requests", detail)
                .retry_after_s(seconds.max(1))
        })
    }

    fn admit_at(&self, client: &str, now_ns: u64) -> Result<(), u64> {
        let due = match self.due.get(client) {
            Some(due) => due,
            None => {
                let due = Arc::new(AtomicU64::new(0));
                self.due.insert(client.to_owned(), Arc::clone(&due));
                due
            }
        };
        let latest = now_ns.saturating_add(self.burst_ns);
        let taken = due.fetch_update(Ordering::AcqRel, Ordering::Acquire, |due_ns| {
            let next = due_ns.max(now_ns) + self.interval_ns;
            (next <= latest).then_some(next)
        });
        taken
            .map(|_| ())
            .map_err(|due_ns| due_ns + self.interval_ns - latest)
    }
}

#[cfg(test)]
mod tests {
    use super::{Rate, RateLimiter, SECOND_NS};

    #[test]
    fn a_client_may_burst_and_then_gets_its_rate() {
        let limiter = RateLimiter::new(Rate {
            per_s: 10,
            burst: 3,
        });
        let took = |client: &str, at: u64| limiter.admit_at(client, at).is_ok();
        assert!(took("a", 0) && took("a", 0) && took("a", 0));
        assert_eq!(limiter.admit_at("a", 0), Err(SECOND_NS / 10));
        // Another client is not touched by it.
        assert!(took("b", 0));
        assert!(took("a", SECOND_NS / 10));
        assert!(!took("a", SECOND_NS / 10));
        let later = 100 * SECOND_NS;
        assert!(took("a", later) && took("a", later) && took("a", later) && !took("a", later));
    }
}
