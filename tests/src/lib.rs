//! The whole system in one test process, part by part: real Postgres and Redis, an SQS server,
//! and every service through its public `run`. Any part can be taken away and brought back.
//!
//! Services keep their addresses over a restart. Postgres and Redis stand behind a proxy each;
//! "Postgres is down" is a proxy that refuses.
#![expect(clippy::expect_used, reason = "a story stops at the first surprise")]

mod balanced;
mod client;
mod system;

pub use balanced::Balanced;
pub use client::{Client, order_of, sealed_place};
pub use system::{Part, System};

/// How long a condition may take to come true on a busy machine.
pub const PATIENCE: std::time::Duration = std::time::Duration::from_secs(60);
