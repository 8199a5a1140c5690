//! `POST /v1/documents/{id}/restore`.

use std::sync::Arc;

use axum::extract::State;
use axum::http::Method;
use axum::response::Response;
use steelyard_domain::api::Problem;
use steelyard_domain::document::Restore;
use steelyard_runtime::http::{HttpError, Path};

use super::{confined, path_of};
use crate::app::App;
use crate::auth::CallerOf;
use crate::peers;

/// Bring a document back from the archive
///
/// Old documents lie in cold storage, some classes of which take hours to be read. May be asked as often as one
/// likes: it tells how far it is. What was brought back can be fetched for some days.
#[utoipa::path(
    post,
    path = "/v1/documents/{id}/restore",
    operation_id = "restore_document",
    tag = "documents",
    params(("id" = Uuid, Path, description = "The document")),
    responses(
        (status = 200, description = "It can be fetched", body = Restore),
        (status = 202, description = "It is on its way", body = Restore),
        (status = 404, description = "No such document, or another customer's", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "Its file is not there yet (`document_pending`)", body = Problem, content_type = "application/problem+json"),
        (status = 410, description = "It was removed when its retention time was over (`document_removed`)", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "The documents service cannot be asked; see `Retry-After`", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn restore(
    State(app): State<Arc<App>>,
    CallerOf(caller): CallerOf,
    Path(id): Path<String>,
) -> Result<Response, HttpError> {
    let path = format!("{}/restore", path_of(&id)?);
    let request = app.documents.request(Method::POST, &path);
    peers::pass_on(&app.documents, confined(request, &caller)?).await
}
