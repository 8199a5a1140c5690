//! `/v1/documents/bundles`: a period's documents in one zip.

use std::sync::Arc;

use axum::extract::State;
use axum::http::Method;
use axum::response::Response;
use steelyard_domain::api::Problem;
use steelyard_domain::document::{Bundle, BundleBody};
use steelyard_domain::internal::paths;
use steelyard_runtime::http::{HttpError, Json, Path};

use super::content::led_on;
use super::{confined, id_of};
use crate::app::App;
use crate::auth::CallerOf;
use crate::orders::{confined_to, other_customer};
use crate::peers;
use crate::products::by;

/// Ask for the documents of a period in one zip
///
/// It is made later: ask for its state until it is `ready`, and fetch it within a day. Documents whose files cannot be
/// read, say because they are in cold storage, are left out and named. At most 65,000 documents and 900 MiB; three
/// bundles of one caller are made at once.
#[utoipa::path(
    post,
    path = "/v1/documents/bundles",
    operation_id = "ask_for_bundle",
    tag = "documents",
    request_body = BundleBody,
    responses(
        (status = 202, description = "It will be made", body = Bundle),
        (status = 403, description = "The body names another customer than the token's", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "As many bundles of the caller are being made as may be (`too_many_bundles`)", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "Something in it is wrong, or the period holds too much", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "The documents service cannot be asked; see `Retry-After`", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn ask(
    State(app): State<Arc<App>>,
    CallerOf(caller): CallerOf,
    Json(mut body): Json<BundleBody>,
) -> Result<Response, HttpError> {
    if let Some(own) = confined_to(&caller)? {
        let named = body.customer_id.as_deref();
        if named.is_some_and(|named| named != own.as_str()) {
            return Err(other_customer("/customer_id"));
        }
        body.customer_id = Some(own.as_str().to_owned());
    }
    let request = app.documents.request(Method::POST, paths::BUNDLES);
    peers::pass_on(&app.documents, by(request, &caller).json(&body)).await
}

/// Show how far a bundle is
#[utoipa::path(
    get,
    path = "/v1/documents/bundles/{id}",
    operation_id = "get_bundle",
    tag = "documents",
    params(("id" = Uuid, Path, description = "The bundle")),
    responses(
        (status = 200, description = "The bundle and how far it is", body = Bundle),
        (status = 404, description = "No such bundle, or not of the caller's documents only", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "The documents service cannot be asked; see `Retry-After`", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn show(
    State(app): State<Arc<App>>,
    CallerOf(caller): CallerOf,
    Path(id): Path<String>,
) -> Result<Response, HttpError> {
    let request = app.documents.request(Method::GET, &path_of(&id)?);
    peers::pass_on(&app.documents, confined(request, &caller)?).await
}

/// Fetch a bundle
///
/// Leads to the zip by a URL that is good for 60 seconds, as a single document's content does; written into the audit, too.
#[utoipa::path(
    get,
    path = "/v1/documents/bundles/{id}/content",
    operation_id = "get_bundle_content",
    tag = "documents",
    params(("id" = Uuid, Path, description = "The bundle")),
    responses(
        (status = 302, description = "The zip is at `Location`", headers(("Location" = String), ("Cache-Control" = String))),
        (status = 404, description = "No such bundle, or not of the caller's documents only", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "It is being made (`bundle_pending`)", body = Problem, content_type = "application/problem+json"),
        (status = 410, description = "It could not be made, or its day is over (`bundle_gone`)", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "The documents service cannot be asked; see `Retry-After`", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn content(
    State(app): State<Arc<App>>,
    CallerOf(caller): CallerOf,
    Path(id): Path<String>,
) -> Result<Response, HttpError> {
    let path = format!("{}/content", path_of(&id)?);
    let request = by(app.documents.request(Method::GET, &path), &caller);
    led_on(&app.documents, confined(request, &caller)?).await
}

/// The documents service's path of a bundle.
///
/// # Errors
/// 404 for what cannot be its id.
fn path_of(id: &str) -> Result<String, HttpError> {
    let id = id_of(id);
    id.map(|id| format!("{}/{id}", paths::BUNDLES))
        .ok_or_else(|| HttpError::not_found("there is no bundle with this id for this caller"))
}
