//! Reports: figures of the orders service's reader.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderName, Method, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde::{Deserialize, Serialize};
use steelyard_domain::api::Problem;
use steelyard_domain::internal::paths;
use steelyard_domain::report::DailySales;
use steelyard_domain::scope::Scope::{Ops, OrdersManage};
use steelyard_runtime::http::{HttpError, Query, with_deadline};
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::auth::allowed;
use crate::peers;

/// Longest answer.
const ANSWER_MAX: Duration = Duration::from_secs(10);
const AS_OF: HeaderName = HeaderName::from_static("as-of");

/// The routes, each with who may call it.
pub(crate) fn routes(app: &Arc<App>) -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::default().routes(allowed(app, &[OrdersManage, Ops], routes!(daily_sales)))
}

/// The deadline of every route of this module.
pub(crate) fn deadline(router: Router<Arc<App>>) -> Router<Arc<App>> {
    with_deadline(router, ANSWER_MAX)
}

/// Of which days.
#[derive(Debug, Deserialize, Serialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct SalesQuery {
    /// `yesterday`, `last-month`, a month (`2026-11`), or days (`2026-11-01..2026-12-01`, the second is not part of it);
    /// UTC, by the orders' acceptance, a year at most.
    #[param(max_length = 32, example = "2026-11")]
    period: String,
}

/// Sales by day
///
/// Counted on a replica, so that nobody's order waits for it; `as_of`, also in the header `As-Of`, says what is in the
/// figures.
#[utoipa::path(
    get,
    path = "/v1/reports/daily-sales",
    operation_id = "daily_sales",
    tag = "reports",
    params(SalesQuery),
    responses(
        (status = 200, description = "Sales by day and currency", body = DailySales, headers(("As-Of" = String, description = "What was settled until then is in the figures (RFC 3339)"))),
        (status = 400, description = "The period cannot be used", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "The orders service cannot be asked; see `Retry-After`", body = Problem, content_type = "application/problem+json"),
    ),
)]
async fn daily_sales(
    State(app): State<Arc<App>>,
    Query(query): Query<SalesQuery>,
) -> Result<Response, HttpError> {
    let request = app
        .orders
        .request(Method::GET, paths::DAILY_SALES)
        .query(&query);
    let answer = peers::ask(&app.orders, request).await?;
    let status = answer.status();
    let as_of = answer.headers().get(&AS_OF).cloned();
    let body = peers::body(&app.orders, answer).await?;
    if status != StatusCode::OK {
        return Err(peers::refusal(&app.orders, status, &body));
    }
    let mut response = ([(header::CONTENT_TYPE, "application/json")], body).into_response();
    if let Some(as_of) = as_of {
        response.headers_mut().insert(AS_OF, as_of);
    }
    Ok(response)
}
