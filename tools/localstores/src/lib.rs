//! Private, real Postgres and Redis instances for one machine.
//!
//! The one-command stack and the tests run against the true servers, not against imitations. This crate finds the
//! installed binaries (or installs them), starts instances of its own on free ports of 127.0.0.1 with a random
//! password, and stops them again:
//!
//! ```no_run
//! # async fn example() -> Result<(), steelyard_localstores::Error> {
//! use steelyard_localstores::{Durability, Postgres, Redis, StoreOptions};
//!
//! let options = StoreOptions::new(Durability::Honest);
//! let postgres = Postgres::start(".stack/postgres".as_ref(), &options).await?;
//! let redis = Redis::start(".stack/redis".as_ref(), &options).await?;
//! println!("{} {}", postgres.url("postgres"), redis.url());
//! postgres.stop().await?;
//! redis.stop().await?;
//! # Ok(())
//! # }
//! ```
//!
//! What it promises:
//! - It stops what it started, by its own pid, and nothing else. When the owning process dies, even by `SIGKILL`, its
//!   instances stop too: each has a small watchdog that reads a pipe from the owner (see [`supervise`]).
//! - A second start on the same directory reuses the data. While one owner runs, another is refused with its pid.
//! - Nothing waits without a limit, and every error is one line that names the remedy.
//! - As root, where Postgres refuses to run, both run under the account `postgres` or else `nobody`; data that this
//!   account could not reach (below `/root`, say) is placed under `/var/lib/steelyard` instead, see [`Placement`].
//!
//! Limits: Unix only (Linux and macOS). Postgres 14 and Redis 6.2 (or Valkey) are the oldest that it accepts.

mod error;
pub mod install;
mod lock;
mod placement;
mod postgres;
mod process;
mod programs;
mod redis;
mod replica;
mod server;
pub mod supervise;

pub use error::Error;
pub use lock::DirLock;
pub use placement::Placement;
pub use postgres::Postgres;
pub use process::{free_port, is_alive, log_tail, random_secret, serves};
pub use programs::{Program, Search, Version};
pub use redis::{Redis, RedisRole};
pub use server::Server;

use std::time::Duration;

/// How much an instance may risk for speed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// What is acknowledged survives a crash (`fsync` on); for the stack.
    Honest,
    /// Nothing is synced, and the store's directory is removed when the instance stops; for tests.
    Throwaway,
}

/// How to run an instance; [`StoreOptions::new`] has sensible limits.
#[derive(Clone, Debug)]
pub struct StoreOptions {
    /// See [`Durability`].
    pub durability: Durability,
    /// Longest wait until the server answers; a crashed Postgres replays its log within it.
    pub ready_max: Duration,
    /// Longest wait for a clean stop; after it the server is ended hard.
    pub stop_max: Duration,
    /// Where to look for the binaries.
    pub search: Search,
    /// The server's log file; `server.log` in the store's directory when `None`.
    pub log: Option<std::path::PathBuf>,
    /// The port to listen on; a free one when `None`.
    pub port: Option<u16>,
    /// The password of a new Redis (letters and digits only); a random one when `None`. For a test that replaces a
    /// server under the same URL.
    pub redis_password: Option<String>,
    /// What a Redis is to others.
    pub redis_role: RedisRole,
}

impl StoreOptions {
    /// Options with the default limits: 120 s until ready, 20 s to stop, binaries from the environment.
    #[must_use]
    pub fn new(durability: Durability) -> Self {
        Self {
            durability,
            ready_max: Duration::from_secs(120),
            stop_max: Duration::from_secs(20),
            search: Search::from_env(),
            log: None,
            port: None,
            redis_password: None,
            redis_role: RedisRole::Single,
        }
    }
}
