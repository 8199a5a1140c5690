//! `GET /v1/documents/{id}/ubl`.

use std::sync::Arc;

use axum::extract::State;
use axum::http::Method;
use axum::response::Response;
use steelyard_domain::api::Problem;
use steelyard_runtime::http::{HttpError, Path};

use super::{confined, path_of};
use crate::app::App;
use crate::auth::CallerOf;
use crate::peers;
use crate::products::by;

/// Fetch an invoice as UBL
///
/// An invoice or a credit note as UBL 2.1 by Peppol BIS Billing 3.0, with what its PDF carries as Factur-X. Written into the
/// same audit as the URLs of files.
#[utoipa::path(
    get,
    path = "/v1/documents/{id}/ubl",
    operation_id = "get_document_ubl",
    tag = "documents",
    params(("id" = Uuid, Path, description = "The document")),
    responses(
        (status = 200, description = "`Invoice` or `CreditNote`", body = String, content_type = "application/xml", headers(("Content-Disposition" = String), ("Cache-Control" = String))),
        (status = 404, description = "No such document, or another customer's", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "There is none of it: it was imported, is a delivery note, or its currency is finer than EN 16931 (`document_without_ubl`)", body = Problem, content_type = "application/problem+json"),
        (status = 410, description = "It was removed when its retention time was over (`document_removed`)", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "The documents service cannot be asked; see `Retry-After`", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn ubl(
    State(app): State<Arc<App>>,
    CallerOf(caller): CallerOf,
    Path(id): Path<String>,
) -> Result<Response, HttpError> {
    let path = format!("{}/ubl", path_of(&id)?);
    let request = by(app.documents.request(Method::GET, &path), &caller);
    peers::pass_on(&app.documents, confined(request, &caller)?).await
}
