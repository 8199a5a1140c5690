//! The schema `orders`.
//!
//! **Invariant:** a customer's rows change only in a transaction that also moved that customer's
//! fence from the value that was read before planning to this worker's token (see [`commit`]). So
//! what was read cannot have become stale: whoever wrote in between has left another fence.

mod commit;
mod list;
mod load;
pub mod reports;

pub use commit::{Committed, commit, rehearse};
pub use list::{Filter, Found, get, known, list};
pub use load::load;

use sqlx::migrate::Migrator;
use steelyard_store::{inbox, migrator, outbox};

/// All migrations of the schema.
#[must_use]
pub fn migrations() -> Migrator {
    migrator([
        (1, "inbox", inbox::DDL),
        (2, "outbox", outbox::DDL),
        (
            3,
            "orders",
            include_str!("../../migrations/0003_orders.sql"),
        ),
        (4, "ops", include_str!("../../migrations/0004_ops.sql")),
    ])
}
