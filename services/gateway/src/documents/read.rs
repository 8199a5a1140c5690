//! `GET /v1/documents/{id}`.

use std::sync::Arc;

use axum::extract::State;
use axum::http::Method;
use axum::response::Response;
use steelyard_domain::api::Problem;
use steelyard_domain::document::Document;
use steelyard_runtime::http::{HttpError, Path};

use super::{confined, path_of};
use crate::app::App;
use crate::auth::CallerOf;
use crate::peers;

/// Show a document
///
/// What is known of it; its file is at `/v1/documents/{id}/content`.
#[utoipa::path(
    get,
    path = "/v1/documents/{id}",
    operation_id = "get_document",
    tag = "documents",
    params(("id" = Uuid, Path, description = "The document")),
    responses(
        (status = 200, description = "The document", body = Document),
        (status = 404, description = "No such document, or another customer's", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "The documents service cannot be asked; see `Retry-After`", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn read(
    State(app): State<Arc<App>>,
    CallerOf(caller): CallerOf,
    Path(id): Path<String>,
) -> Result<Response, HttpError> {
    let request = app.documents.request(Method::GET, &path_of(&id)?);
    peers::pass_on(&app.documents, confined(request, &caller)?).await
}
