//! `GET /internal/documents` and `GET /internal/documents/{id}`.

use axum::extract::State;
use serde::Deserialize;
use steelyard_domain::api::{LIMIT_DEFAULT, LIMIT_MAX, Page};
use steelyard_domain::document::{Document, DocumentState};
use steelyard_domain::id::{CustomerId, OrderId};
use steelyard_runtime::http::{HttpError, Json, Path, Query};
use steelyard_store::cursor;
use time::OffsetDateTime;
use uuid::Uuid;

use super::query::{ListQuery, invalid};
use super::{App, missing, of_sql};
use crate::db::{self, Listed};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct OneQuery {
    pub(super) customer_id: Option<CustomerId>,
}

pub(super) async fn list(
    State(app): State<App>,
    Query(query): Query<ListQuery>,
) -> Result<Json<Page<Document>>, HttpError> {
    let limit = query.limit.unwrap_or(LIMIT_DEFAULT);
    if !(1..=LIMIT_MAX).contains(&limit) {
        let detail = format!("must be between 1 and {LIMIT_MAX}");
        return Err(invalid().at("query/limit", "out_of_range", detail));
    }
    let filter = query.filter()?;
    let name = query.name();
    let name: Vec<&str> = name.iter().map(String::as_str).collect();
    let before: Option<Uuid> = query
        .cursor
        .as_deref()
        .map(|text| cursor::open(&name, text))
        .transpose()
        .map_err(|error| invalid().at("query/cursor", "invalid_cursor", error.to_string()))?;
    let Some(filter) = filter else {
        return Ok(Json(Page {
            data: Vec::new(),
            next_cursor: None,
        }));
    };
    // One more than asked for tells whether there is a next page.
    let found = db::list(app.queries()?, &filter, before, limit + 1).await;
    let mut found = found.map_err(|error| of_sql(&error))?;
    let has_more = found.len() > limit as usize;
    found.truncate(limit as usize);
    let next_cursor = match found.last() {
        Some(last) if has_more => {
            Some(cursor::seal(&name, &last.id).map_err(|_| HttpError::internal())?)
        }
        _ => None,
    };
    Ok(Json(Page {
        data: found.into_iter().map(shown).collect(),
        next_cursor,
    }))
}

pub(super) async fn get(
    State(app): State<App>,
    Path(id): Path<String>,
    Query(query): Query<OneQuery>,
) -> Result<Json<Document>, HttpError> {
    find(&app, &id, &query)
        .await
        .map(|found| Json(shown(found)))
}

/// One that this customer may see.
///
/// # Errors
/// 404 for one that is not there or another's: which of both, nobody learns.
pub(super) async fn find(app: &App, id: &str, query: &OneQuery) -> Result<Listed, HttpError> {
    // One id has one spelling; what is no id names nothing.
    let id = Some(id).filter(|id| id.len() == 36);
    let id = id
        .and_then(|id| Uuid::try_parse(id).ok())
        .ok_or_else(missing)?;
    let found = db::get(app.queries()?, id, query.customer_id.as_ref()).await;
    found.map_err(|error| of_sql(&error))?.ok_or_else(missing)
}

fn shown(listed: Listed) -> Document {
    let state = state(&listed, OffsetDateTime::now_utc());
    Document {
        id: listed.id,
        kind: listed.kind,
        number: listed.number,
        issued_on: listed.issued_on,
        customer_id: listed.customer_id,
        order_id: listed.order_id.map(OrderId),
        currency: listed.currency,
        total: listed.total,
        language: listed.language,
        state,
        content_type: listed.content_type,
        size_bytes: listed.size_bytes,
        pages: listed.pages,
        sha256: listed.sha256.map(hex::encode),
        created_at: listed.created_at,
    }
}

fn state(listed: &Listed, now: OffsetDateTime) -> DocumentState {
    if listed.removed_at.is_some() {
        return DocumentState::Removed;
    }
    match (listed.stored_at, listed.pack_id, listed.readable_until) {
        (None, ..) => DocumentState::Pending,
        (Some(_), None, _) => DocumentState::Stored,
        (Some(_), Some(_), Some(until)) if until > now => DocumentState::Stored,
        (Some(_), Some(_), _) => DocumentState::Archived,
    }
}
