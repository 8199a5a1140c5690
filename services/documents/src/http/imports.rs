//! `GET /internal/documents/imports`: how far bulk imports are, and what was wrong with their rows.

use axum::extract::State;
use serde::Deserialize;
use steelyard_domain::api::{LIMIT_DEFAULT, LIMIT_MAX, Page};
use steelyard_domain::document::{DocumentImport, ImportFault};
use steelyard_runtime::http::{HttpError, Json, Path, Query};
use steelyard_store::cursor;
use uuid::Uuid;

use super::query::invalid;
use super::{App, of_sql};
use crate::import::{self, Import};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LatestQuery {
    limit: Option<u32>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FaultsQuery {
    limit: Option<u32>,
    cursor: Option<String>,
}

/// The latest ones; there is no second page: a shop has some a month.
pub(super) async fn latest(
    State(app): State<App>,
    Query(query): Query<LatestQuery>,
) -> Result<Json<Page<DocumentImport>>, HttpError> {
    let limit = bounded(query.limit)?;
    let found = import::latest(app.queries()?, i64::from(limit)).await;
    let found = found.map_err(|error| of_sql(&error))?;
    Ok(Json(Page {
        data: found.into_iter().map(shown).collect(),
        next_cursor: None,
    }))
}

pub(super) async fn get(
    State(app): State<App>,
    Path(id): Path<String>,
) -> Result<Json<DocumentImport>, HttpError> {
    find(&app, &id).await.map(|found| Json(shown(found)))
}

pub(super) async fn faults(
    State(app): State<App>,
    Path(id): Path<String>,
    Query(query): Query<FaultsQuery>,
) -> Result<Json<Page<ImportFault>>, HttpError> {
    let limit = bounded(query.limit)?;
    let import = find(&app, &id).await?;
    let name = ["import-faults", &id];
    let after: i64 = match &query.cursor {
        Some(text) => cursor::open(&name, text)
            .map_err(|error| invalid().at("query/cursor", "invalid_cursor", error.to_string()))?,
        None => 0,
    };
    // One more than asked for tells whether there is a next page.
    let found = import::faults(app.queries()?, import.id, after, i64::from(limit) + 1).await;
    let mut found = found.map_err(|error| of_sql(&error))?;
    let has_more = found.len() > limit as usize;
    found.truncate(limit as usize);
    let next_cursor = match found.last() {
        Some((line, ..)) if has_more => {
            Some(cursor::seal(&name, line).map_err(|_| HttpError::internal())?)
        }
        _ => None,
    };
    let data = found.into_iter();
    let data = data.map(|(line, code, detail)| ImportFault { line, code, detail });
    Ok(Json(Page {
        data: data.collect(),
        next_cursor,
    }))
}

fn bounded(limit: Option<u32>) -> Result<u32, HttpError> {
    let limit = limit.unwrap_or(LIMIT_DEFAULT);
    if (1..=LIMIT_MAX).contains(&limit) {
        return Ok(limit);
    }
    let detail = format!("must be between 1 and {LIMIT_MAX}");
    Err(invalid().at("query/limit", "out_of_range", detail))
}

async fn find(app: &App, id: &str) -> Result<Import, HttpError> {
    let missing = || HttpError::not_found("there is no import with this id");
    let id = Uuid::try_parse(id).map_err(|_| missing())?;
    let found = import::get(app.queries()?, id).await;
    found.map_err(|error| of_sql(&error))?.ok_or_else(missing)
}

fn shown(import: Import) -> DocumentImport {
    DocumentImport {
        id: import.id,
        source: import.source,
        rows_total: import.rows_total,
        rows_imported: import.rows_imported,
        rows_known: import.rows_known,
        rows_refused: import.rows_refused,
        bytes_imported: import.bytes_imported,
        started_at: import.started_at,
        updated_at: import.updated_at,
        finished_at: import.finished_at,
    }
}
