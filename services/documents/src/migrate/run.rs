//! A migration, pass by pass; and reading while it runs.

use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt as _;
use sha2::{Digest, Sha256};
use sqlx::PgPool;
use steelyard_objects::Bucket;
use time::OffsetDateTime;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;
use uuid::Uuid;

use super::config::Config;
use super::legacy::{Legacy, LegacyRow, too_large};
use super::moved::{self, Fault, Moved, Page, Progress};
use super::{Error, Options};
use crate::archive::{self, Archive, Availability};
use crate::budget::Budget;
use crate::import::{self, AWAY, FILE_BYTES_MAX, Row, Stored, Written, check, is_pdf, uuid_v8};
use crate::kept::kept;
use crate::turn::Turn;

/// Passes of one run. Each after the first takes only what was committed behind the one before it.
const PASSES_MAX: usize = 100;
/// A large object's size is not known before it is read.
const UNKNOWN_BYTES: u64 = 1 << 20;

/// Where a content came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// From the bucket.
    S3,
    /// From the legacy table.
    Table,
}

/// A row's content, wherever it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Content {
    /// The bytes.
    pub bytes: Bytes,
    /// Where they came from.
    pub origin: Origin,
}

/// A legacy table on its way into a bucket.
#[derive(Debug, Clone)]
pub struct Migration {
    pub(super) id: Uuid,
    pub(super) pool: PgPool,
    pub(super) legacy: Legacy,
    pub(super) target: Bucket,
    pub(super) options: Options,
    archive: Archive,
    config: Config,
    source: String,
    budget: Budget,
}

impl Migration {
    /// Looks at the legacy table. The schema `documents` is up to date in `pool`.
    ///
    /// # Errors
    /// [`Error::Table`], [`Error::Legacy`].
    pub async fn open(
        pool: PgPool,
        legacy: PgPool,
        config: Config,
        target: Bucket,
        options: Options,
    ) -> Result<Self, Error> {
        let source = config.place();
        let hash = Sha256::new().chain_update(b"steelyard/blob-migration/1");
        Ok(Self {
            id: uuid_v8(hash.chain_update(&source)),
            legacy: Legacy::open(legacy, &config).await?,
            budget: Budget::new(options.files_bytes_max),
            // Only asked for contents; nothing is brought back.
            archive: Archive::new(pool.clone(), target.clone(), archive::Options::default()),
            pool,
            target,
            options,
            config,
            source,
        })
    }

    /// Moves whatever is not moved, until a whole pass finds nothing, or `stop`.
    ///
    /// # Errors
    /// See [`Error`]. What was moved stays.
    pub async fn run(
        &self,
        told: &watch::Sender<Option<Progress>>,
        stop: &CancellationToken,
    ) -> Result<Progress, Error> {
        let turn = self.take_turn().await?;
        let mut progress = moved::begin(&self.pool, self.id, &self.source).await?;
        told.send_replace(Some(progress.clone()));
        for _ in 0..PASSES_MAX {
            let (whole, before) = (progress.after_id.is_none(), settled(&progress));
            loop {
                let page = stop.run_until_cancelled(self.prepare(progress.after_id.clone()));
                let Some(page) = page.await.transpose()? else {
                    return Ok(progress);
                };
                let Some(page) = page else { break };
                progress = self.settle(&page).await?;
                told.send_replace(Some(progress.clone()));
            }
            let complete = whole && settled(&progress) == before;
            progress = moved::end_pass(&self.pool, self.id, complete).await?;
            if complete {
                break;
            }
        }
        turn.end().await;
        Ok(progress)
    }

    pub(super) async fn take_turn(&self) -> Result<Turn, Error> {
        let turn = Turn::take(&self.pool, &format!("blobs {}", self.id)).await?;
        turn.ok_or(Error::Busy)
    }

    /// The first faults, and how many there are.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub async fn faults(&self, limit: i64) -> Result<(Vec<Fault>, i64), Error> {
        Ok(moved::faults(&self.pool, self.id, limit).await?)
    }

    /// The content of a legacy row, from S3 if it is there, else from the table.
    ///
    /// # Errors
    /// [`Error::Missing`], [`Error::Damaged`]; [`Error::Archived`] for what was cleared and lies in the cold; see [`Error`]
    /// for others.
    pub async fn read(&self, legacy_id: &str) -> Result<Content, Error> {
        let missing = || Error::Missing(legacy_id.to_owned());
        if let Some(moved) = moved::moved(&self.pool, self.id, legacy_id).await? {
            return match self.read_moved(&moved).await {
                Err(Error::Archived(_)) => self.read_archived(&moved).await,
                Err(Error::S3(error)) if error.is_cold() => self.read_archived(&moved).await,
                read => read,
            };
        }
        let content = self.legacy.content(legacy_id).await?;
        if let Some(bytes) = content.map_err(|_| missing())? {
            return Ok(Content {
                bytes,
                origin: Origin::Table,
            });
        }
        // Moved and cleared between the two looks.
        let moved = moved::moved(&self.pool, self.id, legacy_id).await?;
        self.read_moved(&moved.ok_or_else(missing)?).await
    }

    /// What was moved and does not lie under its own key: out of the table while that still has it, else out of its pack.
    async fn read_archived(&self, moved: &Moved) -> Result<Content, Error> {
        if let Ok(Some(bytes)) = self.legacy.content(&moved.legacy_id).await? {
            // Another content came after the move, and is nobody's document.
            if Sha256::digest(&bytes).as_slice() == moved.sha256 {
                return Ok(Content {
                    bytes,
                    origin: Origin::Table,
                });
            }
        }
        let now = OffsetDateTime::now_utc();
        match self.archive.content(moved.document_id, now).await? {
            Ok(bytes) => Ok(Content {
                bytes,
                origin: Origin::S3,
            }),
            Err(Availability::Removed) => Err(Error::Missing(moved.legacy_id.clone())),
            Err(_) => Err(Error::Archived(moved.document_id)),
        }
    }

    pub(super) async fn read_moved(&self, moved: &Moved) -> Result<Content, Error> {
        let limit = usize::try_from(FILE_BYTES_MAX).unwrap_or(usize::MAX);
        let bytes = match self.target.get(&moved.object_key, limit).await {
            Ok(object) => object.body,
            Err(steelyard_objects::Error::NotFound(_)) => {
                return Err(Error::Archived(moved.document_id));
            }
            Err(error) => return Err(error.into()),
        };
        if Sha256::digest(&bytes).as_slice() != moved.sha256 {
            return Err(Error::Damaged(moved.object_key.clone()));
        }
        Ok(Content {
            bytes,
            origin: Origin::S3,
        })
    }

    /// The next page, its files moved; `None` at the end of the table.
    async fn prepare(&self, after: Option<String>) -> Result<Option<Page>, Error> {
        let mut patience = Patience::new(&self.options);
        let (rows, known) = loop {
            let asked = async {
                let rows = self
                    .legacy
                    .page(after.as_deref(), self.options.page_rows_max)
                    .await?;
                let ids: Vec<&str> = rows.iter().map(|row| row.id.as_str()).collect();
                let known = moved::known(&self.pool, self.id, &ids).await?;
                Ok::<_, Error>((rows, known))
            };
            match asked.await {
                Ok(asked) => break asked,
                Err(error) => patience.wait(error).await?,
            }
        };
        let Some(last) = rows.last() else {
            return Ok(None);
        };
        let mut page = Page {
            after,
            last: Some(last.id.clone()),
            ids: rows.iter().map(|row| row.id.clone()).collect(),
            ..Page::default()
        };
        let new = (0..).zip(rows).filter(|(_, row)| !known.contains(&row.id));
        let mut moving = futures_util::stream::iter(new)
            .map(|(at, row)| {
                let migration = self.clone();
                AbortOnDropHandle::new(tokio::spawn(
                    async move { (at, migration.keep(at, row).await) },
                ))
            })
            .buffer_unordered(self.options.files_max);
        while let Some(moved) = moving.next().await {
            let (at, kept) = moved.map_err(|error| Error::Broken(error.to_string()))?;
            match kept? {
                Ok(Some(stored)) => page.stored.push(stored),
                Ok(None) => {}
                Err(fault) => page.faults.push((at, fault)),
            }
        }
        drop(moving);
        // Of rows that share a number, the first has it, whichever file was there first.
        page.stored.sort_unstable_by_key(|(row, _)| row.line);
        Ok(Some(page))
    }

    /// Reads, checks and puts a row's file, through outages; nothing for one that was cleared meanwhile.
    async fn keep(
        &self,
        at: u64,
        row: LegacyRow,
    ) -> Result<Result<Option<(Row, Stored)>, import::Fault>, Error> {
        let mut patience = Patience::new(&self.options);
        loop {
            match self.attempt(at, &row).await {
                Ok(kept) => return Ok(kept),
                Err(error) => patience.wait(error).await?,
            }
        }
    }

    async fn attempt(
        &self,
        at: u64,
        row: &LegacyRow,
    ) -> Result<Result<Option<(Row, Stored)>, import::Fault>, Error> {
        let bytes = row.bytes.and_then(|bytes| u64::try_from(bytes).ok());
        if bytes.is_some_and(|bytes| bytes > FILE_BYTES_MAX) {
            return Ok(Err(too_large()));
        }
        // Held until the bytes are gone.
        let _room = self.budget.take(bytes.unwrap_or(UNKNOWN_BYTES)).await;
        let content = match self.legacy.content(&row.id).await? {
            Ok(Some(content)) => content,
            Ok(None) => return Ok(Ok(None)),
            Err(fault) => return Ok(Err(fault)),
        };
        let sha256: [u8; 32] = Sha256::digest(&content).into();
        let row = match self.row(at, row, sha256) {
            Ok(row) => row,
            Err(fault) => return Ok(Err(fault)),
        };
        if !is_pdf(&content) {
            let fault = import::Fault::new("not_a_pdf", "the content is no whole PDF");
            return Ok(Err(fault));
        }
        let (key, bytes) = (row.object_key(), content.len());
        let kept = kept(row.kind.as_str(), row.country.as_deref());
        self.target.put_hashed(&key, content, sha256, &kept).await?;
        let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
        Ok(Ok(Some((row, Stored { key, bytes }))))
    }

    /// What the row says, checked as an import's row is.
    fn row(&self, at: u64, row: &LegacyRow, sha256: [u8; 32]) -> Result<Row, import::Fault> {
        let kind = row.kind.as_deref().unwrap_or_default();
        let known = self.config.kinds.get(kind).ok_or_else(|| {
            import::Fault::new("kind", format!("[kinds] says nothing of {kind:?}"))
        })?;
        let text = |field: &Option<String>| field.clone().unwrap_or_default().trim().to_owned();
        // Of a time, its day.
        let date: String = text(&row.date).chars().take("2026-11-25".len()).collect();
        let written = Written {
            customer: text(&row.customer),
            kind: known.as_str().to_owned(),
            number: text(&row.number),
            date,
            // It has none; this one can be.
            key: "content".to_owned(),
            sha256: hex::encode(sha256),
            order_id: None,
            currency: row.currency.clone(),
            total: row.total.clone(),
            country: row.country.clone(),
        };
        check(at, written)
    }

    async fn settle(&self, page: &Page) -> Result<Progress, Error> {
        let mut patience = Patience::new(&self.options);
        loop {
            match moved::settle(&self.pool, self.id, page).await {
                Ok(Some((progress, orphans))) => {
                    for key in orphans {
                        self.target.delete(&key).await?;
                    }
                    return Ok(progress);
                }
                Ok(None) => {
                    // A commit whose answer was lost has happened after all.
                    let there = moved::begin(&self.pool, self.id, &self.source).await?;
                    return if there.after_id == page.last {
                        Ok(there)
                    } else {
                        Err(Error::Busy)
                    };
                }
                Err(error) => patience.wait(error.into()).await?,
            }
        }
    }
}

const fn settled(progress: &Progress) -> i64 {
    progress.rows_moved + progress.rows_known
}

/// How long something may be away.
pub(super) struct Patience {
    deadline: Instant,
    failures: u32,
}

impl Patience {
    pub(super) fn new(options: &Options) -> Self {
        Self {
            deadline: Instant::now() + options.outage_max,
            failures: 0,
        }
    }

    pub(super) async fn wait(&mut self, error: Error) -> Result<(), Error> {
        self.failures += 1;
        let pause: Duration = AWAY.wait(self.failures);
        if !error.may_pass() || Instant::now() + pause > self.deadline {
            return Err(error);
        }
        tracing::warn!(%error, failures = self.failures, "the migration waits");
        tokio::time::sleep(pause).await;
        Ok(())
    }
}
