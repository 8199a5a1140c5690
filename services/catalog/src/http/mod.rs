//! The catalog's routes.

mod etag;
mod news;
mod products;
mod reservations;

use std::time::Duration;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::{get, post};
use sqlx::PgPool;
use steelyard_domain::internal::paths;
use steelyard_domain::ops::paths::QUOTES;
use steelyard_runtime::config::Secret;
use steelyard_runtime::http::{HttpError, envelope, require_service_token, with_deadline};
use steelyard_status::ProductNews;
use steelyard_store::Database;

use crate::failure::database_away;

/// The largest body of a product or a booking.
const BODY_BYTES_MAX: usize = 256 * 1024;
/// The largest reserve call: 500 orders of ordinary size are some hundred KiB.
const RESERVE_BYTES_MAX: usize = 32 * 1024 * 1024;
/// Longest answer, imports aside.
const ANSWER_MAX: Duration = Duration::from_secs(15);

/// What the handlers share.
#[derive(Debug, Clone)]
pub(crate) struct App {
    database: Database,
    import_bytes_max: u64,
}

impl App {
    pub(crate) const fn new(database: Database, import_bytes_max: u64) -> Self {
        Self {
            database,
            import_bytes_max,
        }
    }

    /// The pool, once the schema is there.
    fn pool(&self) -> Result<&PgPool, HttpError> {
        if self.database.is_migrated() {
            Ok(self.database.pool())
        } else {
            Err(database_away())
        }
    }
}

/// All routes, for peers that hold `token`. Changes of products are told to `news`.
pub(crate) fn routes(app: App, token: Secret, news: Option<ProductNews>) -> Router {
    let product = |below: &str| format!("{}{below}", paths::PRODUCTS);
    let reserve = post(reservations::reserve).layer(DefaultBodyLimit::max(RESERVE_BYTES_MAX));
    let quote = post(reservations::quote).layer(DefaultBodyLimit::max(RESERVE_BYTES_MAX));
    let quick = Router::new()
        .route(paths::PRODUCTS, get(products::list))
        .route(&product("/{sku}"), get(products::get).put(products::put))
        .route(&product("/{sku}/stock-adjustments"), post(products::adjust))
        .route(paths::RESERVATIONS, reserve)
        .route(QUOTES, quote)
        .route(paths::RELEASE, post(reservations::release))
        .route(paths::CONSUME, post(reservations::consume))
        .route(paths::RESTOCK, post(reservations::restock));
    let slow = Router::new().route(&product("/import"), post(products::import));
    let routes = with_deadline(quick, ANSWER_MAX).merge(slow);
    let routes = news::told(routes, news).with_state(app);
    envelope(require_service_token(routes, token), BODY_BYTES_MAX)
}
