//! A queue that behaves like SQS and misbehaves like SQS, in virtual time and from a seed.
//!
//! [`FakeQueue`] holds queues in memory; those whose names end in `.fifo` block groups, deduplicate for five minutes
//! and give sequence numbers. It takes its time from tokio's clock, so that under `tokio::time::pause` an hour of
//! retries takes a moment. [`Faults`] says how often it misbehaves; the same seed misbehaves in the same way.

mod fake;
mod faults;
mod store;

pub use fake::{Call, Calls, FakeQueue};
pub use faults::Faults;
pub use store::Held;
