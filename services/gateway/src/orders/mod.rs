//! Orders: taken, read, watched, changed.

mod commands;
mod events;
mod list;
mod owner;
mod place;
mod read;
mod settle;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use steelyard_domain::scope::Scope::{Customer, OrdersManage, Payments, Storefront};
use steelyard_runtime::http::with_deadline;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::auth::allowed;
pub(crate) use place::other_customer;
pub(crate) use read::{CACHE_STATUS, confined_to};

/// Longest answer: the longest wait that a caller may ask for, and the queue's own deadline.
const ANSWER_MAX: Duration = Duration::from_secs(35);

/// The routes, each with who may call it.
pub(crate) fn routes(app: &Arc<App>) -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::default()
        .routes(allowed(app, &[Customer, Storefront], routes!(place::place)))
        .routes(allowed(
            app,
            &[Customer, Storefront, OrdersManage],
            routes!(list::list),
        ))
        .routes(allowed(
            app,
            &[Customer, Storefront, OrdersManage],
            routes!(read::read),
        ))
        .routes(allowed(
            app,
            &[Customer, Storefront, OrdersManage],
            routes!(events::events),
        ))
        .routes(allowed(
            app,
            &[Customer, OrdersManage],
            routes!(commands::cancel),
        ))
        .routes(allowed(app, &[Payments], routes!(commands::pay)))
        .routes(allowed(app, &[OrdersManage], routes!(commands::ship)))
        .routes(allowed(app, &[OrdersManage], routes!(commands::take_back)))
}

/// The deadline of every route of this module.
pub(crate) fn deadline(router: Router<Arc<App>>) -> Router<Arc<App>> {
    with_deadline(router, ANSWER_MAX)
}
