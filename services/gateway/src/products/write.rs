//! Changing the catalog. The catalog checks what it is given; the gateway says who may give it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::Response;
use futures_util::TryStreamExt as _;
use percent_encoding::utf8_percent_encode;
use reqwest::RequestBuilder;
use serde::{Deserialize, Serialize};
use steelyard_domain::api::Problem;
use steelyard_domain::internal::{ON_BEHALF_OF, paths};
use steelyard_domain::product::{
    ImportReport, Product, ProductBody, StockAdjustmentBody, StockLevel,
};
use steelyard_runtime::http::{HttpError, Path, Query, RawBody, require_json};
use utoipa::IntoParams;

use super::read::with_query;
use super::{SEGMENT, path_of};
use crate::app::App;
use crate::auth::{Caller, CallerOf};
use crate::peers;

/// Under which name.
#[derive(Debug, Deserialize, Serialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ImportQuery {
    /// A name for this body, such as the file's: an import that broke off goes on by it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[param(max_length = 128, pattern = "^[A-Za-z0-9._-]{1,128}$")]
    name: Option<String>,
}

/// An import may take this long.
const IMPORT_MAX: Duration = Duration::from_mins(15);

/// Create or replace a product
///
/// With `If-Match` only the version that a tag of this product names is replaced: two who change it at once do not undo
/// each other. Stock that moved meanwhile is no such change.
#[utoipa::path(
    put,
    path = "/v1/products/{sku}",
    operation_id = "put_product",
    tag = "products",
    params(
        ("sku" = String, Path, description = "Stock-keeping unit, percent-encoded"),
        ("If-Match" = Option<String>, Header, description = "Tags of the product; `*` to replace and not to create"),
        ("If-None-Match" = Option<String>, Header, description = "`*` to create and not to replace"),
    ),
    request_body = ProductBody,
    responses(
        (status = 200, description = "Replaced, or as it was", body = Product),
        (status = 201, description = "Created", body = Product),
        (status = 409, description = "Its stock cannot be booked so", body = Problem, content_type = "application/problem+json"),
        (status = 412, description = "It is not as the condition asks: read it again", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "Something in it is wrong", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "The catalog is down; see `Retry-After`", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn put(
    State(app): State<Arc<App>>,
    Path(sku): Path<String>,
    CallerOf(caller): CallerOf,
    headers: HeaderMap,
    RawBody(body): RawBody,
) -> Result<Response, HttpError> {
    require_json(&headers)?;
    let request = app.catalog.request(Method::PUT, &path_of(&sku)?);
    let request = by(conditional(request, &headers), &caller)
        .header(header::CONTENT_TYPE, "application/json")
        .body(body);
    let passed = peers::pass_on(&app.catalog, request).await;
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
        (status = 409, description = "Less would be left than is reserved, or than is there", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "Something in it is wrong", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "The catalog is down; see `Retry-After`", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn adjust_stock(
    State(app): State<Arc<App>>,
    Path(sku): Path<String>,
    CallerOf(caller): CallerOf,
    headers: HeaderMap,
    RawBody(body): RawBody,
) -> Result<Response, HttpError> {
    require_json(&headers)?;
    let path = format!("{}/stock-adjustments", path_of(&sku)?);
    let request = app.catalog.request(Method::POST, &path);
    let request = by(request, &caller)
        .header(header::CONTENT_TYPE, "application/json")
        .body(body);
    let passed = peers::pass_on(&app.catalog, request).await;
    // Whatever came of it: who changes a product here reads here what became of it.
    app.copies.changed(&sku);
    passed
}

/// Import products
///
/// Newline-delimited JSON, one product per line as in `PUT`, with its `sku`; or CSV, whose header names the columns in
/// any order: `sku`, `name`, `description`, `category`, `tax_category`, `status`, `variant_of`, `low_at`; `price:GBP`,
/// `price:CHF:country:CH`; `name:de`, `description:de`; `attribute:brand`, `option:size`; `stock`, `stock_reference`,
/// `stock_reason`, `stock_location`; and as JSON `prices`, `translations`, `attributes`, `options`. It is streamed: a bad
/// line is reported and stops no other. Sending it again changes nothing. With a `name`, sending the same body again
/// goes on where it broke off.
#[utoipa::path(
    post,
    path = "/v1/products/import",
    operation_id = "import_products",
    tag = "products",
    params(ImportQuery),
    request_body(content(
        (ProductBody = "application/x-ndjson"),
        (String = "text/csv"),
    )),
    responses(
        (status = 200, description = "What it led to, refused lines included", body = ImportReport),
        (status = 413, description = "Larger than this gateway takes", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "Under this name another body was sent, or the same is being sent", body = Problem, content_type = "application/problem+json"),
        (status = 415, description = "Neither newline-delimited JSON nor CSV", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "The catalog is down; see `Retry-After`", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn import(
    State(app): State<Arc<App>>,
    CallerOf(caller): CallerOf,
    Query(query): Query<ImportQuery>,
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
    let path = with_query(format!("{}/import", paths::PRODUCTS), &query)?;
    let mut request = by(catalog.request(Method::POST, &path), &caller);
    if let Some(kind) = headers.get(header::CONTENT_TYPE) {
        request = request.header(header::CONTENT_TYPE, kind);
    }
    let request = request.body(reqwest::Body::wrap_stream(chunks));
    let passed = peers::pass_on(&catalog, request).await;
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

/// Names who asks, for the audit of the service that is asked.
pub(crate) fn by(request: RequestBuilder, caller: &Caller) -> RequestBuilder {
    let name = utf8_percent_encode(&caller.subject, SEGMENT).to_string();
    request.header(ON_BEHALF_OF, name)
}

/// Passes the condition of a change on.
pub(super) fn conditional(mut request: RequestBuilder, headers: &HeaderMap) -> RequestBuilder {
    for name in [header::IF_MATCH, header::IF_NONE_MATCH] {
        for value in headers.get_all(&name) {
            request = request.header(name.clone(), value);
        }
    }
    request
}
