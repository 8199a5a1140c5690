//! Imports that have a name: how far they came.

use sqlx::types::Json;
use sqlx::{PgConnection, PgPool, Row as _};
use steelyard_domain::fault::{Fault, Invalid};
use steelyard_domain::product::{ImportError, ImportProgress, ImportReport};
use time::OffsetDateTime;

use super::ImportFailure;
use super::set::Place;
use crate::author::Author;
use crate::transaction::Abort;

/// The longest name.
const CHARS_MAX: usize = 128;

/// The name of an import: 1 to 128 of `A-Z`, `a-z`, `0-9`, `.`, `-` and `_`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Name(String);

impl TryFrom<String> for Name {
    type Error = Invalid;

    fn try_from(text: String) -> Result<Self, Invalid> {
        let is_letter = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_');
        if (1..=CHARS_MAX).contains(&text.len()) && text.bytes().all(is_letter) {
            return Ok(Self(text));
        }
        let detail = format!("must be 1 to {CHARS_MAX} letters, digits, '.', '-' and '_'");
        Err(Invalid::new("invalid_name", detail))
    }
}

/// What an import begins with: nothing, or what was saved under its name before.
#[derive(Debug, Clone, Default)]
pub(super) struct Begun {
    pub(super) place: Place,
    /// Its errors aside.
    pub(super) counts: ImportReport,
}

/// Takes an import up under its name.
pub(super) async fn begin(
    pool: &PgPool,
    author: &Author,
    name: &Name,
) -> Result<Begun, ImportFailure> {
    let begun = begin_at(pool, author, name).await;
    begun.map_err(|error| ImportFailure::Database(Abort::Sql(error)))
}

async fn begin_at(pool: &PgPool, author: &Author, name: &Name) -> Result<Begun, sqlx::Error> {
    sqlx::query(
        "INSERT INTO imports (name, bytes, digest, lines, counts, finished, started_by)
         VALUES ($1, 0, '', 0, $2, false, $3) ON CONFLICT (name) DO NOTHING",
    )
    .bind(&name.0)
    .bind(Json(ImportReport::default()))
    .bind(author.name())
    .execute(pool)
    .await?;
    let row = sqlx::query("SELECT bytes, digest, lines, counts FROM imports WHERE name = $1")
        .bind(&name.0)
        .fetch_one(pool)
        .await?;
    let Json(counts) = row.try_get("counts")?;
    Ok(Begun {
        place: Place {
            bytes: row.try_get::<i64, _>("bytes")?.unsigned_abs(),
            lines: row.try_get::<i64, _>("lines")?.unsigned_abs(),
            digest: row.try_get("digest")?,
        },
        counts,
    })
}

/// Holds an import where it is, until the transaction ends. False when somebody else brought it further.
pub(super) async fn hold(
    connection: &mut PgConnection,
    name: &Name,
    at: u64,
) -> Result<bool, sqlx::Error> {
    let held: Option<i64> =
        sqlx::query_scalar("SELECT bytes FROM imports WHERE name = $1 FOR NO KEY UPDATE")
            .bind(&name.0)
            .fetch_optional(connection)
            .await?;
    Ok(held == Some(number(at)))
}

/// Writes how far an import came that is held, with the errors that are new.
pub(super) async fn advance(
    connection: &mut PgConnection,
    name: &Name,
    to: &Place,
    counts: &ImportReport,
    errors: &[ImportError],
    finished: bool,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "UPDATE imports SET bytes = $2, digest = $3, lines = $4, counts = $5, finished = $6,
                updated_at = now()
         WHERE name = $1",
    )
    .bind(&name.0)
    .bind(number(to.bytes))
    .bind(&to.digest)
    .bind(number(to.lines))
    .bind(Json(counts))
    .bind(finished)
    .execute(&mut *connection)
    .await?;
    if !errors.is_empty() {
        let lines: Vec<i64> = errors.iter().map(|error| number(error.line)).collect();
        let faults: Vec<_> = errors.iter().map(|error| Json(&error.errors)).collect();
        sqlx::query(
            "INSERT INTO import_errors (name, line, errors)
             SELECT $1, * FROM unnest($2::bigint[], $3::jsonb[]) ON CONFLICT DO NOTHING",
        )
        .bind(&name.0)
        .bind(lines)
        .bind(faults)
        .execute(connection)
        .await?;
    }
    Ok(())
}

fn number(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// How far an import came, with the errors of its report.
pub(crate) async fn progress(
    pool: &PgPool,
    name: &Name,
) -> Result<Option<ImportProgress>, sqlx::Error> {
    let row = sqlx::query(
        "SELECT bytes, lines, counts, finished, started_by, started_at, updated_at
         FROM imports WHERE name = $1",
    )
    .bind(&name.0)
    .fetch_optional(pool)
    .await?;
    let Some(row) = row else { return Ok(None) };
    let Json(counts): Json<ImportReport> = row.try_get("counts")?;
    let (started_at, updated_at): (OffsetDateTime, OffsetDateTime) =
        (row.try_get("started_at")?, row.try_get("updated_at")?);
    Ok(Some(ImportProgress {
        name: name.0.clone(),
        bytes: row.try_get::<i64, _>("bytes")?.unsigned_abs(),
        line_feeds: row.try_get::<i64, _>("lines")?.unsigned_abs(),
        is_finished: row.try_get("finished")?,
        report: ImportReport {
            errors: errors(pool, name).await?,
            ..counts
        },
        started_by: row.try_get("started_by")?,
        started_at,
        updated_at,
    }))
}

/// The lines that were refused, as far as a report names them.
pub(super) async fn errors(pool: &PgPool, name: &Name) -> Result<Vec<ImportError>, sqlx::Error> {
    let rows: Vec<(i64, Json<Vec<Fault>>)> = sqlx::query_as(
        "SELECT line, errors FROM import_errors WHERE name = $1 ORDER BY line LIMIT $2",
    )
    .bind(&name.0)
    .bind(i64::try_from(ImportReport::ERRORS_MAX).unwrap_or(i64::MAX))
    .fetch_all(pool)
    .await?;
    let error = |(line, Json(errors)): (i64, Json<Vec<Fault>>)| ImportError {
        line: line.unsigned_abs(),
        errors,
    };
    Ok(rows.into_iter().map(error).collect())
}

#[cfg(test)]
mod tests {
    use super::Name;

    #[test]
    fn a_name_can_stand_in_a_path() {
        for bad in ["", "a/b", "a b", "ä", &"x".repeat(129)] {
            assert!(Name::try_from(bad.to_owned()).is_err(), "{bad}");
        }
        assert!(Name::try_from("spring-2026.csv".to_owned()).is_ok());
    }
}
