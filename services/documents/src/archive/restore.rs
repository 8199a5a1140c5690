//! Back from a pack, for some days.

use std::time::Duration;

use bytes::Bytes;
use sha2::{Digest, Sha256};
use steelyard_objects::Restored;
use time::{Date, OffsetDateTime};
use uuid::Uuid;

use super::pack::warm_since;
use super::rows::{Filed, Pack, document, pack};
use super::{Archive, Error, Ticked};
use crate::kept::kept;

const SECONDS_A_DAY: u64 = 24 * 60 * 60;
/// A document that is about to go is brought back for its full time again.
const ENDS_SOON: time::Duration = time::Duration::hours(1);
/// Documents that wait, in one question.
const PAGE_ROWS: i64 = 500;

/// Whether a document's file can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Availability {
    /// Now, under its own key; of an archived document until then.
    Ready(Option<OffsetDateTime>),
    /// It is archived, and nobody has asked for it.
    Archived,
    /// It was asked for, and is there by then, as S3's documentation has it.
    Restoring(OffsetDateTime),
    /// Its retention time is over.
    Removed,
    /// Its file is not made yet.
    Unmade,
}

/// Whether somebody waits for a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asked {
    No,
    Yes,
}

impl Archive {
    /// Whether a document can be read at `now`. Asks the database only.
    ///
    /// # Errors
    /// [`Error::NoDocument`], [`Error::Database`].
    pub async fn availability(&self, id: Uuid, now: OffsetDateTime) -> Result<Availability, Error> {
        let filed = self.filed(id).await?;
        if let Some(known) = known(&filed, now) {
            return Ok(known);
        }
        let expected: Option<Option<OffsetDateTime>> = sqlx::query_scalar(
            "SELECT p.restore_expected_at FROM restores r JOIN packs p ON p.id = r.pack_id WHERE r.document_id = $1",
        )
        .bind(id)
        .fetch_optional(&self.pool)
        .await?;
        Ok(expected
            .flatten()
            .map_or(Availability::Archived, Availability::Restoring))
    }

    /// Whether a document of this day may lie in the cold under its own key. Past the warm months a rule of the bucket may have moved
    /// it there, of which no row knows.
    pub(crate) fn may_be_cold(&self, issued_on: Date, now: OffsetDateTime) -> bool {
        issued_on < warm_since(now.date(), self.options.warm_months)
    }

    /// Makes a document readable for as long as `least` at least, if that takes no restore: out of a pack whose class is read at
    /// once, it is brought back. Else says why not.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn fetch(
        &self,
        id: Uuid,
        now: OffsetDateTime,
        least: time::Duration,
    ) -> Result<Availability, Error> {
        let filed = self.filed(id).await?;
        if self.is_old_and_single(&filed, now) {
            return self.single(&filed, now, Asked::No).await;
        }
        if let Some(known) = known(&filed, now + least) {
            return Ok(known);
        }
        let pack = self.pack_of(&filed).await?;
        if pack.class.is_instant() {
            let until = self.bring_back(&filed, &pack, now).await?;
            return Ok(Availability::Ready(Some(until)));
        }
        self.availability(id, now).await
    }

    /// A document's bytes, wherever they can be read from now; else why not. Nothing is brought back.
    ///
    /// # Errors
    /// See [`Error`]; [`Error::Damaged`] for bytes that are not what the row says.
    pub(crate) async fn content(
        &self,
        id: Uuid,
        now: OffsetDateTime,
    ) -> Result<Result<Bytes, Availability>, Error> {
        let filed = self.filed(id).await?;
        match known(&filed, now + ENDS_SOON) {
            Some(Availability::Ready(_)) => match self.read_own(&filed).await {
                Err(Error::S3(error)) if error.is_cold() => Ok(Err(Availability::Archived)),
                read => Ok(Ok(read?)),
            },
            Some(other) => Ok(Err(other)),
            None => {
                let pack = self.pack_of(&filed).await?;
                if !pack.class.is_instant() {
                    return Ok(Err(Availability::Archived));
                }
                Ok(Ok(self.read_packed(&filed, &pack).await?))
            }
        }
    }

    /// Lets a document be read again: at once if its pack can be read, else when its pack was restored. It may be asked for
    /// as often as one likes; S3 is asked once.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn restore(&self, id: Uuid, now: OffsetDateTime) -> Result<Availability, Error> {
        let filed = self.filed(id).await?;
        if self.is_old_and_single(&filed, now) {
            return self.single(&filed, now, Asked::Yes).await;
        }
        let soon = now + ENDS_SOON;
        if let Some(known) = known(&filed, soon) {
            return Ok(known);
        }
        let pack = self.pack_of(&filed).await?;
        if self.ask(&pack, now).await? == Restored::Ready {
            let until = self.bring_back(&filed, &pack, now).await?;
            return Ok(Availability::Ready(Some(until)));
        }
        sqlx::query(
            "INSERT INTO restores (document_id, pack_id) VALUES ($1, $2) ON CONFLICT DO NOTHING",
        )
        .bind(id)
        .bind(pack.id)
        .execute(&self.pool)
        .await?;
        self.availability(id, now).await
    }

    /// Brings back what is waited for and can be read now.
    pub(super) async fn restore_what_is_ready(
        &self,
        now: OffsetDateTime,
        done: &mut Ticked,
    ) -> Result<(), Error> {
        let packs: Vec<Uuid> = sqlx::query_scalar("SELECT DISTINCT pack_id FROM restores")
            .fetch_all(&self.pool)
            .await?;
        for id in packs {
            let Some(pack) = pack(&self.pool, id).await? else {
                // Removed meanwhile, and its documents with it.
                self.forget(id).await?;
                continue;
            };
            while self.ask(&pack, now).await? == Restored::Ready {
                let waiting: Vec<Uuid> = sqlx::query_scalar(
                    "SELECT document_id FROM restores WHERE pack_id = $1 ORDER BY document_id LIMIT $2",
                )
                .bind(id)
                .bind(PAGE_ROWS)
                .fetch_all(&self.pool)
                .await?;
                if waiting.is_empty() {
                    break;
                }
                for document in waiting {
                    let filed = self.filed(document).await?;
                    if known(&filed, now).is_none() {
                        self.bring_back(&filed, &pack, now).await?;
                        done.restored += 1;
                    }
                    sqlx::query("DELETE FROM restores WHERE document_id = $1")
                        .bind(document)
                        .execute(&self.pool)
                        .await?;
                }
            }
        }
        Ok(())
    }

    async fn forget(&self, pack: Uuid) -> Result<(), Error> {
        sqlx::query("DELETE FROM restores WHERE pack_id = $1")
            .bind(pack)
            .execute(&self.pool)
            .await?;
        Ok(())
    }

    /// Whether a pack can be read now; asks S3 for it if it cannot and nobody did.
    pub(super) async fn ask(&self, pack: &Pack, now: OffsetDateTime) -> Result<Restored, Error> {
        if pack.class.is_instant() {
            return Ok(Restored::Ready);
        }
        let head = self.bucket.head(&pack.key).await?;
        let head = head.ok_or_else(|| steelyard_objects::Error::NotFound(pack.key.clone()))?;
        if head.class.is_instant() || head.restored != Restored::Never {
            return Ok(if head.class.is_instant() {
                Restored::Ready
            } else {
                head.restored
            });
        }
        let speed = self.options.speed;
        self.bucket.restore(&pack.key, self.days(), speed).await?;
        let expected = now + pack.class.restore_max(speed);
        sqlx::query(
            "UPDATE packs SET restore_requested_at = $2, restore_expected_at = $3 WHERE id = $1",
        )
        .bind(pack.id)
        .bind(now)
        .bind(expected)
        .execute(&self.pool)
        .await?;
        Ok(Restored::Ongoing)
    }

    /// For how long S3 is to hold a copy of what it restores.
    fn days(&self) -> i32 {
        let readable = self.options.readable.as_secs();
        i32::try_from(readable.div_ceil(SECONDS_A_DAY).max(1)).unwrap_or(i32::MAX)
    }

    fn is_old_and_single(&self, filed: &Filed, now: OffsetDateTime) -> bool {
        filed.pack_id.is_none()
            && filed.object_key.is_some()
            && filed.removed_at.is_none()
            && self.may_be_cold(filed.issued_on, now)
    }

    /// Whether a document under its own key can be read, as S3 has it; with [`Asked::Yes`] it is restored if it has to be.
    async fn single(
        &self,
        filed: &Filed,
        now: OffsetDateTime,
        asked: Asked,
    ) -> Result<Availability, Error> {
        let key = filed.object_key.as_deref().unwrap_or_default();
        let head = self.bucket.head(key).await?;
        let head = head.ok_or_else(|| Error::Damaged {
            key: key.to_owned(),
            why: "it is gone".to_owned(),
        })?;
        if head.class.is_instant() || head.restored == Restored::Ready {
            return Ok(Availability::Ready(None));
        }
        let speed = self.options.speed;
        match (head.restored, asked) {
            (Restored::Never, Asked::No) => return Ok(Availability::Archived),
            (Restored::Never, Asked::Yes) => self.bucket.restore(key, self.days(), speed).await?,
            _ => {}
        }
        // S3 does not say when it was asked, so this is later than it will be.
        let expected = now + head.class.restore_max(speed);
        Ok(Availability::Restoring(expected))
    }

    /// Puts a document of a pack that can be read under its own key, and answers until when it stays.
    async fn bring_back(
        &self,
        filed: &Filed,
        pack: &Pack,
        now: OffsetDateTime,
    ) -> Result<OffsetDateTime, Error> {
        let mut transaction = self.pool.begin().await?;
        // Locked, so that nobody frees its key meanwhile.
        let there: Option<Option<Uuid>> =
            sqlx::query_scalar("SELECT pack_id FROM documents WHERE id = $1 FOR UPDATE")
                .bind(filed.id)
                .fetch_optional(&mut *transaction)
                .await?;
        if there.flatten() != Some(pack.id) {
            return Err(Error::Changed(format!("document {}", filed.id)));
        }
        self.unpack(filed, pack).await?;
        let until = now + clamped(self.options.readable);
        sqlx::query("UPDATE documents SET readable_until = $2 WHERE id = $1")
            .bind(filed.id)
            .bind(until)
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok(until)
    }

    /// One range GET, compared, and put under its own key.
    pub(super) async fn unpack(&self, filed: &Filed, pack: &Pack) -> Result<(), Error> {
        let content = self.read_packed(filed, pack).await?;
        let sha256: [u8; 32] = Sha256::digest(&content).into();
        let key = filed.object_key.as_deref().unwrap_or_default();
        let kept = kept(&filed.kind, filed.country.as_deref());
        self.bucket.put_hashed(key, content, sha256, &kept).await?;
        Ok(())
    }

    /// A document's bytes under its own key.
    async fn read_own(&self, filed: &Filed) -> Result<Bytes, Error> {
        let key = filed.object_key.as_deref().unwrap_or_default();
        let bytes = filed
            .size_bytes
            .and_then(|bytes| usize::try_from(bytes).ok());
        let object = self.bucket.get(key, bytes.unwrap_or_default()).await?;
        if filed.sha256.as_deref() == Some(Sha256::digest(&object.body).as_slice()) {
            return Ok(object.body);
        }
        Err(Error::Damaged {
            key: key.to_owned(),
            why: "other bytes than its row says".to_owned(),
        })
    }

    /// A document's bytes out of a pack that can be read.
    async fn read_packed(&self, filed: &Filed, pack: &Pack) -> Result<Bytes, Error> {
        let damaged = |why: &str| Error::Damaged {
            key: pack.key.clone(),
            why: format!("document {}: {why}", filed.id),
        };
        let at = filed.pack_offset.and_then(|at| u64::try_from(at).ok());
        let bytes = filed.size_bytes.and_then(|bytes| u64::try_from(bytes).ok());
        let (Some(at), Some(bytes), Some(sha256)) = (at, bytes, &filed.sha256) else {
            return Err(damaged("its row does not say where it is"));
        };
        let content = self.bucket.range(&pack.key, at..at + bytes).await?;
        if Sha256::digest(&content).as_slice() == sha256 {
            Ok(content)
        } else {
            Err(damaged("other bytes than its row says"))
        }
    }

    async fn filed(&self, id: Uuid) -> Result<Filed, Error> {
        document(&self.pool, id).await?.ok_or(Error::NoDocument(id))
    }

    async fn pack_of(&self, filed: &Filed) -> Result<Pack, Error> {
        let id = filed.pack_id.unwrap_or_default();
        pack(&self.pool, id).await?.ok_or(Error::NoPack(id))
    }
}

/// What a row says without a pack being asked; `None` for a document that has to be brought back.
fn known(filed: &Filed, at: OffsetDateTime) -> Option<Availability> {
    if filed.removed_at.is_some() {
        Some(Availability::Removed)
    } else if filed.object_key.is_none() {
        Some(Availability::Unmade)
    } else if filed.pack_id.is_none() {
        Some(Availability::Ready(None))
    } else {
        let until = filed.readable_until.filter(|until| *until > at);
        until.map(|until| Availability::Ready(Some(until)))
    }
}

fn clamped(duration: Duration) -> time::Duration {
    time::Duration::try_from(duration).unwrap_or(time::Duration::MAX)
}
