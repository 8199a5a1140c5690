//! The end: what nothing keeps any more.

use steelyard_objects::Restored;
use time::{Date, OffsetDateTime};
use uuid::Uuid;

use super::rows::{Pack, document, pack};
use super::{Archive, Error, Retention, Ticked, hold};

/// Documents that are removed in one transaction: holds wait for it.
const ROWS: i64 = 200;

/// Documents with the day until which they are kept. `$1`–`$3` are the rules, `$4` the home country.
const KEPT: &str = "
    rule AS (SELECT * FROM unnest($1::text[], $2::text[], $3::integer[]) AS r (kind, country, years)),
    kept AS (
        SELECT d.id, d.pack_id, d.object_key,
               make_date(extract(year FROM d.issued_on)::integer + coalesce(own.years, common.years), 12, 31) AS keep_until,
               EXISTS (SELECT FROM legal_holds h WHERE h.released_at IS NULL
                        AND (h.customer_id = d.customer_id OR h.document_id = d.id)) AS held
          FROM documents d
          LEFT JOIN rule own ON own.kind = d.kind AND own.country = coalesce(d.country, $4)
          LEFT JOIN rule common ON common.kind = d.kind AND common.country IS NULL
         WHERE d.removed_at IS NULL AND d.stored_at IS NOT NULL AND d.issued_on < $5";

/// Rules as arrays.
struct Bound<'r> {
    kinds: Vec<&'static str>,
    countries: Vec<Option<String>>,
    years: Vec<i32>,
    home: &'r str,
    /// Nothing younger can be due.
    issued_before: Date,
    today: Date,
}

impl<'r> Bound<'r> {
    fn new(retention: &'r Retention, today: Date) -> Self {
        let rules: Vec<_> = retention.rules().collect();
        let least = rules.iter().map(|rule| rule.years).min().unwrap_or(0);
        let year = today.year() - least;
        Self {
            kinds: rules.iter().map(|rule| rule.kind.as_str()).collect(),
            years: rules.iter().map(|rule| rule.years).collect(),
            countries: rules.into_iter().map(|rule| rule.country).collect(),
            home: retention.home(),
            issued_before: Date::from_ordinal_date(year, 1).unwrap_or(Date::MIN),
            today,
        }
    }

    fn query<'q, T>(
        &'q self,
        sql: &'q str,
    ) -> sqlx::query::QueryAs<'q, sqlx::Postgres, T, sqlx::postgres::PgArguments>
    where
        T: for<'row> sqlx::FromRow<'row, sqlx::postgres::PgRow>,
    {
        sqlx::query_as(sqlx::AssertSqlSafe(sql.to_owned()))
            .bind(&self.kinds)
            .bind(&self.countries)
            .bind(&self.years)
            .bind(self.home)
            .bind(self.issued_before)
            .bind(self.today)
    }
}

impl Archive {
    /// Removes files whose retention time is over, and says so in their rows first.
    pub(super) async fn remove_what_is_due(
        &self,
        retention: &Retention,
        now: OffsetDateTime,
        done: &mut Ticked,
    ) -> Result<(), Error> {
        let bound = Bound::new(retention, now.date());
        while self.remove_unpacked(&bound, now, done).await? {}
        // A pack goes when its last document is due; those that are held are taken out of it first.
        let due = format!(
            "WITH {KEPT})
             SELECT pack_id FROM kept WHERE pack_id IS NOT NULL GROUP BY pack_id
             HAVING bool_and(keep_until < $6)
                AND NOT EXISTS (SELECT FROM documents young WHERE young.pack_id = kept.pack_id AND young.issued_on >= $5)"
        );
        let packs: Vec<(Uuid,)> = bound.query(&due).fetch_all(&self.pool).await?;
        for (id,) in packs {
            self.remove_pack(&bound, id, now, done).await?;
        }
        self.purge(now).await?;
        let held = format!("WITH {KEPT}) SELECT count(*) FROM kept WHERE held AND keep_until < $6");
        let (held,): (i64,) = bound.query(&held).fetch_one(&self.pool).await?;
        done.held = u64::try_from(held).unwrap_or_default();
        Ok(())
    }

    /// Some that lie under their own keys; whether there may be more.
    async fn remove_unpacked(
        &self,
        bound: &Bound<'_>,
        now: OffsetDateTime,
        done: &mut Ticked,
    ) -> Result<bool, Error> {
        let mut transaction = self.pool.begin().await?;
        hold::lock(&mut transaction).await?;
        let due = format!(
            "WITH {KEPT}) SELECT id FROM kept
              WHERE pack_id IS NULL AND keep_until < $6 AND NOT held ORDER BY id LIMIT {ROWS}"
        );
        let due: Vec<(Uuid,)> = bound.query(&due).fetch_all(&mut *transaction).await?;
        let ids: Vec<Uuid> = due.into_iter().map(|(id,)| id).collect();
        sqlx::query("UPDATE documents SET removed_at = $2 WHERE id = ANY($1)")
            .bind(&ids)
            .bind(now)
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        done.removed += ids.len() as u64;
        Ok(!ids.is_empty())
    }

    /// Decides that a pack goes, once nothing in it is held.
    async fn remove_pack(
        &self,
        bound: &Bound<'_>,
        id: Uuid,
        now: OffsetDateTime,
        done: &mut Ticked,
    ) -> Result<(), Error> {
        let Some(pack) = pack(&self.pool, id).await? else {
            return Ok(());
        };
        let mut transaction = self.pool.begin().await?;
        hold::lock(&mut transaction).await?;
        let held =
            format!("WITH {KEPT}) SELECT id FROM kept WHERE pack_id = $7 AND held ORDER BY id");
        let held: Vec<(Uuid,)> = bound
            .query(&held)
            .bind(id)
            .fetch_all(&mut *transaction)
            .await?;
        if !held.is_empty() {
            // Taken out now, or next time when the pack can be read; then it is looked at again.
            if self.ask(&pack, now).await? == Restored::Ready {
                self.take_out(&pack, &held).await?;
            }
            return Ok(());
        }
        sqlx::query("UPDATE packs SET state = 'removing' WHERE id = $1")
            .bind(id)
            .execute(&mut *transaction)
            .await?;
        let removed = sqlx::query(
            "UPDATE documents SET removed_at = $2 WHERE pack_id = $1 AND removed_at IS NULL",
        )
        .bind(id)
        .bind(now)
        .execute(&mut *transaction)
        .await?;
        sqlx::query("DELETE FROM restores WHERE pack_id = $1")
            .bind(id)
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        done.removed += removed.rows_affected();
        Ok(())
    }

    /// Puts documents of a pack back under their own keys, for good.
    async fn take_out(&self, pack: &Pack, ids: &[(Uuid,)]) -> Result<(), Error> {
        for (id,) in ids {
            let filed = document(&self.pool, *id).await?;
            let filed = filed.ok_or(Error::NoDocument(*id))?;
            self.unpack(&filed, pack).await?;
            sqlx::query(
                "UPDATE documents SET pack_id = NULL, pack_offset = NULL, readable_until = NULL
                  WHERE id = $1 AND pack_id = $2",
            )
            .bind(id)
            .bind(pack.id)
            .execute(&self.pool)
            .await?;
        }
        Ok(())
    }

    /// Deletes the objects of what was removed, and what the rows know of their content. The rows said so before, so a crash leaves nothing that is not known.
    async fn purge(&self, now: OffsetDateTime) -> Result<(), Error> {
        let packs: Vec<(Uuid, String)> =
            sqlx::query_as("SELECT id, object_key FROM packs WHERE state = 'removing'")
                .fetch_all(&self.pool)
                .await?;
        for (id, key) in packs {
            self.bucket.delete(&key).await?;
            sqlx::query("UPDATE packs SET state = 'removed', removed_at = $2 WHERE id = $1")
                .bind(id)
                .bind(now)
                .execute(&self.pool)
                .await?;
        }
        loop {
            let removed: Vec<(Uuid, String, bool)> = sqlx::query_as(
                "SELECT id, object_key, pack_id IS NULL OR readable_until IS NOT NULL FROM documents
                  WHERE removed_at IS NOT NULL AND purged_at IS NULL ORDER BY id LIMIT $1",
            )
            .bind(ROWS)
            .fetch_all(&self.pool)
            .await?;
            if removed.is_empty() {
                return Ok(());
            }
            for (_, key, _) in removed.iter().filter(|(_, _, own)| *own) {
                self.bucket.delete(key).await?;
            }
            let ids: Vec<Uuid> = removed.iter().map(|(id, _, _)| *id).collect();
            // With the file goes what it said: the file could be made again of it.
            sqlx::query(
                "WITH models AS (DELETE FROM models WHERE id = ANY($1))
                 UPDATE documents SET purged_at = $2, readable_until = NULL, words = '' WHERE id = ANY($1)",
            )
            .bind(ids)
            .bind(now)
            .execute(&self.pool)
            .await?;
        }
    }
}
