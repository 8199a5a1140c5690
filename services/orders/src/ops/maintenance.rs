//! The maintenance state, as it is stored.

use serde_json::json;
use sqlx::postgres::PgRow;
use sqlx::{PgExecutor, PgPool, Row as _};
use steelyard_domain::ops::{Maintenance, MaintenanceOrder, NewAuditEntry, Work};
use time::format_description::well_known::Rfc3339;

use super::audit;

/// The action in the audit.
const ACTION: &str = "maintenance";

const LOAD: &str = "SELECT processing, reason, until, changed_by, changed_at FROM maintenance";

const SET: &str = "
    INSERT INTO maintenance (processing, reason, until, changed_by) VALUES ($1, $2, $3, $4)
    ON CONFLICT (is_only) DO UPDATE
    SET processing = excluded.processing, reason = excluded.reason, until = excluded.until,
        changed_by = excluded.changed_by, changed_at = now()
    RETURNING processing, reason, until, changed_by, changed_at";

/// Reads the state; workers work until somebody says otherwise.
pub(crate) async fn load(executor: impl PgExecutor<'_>) -> sqlx::Result<Maintenance> {
    let row = sqlx::query(LOAD).fetch_optional(executor).await?;
    row.as_ref()
        .map_or_else(|| Ok(Maintenance::default()), read)
}

/// Changes the state and writes that down, or neither.
pub(crate) async fn set(pool: &PgPool, order: &MaintenanceOrder) -> sqlx::Result<Maintenance> {
    let MaintenanceOrder { by, set } = order;
    let mut transaction = pool.begin().await?;
    let before = load(&mut *transaction).await?;
    let row = sqlx::query(SET)
        .bind(set.processing.as_str())
        .bind(&set.reason)
        .bind(set.until)
        .bind(by)
        .fetch_one(&mut *transaction)
        .await?;
    let until = set.until.and_then(|until| until.format(&Rfc3339).ok());
    let entry = NewAuditEntry {
        by: by.clone(),
        action: ACTION.to_owned(),
        subject: "processing".to_owned(),
        reason: set.reason.clone(),
        detail: json!({
            "before": before.processing.as_str(), "after": set.processing.as_str(), "until": until,
        }),
    };
    audit::append(&mut *transaction, &entry).await?;
    transaction.commit().await?;
    read(&row)
}

fn read(row: &PgRow) -> sqlx::Result<Maintenance> {
    let processing = match row.try_get("processing")? {
        "paused" => Work::Paused,
        _ => Work::Running,
    };
    Ok(Maintenance {
        processing,
        reason: row.try_get("reason")?,
        until: row.try_get("until")?,
        changed_by: row.try_get("changed_by")?,
        changed_at: row.try_get("changed_at")?,
    })
}
