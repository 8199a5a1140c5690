//! `GET` and `PUT /v1/ops/maintenance`.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{Method, StatusCode};
use steelyard_domain::api::Problem;
use steelyard_domain::ops::{Maintenance, MaintenanceOrder, Processing, SetMaintenance, paths};
use steelyard_runtime::http::{HttpError, Json, parse_json};
use time::OffsetDateTime;

use crate::app::App;
use crate::auth::CallerOf;
use crate::peers;

/// Show whether workers work
#[utoipa::path(
    get,
    path = "/v1/ops/maintenance",
    operation_id = "get_maintenance",
    tag = "ops",
    responses(
        (status = 200, description = "The state as it is stored", body = Maintenance),
        (status = 503, description = "It cannot be read", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn show(State(app): State<Arc<App>>) -> Result<Json<Maintenance>, HttpError> {
    let request = app.orders.request(Method::GET, paths::MAINTENANCE);
    Ok(Json(asked(&app, request).await?))
}

/// Pause or resume the workers
///
/// Orders are accepted all the same. Every worker follows within two seconds while Postgres answers; what it has
/// begun it finishes. The state survives restarts of everything. A worker that cannot read it keeps
/// the one it knows.
#[utoipa::path(
    put,
    path = "/v1/ops/maintenance",
    operation_id = "set_maintenance",
    tag = "ops",
    request_body(content = SetMaintenance, example = json!({"processing": "paused", "reason": "Postgres upgrade", "until": "2026-12-01T03:00:00Z"})),
    responses(
        (status = 200, description = "The state as it is now", body = Maintenance),
        (status = 422, description = "Something in it is wrong", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "It could not be stored", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn set(
    State(app): State<Arc<App>>,
    CallerOf(caller): CallerOf,
    Json(set): Json<SetMaintenance>,
) -> Result<Json<Maintenance>, HttpError> {
    set.check(OffsetDateTime::now_utc())
        .map_err(|faults| HttpError::validation_failed().with_faults(faults))?;
    let order = MaintenanceOrder {
        by: caller.subject.clone(),
        set,
    };
    let request = app.orders.request(Method::PUT, paths::MAINTENANCE);
    let now = asked(&app, request.json(&order)).await?;
    // What is answered from here on goes by it at once.
    let known = app.pace.processing();
    app.pace.saw_processing(&Processing {
        maintenance: Some(now.clone()),
        ..known
    });
    Ok(Json(now))
}

async fn asked(app: &App, request: reqwest::RequestBuilder) -> Result<Maintenance, HttpError> {
    let (status, body) = peers::fetch(&app.orders, request).await?;
    if status == StatusCode::OK {
        return parse_json(&body).map_err(|error| {
            tracing::error!(%error, "the orders service gave an unexpected answer");
            peers::down(app.orders.peer())
        });
    }
    Err(peers::refusal(&app.orders, status, &body))
}
