//! The table of images.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};
use sqlx::postgres::PgRow;
use sqlx::types::Json;
use sqlx::{PgConnection, PgPool, Row as _};
use steelyard_domain::id::Sku;
use steelyard_domain::media::{
    IMAGES_MAX, ImageDraft, ImageStatus, ImageType, Refusal, RenditionType,
};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::events::Events;

/// An image as it is kept.
#[derive(Debug, Clone)]
pub(super) struct Row {
    pub(super) id: Uuid,
    pub(super) sku: Sku,
    pub(super) status: ImageStatus,
    pub(super) content_type: ImageType,
    pub(super) bytes: u64,
    pub(super) alt: Option<String>,
    pub(super) size: Option<(u32, u32)>,
    pub(super) renditions: Vec<Kept>,
    pub(super) refusal: Option<Refusal>,
    pub(super) created_by: String,
    pub(super) created_at: OffsetDateTime,
}

/// A rendition as it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Kept {
    pub(super) content_type: RenditionType,
    pub(super) width: u32,
    pub(super) height: u32,
    pub(super) bytes: u64,
    pub(super) key: String,
}

/// What came of announcing an image.
#[derive(Debug)]
pub(super) enum Announced {
    Made(Box<Row>),
    NoProduct,
    TooMany,
}

const COLUMNS: &str = "id, sku, state, content_type, bytes, alt, width, height, renditions, \
    refusal_code, refusal, created_by, created_at";

/// Announces an image of a product.
pub(super) async fn announce(
    pool: &PgPool,
    id: Uuid,
    sku: &Sku,
    draft: &ImageDraft,
    by: &str,
) -> sqlx::Result<Announced> {
    // Two at once may go one beyond the limit; it is there to bound, not to count.
    let insert = format!(
        "INSERT INTO images (id, sku, state, content_type, bytes, alt, created_by)
         SELECT $1, $2, 'pending', $3, $4, $5, $6
         WHERE (SELECT count(*) FROM images WHERE sku = $2 AND state <> 'removed') < $7
         RETURNING {COLUMNS}"
    );
    let made = sqlx::query(sqlx::AssertSqlSafe(insert))
        .bind(id)
        .bind(sku.as_str())
        .bind(draft.content_type.as_str())
        .bind(i64::try_from(draft.bytes).unwrap_or(i64::MAX))
        .bind(&draft.alt)
        .bind(by)
        .bind(IMAGES_MAX)
        .fetch_optional(pool)
        .await;
    match made {
        Ok(Some(row)) => Ok(Announced::Made(Box::new(read(&row)?))),
        Ok(None) => Ok(Announced::TooMany),
        Err(sqlx::Error::Database(error)) if error.is_foreign_key_violation() => {
            Ok(Announced::NoProduct)
        }
        Err(error) => Err(error),
    }
}

/// All images of these products that are in this state, or that are not removed.
pub(super) async fn of_products(
    pool: &PgPool,
    skus: &[&str],
    status: Option<ImageStatus>,
) -> sqlx::Result<Vec<Row>> {
    let select = format!(
        "SELECT {COLUMNS} FROM images
         WHERE sku = ANY($1) AND state <> 'removed' AND ($2::text IS NULL OR state = $2)
         ORDER BY sku, created_at, id"
    );
    let rows = sqlx::query(sqlx::AssertSqlSafe(select))
        .bind(skus)
        .bind(status.map(ImageStatus::as_str))
        .fetch_all(pool)
        .await?;
    rows.iter().map(read).collect()
}

/// One image, if it is not removed.
pub(super) async fn one(pool: &PgPool, id: Uuid) -> sqlx::Result<Option<Row>> {
    let select = format!("SELECT {COLUMNS} FROM images WHERE id = $1 AND state <> 'removed'");
    let row = sqlx::query(sqlx::AssertSqlSafe(select))
        .bind(id)
        .fetch_optional(pool)
        .await?;
    row.as_ref().map(read).transpose()
}

/// It was uploaded; its work is due to be announced at once.
pub(super) async fn uploaded(pool: &PgPool, id: Uuid) -> sqlx::Result<()> {
    sqlx::query(
        "UPDATE images SET state = 'processing', announce_at = now()
         WHERE id = $1 AND state = 'pending'",
    )
    .bind(id)
    .execute(pool)
    .await
    .map(|_| ())
}

/// Uploads whose work was not announced, or not done for long.
pub(super) async fn to_announce(pool: &PgPool, limit: i64) -> sqlx::Result<Vec<Uuid>> {
    sqlx::query_scalar(
        "SELECT id FROM images WHERE state = 'processing' AND announce_at <= now()
         ORDER BY announce_at LIMIT $1",
    )
    .bind(limit)
    .fetch_all(pool)
    .await
}

/// Its work was announced: not again for a while.
pub(super) async fn was_announced(pool: &PgPool, id: Uuid) -> sqlx::Result<()> {
    sqlx::query("UPDATE images SET announce_at = now() + interval '15 minutes' WHERE id = $1")
        .bind(id)
        .execute(pool)
        .await
        .map(|_| ())
}

/// Renditions were made, and the product is shown with them; false if nobody waits for them any more.
pub(super) async fn ready(
    pool: &PgPool,
    events: &Events,
    row: &Row,
    (width, height): (u32, u32),
    renditions: &[Kept],
) -> sqlx::Result<bool> {
    let mut transaction = pool.begin().await?;
    let changed = sqlx::query(
        "UPDATE images SET state = 'ready', width = $2, height = $3, renditions = $4,
                           settled_at = now()
         WHERE id = $1 AND state = 'processing'",
    )
    .bind(row.id)
    .bind(i64::from(width))
    .bind(i64::from(height))
    .bind(Json(renditions))
    .execute(&mut *transaction)
    .await?;
    let is_ready = changed.rows_affected() == 1;
    if is_ready {
        tell(&mut transaction, events, &row.sku).await?;
    }
    transaction.commit().await?;
    Ok(is_ready)
}

/// It cannot be shown.
pub(super) async fn refused(pool: &PgPool, id: Uuid, refusal: &Refusal) -> sqlx::Result<()> {
    sqlx::query(
        "UPDATE images SET state = 'refused', refusal_code = $2, refusal = $3, settled_at = now()
         WHERE id = $1 AND state = 'processing'",
    )
    .bind(id)
    .bind(&refusal.code)
    .bind(&refusal.detail)
    .execute(pool)
    .await
    .map(|_| ())
}

/// Takes an image of a product away; false if there is none.
pub(super) async fn remove(
    pool: &PgPool,
    events: &Events,
    sku: &Sku,
    id: Uuid,
    by: &str,
) -> sqlx::Result<bool> {
    let mut transaction = pool.begin().await?;
    let was_shown: Option<bool> = sqlx::query_scalar(
        "WITH before AS (
             SELECT id, state FROM images WHERE id = $1 AND sku = $2 AND state <> 'removed' FOR UPDATE
         ) UPDATE images SET state = 'removed', removed_by = $3, removed_at = now()
         FROM before WHERE images.id = before.id RETURNING before.state = 'ready'",
    )
    .bind(id)
    .bind(sku.as_str())
    .bind(by)
    .fetch_optional(&mut *transaction)
    .await?;
    if was_shown == Some(true) {
        tell(&mut transaction, events, sku).await?;
    }
    transaction.commit().await?;
    Ok(was_shown.is_some())
}

/// Tells that a product is shown with other images, in the caller's transaction. Its version stays: nothing that a
/// `PUT` could undo was changed.
async fn tell(connection: &mut PgConnection, events: &Events, sku: &Sku) -> sqlx::Result<()> {
    let version: i64 = sqlx::query_scalar("SELECT version FROM products WHERE sku = $1")
        .bind(sku.as_str())
        .fetch_one(&mut *connection)
        .await?;
    let versions = HashMap::from([(sku.as_str().to_owned(), version)]);
    events.changed(connection, &versions).await
}

/// Gives up on what was announced and never completed, and on what was refused long ago. Answers
/// how many.
pub(super) async fn give_up(
    pool: &PgPool,
    pending_s_max: i64,
    refused_s_max: i64,
) -> sqlx::Result<u64> {
    let changed = sqlx::query(
        "UPDATE images SET state = 'removed', removed_at = now()
         WHERE state = 'pending' AND created_at < now() - $1 * interval '1 second'
            OR state = 'refused' AND created_at < now() - $2 * interval '1 second'",
    )
    .bind(pending_s_max)
    .bind(refused_s_max)
    .execute(pool)
    .await?;
    Ok(changed.rows_affected())
}

/// Removed images for which no upload can begin any more, and which nobody works on any more.
pub(super) async fn to_clear(
    pool: &PgPool,
    age_s_min: i64,
    removed_s_min: i64,
    limit: i64,
) -> sqlx::Result<Vec<Uuid>> {
    sqlx::query_scalar(
        "SELECT id FROM images
         WHERE state = 'removed' AND cleared_at IS NULL
           AND created_at < now() - $1 * interval '1 second'
           AND removed_at < now() - $2 * interval '1 second'
         ORDER BY created_at LIMIT $3",
    )
    .bind(age_s_min)
    .bind(removed_s_min)
    .bind(limit)
    .fetch_all(pool)
    .await
}

/// Its objects are gone. The row stays if somebody removed it: it says who.
pub(super) async fn cleared(pool: &PgPool, id: Uuid) -> sqlx::Result<()> {
    sqlx::query(
        "WITH given_up AS (DELETE FROM images WHERE id = $1 AND state = 'removed' AND removed_by IS NULL)
         UPDATE images SET cleared_at = now() WHERE id = $1 AND removed_by IS NOT NULL",
    )
    .bind(id)
    .execute(pool)
    .await
    .map(|_| ())
}

/// Whether Postgres gives out a transaction id: a replica that is read-only answers every other `SELECT`.
pub(super) async fn can_write(pool: &PgPool) -> bool {
    let asked = sqlx::query("SELECT pg_current_xact_id()").execute(pool);
    asked.await.is_ok()
}

fn read(row: &PgRow) -> sqlx::Result<Row> {
    let unreadable = || sqlx::Error::Decode("an image that the domain does not take".into());
    let word = |column: &str| row.try_get::<String, _>(column);
    let pixels = |column: &str| -> sqlx::Result<Option<u32>> {
        let pixels: Option<i32> = row.try_get(column)?;
        Ok(pixels.and_then(|pixels| u32::try_from(pixels).ok()))
    };
    let (code, detail): (Option<String>, Option<String>) =
        (row.try_get("refusal_code")?, row.try_get("refusal")?);
    let Json(renditions) = row.try_get("renditions")?;
    Ok(Row {
        id: row.try_get("id")?,
        sku: Sku::try_from(word("sku")?).map_err(|_| unreadable())?,
        status: ImageStatus::from_word(&word("state")?).ok_or_else(unreadable)?,
        content_type: ImageType::from_word(&word("content_type")?).ok_or_else(unreadable)?,
        bytes: u64::try_from(row.try_get::<i64, _>("bytes")?).map_err(|_| unreadable())?,
        alt: row.try_get("alt")?,
        size: pixels("width")?.zip(pixels("height")?),
        renditions,
        refusal: code
            .zip(detail)
            .map(|(code, detail)| Refusal { code, detail }),
        created_by: row.try_get("created_by")?,
        created_at: row.try_get("created_at")?,
    })
}
