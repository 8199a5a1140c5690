//! The consumer against the misbehaving queue, in virtual time.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test stops at the first surprise"
)]

mod batches;
mod groups;
mod outage;
mod pace;
mod recovery;
mod soak;
mod stop;
mod support;
mod visibility;
