//! Order queries for the other services.

mod orders;

use std::time::Duration;

use axum::Router;
use axum::routing::get;
use sqlx::PgPool;
use steelyard_domain::internal::paths;
use steelyard_runtime::config::Secret;
use steelyard_runtime::http::{HttpError, envelope, require_service_token, with_deadline};
use steelyard_store::{Database, is_outage};

/// Longest answer.
const ANSWER_MAX: Duration = Duration::from_secs(10);
/// No route takes a body.
const BODY_BYTES_MAX: usize = 1_024;

/// What the handlers share.
#[derive(Debug, Clone)]
pub(crate) struct App {
    /// The writer: one order is read as the worker left it.
    pub(crate) database: Database,
    /// Lists may come from a replica, a moment behind.
    pub(crate) reader: Option<PgPool>,
}

impl App {
    fn writer(&self) -> Result<&PgPool, HttpError> {
        if self.database.is_migrated() {
            Ok(self.database.pool())
        } else {
            Err(database_away())
        }
    }

    fn reader(&self) -> Result<&PgPool, HttpError> {
        self.reader.as_ref().map_or_else(|| self.writer(), Ok)
    }
}

/// All routes, for peers that hold `token`.
pub(crate) fn routes(app: App, token: Secret) -> Router {
    let routes = Router::new()
        .route(paths::ORDERS, get(orders::list))
        .route(&format!("{}/{{id}}", paths::ORDERS), get(orders::get))
        .with_state(app);
    let routes = with_deadline(require_service_token(routes, token), ANSWER_MAX);
    envelope(routes, BODY_BYTES_MAX)
}

/// No routes, but the same manners: for a process without the `api` role.
pub(crate) fn no_routes() -> Router {
    envelope(Router::new(), BODY_BYTES_MAX)
}

fn database_away() -> HttpError {
    HttpError::unavailable("database_away", "the database of orders is away", 1)
}

/// An outage is a 503; anything else that Postgres refuses is a mistake of ours, and is logged.
fn of_sql(error: &sqlx::Error) -> HttpError {
    if is_outage(error) {
        tracing::warn!(%error, "the database is away");
        return database_away();
    }
    tracing::error!(%error, "the database refused a query");
    HttpError::internal()
}
