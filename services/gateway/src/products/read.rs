//! `GET /v1/products` and `GET /v1/products/{sku}`.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::Response;
use serde::{Deserialize, Serialize};
use steelyard_domain::api::{LIMIT_MAX, Problem};
use steelyard_domain::fault::Invalid;
use steelyard_domain::internal::paths;
use steelyard_domain::product::{Product, ProductPage};
use steelyard_domain::text;
use steelyard_runtime::http::{HttpError, Path, Query};
use utoipa::IntoParams;

use super::copies::Copy;
use super::path_of;
use crate::app::App;
use crate::orders::CACHE_STATUS;
use crate::peers;

/// Prices and stock move: shared caches may keep an answer briefly, and longer while we are down.
const CACHE_CONTROL: &str = "public, max-age=10, stale-if-error=86400";

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
/// While the catalog is down, the last good copy answers and `Cache-Status` and `Age` say so.
#[utoipa::path(
    get,
    path = "/v1/products",
    operation_id = "list_products",
    tag = "products",
    params(Filter, ("If-None-Match" = Option<String>, Header, description = "The `ETag` of an answer that is at hand")),
    responses(
        (status = 200, description = "A page of products", body = ProductPage,
            headers(("ETag" = String), ("Cache-Control" = String), ("Cache-Status" = String))),
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
    let asked = with_query(paths::PRODUCTS.to_owned(), &filter)?;
    answer(&app, &headers, asked).await
}

/// Show a product
///
/// While the catalog is down, the last good copy answers and `Cache-Status` and `Age` say so.
#[utoipa::path(
    get,
    path = "/v1/products/{sku}",
    operation_id = "get_product",
    tag = "products",
    params(
        ("sku" = String, Path, description = "Stock-keeping unit, percent-encoded"),
        Shown,
        ("If-None-Match" = Option<String>, Header, description = "The `ETag` of an answer that is at hand"),
    ),
    responses(
        (status = 200, description = "The product", body = Product,
            headers(("ETag" = String), ("Cache-Control" = String), ("Cache-Status" = String))),
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
    let asked = with_query(path_of(&sku)?, &shown)?;
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

/// The catalog's answer, else the last good copy, else 503.
pub(super) async fn answer(
    app: &App,
    headers: &HeaderMap,
    asked: String,
) -> Result<Response, HttpError> {
    let known = headers.get(header::IF_NONE_MATCH);
    match ask(app, known, &asked).await {
        Ok(answer) => Ok(answer),
        Err(refused) if refused.status() == StatusCode::SERVICE_UNAVAILABLE => app
            .copies
            .get(&asked)
            .map(|copy| from_copy(copy, known))
            .ok_or(refused),
        Err(refused) => Err(refused),
    }
}

async fn ask(app: &App, known: Option<&HeaderValue>, asked: &str) -> Result<Response, HttpError> {
    let mut request = app.catalog.request(Method::GET, asked);
    if let Some(known) = known {
        request = request.header(header::IF_NONE_MATCH, known);
    }
    let answer = peers::ask(&app.catalog, request).await?;
    let status = answer.status();
    let mut headers = peers::kept_headers(answer.headers());
    let cache_control = HeaderValue::from_static(CACHE_CONTROL);
    headers
        .entry(header::CACHE_CONTROL)
        .or_insert(cache_control);
    let body = peers::body(&app.catalog, answer).await?;
    match status {
        StatusCode::OK => {
            app.copies
                .keep(asked.to_owned(), headers.clone(), body.clone());
            let fresh = HeaderValue::from_static("steelyard; fwd=uri-miss; stored");
            headers.insert(CACHE_STATUS, fresh);
        }
        StatusCode::NOT_MODIFIED => {}
        StatusCode::NOT_FOUND => {
            app.copies.forget(asked);
            return Err(peers::refusal(&app.catalog, status, &body));
        }
        _ => return Err(peers::refusal(&app.catalog, status, &body)),
    }
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    Ok(response)
}

fn from_copy(copy: Copy, known: Option<&HeaderValue>) -> Response {
    let unchanged = known.is_some_and(|known| copy.headers.get(header::ETAG) == Some(known));
    let mut response = if unchanged {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        response
    } else {
        Response::new(Body::from(copy.body))
    };
    let headers = response.headers_mut();
    *headers = copy.headers;
    headers.insert(header::AGE, copy.taken.elapsed().as_secs().into());
    let stale = HeaderValue::from_static("steelyard; hit; detail=\"catalog unavailable\"");
    headers.insert(CACHE_STATUS, stale);
    response
}
