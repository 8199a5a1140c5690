//! `POST /v1/ops/dead-letters/{id}/dry-run`.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::Response;
use serde::Deserialize;
use serde_json::value::RawValue;
use steelyard_domain::api::Problem;
use steelyard_domain::ops::{DryRun, DryRunRequest, paths};
use steelyard_runtime::http::{HttpError, Path, RawBody, parse_json, require_json};
use utoipa::ToSchema;

use super::edit::checked;
use super::lines::Name;
use crate::app::App;
use crate::peers;

/// Catalog's quote and the rehearsal take a moment.
const DRY_RUN_MAX: Duration = Duration::from_secs(10);

/// What instead.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct DryRunBody {
    /// A corrected message to try; the letter as it is when left out.
    #[schema(value_type = Option<Object>)]
    body: Option<Box<RawValue>>,
}

/// Show what a dead letter would do
///
/// It is handled by today's code in a transaction that is rolled back: the order as it would be stored, the events that
/// would be sent, what catalog would be told. Nothing stays: no stock is held (catalog gives a quote), no lease is
/// taken, the letter is where it was. It is tried on its own, ahead of what else waits for the customer.
#[utoipa::path(
    post,
    path = "/v1/ops/dead-letters/{id}/dry-run",
    operation_id = "dry_run_dead_letter",
    tag = "ops",
    params(("id" = String, Path, description = "The letter of `orders`")),
    request_body = Option<DryRunBody>,
    responses(
        (status = 200, description = "What it would do", body = DryRun),
        (status = 404, description = "No such letter in reach", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "The corrected message is no command that a worker could read", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "Queue, orders or catalog cannot be asked", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn dry_run(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    headers: HeaderMap,
    RawBody(body): RawBody,
) -> Result<Response, HttpError> {
    use axum::response::IntoResponse as _;

    // No body at all says the same as an empty object.
    let wanted: DryRunBody = if body.is_empty() {
        DryRunBody::default()
    } else {
        require_json(&headers)?;
        parse_json(&body)?
    };
    let letter = app.lines.get(Name::Orders)?.letter(&id).await?;
    let request = match &wanted.body {
        None => DryRunRequest {
            body: letter.received().body.clone(),
            group_id: letter.received().group_id.clone(),
        },
        Some(raw) => {
            let corrected = checked(&app, raw.get()).await?;
            DryRunRequest {
                body: corrected.body,
                group_id: Some(corrected.group_id),
            }
        }
    };
    let orders = app.orders.with_deadline(DRY_RUN_MAX);
    let call = orders.request(Method::POST, paths::DRY_RUN).json(&request);
    let (status, answer) = peers::fetch(&orders, call).await?;
    if status == StatusCode::OK {
        let kind = [(axum::http::header::CONTENT_TYPE, "application/json")];
        return Ok((kind, answer).into_response());
    }
    Err(peers::refusal(&orders, status, &answer))
}
