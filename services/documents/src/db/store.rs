//! That a file is there.

use sqlx::PgPool;
use uuid::Uuid;

/// A file that was stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// The document.
    pub id: Uuid,
    /// Where it lies.
    pub key: String,
    /// Of its bytes.
    pub sha256: [u8; 32],
    /// How many.
    pub size_bytes: i64,
    /// Pages, if they were counted.
    pub pages: Option<i32>,
}

/// Notes that files are stored. Whoever came first stands: they tell of the same bytes.
///
/// # Errors
/// Those of Postgres.
pub async fn stored(pool: &PgPool, files: &[Stored]) -> sqlx::Result<()> {
    let hashes: Vec<&[u8]> = files.iter().map(|file| file.sha256.as_slice()).collect();
    sqlx::query(
        "UPDATE documents d
         SET stored_at = now(), object_key = f.key, sha256 = f.sha256, size_bytes = f.size_bytes, pages = f.pages
         FROM unnest($1::uuid[], $2::text[], $3::bytea[], $4::bigint[], $5::integer[])
              AS f (id, key, sha256, size_bytes, pages)
         WHERE d.id = f.id AND d.stored_at IS NULL",
    )
    .bind(files.iter().map(|file| file.id).collect::<Vec<_>>())
    .bind(files.iter().map(|file| file.key.as_str()).collect::<Vec<_>>())
    .bind(hashes)
    .bind(files.iter().map(|file| file.size_bytes).collect::<Vec<_>>())
    .bind(files.iter().map(|file| file.pages).collect::<Vec<_>>())
    .execute(pool)
    .await?;
    Ok(())
}
