//! What those see who change the catalog, and those who run it.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, Method, header};
use axum::response::Response;
use percent_encoding::utf8_percent_encode;
use serde::{Deserialize, Serialize};
use steelyard_domain::api::{Page, Problem};
use steelyard_domain::internal::{UnsettledReservation, paths};
use steelyard_domain::product::{Change, ImportProgress, ProductSource, Stock};
use steelyard_runtime::http::{HttpError, Path, Query};
use utoipa::IntoParams;

use super::read::with_query;
use super::{SEGMENT, path_of};
use crate::app::App;
use crate::peers;

/// How long the catalog may take to begin an export.
const EXPORT_BEGIN_MAX: Duration = Duration::from_secs(30);

/// A part of a list.
#[derive(Debug, Deserialize, Serialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Part {
    /// Entries of a page; 20 when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[param(minimum = 1, maximum = 100)]
    limit: Option<u32>,
    /// `next_cursor` of the page before.
    #[serde(skip_serializing_if = "Option::is_none")]
    cursor: Option<String>,
}

/// Show a product whole
///
/// Drafts and archived products too, with all prices and languages: in the form that `PUT` takes, so that it can be
/// changed and sent back with the `ETag` as `If-Match`.
#[utoipa::path(
    get,
    path = "/v1/products/{sku}/source",
    operation_id = "get_product_source",
    tag = "products",
    params(("sku" = String, Path, description = "Stock-keeping unit, percent-encoded")),
    responses(
        (status = 200, description = "The product", body = ProductSource, headers(("ETag" = String))),
        (status = 404, description = "No such product", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "The catalog is down; see `Retry-After`", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn source(
    State(app): State<Arc<App>>,
    Path(sku): Path<String>,
) -> Result<Response, HttpError> {
    let path = format!("{}/source", path_of(&sku)?);
    let request = app.catalog.request(Method::GET, &path);
    peers::pass_on(&app.catalog, request).await
}

/// List who changed a product, newest first
#[utoipa::path(
    get,
    path = "/v1/products/{sku}/changes",
    operation_id = "list_product_changes",
    tag = "products",
    params(("sku" = String, Path, description = "Stock-keeping unit, percent-encoded"), Part),
    responses(
        (status = 200, description = "A page of changes, each with what the product was before", body = Page<Change>),
        (status = 404, description = "No such product", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "The catalog is down; see `Retry-After`", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn changes(
    State(app): State<Arc<App>>,
    Path(sku): Path<String>,
    Query(part): Query<Part>,
) -> Result<Response, HttpError> {
    let path = with_query(format!("{}/changes", path_of(&sku)?), &part)?;
    let request = app.catalog.request(Method::GET, &path);
    peers::pass_on(&app.catalog, request).await
}

/// Show a product's stock and its ledger
#[utoipa::path(
    get,
    path = "/v1/products/{sku}/stock",
    operation_id = "get_stock",
    tag = "products",
    params(("sku" = String, Path, description = "Stock-keeping unit, percent-encoded"), Part),
    responses(
        (status = 200, description = "Levels by place, and a page of bookings, newest first", body = Stock),
        (status = 404, description = "No such product", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "The catalog is down; see `Retry-After`", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn stock(
    State(app): State<Arc<App>>,
    Path(sku): Path<String>,
    Query(part): Query<Part>,
) -> Result<Response, HttpError> {
    let path = with_query(format!("{}/stock", path_of(&sku)?), &part)?;
    let request = app.catalog.request(Method::GET, &path);
    peers::pass_on(&app.catalog, request).await
}

/// Show how far a named import came
#[utoipa::path(
    get,
    path = "/v1/products/imports/{name}",
    operation_id = "get_import",
    tag = "products",
    params(("name" = String, Path, description = "The name that it was sent under")),
    responses(
        (status = 200, description = "What is saved, and what was refused", body = ImportProgress),
        (status = 404, description = "No such import", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "The catalog is down; see `Retry-After`", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn import_progress(
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
) -> Result<Response, HttpError> {
    let name = utf8_percent_encode(&name, SEGMENT);
    let path = format!("{}/imports/{name}", paths::PRODUCTS);
    let request = app.catalog.request(Method::GET, &path);
    peers::pass_on(&app.catalog, request).await
}

/// Export all products
///
/// Drafts and archived ones too, products before their variants, in the form that the import takes: newline-delimited
/// JSON, or CSV if `Accept` says so. It is streamed; one that breaks off is incomplete. Stock is not in it.
#[utoipa::path(
    get,
    path = "/v1/products/export",
    operation_id = "export_products",
    tag = "products",
    params(("Accept" = Option<String>, Header, description = "`application/x-ndjson` (also when left out) or `text/csv`")),
    responses(
        (status = 200, description = "All products", content(
            (ProductSource = "application/x-ndjson"),
            (String = "text/csv"),
        )),
        (status = 406, description = "Neither of these", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "The catalog is down; see `Retry-After`", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn export(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
) -> Result<Response, HttpError> {
    let catalog = app.catalog.with_deadline(EXPORT_BEGIN_MAX);
    let mut request = catalog.request(Method::GET, &format!("{}/export", paths::PRODUCTS));
    if let Some(accepted) = headers.get(header::ACCEPT) {
        request = request.header(header::ACCEPT, accepted);
    }
    let answer = peers::ask(&catalog, request).await?;
    let status = answer.status();
    if !status.is_success() {
        let body = peers::body(&catalog, answer).await?;
        return Err(peers::refusal(&catalog, status, &body));
    }
    let kept = peers::kept_headers(answer.headers());
    let mut response = Response::new(Body::from_stream(answer.bytes_stream()));
    *response.headers_mut() = kept;
    Ok(response)
}

/// List goods that are held for orders that do not stand
///
/// Found by comparing old reservations with the orders service; never let go by itself. The oldest first.
#[utoipa::path(
    get,
    path = "/v1/ops/reservations",
    operation_id = "list_unsettled_reservations",
    tag = "ops",
    params(Part),
    responses(
        (status = 200, description = "A page of reservations in trouble", body = Page<UnsettledReservation>),
        (status = 400, description = "A parameter or cursor that cannot be used", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "The catalog is down; see `Retry-After`", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn unsettled(
    State(app): State<Arc<App>>,
    Query(part): Query<Part>,
) -> Result<Response, HttpError> {
    let path = with_query(paths::UNSETTLED.to_owned(), &part)?;
    let request = app.catalog.request(Method::GET, &path);
    peers::pass_on(&app.catalog, request).await
}
