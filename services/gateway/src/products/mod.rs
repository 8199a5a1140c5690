//! Products: read by anyone, from copies that are fresh, and from the last good ones while the catalog is
//! down; changed by those who may.

mod answer;
mod categories;
mod copies;
mod flights;
mod images;
mod office;
mod read;
mod write;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use steelyard_domain::internal::paths;
use steelyard_domain::scope::Scope::{CatalogWrite, Ops};
use steelyard_runtime::http::{HttpError, with_deadline};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(crate) use copies::Copies;
pub(crate) use flights::Flights;
pub(crate) use write::by;

use crate::app::App;
use crate::auth::{allowed, public};

const ANSWER_MAX: Duration = Duration::from_secs(20);
/// All that RFC 3986 calls unreserved stays as it is.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// The routes that answer quickly, each with who may call it.
pub(crate) fn routes(app: &Arc<App>) -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::default()
        .routes(public(routes!(read::list)))
        .routes(public(routes!(read::read)))
        .routes(public(routes!(categories::list)))
        .routes(allowed(app, &[CatalogWrite], routes!(categories::put)))
        .routes(allowed(app, &[CatalogWrite], routes!(office::source)))
        .routes(allowed(app, &[CatalogWrite], routes!(office::changes)))
        .routes(allowed(app, &[CatalogWrite], routes!(office::stock)))
        .routes(allowed(
            app,
            &[CatalogWrite],
            routes!(office::import_progress),
        ))
        .routes(allowed(app, &[Ops], routes!(office::unsettled)))
        .routes(allowed(app, &[CatalogWrite], routes!(write::put)))
        .routes(allowed(app, &[CatalogWrite], routes!(write::adjust_stock)))
        .routes(allowed(
            app,
            &[CatalogWrite],
            routes!(images::list, images::announce),
        ))
        .routes(allowed(
            app,
            &[CatalogWrite],
            routes!(images::show, images::remove),
        ))
        .routes(allowed(app, &[CatalogWrite], routes!(images::complete)))
}

/// Import and export, which take as long as their bodies.
pub(crate) fn import_route(app: &Arc<App>) -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::default()
        .routes(allowed(app, &[CatalogWrite], routes!(write::import)))
        .routes(allowed(app, &[CatalogWrite], routes!(office::export)))
}

/// The deadline of [`routes`].
pub(crate) fn deadline(router: Router<Arc<App>>) -> Router<Arc<App>> {
    with_deadline(router, ANSWER_MAX)
}

/// The catalog's path of a product. SKUs may hold spaces and slashes.
///
/// # Errors
/// 404 for what a URL cannot carry as one segment.
fn path_of(sku: &str) -> Result<String, HttpError> {
    // These would mean another path, even percent-encoded (WHATWG URL, "double-dot segment").
    if matches!(sku, "" | "." | "..") {
        return Err(HttpError::new(
            StatusCode::NOT_FOUND,
            "not_found",
            "no product has this SKU",
        ));
    }
    Ok(format!(
        "{}/{}",
        paths::PRODUCTS,
        utf8_percent_encode(sku, SEGMENT)
    ))
}
