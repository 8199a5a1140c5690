//! The schema `documents`.
//!
//! **Invariant:** a number and the document that has it are written in one transaction with the inbox row of the event
//! that asked for it: so each event has one document, and each number has one.

mod issue;
pub mod months;
mod read;
mod store;

pub use issue::{Asked, Issued, issue};
pub use read::{Charged, invoices_of, without_file};
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
        (
            10,
            "imports",
            include_str!("../../migrations/0010_imports.sql"),
        ),
        (
            11,
            "archive",
            include_str!("../../migrations/0011_archive.sql"),
        ),
        (12, "blobs", include_str!("../../migrations/0012_blobs.sql")),
    ])
}
