//! Changing the catalog. The catalog checks what it is given; the gateway says who may give it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::Response;
use futures_util::TryStreamExt as _;
use steelyard_domain::api::Problem;
use steelyard_domain::internal::paths;
use steelyard_domain::product::{
    ImportReport, Product, ProductBody, StockAdjustmentBody, StockLevel,
};
use steelyard_runtime::client::Internal;
use steelyard_runtime::http::{HttpError, Path, RawBody, require_json};

use super::path_of;
use crate::app::App;
use crate::peers;

/// An import may take this long.
const IMPORT_MAX: Duration = Duration::from_mins(15);

/// Create or replace a product
#[utoipa::path(
    put,
    path = "/v1/products/{sku}",
    operation_id = "put_product",
    tag = "products",
    params(("sku" = String, Path, description = "Stock-keeping unit, percent-encoded")),
    request_body = ProductBody,
    responses(
        (status = 200, description = "Replaced, or as it was", body = Product),
        (status = 201, description = "Created", body = Product),
        (status = 422, description = "Something in it is wrong", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "The catalog is down; see `Retry-After`", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn put(
    State(app): State<Arc<App>>,
    Path(sku): Path<String>,
    headers: HeaderMap,
    RawBody(body): RawBody,
) -> Result<Response, HttpError> {
    require_json(&headers)?;
    let request = app.catalog.request(Method::PUT, &path_of(&sku)?);
    let request = request
        .header(header::CONTENT_TYPE, "application/json")
        .body(body);
    let passed = pass_on(&app.catalog, request).await;
    // Whatever came of it: who changes a product here reads here what became of it.
    app.copies.changed(&sku);
    passed
}

/// Book a stock adjustment
///
/// Booked once per SKU and `reference`, however often it is sent.
#[utoipa::path(
    post,
    path = "/v1/products/{sku}/stock-adjustments",
    operation_id = "adjust_stock",
    tag = "products",
    params(("sku" = String, Path, description = "Stock-keeping unit, percent-encoded")),
    request_body = StockAdjustmentBody,
    responses(
        (status = 200, description = "Booked, now or before", body = StockLevel),
        (status = 404, description = "No such product", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "Something in it is wrong", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "The catalog is down; see `Retry-After`", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn adjust_stock(
    State(app): State<Arc<App>>,
    Path(sku): Path<String>,
    headers: HeaderMap,
    RawBody(body): RawBody,
) -> Result<Response, HttpError> {
    require_json(&headers)?;
    let path = format!("{}/stock-adjustments", path_of(&sku)?);
    let request = app.catalog.request(Method::POST, &path);
    let request = request
        .header(header::CONTENT_TYPE, "application/json")
        .body(body);
    let passed = pass_on(&app.catalog, request).await;
    // Whatever came of it: who changes a product here reads here what became of it.
    app.copies.changed(&sku);
    passed
}

/// Import products
///
/// Newline-delimited JSON, one product per line as in `PUT`, with its `sku`. It is streamed: a bad
/// line is reported and stops no other. Sending it again changes nothing.
#[utoipa::path(
    post,
    path = "/v1/products/import",
    operation_id = "import_products",
    tag = "products",
    request_body(content = ProductBody, content_type = "application/x-ndjson"),
    responses(
        (status = 200, description = "What it led to, refused lines included", body = ImportReport),
        (status = 413, description = "Larger than this gateway takes", body = Problem, content_type = "application/problem+json"),
        (status = 415, description = "Not newline-delimited JSON", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "The catalog is down; see `Retry-After`", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn import(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, HttpError> {
    let bytes_max = app.limits.import_bytes_max;
    let announced = headers
        .get(header::CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok());
    if announced
        .and_then(|text| text.parse::<u64>().ok())
        .is_some_and(|bytes| bytes > bytes_max)
    {
        return Err(too_large(bytes_max));
    }
    let read = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&read);
    let chunks = body
        .into_data_stream()
        .map_err(std::io::Error::other)
        .and_then(move |chunk| {
            let total =
                counted.fetch_add(chunk.len() as u64, Ordering::Relaxed) + chunk.len() as u64;
            std::future::ready(if total > bytes_max {
                Err(std::io::Error::other(
                    "the body is larger than this route takes",
                ))
            } else {
                Ok(chunk)
            })
        });
    let catalog = app.catalog.with_deadline(IMPORT_MAX);
    let mut request = catalog.request(Method::POST, &format!("{}/import", paths::PRODUCTS));
    if let Some(kind) = headers.get(header::CONTENT_TYPE) {
        request = request.header(header::CONTENT_TYPE, kind);
    }
    let request = request.body(reqwest::Body::wrap_stream(chunks));
    let passed = pass_on(&catalog, request).await;
    app.copies.all_changed();
    if read.load(Ordering::Relaxed) > bytes_max {
        return Err(too_large(bytes_max));
    }
    passed
}

fn too_large(bytes_max: u64) -> HttpError {
    let detail = format!("an import has at most {bytes_max} bytes; what was sent so far stands");
    HttpError::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", detail)
}

/// The catalog's answer as it is; its refusals with this request's names.
async fn pass_on(
    catalog: &Internal,
    request: reqwest::RequestBuilder,
) -> Result<Response, HttpError> {
    let answer = peers::ask(catalog, request).await?;
    let status = answer.status();
    let headers = peers::kept_headers(answer.headers());
    let body = peers::body(catalog, answer).await?;
    if !status.is_success() {
        return Err(peers::refusal(catalog, status, &body));
    }
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    Ok(response)
}
