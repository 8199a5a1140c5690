//! `GET /v1/products` and `GET /v1/products/{sku}`.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use serde::{Deserialize, Serialize};
use steelyard_domain::api::{LIMIT_MAX, Problem};
use steelyard_domain::fault::Invalid;
use steelyard_domain::internal::paths;
use steelyard_domain::product::{Product, ProductPage};
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
    /// Words of name, attributes or description in any language, or the beginning of a SKU. Best first; the last word
    /// may be unfinished, and words may be misspelt.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[param(max_length = 200)]
    q: Option<String>,
    /// Only those of this category and the ones below it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[param(max_length = 128)]
    category: Option<String>,
    /// Only those with these attributes or options: `brand:Acme,colour:red|blue`. `,`, `:`, `|` and `%` in a value are
    /// percent-encoded.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[param(max_length = 4096)]
    attributes: Option<String>,
    /// The currency of `price_min` and `price_max`.
    #[serde(skip_serializing_if = "Option::is_none")]
    currency: Option<String>,
    /// Only those whose price for everyone is at least this.
    #[serde(skip_serializing_if = "Option::is_none")]
    price_min: Option<String>,
    /// … at most this.
    #[serde(skip_serializing_if = "Option::is_none")]
    price_max: Option<String>,
    /// Count the products of all pages by category and attribute, too.
    #[serde(skip_serializing_if = "Option::is_none")]
    facets: Option<bool>,
    /// The language that names and descriptions shall be in (`de-CH`): its own words, else those of `de`, else the
    /// shop's.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[param(max_length = 16)]
    lang: Option<String>,
    /// Where the goods would go (ISO 3166-1): a country may have prices of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[param(max_length = 2)]
    country: Option<String>,
    /// Entries of a page; 20 when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[param(minimum = 1, maximum = 100)]
    limit: Option<u32>,
    /// `next_cursor` of the page before.
    #[serde(skip_serializing_if = "Option::is_none")]
    cursor: Option<String>,
}

/// How one product is shown.
#[derive(Debug, Deserialize, Serialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Shown {
    /// The language that name and description shall be in, as in the list.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[param(max_length = 16)]
    lang: Option<String>,
    /// Where the goods would go (ISO 3166-1): a country may have prices of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[param(max_length = 2)]
    country: Option<String>,
}

/// List products
///
/// Without `q` by name. Variants are left out: the products that have them stand for them.
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
        (status = 200, description = "A page of products", body = ProductPage,
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
    let asked = Asked {
        path: with_query(paths::PRODUCTS.to_owned(), &filter)?,
        about: About::List,
    };
    answer(&app, &headers, asked).await
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
        Shown,
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
    Query(shown): Query<Shown>,
) -> Result<Response, HttpError> {
    let asked = Asked {
        path: with_query(path_of(&sku)?, &shown)?,
        about: app.copies.about(&sku),
    };
    answer(&app, &headers, asked).await
}

/// What the catalog is asked, and by what copies are found.
pub(super) fn with_query<T: Serialize>(path: String, query: &T) -> Result<String, HttpError> {
    let query = serde_urlencoded::to_string(query).map_err(|_| HttpError::internal())?;
    if query.is_empty() {
        return Ok(path);
    }
    Ok(format!("{path}?{query}"))
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
        ("attributes", &filter.attributes, 4_096),
        ("currency", &filter.currency, 3),
        ("price_min", &filter.price_min, 16),
        ("price_max", &filter.price_max, 16),
        ("lang", &filter.lang, 16),
        ("country", &filter.country, 2),
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
