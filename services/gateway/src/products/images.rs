//! Images of products. The bytes go straight to S3; what goes through here says how, and what became of them.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, Method, header};
use axum::response::Response;
use steelyard_domain::api::Problem;
use steelyard_domain::media::{Image, ImageBody, ImageUpload, Images};
use steelyard_runtime::http::{HttpError, Path, RawBody, require_json};
use uuid::Uuid;

use super::path_of;
use super::write::by;
use crate::app::App;
use crate::auth::CallerOf;
use crate::peers;

/// Announce an image
///
/// The answer holds one request, to be made with the file as its body, straight to S3: method, URL and headers as
/// given. Type and size are part of its signature. Then call `…/complete`.
#[utoipa::path(
    post,
    path = "/v1/products/{sku}/images",
    operation_id = "announce_image",
    tag = "products",
    params(("sku" = String, Path, description = "Stock-keeping unit, percent-encoded")),
    request_body = ImageBody,
    responses(
        (status = 201, description = "Announced; upload it within 15 minutes", body = ImageUpload),
        (status = 404, description = "No such product", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "The product has as many images as it may", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "Something in it is wrong", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "The catalog or S3 is down; see `Retry-After`", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn announce(
    State(app): State<Arc<App>>,
    CallerOf(caller): CallerOf,
    Path(sku): Path<String>,
    headers: HeaderMap,
    RawBody(body): RawBody,
) -> Result<Response, HttpError> {
    require_json(&headers)?;
    let request = app.catalog.request(Method::POST, &below(&sku, "")?);
    let request = by(request, &caller)
        .header(header::CONTENT_TYPE, "application/json")
        .body(body);
    peers::pass_on(&app.catalog, request).await
}

/// List a product's images
///
/// Those that are not shown included: with what became of each.
#[utoipa::path(
    get,
    path = "/v1/products/{sku}/images",
    operation_id = "list_images",
    tag = "products",
    params(("sku" = String, Path, description = "Stock-keeping unit, percent-encoded")),
    responses(
        (status = 200, description = "Its images, in the order in which they are shown", body = Images),
        (status = 503, description = "The catalog is down; see `Retry-After`", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn list(
    State(app): State<Arc<App>>,
    CallerOf(caller): CallerOf,
    Path(sku): Path<String>,
) -> Result<Response, HttpError> {
    let request = by(app.catalog.request(Method::GET, &below(&sku, "")?), &caller);
    peers::pass_on(&app.catalog, request).await
}

/// Show an image
#[utoipa::path(
    get,
    path = "/v1/products/{sku}/images/{id}",
    operation_id = "get_image",
    tag = "products",
    params(
        ("sku" = String, Path, description = "Stock-keeping unit, percent-encoded"),
        ("id" = String, Path, description = "The image"),
    ),
    responses(
        (status = 200, description = "The image and what became of it", body = Image),
        (status = 404, description = "No such image of this product", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "The catalog is down; see `Retry-After`", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn show(
    State(app): State<Arc<App>>,
    CallerOf(caller): CallerOf,
    Path((sku, id)): Path<(String, String)>,
) -> Result<Response, HttpError> {
    let request = by(
        app.catalog.request(Method::GET, &of(&sku, &id, "")?),
        &caller,
    );
    peers::pass_on(&app.catalog, request).await
}

/// Say that an image is uploaded
///
/// It is checked and made into renditions from here on; ask for it to learn what became of it. Harmless when repeated.
#[utoipa::path(
    post,
    path = "/v1/products/{sku}/images/{id}/complete",
    operation_id = "complete_image",
    tag = "products",
    params(
        ("sku" = String, Path, description = "Stock-keeping unit, percent-encoded"),
        ("id" = String, Path, description = "The image"),
    ),
    responses(
        (status = 200, description = "It was said before", body = Image),
        (status = 202, description = "It is being worked on", body = Image),
        (status = 404, description = "No such image of this product", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "Nothing was uploaded yet", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "The catalog or S3 is down; see `Retry-After`", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn complete(
    State(app): State<Arc<App>>,
    CallerOf(caller): CallerOf,
    Path((sku, id)): Path<(String, String)>,
) -> Result<Response, HttpError> {
    let request = by(
        app.catalog
            .request(Method::POST, &of(&sku, &id, "/complete")?),
        &caller,
    );
    peers::pass_on(&app.catalog, request).await
}

/// Remove an image
///
/// It is shown no more, and its files go within the hour. Copies in browsers and CDNs stay as long as they like.
#[utoipa::path(
    delete,
    path = "/v1/products/{sku}/images/{id}",
    operation_id = "remove_image",
    tag = "products",
    params(
        ("sku" = String, Path, description = "Stock-keeping unit, percent-encoded"),
        ("id" = String, Path, description = "The image"),
    ),
    responses(
        (status = 204, description = "Removed"),
        (status = 404, description = "No such image of this product", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "The catalog is down; see `Retry-After`", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn remove(
    State(app): State<Arc<App>>,
    CallerOf(caller): CallerOf,
    Path((sku, id)): Path<(String, String)>,
) -> Result<Response, HttpError> {
    let request = by(
        app.catalog.request(Method::DELETE, &of(&sku, &id, "")?),
        &caller,
    );
    let passed = peers::pass_on(&app.catalog, request).await;
    app.copies.changed(&sku);
    passed
}

fn below(sku: &str, rest: &str) -> Result<String, HttpError> {
    Ok(format!("{}/images{rest}", path_of(sku)?))
}

fn of(sku: &str, id: &str, rest: &str) -> Result<String, HttpError> {
    let id = Uuid::try_parse(id);
    let id = id.map_err(|_| HttpError::not_found("this product has no such image"))?;
    below(sku, &format!("/{id}{rest}"))
}
