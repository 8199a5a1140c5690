//! Packs and what is in them, in the schema.

use sqlx::PgPool;
use steelyard_objects::Class;
use time::{Date, OffsetDateTime};
use uuid::Uuid;

/// A pack that is sealed and not removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pack {
    pub(super) id: Uuid,
    pub(super) key: String,
    /// The class that it is in; until it is chilled, that is the warm one.
    pub(super) class: Class,
    pub(super) bytes: i64,
    pub(super) root: Vec<u8>,
    pub(super) restore_expected_at: Option<OffsetDateTime>,
}

#[derive(sqlx::FromRow)]
struct PackRow {
    id: Uuid,
    object_key: String,
    state: String,
    storage_class: String,
    size_bytes: i64,
    root: Vec<u8>,
    restore_expected_at: Option<OffsetDateTime>,
}

impl From<PackRow> for Pack {
    fn from(row: PackRow) -> Self {
        let class = row.storage_class.parse();
        Self {
            id: row.id,
            key: row.object_key,
            class: match class {
                Ok(class) if row.state == "cold" => class,
                _ => Class::Standard,
            },
            bytes: row.size_bytes,
            root: row.root,
            restore_expected_at: row.restore_expected_at,
        }
    }
}

/// A pack, unless it is being written or was removed.
pub(super) async fn pack(pool: &PgPool, id: Uuid) -> sqlx::Result<Option<Pack>> {
    let row: Option<PackRow> = sqlx::query_as(
        "SELECT id, object_key, state, storage_class, size_bytes, root, restore_expected_at FROM packs
         WHERE id = $1 AND state IN ('sealed', 'cold')",
    )
    .bind(id)
    .fetch_optional(pool)
    .await?;
    Ok(row.map(Pack::from))
}

/// A document as the archive sees it.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub(super) struct Filed {
    pub(super) id: Uuid,
    pub(super) kind: String,
    pub(super) country: Option<String>,
    pub(super) issued_on: Date,
    pub(super) object_key: Option<String>,
    pub(super) sha256: Option<Vec<u8>>,
    pub(super) size_bytes: Option<i64>,
    pub(super) pack_id: Option<Uuid>,
    pub(super) pack_offset: Option<i64>,
    pub(super) readable_until: Option<OffsetDateTime>,
    pub(super) removed_at: Option<OffsetDateTime>,
}

pub(super) async fn document(pool: &PgPool, id: Uuid) -> sqlx::Result<Option<Filed>> {
    sqlx::query_as(
        // The shop's own country is in what was issued, and not in its row.
        "SELECT d.id, d.kind, coalesce(d.country, m.model->'seller'->'address'->>'country') AS country, d.issued_on,
                d.object_key, d.sha256, d.size_bytes, d.pack_id, d.pack_offset, d.readable_until, d.removed_at
         FROM documents d LEFT JOIN models m ON m.id = d.id WHERE d.id = $1",
    )
    .bind(id)
    .fetch_optional(pool)
    .await
}
