//! What operators did: written before they do it, and read at `GET /v1/ops/audit`.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{Method, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde::{Deserialize, Serialize};
use steelyard_domain::api::{Page, Problem};
use steelyard_domain::fault::Fault;
use steelyard_domain::ops::{AuditEntry, NewAuditEntry, REASON_CHARS_MAX, paths};
use steelyard_domain::text;
use steelyard_runtime::http::{HttpError, Query};
use utoipa::IntoParams;

use crate::app::App;
use crate::peers;

/// Which entries.
#[derive(Debug, Deserialize, Serialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Wanted {
    /// Only these: `redrive`, `redrive.result`, `edit`, `edit.result`, `maintenance`.
    #[serde(skip_serializing_if = "Option::is_none")]
    action: Option<String>,
    /// Entries of a page; 20 when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[param(minimum = 1, maximum = 100)]
    limit: Option<u32>,
    /// `next_cursor` of the page before.
    #[serde(skip_serializing_if = "Option::is_none")]
    cursor: Option<String>,
}

/// List what operators did, newest first
///
/// A redrive is written down before anything is sent; its result follows as an entry of its own. One without a
/// result was interrupted: look at its letters.
#[utoipa::path(
    get,
    path = "/v1/ops/audit",
    operation_id = "list_audit",
    tag = "ops",
    params(Wanted),
    responses(
        (status = 200, description = "A page of entries", body = Page<AuditEntry>),
        (status = 400, description = "A parameter or cursor that cannot be used", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "The orders service cannot be asked", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn list(
    State(app): State<Arc<App>>,
    Query(wanted): Query<Wanted>,
) -> Result<Response, HttpError> {
    let request = app.orders.request(Method::GET, paths::AUDIT).query(&wanted);
    let (status, body) = peers::fetch(&app.orders, request).await?;
    if status == StatusCode::OK {
        return Ok(([(header::CONTENT_TYPE, "application/json")], body).into_response());
    }
    Err(peers::refusal(&app.orders, status, &body))
}

/// Writes down what is about to be done.
///
/// # Errors
/// 503: it cannot be written down, so it must not be done.
pub(super) async fn write(app: &App, entry: &NewAuditEntry) -> Result<AuditEntry, HttpError> {
    let written = app.orders.post(paths::AUDIT, entry).await;
    written.map_err(|error| {
        tracing::warn!(%error, "the audit cannot be written");
        let detail = "the audit cannot be written, so nothing was done";
        HttpError::unavailable("audit_unavailable", detail, 5)
    })
}

/// Checks the reason that an operator gives.
pub(super) fn fault_of(reason: &str) -> Option<Fault> {
    text::line(reason, REASON_CHARS_MAX)
        .err()
        .map(|invalid| Fault {
            pointer: "/reason".to_owned(),
            code: invalid.code.into(),
            detail: invalid.detail.into_owned(),
        })
}
