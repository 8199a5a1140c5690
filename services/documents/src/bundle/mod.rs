//! Bundles: the documents of a period in one zip, made by a job.
//!
//! A bundle is asked for, made by whichever instance takes it, fetched by a URL as single documents are, and gone after a
//! day. It is written like a [pack](steelyard_pack), so any zip reader reads it and its index has every document's SHA-256.
//!
//! | step | after a crash in it |
//! |---|---|
//! | asked for | the row is there, or the caller has no answer and asks again |
//! | taken, written part by part | nobody extends the claim; another instance takes it and begins anew, up to [`ATTEMPTS_MAX`] times |
//! | finished | one update; a claim that was lost changes nothing, and its object is nobody's |
//!
//! Objects under `bundles/` and uploads that were not ended are removed by rules of the bucket: the service itself may
//! delete nothing.
//!
//! **Invariant:** what a bundle holds is compared with the SHA-256 of its row; what cannot be read is counted and named,
//! never left out in silence.

mod job;
mod name;
mod rows;
mod write;

use std::sync::Arc;

use sqlx::PgPool;
use steelyard_objects::Bucket;
use time::Duration;
use tokio::sync::Notify;

pub(crate) use job::Jobs;
pub(crate) use name::file_name;
pub(crate) use rows::{Row, Wanted, ask, get};

use crate::archive::{self, Archive};

/// How long a bundle can be fetched. The bucket's rule removes it a day later at the latest: S3 counts whole days.
const KEPT: Duration = Duration::hours(24);
/// How often a bundle is begun before it is given up.
const ATTEMPTS_MAX: i32 = 3;
/// Bundles that one caller may wait for at once.
pub(crate) const OPEN_MAX: i64 = 3;
/// Documents of a bundle, as many as a pack takes.
pub(crate) const DOCUMENTS_MAX: i64 = steelyard_pack::DOCUMENTS_MAX as i64;
/// Bytes of a bundle's documents; the rest of what a pack takes is for its index.
pub(crate) const BYTES_MAX: i64 = 900 << 20;
/// Documents that are named among those left out; all are counted.
const LEFT_OUT_NAMED_MAX: usize = 100;

/// Why a bundle cannot be made now.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("the database: {0}")]
    Database(#[from] sqlx::Error),
    #[error(transparent)]
    S3(#[from] steelyard_objects::Error),
    #[error(transparent)]
    Archive(#[from] archive::Error),
    #[error("the zip: {0}")]
    Zip(#[from] steelyard_pack::Error),
    #[error("another instance has taken it over")]
    Lost,
    #[error("a task broke: {0}")]
    Broken(String),
}

/// What bundles are made with.
#[derive(Debug, Clone)]
pub(crate) struct Bundles {
    pool: PgPool,
    bucket: Bucket,
    archive: Archive,
    asked: Arc<Notify>,
}

impl Bundles {
    pub(crate) fn new(pool: PgPool, bucket: Bucket, archive: Archive) -> Self {
        Self {
            pool,
            bucket,
            archive,
            asked: Arc::default(),
        }
    }

    /// Tells this instance's job that there is something to do.
    pub(crate) fn wake(&self) {
        self.asked.notify_one();
    }
}
