//! The legacy table: pages of rows, their contents, and their clearing.

use bytes::{Bytes, BytesMut};
use sqlx::{AssertSqlSafe, PgPool};

use super::Error;
use super::config::{Config, quoted};
use crate::import::{FILE_BYTES_MAX, Fault};

/// Of a large object at once.
const CHUNK_BYTES: i32 = 1 << 20;
/// There is no large object of this id (PostgreSQL manual, appendix A).
const UNDEFINED_OBJECT: &str = "42704";

/// A row, all but its content. What it says is text: what cannot be is the row's fault, not the query's.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub(super) struct LegacyRow {
    pub(super) id: String,
    pub(super) customer: Option<String>,
    pub(super) kind: Option<String>,
    pub(super) number: Option<String>,
    pub(super) date: Option<String>,
    pub(super) country: Option<String>,
    pub(super) currency: Option<String>,
    pub(super) total: Option<String>,
    /// Not known of a large object.
    pub(super) bytes: Option<i64>,
}

/// What became of a row that was to be cleared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cleared {
    /// Its content is gone, now or since before.
    Yes,
    /// Its content is not what was moved.
    Changed,
}

/// The table, as its columns turned out to be.
#[derive(Debug, Clone)]
pub(super) struct Legacy {
    pool: PgPool,
    page: String,
    content: String,
    clear: String,
    has_content: String,
    is_large: bool,
}

impl Legacy {
    pub(super) async fn open(pool: PgPool, config: &Config) -> Result<Self, Error> {
        let table = config.quoted_table();
        let id_type = column_type(&pool, &table, &config.id).await?;
        let blob_type = column_type(&pool, &table, &config.blob).await?;
        let is_large = match blob_type.as_str() {
            "bytea" => false,
            "oid" => true,
            other => {
                let column = &config.blob;
                return Err(Error::Table(format!(
                    "{column} is {other}, neither bytea nor oid"
                )));
            }
        };
        let (id, blob) = (quoted(&config.id), quoted(&config.blob));
        let text = |expression: &Option<String>| {
            let expression = expression.as_deref();
            expression.map_or("NULL::text".to_owned(), |it| format!("({it})::text"))
        };
        let filter = config.filter.as_deref().unwrap_or("true");
        let size = if is_large {
            "NULL::bigint".to_owned()
        } else {
            format!("octet_length({blob})::bigint")
        };
        // The column by its table: `id` alone would be the text.
        let page = format!(
            "SELECT {id}::text AS id, ({})::text AS customer, ({})::text AS kind, ({})::text AS number, ({})::text AS date,
                    {} AS country, {} AS currency, {} AS total, {size} AS bytes
               FROM {table}
              WHERE ({filter}) AND {blob} IS NOT NULL AND ($1::text IS NULL OR {id} > $1::text::{id_type})
              ORDER BY {table}.{id} LIMIT $2",
            config.customer,
            config.kind,
            config.number,
            config.date,
            text(&config.country),
            text(&config.currency),
            text(&config.total),
        );
        let of_row = format!("FROM {table} WHERE {id} = $1::text::{id_type}");
        let hash = if is_large {
            format!("sha256(lo_get({blob}))")
        } else {
            format!("sha256({blob})")
        };
        Ok(Self {
            pool,
            page,
            content: if is_large {
                format!(
                    "SELECT lo_get({blob}, $2::bigint, $3::integer) {of_row} AND {blob} IS NOT NULL"
                )
            } else {
                format!("SELECT {blob} {of_row} AND {blob} IS NOT NULL")
            },
            // One statement compares and clears; a large object goes with its row's pointer to it.
            clear: if is_large {
                format!(
                    "WITH held AS (SELECT {id} AS id, {blob} AS blob {of_row} AND {blob} IS NOT NULL AND {hash} = $2 FOR UPDATE),
                          gone AS (UPDATE {table} SET {blob} = NULL FROM held WHERE {table}.{id} = held.id RETURNING held.blob)
                     SELECT count(lo_unlink(blob)) FROM gone"
                )
            } else {
                format!(
                    "WITH gone AS (UPDATE {table} SET {blob} = NULL WHERE {id} = $1::text::{id_type} AND {hash} = $2 RETURNING 1)
                     SELECT count(*) FROM gone"
                )
            },
            has_content: format!("SELECT count(*) {of_row} AND {blob} IS NOT NULL"),
            is_large,
        })
    }

    /// Rows behind an id, in the order of ids.
    pub(super) async fn page(
        &self,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<LegacyRow>, Error> {
        sqlx::query_as(AssertSqlSafe(self.page.clone()))
            .bind(after)
            .bind(i64::try_from(limit).unwrap_or(i64::MAX))
            .fetch_all(&self.pool)
            .await
            .map_err(Error::Legacy)
    }

    /// The content of a row; `None` when it has none.
    pub(super) async fn content(&self, id: &str) -> Result<Result<Option<Bytes>, Fault>, Error> {
        if self.is_large {
            return self.large_object(id).await;
        }
        let content: Option<Vec<u8>> = sqlx::query_scalar(AssertSqlSafe(self.content.clone()))
            .bind(id)
            .fetch_optional(&self.pool)
            .await
            .map_err(Error::Legacy)?;
        Ok(Ok(content.map(Bytes::from)))
    }

    async fn large_object(&self, id: &str) -> Result<Result<Option<Bytes>, Fault>, Error> {
        let mut whole = BytesMut::new();
        loop {
            let at = i64::try_from(whole.len()).unwrap_or(i64::MAX);
            let chunk: Result<Option<Vec<u8>>, _> =
                sqlx::query_scalar(AssertSqlSafe(self.content.clone()))
                    .bind(id)
                    .bind(at)
                    .bind(CHUNK_BYTES)
                    .fetch_optional(&self.pool)
                    .await;
            let chunk = match chunk {
                Ok(Some(chunk)) => chunk,
                Ok(None) => return Ok(Ok(None)),
                Err(error) if is_missing(&error) => {
                    return Ok(Err(Fault::new(
                        "missing_file",
                        "there is no such large object",
                    )));
                }
                Err(error) => return Err(Error::Legacy(error)),
            };
            whole.extend_from_slice(&chunk);
            if whole.len() as u64 > FILE_BYTES_MAX {
                return Ok(Err(too_large()));
            }
            if i32::try_from(chunk.len()).is_ok_and(|length| length < CHUNK_BYTES) {
                return Ok(Ok(Some(whole.freeze())));
            }
        }
    }

    /// Clears a row's content if it is still the one of this hash.
    pub(super) async fn clear(&self, id: &str, sha256: &[u8]) -> Result<Cleared, Error> {
        let cleared: i64 = sqlx::query_scalar(AssertSqlSafe(self.clear.clone()))
            .bind(id)
            .bind(sha256)
            .fetch_one(&self.pool)
            .await
            .map_err(Error::Legacy)?;
        if cleared > 0 {
            return Ok(Cleared::Yes);
        }
        let has_content: i64 = sqlx::query_scalar(AssertSqlSafe(self.has_content.clone()))
            .bind(id)
            .fetch_one(&self.pool)
            .await
            .map_err(Error::Legacy)?;
        Ok(if has_content == 0 {
            Cleared::Yes
        } else {
            Cleared::Changed
        })
    }
}

/// Of a file that is larger than any may be.
pub(super) fn too_large() -> Fault {
    Fault::new(
        "too_large",
        format!("it has more than {FILE_BYTES_MAX} bytes"),
    )
}

fn is_missing(error: &sqlx::Error) -> bool {
    let code = error
        .as_database_error()
        .and_then(sqlx::error::DatabaseError::code);
    code.is_some_and(|code| code == UNDEFINED_OBJECT)
}

async fn column_type(pool: &PgPool, table: &str, column: &str) -> Result<String, Error> {
    let found: Option<String> = sqlx::query_scalar(
        "SELECT format_type(atttypid, NULL) FROM pg_attribute
          WHERE attrelid = to_regclass($1) AND attname = $2 AND attnum > 0 AND NOT attisdropped",
    )
    .bind(table)
    .bind(column)
    .fetch_optional(pool)
    .await
    .map_err(Error::Legacy)?;
    found.ok_or_else(|| Error::Table(format!("there is no column {column} in {table}")))
}
