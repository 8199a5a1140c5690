//! Bulk import: documents that were made elsewhere, by a manifest.
//!
//! A manifest is CSV with a header, or NDJSON; a row names a file beside it or in a zip beside it, with its SHA-256. Rows
//! are read in sets; a set goes: parse → ask which numbers are known → read, check and put the files, many at once →
//! **one transaction** (numbers, documents, faults, how far the import is). The next set is read while the last is settled.
//!
//! | a crash … | … leaves | … and the next run |
//! |---|---|---|
//! | before the commit | some files whose rows know nothing of them | puts the same bytes under the same keys |
//! | after the commit | a set that is settled | begins behind it |
//!
//! **Invariant:** a row is settled exactly once, as a document, as known or as a fault: the place in the manifest moves in
//! the transaction that settles the rows before it, and only from where it was read.
//!
//! **Invariant:** a fault is the row's own. What is nobody's fault (S3 or Postgres away) is waited out, then ends the run,
//! which can be taken up again.
//!
//! **Invariant:** memory does not grow with the manifest, a row, a file or a zip: [`LINE_BYTES_MAX`], [`FILE_BYTES_MAX`],
//! [`Options::files_bytes_max`].

mod fault;
mod file;
mod lines;
mod manifest;
mod ranges;
mod rows;
mod run;
mod scan;
mod source;
mod zips;

use std::time::Duration;

pub use fault::Fault;
pub(crate) use file::{AWAY, Stored, is_pdf};
pub use lines::LINE_BYTES_MAX;
pub(crate) use manifest::{Row, Written, check, uuid_v8};
pub(crate) use ranges::Ranges;
pub use rows::{FAULTS_KEPT_MAX, Import, faults, get, latest};
pub(crate) use rows::{Placed, place};
pub use run::{Importer, Report};
pub use source::{Source, SourceError};
use steelyard_store::{is_contention, is_outage};

/// A file may have so many bytes.
pub const FILE_BYTES_MAX: u64 = 32 << 20;

/// How much an import does at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// Rows in one transaction.
    pub set_rows_max: usize,
    /// Files at once.
    pub files_max: usize,
    /// Bytes of files in memory at once, all together.
    pub files_bytes_max: u64,
    /// How long S3 or Postgres may be away before the run ends.
    pub outage_max: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            set_rows_max: 128,
            files_max: 16,
            files_bytes_max: FILE_BYTES_MAX,
            outage_max: Duration::from_mins(10),
        }
    }
}

/// Why an import cannot begin or go on. It can be taken up again.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The manifest is none.
    #[error("the manifest: {0}")]
    Manifest(String),
    /// The manifest, a file or the target cannot be reached.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// Postgres.
    #[error("the database: {0}")]
    Database(#[from] sqlx::Error),
    /// Another process is at this import.
    #[error("another process is at this import")]
    Busy,
    /// A bug.
    #[error("a file's task broke: {0}")]
    Broken(String),
}

impl Error {
    /// Whether the same may succeed later.
    fn may_pass(&self) -> bool {
        match self {
            Self::Source(error) => error.is_outage(),
            Self::Database(error) => is_outage(error) || is_contention(error),
            Self::Manifest(_) | Self::Busy | Self::Broken(_) => false,
        }
    }
}
