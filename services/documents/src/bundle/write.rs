//! One bundle, from its documents to its object.

use bytes::Bytes;
use futures_util::StreamExt as _;
use sqlx::PgPool;
use steelyard_domain::document::{LeftOut, LeftOutReason};
use steelyard_objects::{Kept, PartedUpload};
use steelyard_pack::{About, Writer};
use time::{Date, OffsetDateTime};
use tokio_util::task::AbortOnDropHandle;
use uuid::Uuid;

use super::name::Names;
use super::rows::{Claimed, extend};
use super::{Bundles, Error, LEFT_OUT_NAMED_MAX};
use crate::archive::{self, Availability};
use crate::budget::{Budget, Room};

/// A part of the upload.
const PART_BYTES: usize = 8 << 20;
/// Files that are read at once, and their bytes together.
const FILES_MAX: usize = 8;
const FILES_BYTES_MAX: u64 = 32 << 20;
/// Rows of one question.
const PAGE_ROWS: i64 = 500;

/// A bundle that is there.
#[derive(Debug)]
pub(super) struct Written {
    pub(super) key: String,
    pub(super) documents: usize,
    pub(super) left_out: usize,
    pub(super) left_out_of: Vec<LeftOut>,
    pub(super) bytes: u64,
    pub(super) sha256: [u8; 32],
}

#[derive(Debug, Clone, sqlx::FromRow)]
struct Due {
    id: Uuid,
    kind: String,
    number: String,
    customer_id: String,
    issued_on: Date,
    object_key: Option<String>,
    size_bytes: Option<i64>,
}

impl Bundles {
    /// Writes what `claimed` asks for. Nothing of it is there before its end.
    pub(super) async fn write(&self, claimed: &Claimed, claim_s: f64) -> Result<Written, Error> {
        // A key of its own for every attempt: who has lost it writes over nobody.
        let key = format!("bundles/{}/{}.zip", claimed.id, claimed.claim);
        let mut filling = Filling {
            writer: Writer::new(),
            upload: self
                .bucket
                .begin(&key, &Kept::new("application/zip"))
                .await?,
            names: Names::default(),
            left_out: 0,
            left_out_of: Vec::new(),
        };
        let budget = Budget::new(FILES_BYTES_MAX);
        let mut after = Uuid::nil();
        loop {
            let page = page(&self.pool, claimed, after).await?;
            let Some(last) = page.last() else { break };
            after = last.id;
            // Rooms are taken in order, so that the one who is waited for never waits for room.
            let files = futures_util::stream::iter(page)
                .then(|due: Due| {
                    let budget = budget.clone();
                    let bytes = due.size_bytes.and_then(|bytes| u64::try_from(bytes).ok());
                    async move { (budget.take(bytes.unwrap_or_default()).await, due) }
                })
                .map(|(room, due)| {
                    let bundles = self.clone();
                    AbortOnDropHandle::new(tokio::spawn(async move {
                        let read = bundles.read(due.id).await;
                        (due, room, read)
                    }))
                });
            let mut files = std::pin::pin!(files.buffered(FILES_MAX));
            while let Some(read) = files.next().await {
                let (due, room, read): (Due, Room, _) =
                    read.map_err(|error| Error::Broken(error.to_string()))?;
                match read? {
                    Ok(content) => {
                        if filling.add(due, &content).await? {
                            let documents = filling.writer.documents();
                            extend(&self.pool, claimed, claim_s, documents).await?;
                        }
                    }
                    Err(reason) => filling.leave_out(due, reason),
                }
                drop(room);
            }
            extend(&self.pool, claimed, claim_s, filling.writer.documents()).await?;
        }
        filling.seal(key).await
    }

    /// A document's bytes, or why they are not there now.
    async fn read(&self, id: Uuid) -> Result<Result<Bytes, LeftOutReason>, Error> {
        match self.archive.content(id, OffsetDateTime::now_utc()).await {
            Ok(Ok(content)) => Ok(Ok(content)),
            Ok(Err(availability)) => Ok(Err(match availability {
                Availability::Removed => LeftOutReason::Removed,
                Availability::Unmade => LeftOutReason::Pending,
                _ => LeftOutReason::Archived,
            })),
            Err(archive::Error::S3(error)) if !error.is_outage() => {
                tracing::error!(document = %id, %error, "a document's file cannot be read");
                Ok(Err(LeftOutReason::Damaged))
            }
            Err(error @ archive::Error::Damaged { .. }) => {
                tracing::error!(document = %id, %error, "a document's file is damaged");
                Ok(Err(LeftOutReason::Damaged))
            }
            Err(error) => Err(error.into()),
        }
    }
}

async fn page(pool: &PgPool, claimed: &Claimed, after: Uuid) -> sqlx::Result<Vec<Due>> {
    sqlx::query_as(
        "SELECT id, kind, number, customer_id, issued_on, object_key, size_bytes FROM documents
          WHERE id > $1 AND id >= first_id($2) AND id < first_id($3 + 1)
            AND ($4::text IS NULL OR customer_id = $4) AND ($5::text IS NULL OR kind = $5)
          ORDER BY id LIMIT $6",
    )
    .bind(after)
    .bind(claimed.from_day)
    .bind(claimed.to_day)
    .bind(&claimed.customer_id)
    .bind(&claimed.kind)
    .bind(PAGE_ROWS)
    .fetch_all(pool)
    .await
}

/// A bundle that is being written.
struct Filling {
    writer: Writer,
    upload: PartedUpload,
    names: Names,
    left_out: usize,
    left_out_of: Vec<LeftOut>,
}

impl Filling {
    /// Adds a document; whether a part was put.
    async fn add(&mut self, due: Due, content: &[u8]) -> Result<bool, Error> {
        let key = due.object_key.as_deref().unwrap_or_default();
        let name = self.names.of(&due.kind, &due.number, key, due.id);
        let about = About {
            id: due.id,
            kind: due.kind,
            number: due.number,
            customer: due.customer_id,
            issued_on: due.issued_on,
            name,
        };
        self.writer.add(about, content)?;
        if self.writer.waiting() < PART_BYTES {
            return Ok(false);
        }
        let part = self.writer.take();
        self.upload.part(Bytes::from(part)).await?;
        Ok(true)
    }

    fn leave_out(&mut self, due: Due, reason: LeftOutReason) {
        self.left_out += 1;
        if self.left_out_of.len() < LEFT_OUT_NAMED_MAX {
            self.left_out_of.push(LeftOut {
                id: due.id,
                number: due.number,
                reason,
            });
        }
    }

    async fn seal(self, key: String) -> Result<Written, Error> {
        let Self {
            writer,
            mut upload,
            left_out,
            left_out_of,
            ..
        } = self;
        let sealed = writer.seal()?;
        upload.part(Bytes::from(sealed.rest)).await?;
        upload.complete().await?;
        Ok(Written {
            key,
            documents: sealed.documents,
            left_out,
            left_out_of,
            bytes: sealed.bytes,
            sha256: sealed.sha256,
        })
    }
}
