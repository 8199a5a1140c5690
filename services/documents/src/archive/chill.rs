//! Into the cold class, and away from the warm keys.

use steelyard_objects::{Class, Head};
use time::OffsetDateTime;
use uuid::Uuid;

use super::{Archive, Error, Ticked};

/// Documents whose keys are freed in one transaction: their rows are locked while S3 is called.
const SHED_ROWS: i64 = 50;

impl Archive {
    /// Moves sealed packs into the cold class.
    pub(super) async fn chill(&self, done: &mut Ticked) -> Result<(), Error> {
        let sealed: Vec<(Uuid, String, String, i64)> = sqlx::query_as(
            "SELECT id, object_key, storage_class, size_bytes FROM packs WHERE state = 'sealed'",
        )
        .fetch_all(&self.pool)
        .await?;
        for (id, key, class, bytes) in sealed {
            let Some(there) = self.whole(&key, bytes, done).await? else {
                continue;
            };
            let class: Class = class.parse().unwrap_or(Class::Standard);
            if class != Class::Standard {
                // A crash may have come between the copy and the row.
                if there.class != class {
                    self.bucket.set_class(&key, class).await?;
                }
                done.chilled += 1;
            }
            sqlx::query("UPDATE packs SET state = 'cold' WHERE id = $1 AND state = 'sealed'")
                .bind(id)
                .execute(&self.pool)
                .await?;
        }
        Ok(())
    }

    /// A pack as S3 has it, if it is there in its full size. One that is not is told of and left alone: the last copies of its
    /// documents may be those under their own keys. Other packs go on.
    async fn whole(&self, key: &str, bytes: i64, done: &mut Ticked) -> Result<Option<Head>, Error> {
        let there = self.bucket.head(key).await?;
        let whole = there.filter(|head| i64::try_from(head.bytes) == Ok(bytes));
        if whole.is_none() {
            tracing::error!(key, "a pack is gone or has another size");
            done.lost += 1;
        }
        Ok(whole)
    }

    /// Frees the own keys of documents whose time there is over, in packs that are still where they were put.
    pub(super) async fn shed(&self, now: OffsetDateTime, done: &mut Ticked) -> Result<(), Error> {
        let packs: Vec<(Uuid, String, i64)> = sqlx::query_as(
            "SELECT DISTINCT p.id, p.object_key, p.size_bytes FROM documents d
               JOIN packs p ON p.id = d.pack_id AND p.state = 'cold'
              WHERE d.readable_until <= $1",
        )
        .bind(now)
        .fetch_all(&self.pool)
        .await?;
        for (id, key, bytes) in packs {
            if self.whole(&key, bytes, done).await?.is_some() {
                self.shed_those_of(id, now, done).await?;
            }
        }
        Ok(())
    }

    async fn shed_those_of(
        &self,
        pack: Uuid,
        now: OffsetDateTime,
        done: &mut Ticked,
    ) -> Result<(), Error> {
        loop {
            let mut transaction = self.pool.begin().await?;
            // Locked, so that nobody brings one back between the deletion and its note.
            let over: Vec<(Uuid, String)> = sqlx::query_as(
                "SELECT id, object_key FROM documents WHERE pack_id = $1 AND readable_until <= $2
                  LIMIT $3 FOR UPDATE SKIP LOCKED",
            )
            .bind(pack)
            .bind(now)
            .bind(SHED_ROWS)
            .fetch_all(&mut *transaction)
            .await?;
            for (_, key) in &over {
                self.bucket.delete(key).await?;
            }
            let ids: Vec<Uuid> = over.iter().map(|(id, _)| *id).collect();
            sqlx::query("UPDATE documents SET readable_until = NULL WHERE id = ANY($1)")
                .bind(&ids)
                .execute(&mut *transaction)
                .await?;
            transaction.commit().await?;
            done.shed += ids.len() as u64;
            if ids.is_empty() {
                return Ok(());
            }
        }
    }
}
