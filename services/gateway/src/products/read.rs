//! `GET /v1/products` and `GET /v1/products/{sku}`.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use serde::{Deserialize, Serialize};
use steelyard_domain::api::{LIMIT_MAX, Page, Problem};
use steelyard_domain::fault::Invalid;
use steelyard_domain::internal::paths;
use steelyard_domain::product::Product;
use steelyard_domain::text;
use steelyard_runtime::http::{HttpError, Path, Query};
use utoipa::IntoParams;

use super::answer::{Asked, answer};
use super::copies::About;
use super::path_of;
use crate::app::App;

/// Which products.
#[derive(Debug, Deserialize, Serialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Filter {
    /// Words in name or SKU.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[param(max_length = 200)]
    q: Option<String>,
    /// Only those of this category.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[param(max_length = 128)]
    category: Option<String>,
    /// Entries of a page; 20 when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[param(minimum = 1, maximum = 100)]
    limit: Option<u32>,
    /// `next_cursor` of the page before.
    #[serde(skip_serializing_if = "Option::is_none")]
    cursor: Option<String>,
}

/// List products
///
/// A copy of a few seconds may answer (`Age`), but for `Cache-Control: no-cache`. While the catalog is down,
/// the last good copy does; `Cache-Status` (RFC 9211) says so.
#[utoipa::path(
    get,
    path = "/v1/products",
    operation_id = "list_products",
    tag = "products",
    params(
        Filter,
        ("If-None-Match" = Option<String>, Header, description = "The `ETag` of an answer that is at hand"),
        ("Cache-Control" = Option<String>, Header, description = "`no-cache`: ask the catalog whatever copy there is"),
    ),
    responses(
        (status = 200, description = "A page of products", body = Page<Product>,
            headers(("ETag" = String), ("Cache-Control" = String), ("Cache-Status" = String), ("Age" = String))),
        (status = 304, description = "The answer that is at hand still holds"),
        (status = 400, description = "A parameter or cursor that cannot be used", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "The catalog is down and there is no copy; see `Retry-After`", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn list(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    Query(filter): Query<Filter>,
) -> Result<Response, HttpError> {
    check(&filter)?;
    let query = serde_urlencoded::to_string(&filter).map_err(|_| HttpError::internal())?;
    let path = if query.is_empty() {
        paths::PRODUCTS.to_owned()
    } else {
        format!("{}?{query}", paths::PRODUCTS)
    };
    let about = About::List;
    answer(&app, &headers, Asked { path, about }).await
}

/// Show a product
///
/// A copy of a few seconds may answer (`Age`), but for `Cache-Control: no-cache`. While the catalog is down,
/// the last good copy does; `Cache-Status` (RFC 9211) says so.
#[utoipa::path(
    get,
    path = "/v1/products/{sku}",
    operation_id = "get_product",
    tag = "products",
    params(
        ("sku" = String, Path, description = "Stock-keeping unit, percent-encoded"),
        ("If-None-Match" = Option<String>, Header, description = "The `ETag` of an answer that is at hand"),
        ("Cache-Control" = Option<String>, Header, description = "`no-cache`: ask the catalog whatever copy there is"),
    ),
    responses(
        (status = 200, description = "The product", body = Product,
            headers(("ETag" = String), ("Cache-Control" = String), ("Cache-Status" = String), ("Age" = String))),
        (status = 304, description = "The answer that is at hand still holds"),
        (status = 404, description = "No such product for sale", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "The catalog is down and there is no copy; see `Retry-After`", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn read(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    Path(sku): Path<String>,
) -> Result<Response, HttpError> {
    let asked = Asked {
        path: path_of(&sku)?,
        about: app.copies.about(&sku),
    };
    answer(&app, &headers, asked).await
}

fn check(filter: &Filter) -> Result<(), HttpError> {
    let mut refused = HttpError::new(
        StatusCode::BAD_REQUEST,
        "invalid_query",
        "a query parameter cannot be used",
    );
    for (name, value, chars_max) in [
        ("q", &filter.q, 200),
        ("category", &filter.category, 128),
        ("cursor", &filter.cursor, 1_024),
    ] {
        if let Some(value) = value
            && let Err(Invalid { code, detail }) = text::bounded(value, chars_max)
        {
            refused = refused.at(format!("query/{name}"), code, detail);
        }
    }
    if filter
        .limit
        .is_some_and(|limit| !(1..=LIMIT_MAX).contains(&limit))
    {
        let detail = format!("must be between 1 and {LIMIT_MAX}");
        refused = refused.at("query/limit", "out_of_range", detail);
    }
    if refused.faults().is_empty() {
        Ok(())
    } else {
        Err(refused)
    }
}
