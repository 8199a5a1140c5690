//! `GET /v1/documents/{id}/content`.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::{Method, StatusCode};
use axum::response::Response;
use reqwest::RequestBuilder;
use steelyard_domain::api::Problem;
use steelyard_runtime::client::Internal;
use steelyard_runtime::http::{HttpError, Path};

use super::{confined, path_of};
use crate::app::App;
use crate::auth::CallerOf;
use crate::peers;
use crate::products::by;

/// Fetch a document's file
///
/// Leads to the file by a URL that is good for 60 seconds; whoever has it can fetch the file, so it is not for
/// logs and not to be kept. The file is named by the document's number. Each URL is written into an audit.
#[utoipa::path(
    get,
    path = "/v1/documents/{id}/content",
    operation_id = "get_document_content",
    tag = "documents",
    params(("id" = Uuid, Path, description = "The document")),
    responses(
        (status = 302, description = "The file is at `Location`", headers(("Location" = String), ("Cache-Control" = String))),
        (status = 404, description = "No such document, or another customer's", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "Its file is not there yet (`document_pending`), or in cold storage (`document_archived`: restore it)", body = Problem, content_type = "application/problem+json"),
        (status = 410, description = "It was removed when its retention time was over (`document_removed`)", body = Problem, content_type = "application/problem+json"),
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

/// Passes on where a file is.
pub(super) async fn led_on(
    documents: &Internal,
    request: RequestBuilder,
) -> Result<Response, HttpError> {
    let answer = peers::ask(documents, request).await?;
    let (status, headers) = (answer.status(), peers::kept_headers(answer.headers()));
    if status != StatusCode::FOUND {
        let body = peers::body(documents, answer).await?;
        return Err(peers::refusal(documents, status, &body));
    }
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    Ok(response)
}
