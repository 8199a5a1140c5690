//! Packing: from many keys into one, and not a byte lost on the way.

use std::collections::BTreeMap;

use bytes::Bytes;
use futures_util::StreamExt as _;
use sha2::{Digest, Sha256};
use steelyard_objects::{Kept, PartedUpload};
use steelyard_pack::{About, Entry, Sealed, Writer};
use time::{Date, Month, OffsetDateTime};
use tokio_util::task::AbortOnDropHandle;
use uuid::Uuid;

use super::{Archive, Error, Ticked};
use crate::budget::{Budget, Room};
use crate::kind::Kind;

/// A part of an upload, and of what is read back.
const PART_BYTES: usize = 8 << 20;
/// Files that are read at once, and their bytes together.
const FILES_MAX: usize = 8;
const FILES_BYTES_MAX: u64 = 32 << 20;
/// Rows of one question.
const PAGE_ROWS: i64 = 500;
/// A file this large is not packed: it would gain nothing, and fill the memory. It stays under its own key, warm unless a rule of
/// the bucket moves it.
const FILE_BYTES_MAX: i64 = 32 << 20;
/// How long a document stays under its own key after it was packed: longer than a presigned URL holds.
const GRACE: time::Duration = time::Duration::minutes(10);

/// Documents that are packed together: of one month, and removed on one day.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Group {
    month: Date,
    keep_until: Option<Date>,
    /// Kinds and countries (or the empty word) in it.
    of: Vec<(String, String)>,
    bytes: i64,
}

#[derive(Debug, Clone, sqlx::FromRow)]
struct Due {
    id: Uuid,
    kind: String,
    number: String,
    customer_id: String,
    issued_on: Date,
    object_key: String,
    sha256: Vec<u8>,
    size_bytes: i64,
}

impl Archive {
    /// What a crash left of packs that were being written.
    pub(super) async fn give_up_unsealed(&self) -> Result<(), Error> {
        let left: Vec<(Uuid, String, Option<String>)> =
            sqlx::query_as("SELECT id, object_key, upload_id FROM packs WHERE state = 'writing'")
                .fetch_all(&self.pool)
                .await?;
        for (id, key, upload_id) in left {
            if let Some(upload_id) = upload_id {
                // Not found when it was completed before the crash, in the words of whichever S3 this is. What is left of
                // it, the bucket's rule for incomplete uploads ends.
                if let Err(error) = self.bucket.abort(&key, &upload_id).await {
                    tracing::warn!(key, %error, "an upload cannot be aborted");
                }
            }
            self.bucket.delete(&key).await?;
            sqlx::query("DELETE FROM packs WHERE id = $1")
                .bind(id)
                .execute(&self.pool)
                .await?;
        }
        Ok(())
    }

    /// Packs whole months that have been over for long enough.
    pub(super) async fn pack_what_is_due(
        &self,
        now: OffsetDateTime,
        go_on: &(impl Fn() -> bool + Sync),
        done: &mut Ticked,
    ) -> Result<(), Error> {
        for group in self.groups(now.date()).await? {
            let mut after = Uuid::nil();
            while go_on() {
                let packed = Box::pin(self.pack_one(&group, after, now)).await?;
                done.packed += packed.documents;
                done.packs += u64::from(packed.documents > 0);
                done.faults += packed.faults;
                let Some(last) = packed.last else { break };
                after = last;
            }
        }
        Ok(())
    }

    async fn groups(&self, today: Date) -> Result<Vec<Group>, Error> {
        let before = warm_since(today, self.options.warm_months);
        let found: Vec<(Date, String, String, i64)> = sqlx::query_as(
            "SELECT date_trunc('month', issued_on)::date, kind, coalesce(country, ''), sum(size_bytes)::bigint
               FROM documents
              WHERE pack_id IS NULL AND removed_at IS NULL AND archive_fault IS NULL AND stored_at IS NOT NULL
                AND issued_on < $1 AND size_bytes <= $2
              GROUP BY 1, 2, 3 ORDER BY 1, 2, 3",
        )
        .bind(before)
        .bind(FILE_BYTES_MAX)
        .fetch_all(&self.pool)
        .await?;
        let mut groups: BTreeMap<(Date, Option<Date>), Group> = BTreeMap::new();
        for (month, kind, country, bytes) in found {
            let keep_until = self.keep_until(&kind, &country, month);
            // What is to be removed is not worth a pack.
            if keep_until.is_some_and(|last| last < today) {
                continue;
            }
            let group = groups.entry((month, keep_until)).or_insert_with(|| Group {
                month,
                keep_until,
                of: Vec::new(),
                bytes: 0,
            });
            group.of.push((kind, country));
            group.bytes += bytes;
        }
        let least = i64::try_from(self.options.pack_bytes_min).unwrap_or(i64::MAX);
        let mut groups: Vec<Group> = groups.into_values().collect();
        groups.retain(|group| group.bytes >= least);
        Ok(groups)
    }

    fn keep_until(&self, kind: &str, country: &str, month: Date) -> Option<Date> {
        let kind = Kind::ALL.into_iter().find(|known| known.as_str() == kind)?;
        let country = Some(country).filter(|country| !country.is_empty());
        let retention = self.options.retention.as_ref()?;
        Some(retention.keep_until(kind, country, month))
    }

    /// Fills one pack with documents of a group that follow `after`.
    async fn pack_one(
        &self,
        group: &Group,
        after: Uuid,
        now: OffsetDateTime,
    ) -> Result<Packed, Error> {
        let first = self.page(group, after).await?;
        if first.is_empty() {
            return Ok(Packed::default());
        }
        let id = Uuid::new_v4();
        let (year, month) = (group.month.year(), u8::from(group.month.month()));
        let key = format!("packs/{year:04}/{month:02}/{id}.zip");
        sqlx::query(
            "INSERT INTO packs (id, month, keep_until, object_key, state, storage_class)
             VALUES ($1, $2, $3, $4, 'writing', $5)",
        )
        .bind(id)
        .bind(group.month)
        .bind(group.keep_until)
        .bind(&key)
        .bind(self.options.class.as_str())
        .execute(&self.pool)
        .await?;
        let upload = self
            .bucket
            .begin(&key, &Kept::new("application/zip"))
            .await?;
        sqlx::query("UPDATE packs SET upload_id = $2 WHERE id = $1")
            .bind(id)
            .bind(upload.id())
            .execute(&self.pool)
            .await?;
        let mut filling = Filling {
            writer: Writer::new(),
            upload,
            entries: Vec::new(),
            packed: Packed::default(),
        };
        self.fill(group, first, &mut filling).await?;
        let Filling {
            writer,
            mut upload,
            entries,
            mut packed,
        } = filling;
        if entries.is_empty() {
            self.bucket.abort(&key, upload.id()).await?;
            sqlx::query("DELETE FROM packs WHERE id = $1")
                .bind(id)
                .execute(&self.pool)
                .await?;
            return Ok(packed);
        }
        let mut sealed = writer.seal()?;
        upload
            .part(Bytes::from(std::mem::take(&mut sealed.rest)))
            .await?;
        upload.complete().await?;
        self.read_back(&key, &sealed).await?;
        self.seal(id, &sealed, &entries, now).await?;
        packed.documents = entries.len() as u64;
        tracing::info!(pack = %id, key, documents = packed.documents, bytes = sealed.bytes, "packed");
        Ok(packed)
    }

    async fn page(&self, group: &Group, after: Uuid) -> Result<Vec<Due>, Error> {
        let (kinds, countries): (Vec<&str>, Vec<&str>) = group
            .of
            .iter()
            .map(|(kind, country)| (kind.as_str(), country.as_str()))
            .unzip();
        let due = sqlx::query_as(
            "SELECT id, kind, number, customer_id, issued_on, object_key, sha256, size_bytes
               FROM documents
              WHERE pack_id IS NULL AND removed_at IS NULL AND archive_fault IS NULL AND stored_at IS NOT NULL
                AND issued_on >= $1 AND issued_on < $1 + interval '1 month' AND size_bytes <= $2
                AND (kind, coalesce(country, '')) IN (SELECT * FROM unnest($3::text[], $4::text[]))
                AND id > $5
              ORDER BY id LIMIT $6",
        )
        .bind(group.month)
        .bind(FILE_BYTES_MAX)
        .bind(kinds)
        .bind(countries)
        .bind(after)
        .bind(PAGE_ROWS)
        .fetch_all(&self.pool);
        Ok(due.await?)
    }

    /// Adds documents until the pack is full or there are no more.
    async fn fill(
        &self,
        group: &Group,
        first: Vec<Due>,
        filling: &mut Filling,
    ) -> Result<(), Error> {
        let budget = Budget::new(FILES_BYTES_MAX);
        let mut page = first;
        loop {
            let Some(after) = page.last().map(|due| due.id) else {
                filling.packed.last = None;
                return Ok(());
            };
            // Rooms are taken in order, so that the one who is waited for never waits for room.
            let files = futures_util::stream::iter(page)
                .then(|due: Due| {
                    let budget = budget.clone();
                    let bytes = u64::try_from(due.size_bytes).unwrap_or_default();
                    async move { (budget.take(bytes).await, due) }
                })
                .map(|(room, due)| {
                    let archive = self.clone();
                    AbortOnDropHandle::new(tokio::spawn(async move {
                        let read = archive.read(&due).await;
                        (due, room, read)
                    }))
                });
            let mut files = std::pin::pin!(files.buffered(FILES_MAX));
            while let Some(read) = files.next().await {
                let (due, room, read): (Due, Room, _) =
                    read.map_err(|error| Error::Broken(error.to_string()))?;
                filling.packed.last = Some(due.id);
                match read? {
                    Ok(content) => filling.add(due, &content).await?,
                    Err(why) => {
                        filling.packed.faults += 1;
                        self.set_aside(due.id, &why).await?;
                    }
                }
                drop(room);
                let full = filling.writer.documents() >= steelyard_pack::DOCUMENTS_MAX;
                if full || filling.writer.bytes() >= self.options.pack_bytes {
                    return Ok(());
                }
            }
            page = self.page(group, after).await?;
        }
    }

    /// The bytes of a document, or why they cannot be packed.
    async fn read(&self, due: &Due) -> Result<Result<Bytes, String>, Error> {
        let limit = usize::try_from(due.size_bytes).unwrap_or_default();
        let content = match self.bucket.get(&due.object_key, limit).await {
            Ok(object) => object.body,
            Err(error) if error.is_outage() => return Err(error.into()),
            Err(error) => return Ok(Err(error.to_string())),
        };
        let sha256 = Sha256::digest(&content);
        if sha256.as_slice() == due.sha256 {
            Ok(Ok(content))
        } else {
            Ok(Err("its file has another SHA-256 than it had".to_owned()))
        }
    }

    async fn set_aside(&self, id: Uuid, why: &str) -> Result<(), Error> {
        tracing::error!(document = %id, why, "a document cannot be packed");
        sqlx::query("UPDATE documents SET archive_fault = $2 WHERE id = $1")
            .bind(id)
            .bind(why)
            .execute(&self.pool)
            .await?;
        Ok(())
    }

    /// Compares what lies in S3 with what was sent there.
    async fn read_back(&self, key: &str, sealed: &Sealed) -> Result<(), Error> {
        let (mut hash, mut at) = (Sha256::new(), 0);
        while at < sealed.bytes {
            let end = sealed.bytes.min(at + PART_BYTES as u64);
            let part = self.bucket.range(key, at..end).await?;
            if part.is_empty() {
                break;
            }
            at += part.len() as u64;
            hash.update(&part);
        }
        if hash.finalize().as_slice() == sealed.sha256 {
            return Ok(());
        }
        let why = format!("{at} bytes were read back, {} were sent", sealed.bytes);
        let key = key.to_owned();
        Err(Error::Damaged { key, why })
    }

    /// Tells the rows where their documents are, all or none.
    async fn seal(
        &self,
        id: Uuid,
        sealed: &Sealed,
        entries: &[Entry],
        now: OffsetDateTime,
    ) -> Result<(), Error> {
        let mut transaction = self.pool.begin().await?;
        let last: Option<(i64, Vec<u8>)> = sqlx::query_as(
            "SELECT sealed_as, chain FROM packs WHERE sealed_as IS NOT NULL ORDER BY sealed_as DESC LIMIT 1",
        )
        .fetch_optional(&mut *transaction)
        .await?;
        let (before, chain) = last.unwrap_or_else(|| (0, vec![0; 32]));
        let whole = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
        let settled = sqlx::query(
            "UPDATE packs SET state = 'sealed', upload_id = NULL, documents = $2, size_bytes = $3, sha256 = $4,
                    root = $5, sealed_as = $6, chain = $7, sealed_at = $8
             WHERE id = $1 AND state = 'writing'",
        )
        .bind(id)
        .bind(i32::try_from(sealed.documents).unwrap_or(i32::MAX))
        .bind(whole(sealed.bytes))
        .bind(sealed.sha256.as_slice())
        .bind(sealed.root.as_slice())
        .bind(before + 1)
        .bind(link(&chain, id, &sealed.root).as_slice())
        .bind(now)
        .execute(&mut *transaction)
        .await?
        .rows_affected();
        let hashes: Vec<&[u8]> = entries
            .iter()
            .map(|entry| entry.sha256.as_slice())
            .collect();
        let told = sqlx::query(
            "UPDATE documents d SET pack_id = $1, pack_offset = e.at, readable_until = $5
               FROM unnest($2::uuid[], $3::bigint[], $4::bytea[]) AS e (id, at, sha256)
              WHERE d.id = e.id AND d.sha256 = e.sha256 AND d.pack_id IS NULL AND d.removed_at IS NULL",
        )
        .bind(id)
        .bind(entries.iter().map(|entry| entry.id).collect::<Vec<_>>())
        .bind(entries.iter().map(|entry| whole(entry.offset)).collect::<Vec<_>>())
        .bind(hashes)
        .bind(now + GRACE)
        .execute(&mut *transaction)
        .await?
        .rows_affected();
        if settled != 1 || told != entries.len() as u64 {
            // Rolled back: somebody else packs the same. The next tick gives this pack up.
            return Err(Error::Changed(format!("pack {id}")));
        }
        transaction.commit().await?;
        Ok(())
    }
}

/// The next link of the chain over all packs.
pub(super) fn link(chain: &[u8], id: Uuid, root: &[u8]) -> [u8; 32] {
    let hash = Sha256::new().chain_update(b"steelyard/pack-chain/1");
    let hash = hash.chain_update(chain).chain_update(id.as_bytes());
    hash.chain_update(root).finalize().into()
}

/// What filling one pack came to.
#[derive(Debug, Default)]
struct Packed {
    documents: u64,
    faults: u64,
    /// The last document that was looked at, if more may follow.
    last: Option<Uuid>,
}

struct Filling {
    writer: Writer,
    upload: PartedUpload,
    entries: Vec<Entry>,
    packed: Packed,
}

impl Filling {
    async fn add(&mut self, due: Due, content: &[u8]) -> Result<(), Error> {
        let about = About {
            id: due.id,
            kind: due.kind,
            number: due.number,
            customer: due.customer_id,
            issued_on: due.issued_on,
            name: due.object_key,
        };
        self.entries.push(self.writer.add(about, content)?);
        if self.writer.waiting() >= PART_BYTES {
            let part = self.writer.take();
            self.upload.part(Bytes::from(part)).await?;
        }
        Ok(())
    }
}

/// The first day that is still warm: documents of months that ended before `warm_months` whole months are cold.
pub(super) fn warm_since(today: Date, warm_months: u8) -> Date {
    let mut month = first_of(today.year(), today.month());
    for _ in 0..warm_months {
        let before = month.previous_day().unwrap_or(Date::MIN);
        month = first_of(before.year(), before.month());
    }
    month
}

fn first_of(year: i32, month: Month) -> Date {
    Date::from_calendar_date(year, month, 1).unwrap_or(Date::MIN)
}

#[cfg(test)]
mod tests {
    use time::macros::date;

    use super::warm_since;

    #[test]
    fn two_whole_months_stay_warm_beside_the_one_that_runs() {
        assert_eq!(warm_since(date!(2026 - 11 - 25), 2), date!(2026 - 09 - 01));
        assert_eq!(warm_since(date!(2026 - 01 - 01), 2), date!(2025 - 11 - 01));
        assert_eq!(warm_since(date!(2026 - 03 - 31), 0), date!(2026 - 03 - 01));
    }
}
