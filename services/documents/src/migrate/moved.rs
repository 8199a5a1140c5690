//! How far a migration is, and where each legacy row's file is now.

use std::collections::{BTreeSet, HashSet};

use sqlx::{PgConnection, PgPool};
use time::{Date, OffsetDateTime};
use uuid::Uuid;

use crate::db::months;
use crate::import::{Placed, Row, Stored, place};

/// A migration as it stands.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct Progress {
    /// Of the table and its columns.
    pub id: Uuid,
    /// Both, in words.
    pub source: String,
    /// All rows up to this one were looked at in this pass.
    pub after_id: Option<String>,
    /// Rows whose files were moved.
    pub rows_moved: i64,
    /// Rows whose documents were there before, by an import.
    pub rows_known: i64,
    /// Bytes that were moved.
    pub bytes_moved: i64,
    /// When a whole pass found nothing that was not moved.
    pub complete_at: Option<OffsetDateTime>,
}

const COLUMNS: &str = "id, source, after_id, rows_moved, rows_known, bytes_moved, complete_at";

/// A legacy row that cannot be moved, or not be cleared.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct Fault {
    /// Its id.
    pub legacy_id: String,
    /// One of the words in `docs/OPERATIONS.md`.
    pub code: String,
    /// What to mend.
    pub detail: String,
}

/// Where a row's file is.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub(super) struct Moved {
    pub(super) legacy_id: String,
    pub(super) document_id: Uuid,
    pub(super) object_key: String,
    pub(super) sha256: Vec<u8>,
}

/// A page that is ready to be settled. Rows are told by their places in it.
#[derive(Debug, Default)]
pub(super) struct Page {
    pub(super) after: Option<String>,
    pub(super) last: Option<String>,
    pub(super) ids: Vec<String>,
    pub(super) stored: Vec<(Row, Stored)>,
    pub(super) faults: Vec<(u64, crate::import::Fault)>,
}

pub(super) async fn begin(pool: &PgPool, id: Uuid, source: &str) -> sqlx::Result<Progress> {
    sqlx::query("INSERT INTO blob_migrations (id, source) VALUES ($1, $2) ON CONFLICT DO NOTHING")
        .bind(id)
        .bind(source)
        .execute(pool)
        .await?;
    progress(pool, id).await
}

async fn progress(pool: &PgPool, id: Uuid) -> sqlx::Result<Progress> {
    let select = format!("SELECT {COLUMNS} FROM blob_migrations WHERE id = $1");
    sqlx::query_as(sqlx::AssertSqlSafe(select))
        .bind(id)
        .fetch_one(pool)
        .await
}

/// Which of these rows are moved.
pub(super) async fn known(pool: &PgPool, id: Uuid, ids: &[&str]) -> sqlx::Result<HashSet<String>> {
    let known: Vec<String> = sqlx::query_scalar(
        "SELECT legacy_id FROM moved_blobs WHERE migration_id = $1 AND legacy_id = ANY($2)",
    )
    .bind(id)
    .bind(ids)
    .fetch_all(pool)
    .await?;
    Ok(known.into_iter().collect())
}

/// Where a row's file is, if it was moved.
pub(super) async fn moved(pool: &PgPool, id: Uuid, legacy_id: &str) -> sqlx::Result<Option<Moved>> {
    sqlx::query_as(
        "SELECT legacy_id, document_id, object_key, sha256 FROM moved_blobs WHERE migration_id = $1 AND legacy_id = $2",
    )
    .bind(id)
    .bind(legacy_id)
    .fetch_optional(pool)
    .await
}

/// Settles a page; `None` when the migration is elsewhere, by another process's doing. Also answers what was put in vain.
pub(super) async fn settle(
    pool: &PgPool,
    id: Uuid,
    page: &Page,
) -> sqlx::Result<Option<(Progress, Vec<String>)>> {
    let months: BTreeSet<Date> = page
        .stored
        .iter()
        .map(|(row, _)| months::first_of_month(row.issued_on))
        .collect();
    for month in months {
        months::make(pool, month).await?;
    }
    let mut transaction = pool.begin().await?;
    let at: Option<String> =
        sqlx::query_scalar("SELECT after_id FROM blob_migrations WHERE id = $1 FOR UPDATE")
            .bind(id)
            .fetch_one(&mut *transaction)
            .await?;
    if at != page.after {
        return Ok(None);
    }
    let placed = place(&mut transaction, id, &page.stored).await?;
    let refused: HashSet<u64> = placed.faults.iter().map(|(line, _)| *line).collect();
    let moved: Vec<&(Row, Stored)> = page
        .stored
        .iter()
        .filter(|(row, _)| !refused.contains(&row.line))
        .collect();
    note_moved(&mut transaction, id, page, &moved).await?;
    note_faults(&mut transaction, id, page, &placed).await?;
    let update = format!(
        "UPDATE blob_migrations SET after_id = $2, rows_moved = rows_moved + $3, rows_known = rows_known + $4,
                bytes_moved = bytes_moved + $5, updated_at = now(), complete_at = NULL
         WHERE id = $1 RETURNING {COLUMNS}"
    );
    let progress = sqlx::query_as(sqlx::AssertSqlSafe(update))
        .bind(id)
        .bind(&page.last)
        .bind(i64::try_from(placed.new).unwrap_or(i64::MAX))
        .bind(i64::try_from(placed.known.len()).unwrap_or(i64::MAX))
        .bind(placed.bytes)
        .fetch_one(&mut *transaction)
        .await?;
    transaction.commit().await?;
    Ok(Some((progress, placed.orphans)))
}

fn legacy_id(page: &Page, line: u64) -> &str {
    let at = usize::try_from(line).unwrap_or(usize::MAX);
    page.ids.get(at).map_or("", String::as_str)
}

async fn note_moved(
    connection: &mut PgConnection,
    id: Uuid,
    page: &Page,
    moved: &[&(Row, Stored)],
) -> sqlx::Result<()> {
    let ids: Vec<&str> = moved
        .iter()
        .map(|(row, _)| legacy_id(page, row.line))
        .collect();
    sqlx::query(
        "INSERT INTO moved_blobs (migration_id, legacy_id, document_id, object_key, sha256)
         SELECT $1, m.* FROM unnest($2::text[], $3::uuid[], $4::text[], $5::bytea[]) AS m (id, document, key, sha256)
         ON CONFLICT DO NOTHING",
    )
    .bind(id)
    .bind(&ids)
    .bind(moved.iter().map(|(row, _)| row.document_id()).collect::<Vec<_>>())
    .bind(moved.iter().map(|(_, stored)| stored.key.as_str()).collect::<Vec<_>>())
    .bind(moved.iter().map(|(row, _)| row.sha256.as_slice()).collect::<Vec<&[u8]>>())
    .execute(&mut *connection)
    .await?;
    sqlx::query("DELETE FROM blob_faults WHERE migration_id = $1 AND legacy_id = ANY($2)")
        .bind(id)
        .bind(&ids)
        .execute(connection)
        .await?;
    Ok(())
}

async fn note_faults(
    connection: &mut PgConnection,
    id: Uuid,
    page: &Page,
    placed: &Placed,
) -> sqlx::Result<()> {
    for (line, fault) in page.faults.iter().chain(&placed.faults) {
        note_fault(
            connection,
            id,
            legacy_id(page, *line),
            fault.code,
            &fault.detail,
        )
        .await?;
    }
    Ok(())
}

/// Notes what is wrong with a row; the last word stands.
pub(super) async fn note_fault(
    connection: &mut PgConnection,
    id: Uuid,
    legacy_id: &str,
    code: &str,
    detail: &str,
) -> sqlx::Result<()> {
    sqlx::query(
        "INSERT INTO blob_faults (migration_id, legacy_id, code, detail) VALUES ($1, $2, $3, $4)
         ON CONFLICT (migration_id, legacy_id) DO UPDATE SET code = $3, detail = $4, noted_at = now()",
    )
    .bind(id)
    .bind(legacy_id)
    .bind(code)
    .bind(detail)
    .execute(connection)
    .await?;
    Ok(())
}

/// Lets the next pass begin; with `complete`, this one found nothing.
pub(super) async fn end_pass(pool: &PgPool, id: Uuid, complete: bool) -> sqlx::Result<Progress> {
    let update = format!(
        "UPDATE blob_migrations SET after_id = NULL, updated_at = now(), complete_at = CASE WHEN $2 THEN now() END
         WHERE id = $1 RETURNING {COLUMNS}"
    );
    sqlx::query_as(sqlx::AssertSqlSafe(update))
        .bind(id)
        .bind(complete)
        .fetch_one(pool)
        .await
}

/// Faults, in the order of their ids; and how many there are.
pub(super) async fn faults(pool: &PgPool, id: Uuid, limit: i64) -> sqlx::Result<(Vec<Fault>, i64)> {
    let count = sqlx::query_scalar("SELECT count(*) FROM blob_faults WHERE migration_id = $1")
        .bind(id)
        .fetch_one(pool)
        .await?;
    let first = sqlx::query_as(
        "SELECT legacy_id, code, detail FROM blob_faults WHERE migration_id = $1 ORDER BY legacy_id LIMIT $2",
    )
    .bind(id)
    .bind(limit)
    .fetch_all(pool)
    .await?;
    Ok((first, count))
}
