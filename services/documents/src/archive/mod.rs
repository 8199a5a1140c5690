//! Documents after their first months: in packs, in a cold class, and in the end removed.
//!
//! | step | what | after a crash in it |
//! |---|---|---|
//! | [`pack`](Archive::tick) | the documents of a past month → packs, written, read back and compared, then one transaction | the pack is given up; its documents lie where they did |
//! | chill | sealed packs → the cold class | done again |
//! | restore | documents that are waited for → their own keys, for some days | done again |
//! | shed | documents in packs → their own keys become free | done again |
//! | remove | what nothing keeps any more | done again |
//!
//! All steps are a [tick](Archive::tick), which one process at a time takes and which may be taken again whenever.
//!
//! **Invariant:** a document lies under its own key, or in a pack, or both; never in neither before it is removed. Its own
//! key is freed only after the pack was read back whole, the row knows where in it the document is, and the pack is still there.
//!
//! **Invariant:** whatever is read from a pack is compared with the SHA-256 that the row has had since before.
//!
//! **Invariant:** nothing under a legal hold is removed: a hold is placed between two removals, never during one.

mod chill;
mod hold;
mod options;
mod pack;
mod remove;
mod restore;
mod retention;
mod rows;
mod verify;

use sqlx::PgPool;
use steelyard_objects::Bucket;
use time::OffsetDateTime;
use uuid::Uuid;

pub use hold::{Held, Hold};
pub use options::Options;
pub use restore::Availability;
pub use retention::{InvalidRetention, Retention, Rule};
pub use verify::Verified;

use crate::turn::Turn;

/// The archive of a bucket.
#[derive(Debug, Clone)]
pub struct Archive {
    pool: PgPool,
    bucket: Bucket,
    options: Options,
}

/// Why a step cannot be done now. It can be done again.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Postgres.
    #[error("the database: {0}")]
    Database(#[from] sqlx::Error),
    /// S3.
    #[error(transparent)]
    S3(#[from] steelyard_objects::Error),
    /// What lies in S3 is not what was put there.
    #[error("{key} is not what was put there: {why}")]
    Damaged {
        /// The object.
        key: String,
        /// How that is known.
        why: String,
    },
    /// A pack cannot be written.
    #[error("a pack: {0}")]
    Pack(#[from] steelyard_pack::Error),
    /// There is no such document.
    #[error("there is no document {0}")]
    NoDocument(Uuid),
    /// There is no such pack that can be read.
    #[error("there is no pack {0} that can be read")]
    NoPack(Uuid),
    /// Another process takes a tick.
    #[error("another process is at it")]
    Busy,
    /// The row is not as this step found it: somebody else was at it.
    #[error("{0} was changed meanwhile")]
    Changed(String),
    /// A bug.
    #[error("a task broke: {0}")]
    Broken(String),
}

/// What a tick did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ticked {
    /// Packs that were sealed.
    pub packs: u64,
    /// Documents in them.
    pub packed: u64,
    /// Documents that cannot be packed, for their files are missing or others: somebody must look.
    pub faults: u64,
    /// Packs that are gone from S3, or have another size than they had: somebody must look. Documents keep their own keys.
    pub lost: u64,
    /// Packs that went into the cold class.
    pub chilled: u64,
    /// Documents that can be read again.
    pub restored: u64,
    /// Documents whose own keys were freed.
    pub shed: u64,
    /// Documents that were removed.
    pub removed: u64,
    /// Documents that would have been, but for a legal hold.
    pub held: u64,
}

impl Archive {
    /// The archive of `bucket`; the schema `documents` is up to date in `pool`.
    #[must_use]
    pub const fn new(pool: PgPool, bucket: Bucket, options: Options) -> Self {
        Self {
            pool,
            bucket,
            options,
        }
    }

    /// Does whatever is due at `now`. Ends between two packs when `go_on` says so.
    ///
    /// # Errors
    /// See [`Error`]; what was done stays.
    pub async fn tick(
        &self,
        now: OffsetDateTime,
        go_on: impl Fn() -> bool + Sync,
    ) -> Result<Ticked, Error> {
        let turn = Turn::take(&self.pool, "archive")
            .await?
            .ok_or(Error::Busy)?;
        let mut done = Ticked::default();
        self.give_up_unsealed().await?;
        self.pack_what_is_due(now, &go_on, &mut done).await?;
        self.chill(&mut done).await?;
        self.restore_what_is_ready(now, &mut done).await?;
        self.shed(now, &mut done).await?;
        if let Some(retention) = &self.options.retention {
            self.remove_what_is_due(retention, now, &mut done).await?;
        }
        for (what, count) in [
            ("packed", done.packed),
            ("restored", done.restored),
            ("removed", done.removed),
        ] {
            metrics::counter!("documents_archive_total", "step" => what).increment(count);
        }
        metrics::counter!("documents_archive_faults_total").increment(done.faults + done.lost);
        turn.end().await;
        Ok(done)
    }
}
