//! Who changed a product, when, and what it was before.

use sqlx::types::Json;
use sqlx::{PgPool, Row as _};
use steelyard_domain::id::Sku;
use steelyard_domain::product::Change;

/// Changes of a product before version `before`, newest first; its making is the last.
pub(crate) async fn changes(
    pool: &PgPool,
    sku: &Sku,
    before: Option<i64>,
    limit: u32,
) -> Result<Vec<Change>, sqlx::Error> {
    let rows = sqlx::query(
        "SELECT version, at, by, before FROM changes
         WHERE kind = 'product' AND subject = $1 AND ($2::bigint IS NULL OR version < $2)
         UNION ALL
         SELECT 1, created_at, created_by, NULL FROM products
         WHERE sku = $1 AND ($2::bigint IS NULL OR 1 < $2)
         ORDER BY version DESC LIMIT $3",
    )
    .bind(sku.as_str())
    .bind(before)
    .bind(i64::from(limit))
    .fetch_all(pool)
    .await?;
    let change = |row: sqlx::postgres::PgRow| {
        let before: Option<Json<serde_json::Value>> = row.try_get("before")?;
        Ok(Change {
            version: row.try_get("version")?,
            at: row.try_get("at")?,
            by: row.try_get("by")?,
            before: before.map(|Json(before)| before),
        })
    };
    rows.into_iter().map(change).collect()
}
