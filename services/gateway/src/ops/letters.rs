//! `GET /v1/ops/dead-letters` and `GET /v1/ops/dead-letters/{id}`.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use steelyard_domain::api::{LIMIT_DEFAULT, LIMIT_MAX, Problem};
use steelyard_domain::command::CommandKind;
use steelyard_queue::Letter;
use steelyard_runtime::http::{HttpError, Json, Path, Query};
use time::OffsetDateTime;
use utoipa::{IntoParams, ToSchema};

use super::lines::Name;
use super::select::Filter;
use super::view::{DeadLetter, LISTED_BODY_BYTES_MAX, place};
use crate::app::App;

/// Which letters.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Wanted {
    /// Whose dead letters: `orders` (when left out), `documents`, `webhooks`.
    #[serde(default)]
    #[param(value_type = Option<String>)]
    queue: Name,
    /// Words in the reason, whatever their case.
    reason: Option<String>,
    /// What the command asks for: `order.place`, …
    #[serde(rename = "type")]
    #[param(value_type = Option<String>)]
    kind: Option<CommandKind>,
    /// Whose.
    customer_id: Option<String>,
    /// Parked then or later (RFC 3339).
    #[serde(default, with = "time::serde::rfc3339::option")]
    #[param(value_type = Option<String>)]
    parked_from: Option<OffsetDateTime>,
    /// Parked before that (RFC 3339).
    #[serde(default, with = "time::serde::rfc3339::option")]
    #[param(value_type = Option<String>)]
    parked_to: Option<OffsetDateTime>,
    /// Entries of a page; 20 when left out.
    #[param(minimum = 1, maximum = 100)]
    limit: Option<u32>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

/// Whose dead letter.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Of {
    /// `orders` (when left out), `documents`, `webhooks`.
    #[serde(default)]
    #[param(value_type = Option<String>)]
    pub(super) queue: Name,
}

/// A page of dead letters.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct DeadLetterPage {
    /// The letters, those that have lain longest first.
    data: Vec<DeadLetter>,
    /// Give it as `cursor` for the next page; null on the last.
    next_cursor: Option<String>,
    /// False: there may be letters out of reach. SQS gives no more than ten of a customer at a time, and none
    /// that somebody else holds.
    complete: bool,
}

/// List dead letters
///
/// A look holds the letters for a moment and puts them back; nothing is lost, reordered or used up by it.
#[utoipa::path(
    get,
    path = "/v1/ops/dead-letters",
    operation_id = "list_dead_letters",
    tag = "ops",
    params(Wanted),
    responses(
        (status = 200, description = "A page of dead letters", body = DeadLetterPage),
        (status = 400, description = "A parameter or cursor that cannot be used", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "The queue cannot be asked", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn list(
    State(app): State<Arc<App>>,
    Query(wanted): Query<Wanted>,
) -> Result<Json<DeadLetterPage>, HttpError> {
    let limit = wanted.limit.unwrap_or(LIMIT_DEFAULT);
    if !(1..=LIMIT_MAX).contains(&limit) {
        let detail = format!("must be between 1 and {LIMIT_MAX}");
        return Err(invalid("query/limit", "out_of_range", detail));
    }
    let after = wanted.cursor.as_deref().map(opened).transpose()?;
    let filter = Filter {
        reason: wanted.reason,
        kind: wanted.kind,
        customer_id: wanted.customer_id,
        parked_from: wanted.parked_from,
        parked_to: wanted.parked_to,
    };
    let held = app.lines.get(wanted.queue)?.hold().await?;
    let is_next = |letter: &&Letter| after.is_none_or(|after| place(letter) > after);
    let mut found: Vec<&Letter> = held
        .letters()
        .iter()
        .filter(is_next)
        .filter(|letter| filter.takes(letter))
        .collect();
    found.sort_by_key(|letter| place(letter));
    let has_more = found.len() > limit as usize;
    found.truncate(limit as usize);
    let next_cursor = found.last().filter(|_| has_more).map(|last| sealed(last));
    let data = found
        .into_iter()
        .map(|letter| DeadLetter::of(letter, wanted.queue, LISTED_BODY_BYTES_MAX))
        .collect();
    let complete = held.is_complete();
    held.put_back().await;
    Ok(Json(DeadLetterPage {
        data,
        next_cursor,
        complete,
    }))
}

/// Show a dead letter
#[utoipa::path(
    get,
    path = "/v1/ops/dead-letters/{id}",
    operation_id = "get_dead_letter",
    tag = "ops",
    params(("id" = String, Path, description = "The letter"), Of),
    responses(
        (status = 200, description = "The letter, whole", body = DeadLetter),
        (status = 404, description = "No such letter in reach", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "The queue cannot be asked", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn show(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    Query(of): Query<Of>,
) -> Result<Json<DeadLetter>, HttpError> {
    let letter = app.lines.get(of.queue)?.letter(&id).await?;
    Ok(Json(DeadLetter::of(&letter, of.queue, usize::MAX)))
}

/// The last letter of a page: when it came, and which.
fn sealed(letter: &Letter) -> String {
    let (at_ms, number, id) = place(letter);
    format!("{at_ms}~{number}~{id}")
}

fn opened(cursor: &str) -> Result<(i64, &str, &str), HttpError> {
    let mut parts = cursor.splitn(3, '~');
    let (at_ms, number, id) = (parts.next(), parts.next(), parts.next());
    let at_ms = at_ms.and_then(|text| text.parse().ok());
    match (at_ms, number, id) {
        (Some(at_ms), Some(number), Some(id)) => Ok((at_ms, number, id)),
        _ => {
            let detail = "not a cursor that this list gave".to_owned();
            Err(invalid("query/cursor", "invalid_cursor", detail))
        }
    }
}

fn invalid(place: &str, code: &'static str, detail: String) -> HttpError {
    let whole = "a query parameter cannot be used";
    HttpError::new(StatusCode::BAD_REQUEST, "invalid_query", whole).at(place, code, detail)
}
