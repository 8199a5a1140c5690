//! Into the cold class, and away from the warm keys.

use steelyard_objects::Class;
use time::OffsetDateTime;
use uuid::Uuid;

use super::{Archive, Error, Ticked};

/// Documents whose keys are freed in one transaction: their rows are locked while S3 is called.
const SHED_ROWS: i64 = 50;

impl Archive {
    /// Moves sealed packs into the cold class.
    pub(super) async fn chill(&self, done: &mut Ticked) -> Result<(), Error> {
        let sealed: Vec<(Uuid, String, String)> = sqlx::query_as(
            "SELECT id, object_key, storage_class FROM packs WHERE state = 'sealed'",
        )
        .fetch_all(&self.pool)
        .await?;
        for (id, key, class) in sealed {
            let class: Class = class.parse().unwrap_or(Class::Standard);
            if class != Class::Standard {
                let there = self.bucket.head(&key).await?;
                // A crash may have come between the copy and the row.
                if there.is_some_and(|head| head.class != class) {
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

    /// Frees the own keys of documents in packs whose time there is over.
    pub(super) async fn shed(&self, now: OffsetDateTime, done: &mut Ticked) -> Result<(), Error> {
        loop {
            let mut transaction = self.pool.begin().await?;
            // Locked, so that nobody brings one back between the deletion and its note.
            let over: Vec<(Uuid, String)> = sqlx::query_as(
                "SELECT d.id, d.object_key FROM documents d JOIN packs p ON p.id = d.pack_id AND p.state = 'cold'
                  WHERE d.readable_until <= $1 LIMIT $2 FOR UPDATE OF d SKIP LOCKED",
            )
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
