//! Postgres kit: what every service with a schema of its own needs, and nothing of what it stores.
//!
//! ```no_run
//! # async fn example(stop: tokio_util::sync::CancellationToken) -> Result<(), Box<dyn std::error::Error>> {
//! use steelyard_store::{Database, PoolOptions, inbox, migrator, outbox};
//!
//! let migrations = migrator([
//!     (1, "inbox", inbox::DDL),
//!     (2, "outbox", outbox::DDL),
//!     (3, "orders", "CREATE TABLE orders (id uuid PRIMARY KEY)"),
//! ]);
//! // Opens no connection yet: the service starts while Postgres is away …
//! let database = Database::new("postgres://…", &PoolOptions::new("orders"), migrations)?;
//! // … and `tend` migrates and watches it, beside the service's own work.
//! let tending = database.tend(stop.clone());
//! # tending.await?; Ok(())
//! # }
//! ```
//!
//! | module or item | what it does |
//! |---|---|
//! | [`Database`] | pool, migrations, readiness, through outages |
//! | [`is_outage`], [`is_contention`] | whether an error is the database's state, a race, or the caller's fault |
//! | [`cursor`] | opaque keyset cursors, bound to their list |
//! | [`inbox`] | which messages were seen before |
//! | [`outbox`] | messages that leave after the transaction that made them true |
//!
//! Limits: one schema per service and no queries across schemas; every statement has a time limit
//! ([`PoolOptions::statement_max`]), every wait for a connection too.

pub mod cursor;
mod database;
mod fault;
pub mod inbox;
mod migrate;
pub mod outbox;
mod pool;
mod retry;

pub use database::Database;
pub use fault::{is_contention, is_outage};
pub use migrate::{MigrateError, migrate, migrator};
pub use pool::{InvalidUrl, PoolOptions, connect};
pub use retry::Backoff;
