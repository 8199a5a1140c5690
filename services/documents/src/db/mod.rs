//! The schema `documents`.
//!
//! **Invariant:** a number and the document that has it are written in one transaction with the inbox row of the event
//! that asked for it: so each event has one document, and each number has one.

mod audit;
mod issue;
mod list;
pub mod months;
mod read;
mod store;

pub use audit::{Given, write_down};
pub use issue::{Asked, Issued, issue};
pub use list::{Amount, Filter, Listed, get, list};
pub use read::{Charged, invoices_of, model, without_file};
pub use store::{Stored, stored};

use sqlx::migrate::Migrator;
use steelyard_store::{inbox, migrator};

/// All migrations of the schema.
#[must_use]
pub fn migrations() -> Migrator {
    migrator([
        (1, "inbox", inbox::DDL),
        (
            2,
            "documents",
            include_str!("../../migrations/0002_documents.sql"),
        ),
        (3, "lists", include_str!("../../migrations/0003_lists.sql")),
        (
            4,
            "imports",
            include_str!("../../migrations/0004_imports.sql"),
        ),
        (
            5,
            "archive",
            include_str!("../../migrations/0005_archive.sql"),
        ),
        (6, "blobs", include_str!("../../migrations/0006_blobs.sql")),
        (
            7,
            "bundles",
            include_str!("../../migrations/0007_bundles.sql"),
        ),
    ])
}
