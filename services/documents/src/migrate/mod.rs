//! Documents out of a legacy table into S3, while the table is in use.
//!
//! Rows are read in the order of their ids, in pages; a page goes: which are moved already → read, check and put the others'
//! files → **one transaction** (numbers, documents, where each legacy row's file is, faults, how far the pass is). At
//! the end of the table another pass begins, for ids that were committed behind it; when a pass finds nothing, all is moved.
//! It may be run again whenever, for what came since.
//!
//! **Invariant:** the legacy table is only read, until somebody says `--clear`. Then a row is cleared only after its object was
//! read back and compared, and only if its content is still what was moved: the comparison and the clearing are one statement.
//!
//! **Invariant:** a legacy id can be read at any time, from S3 if it is there, else from the table: [`Migration::read`]. What was
//! packed since is read out of the table until that was cleared, then out of its pack.

mod clear;
mod config;
mod legacy;
mod moved;
mod run;

use std::time::Duration;

use steelyard_store::{is_contention, is_outage};

pub use clear::ClearedRows;
pub use config::{Config, InvalidConfig};
pub use moved::{Fault, Progress};
pub use run::{Content, Migration, Origin};

use crate::import::FILE_BYTES_MAX;

/// How much a migration does at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// Rows in one transaction.
    pub page_rows_max: usize,
    /// Files at once.
    pub files_max: usize,
    /// Bytes of files in memory at once, all together.
    pub files_bytes_max: u64,
    /// How long S3 or a database may be away before the run ends.
    pub outage_max: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            page_rows_max: 128,
            files_max: 8,
            files_bytes_max: FILE_BYTES_MAX,
            outage_max: Duration::from_mins(10),
        }
    }
}

/// Why a migration cannot begin or go on. It can be taken up again.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The legacy table is not as the config says.
    #[error("the legacy table: {0}")]
    Table(String),
    /// The legacy database.
    #[error("the legacy database: {0}")]
    Legacy(sqlx::Error),
    /// The database of documents.
    #[error("the database: {0}")]
    Database(#[from] sqlx::Error),
    /// S3.
    #[error(transparent)]
    S3(#[from] steelyard_objects::Error),
    /// The archive.
    #[error(transparent)]
    Archive(#[from] crate::archive::Error),
    /// Another process is at this migration.
    #[error("another process is at this migration")]
    Busy,
    /// It was moved, and archived since.
    #[error("it is archived now, as document {0}: restore that")]
    Archived(uuid::Uuid),
    /// There is nothing under this legacy id.
    #[error("there is no {0}")]
    Missing(String),
    /// What lies in S3 is not what was put there.
    #[error("{0} is not what was put there")]
    Damaged(String),
    /// A bug.
    #[error("a file's task broke: {0}")]
    Broken(String),
}

impl Error {
    /// Whether the same may succeed later.
    fn may_pass(&self) -> bool {
        match self {
            Self::Legacy(error) | Self::Database(error) => is_outage(error) || is_contention(error),
            Self::S3(error) => error.is_outage(),
            _ => false,
        }
    }
}
