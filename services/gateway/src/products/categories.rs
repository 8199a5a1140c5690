//! Categories: read by anyone, changed by those who may.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, Method, header};
use axum::response::Response;
use percent_encoding::utf8_percent_encode;
use serde::{Deserialize, Serialize};
use steelyard_domain::api::{Page, Problem};
use steelyard_domain::internal::paths;
use steelyard_domain::product::{Category, CategoryBody};
use steelyard_runtime::http::{HttpError, Path, Query, RawBody, require_json};
use utoipa::IntoParams;

use super::SEGMENT;
use super::answer::{Asked, answer};
use super::copies::About;
use super::read::with_query;
use super::write::{by, conditional};
use crate::app::App;
use crate::auth::CallerOf;
use crate::peers;

/// Which categories.
#[derive(Debug, Deserialize, Serialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Wanted {
    /// Only those right below this one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[param(max_length = 128)]
    parent: Option<String>,
    /// The language that names shall be in, as for products.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[param(max_length = 16)]
    lang: Option<String>,
    /// Entries of a page; 1,000 when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<u32>,
    /// `next_cursor` of the page before.
    #[serde(skip_serializing_if = "Option::is_none")]
    cursor: Option<String>,
}

/// List categories
///
/// By code; each names the one that it is part of. While the catalog is down, the last good copy answers.
#[utoipa::path(
    get,
    path = "/v1/categories",
    operation_id = "list_categories",
    tag = "products",
    params(Wanted, ("If-None-Match" = Option<String>, Header, description = "The `ETag` of an answer that is at hand")),
    responses(
        (status = 200, description = "A page of categories", body = Page<Category>,
            headers(("ETag" = String), ("Cache-Control" = String), ("Cache-Status" = String))),
        (status = 304, description = "The answer that is at hand still holds"),
        (status = 400, description = "A parameter or cursor that cannot be used", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "The catalog is down and there is no copy; see `Retry-After`", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn list(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    Query(wanted): Query<Wanted>,
) -> Result<Response, HttpError> {
    let asked = Asked {
        path: with_query(paths::CATEGORIES.to_owned(), &wanted)?,
        about: About::List,
    };
    answer(&app, &headers, asked).await
}

/// Create or replace a category
///
/// Its parent must be there and not below it.
#[utoipa::path(
    put,
    path = "/v1/categories/{code}",
    operation_id = "put_category",
    tag = "products",
    params(
        ("code" = String, Path, description = "The category's code, percent-encoded"),
        ("If-Match" = Option<String>, Header, description = "Tags of the category; `*` to replace and not to create"),
        ("If-None-Match" = Option<String>, Header, description = "`*` to create and not to replace"),
    ),
    request_body = CategoryBody,
    responses(
        (status = 200, description = "Replaced, or as it was", body = Category),
        (status = 201, description = "Created", body = Category),
        (status = 412, description = "It is not as the condition asks: read it again", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "Something in it is wrong; a circle in the tree, say", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "The catalog is down; see `Retry-After`", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn put(
    State(app): State<Arc<App>>,
    Path(code): Path<String>,
    CallerOf(caller): CallerOf,
    headers: HeaderMap,
    RawBody(body): RawBody,
) -> Result<Response, HttpError> {
    require_json(&headers)?;
    // These would mean another path, even percent-encoded.
    if matches!(code.as_str(), "." | "..") {
        let detail = "no category has this code";
        return Err(HttpError::not_found(detail));
    }
    let code = utf8_percent_encode(&code, SEGMENT);
    let request = app
        .catalog
        .request(Method::PUT, &format!("{}/{code}", paths::CATEGORIES));
    let request = by(conditional(request, &headers), &caller)
        .header(header::CONTENT_TYPE, "application/json")
        .body(body);
    peers::pass_on(&app.catalog, request).await
}
