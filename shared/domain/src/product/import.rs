//! What an import led to.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::ToSchema;

use crate::fault::Fault;

/// What an import led to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ImportReport {
    /// Lines read, blank ones left out.
    pub lines: u64,
    /// Products that are new.
    pub created: u64,
    /// Products that changed.
    pub updated: u64,
    /// Products that were as the line says.
    pub unchanged: u64,
    /// Stock bookings made (each reference once).
    pub stock_booked: u64,
    /// Lines that were refused; the others stand.
    pub failed: u64,
    /// The first of them, at most [`Self::ERRORS_MAX`].
    pub errors: Vec<ImportError>,
}

impl ImportReport {
    /// How many refused lines an answer lists.
    pub const ERRORS_MAX: usize = 1_000;
}

/// A refused line of an import.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ImportError {
    /// Counted from 1.
    pub line: u64,
    /// What is wrong with it.
    pub errors: Vec<Fault>,
}

/// How far a named import came.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ImportProgress {
    /// Its name.
    pub name: String,
    /// Bytes of the body whose products are saved.
    pub bytes: u64,
    /// Line feeds within them.
    pub line_feeds: u64,
    /// Whether it came to its end.
    pub is_finished: bool,
    /// What it led to so far.
    pub report: ImportReport,
    /// Who sent it first.
    pub started_by: String,
    /// When.
    #[serde(with = "time::serde::rfc3339")]
    pub started_at: OffsetDateTime,
    /// When it last came further.
    #[serde(with = "time::serde::rfc3339")]
    pub updated_at: OffsetDateTime,
}
