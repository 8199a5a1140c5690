//! What all commands share on their way to the queue.

mod headers;
mod limit;
mod send;

pub(crate) use headers::{Wait, idempotency_key, wait};
pub use limit::Rate;
pub(crate) use limit::RateLimiter;
pub(crate) use send::send;
