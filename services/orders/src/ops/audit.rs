//! What operators did.

use sqlx::postgres::PgRow;
use sqlx::types::Json;
use sqlx::{PgExecutor, Row as _};
use steelyard_domain::ops::{AuditEntry, NewAuditEntry};

const APPEND: &str = "
    INSERT INTO ops_audit (by, action, subject, reason, detail) VALUES ($1, $2, $3, $4, $5)
    RETURNING id, at, by, action, subject, reason, detail";

const LIST: &str = "
    SELECT id, at, by, action, subject, reason, detail FROM ops_audit
    WHERE ($1::bigint IS NULL OR id < $1) AND ($2::text IS NULL OR action = $2)
    ORDER BY id DESC LIMIT $3";

/// Writes an entry.
pub(crate) async fn append(
    executor: impl PgExecutor<'_>,
    entry: &NewAuditEntry,
) -> sqlx::Result<AuditEntry> {
    let row = sqlx::query(APPEND)
        .bind(&entry.by)
        .bind(&entry.action)
        .bind(&entry.subject)
        .bind(&entry.reason)
        .bind(Json(&entry.detail))
        .fetch_one(executor)
        .await?;
    read(&row)
}

/// Entries before `before`, newest first.
pub(crate) async fn list(
    executor: impl PgExecutor<'_>,
    action: Option<&str>,
    before: Option<i64>,
    limit: u32,
) -> sqlx::Result<Vec<AuditEntry>> {
    let rows = sqlx::query(LIST)
        .bind(before)
        .bind(action)
        .bind(i64::from(limit))
        .fetch_all(executor)
        .await?;
    rows.iter().map(read).collect()
}

fn read(row: &PgRow) -> sqlx::Result<AuditEntry> {
    let Json(detail) = row.try_get("detail")?;
    Ok(AuditEntry {
        id: row.try_get("id")?,
        at: row.try_get("at")?,
        by: row.try_get("by")?,
        action: row.try_get("action")?,
        subject: row.try_get("subject")?,
        reason: row.try_get("reason")?,
        detail,
    })
}
