//! Documents: listed, searched, fetched, by their customers and by those who see all.

mod bundles;
mod content;
mod imports;
mod list;
mod read;
mod restore;
mod ubl;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use reqwest::RequestBuilder;
use steelyard_domain::internal::paths;
use steelyard_domain::scope::Scope::{
    self, Customer, DocumentsWrite, Ops, OrdersManage, Storefront,
};
use steelyard_runtime::http::{HttpError, with_deadline};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use crate::app::App;
use crate::auth::{Caller, allowed};
use crate::orders::confined_to;

const ANSWER_MAX: Duration = Duration::from_secs(20);

/// Customers see their own, the others everybody's.
const READERS: &[Scope] = &[Customer, Storefront, OrdersManage];
/// Those who bring documents in, and those who look after them.
const IMPORTERS: &[Scope] = &[DocumentsWrite, OrdersManage, Ops];

/// The routes, each with who may call it.
pub(crate) fn routes(app: &Arc<App>) -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::default()
        .routes(allowed(app, READERS, routes!(list::list)))
        .routes(allowed(app, READERS, routes!(read::read)))
        .routes(allowed(app, READERS, routes!(content::content)))
        .routes(allowed(app, READERS, routes!(ubl::ubl)))
        .routes(allowed(app, READERS, routes!(restore::restore)))
        .routes(allowed(app, READERS, routes!(bundles::ask)))
        .routes(allowed(app, READERS, routes!(bundles::show)))
        .routes(allowed(app, READERS, routes!(bundles::content)))
        .routes(allowed(app, IMPORTERS, routes!(imports::list)))
        .routes(allowed(app, IMPORTERS, routes!(imports::show)))
        .routes(allowed(app, IMPORTERS, routes!(imports::faults)))
        .routes(allowed(app, IMPORTERS, routes!(imports::events)))
}

/// The deadline of every route of this module.
pub(crate) fn deadline(router: Router<Arc<App>>) -> Router<Arc<App>> {
    with_deadline(router, ANSWER_MAX)
}

/// The documents service's path of a document.
///
/// # Errors
/// 404 for what cannot be its id.
fn path_of(id: &str) -> Result<String, HttpError> {
    id_of(id)
        .map(|id| format!("{}/{id}", paths::DOCUMENTS))
        .ok_or_else(|| HttpError::not_found("there is no document with this id for this caller"))
}

/// One id has one spelling.
fn id_of(id: &str) -> Option<Uuid> {
    let id = Some(id).filter(|id| id.len() == 36);
    id.and_then(|id| Uuid::try_parse(id).ok())
}

/// A request that finds a customer's own documents only, unless the caller sees everyone's.
///
/// # Errors
/// 403 for a token whose subject is no customer.
fn confined(request: RequestBuilder, caller: &Caller) -> Result<RequestBuilder, HttpError> {
    Ok(match confined_to(caller)? {
        Some(own) => request.query(&[("customer_id", own.as_str())]),
        None => request,
    })
}
