//! Order queries for the other services.

mod ops;
mod orders;
mod reports;

use std::time::Duration;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::{get, post};
use sqlx::PgPool;
use steelyard_domain::internal::paths;
use steelyard_domain::ops::paths as ops_paths;
use steelyard_domain::tax::TaxTable;
use steelyard_runtime::config::Secret;
use steelyard_runtime::http::{HttpError, envelope, require_service_token, with_deadline};
use steelyard_store::{Database, is_outage};

use crate::catalog::Catalog;
use crate::ops::Known;

/// Longest answer.
const ANSWER_MAX: Duration = Duration::from_secs(10);
/// Queries take no body, and maintenance a small one.
const BODY_BYTES_MAX: usize = 16 * 1_024;
/// 500 ids of orders.
const IDS_BYTES_MAX: usize = 64 * 1_024;
/// A message of 1 MiB before and after it was edited, each escaped as JSON.
const MESSAGES_BYTES_MAX: usize = 8 * 1_024 * 1_024;

/// What the handlers share.
#[derive(Debug, Clone)]
pub(crate) struct App {
    /// Whether the schema is there.
    pub(crate) database: Database,
    /// The writer, for queries only: one order is read as the worker left it, and never waits for a
    /// connection that the worker has.
    pub(crate) queries: PgPool,
    /// Lists may come from a replica, a moment behind.
    pub(crate) reader: Option<PgPool>,
    /// For quotes.
    pub(crate) catalog: Catalog,
    /// The shop's tax rates.
    pub(crate) tax: TaxTable,
    /// Whose order ids are right, if we know who issues.
    pub(crate) issuer: Option<String>,
    /// This process's worker, if it has one.
    pub(crate) known: Option<Known>,
}

impl App {
    fn writer(&self) -> Result<&PgPool, HttpError> {
        if self.database.is_migrated() {
            Ok(&self.queries)
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
    let large = DefaultBodyLimit::max(MESSAGES_BYTES_MAX);
    let known = DefaultBodyLimit::max(IDS_BYTES_MAX);
    let written = get(ops::audit).post(ops::write_down);
    let routes = Router::new()
        .route(ops_paths::PROCESSING, get(ops::processing))
        .route(
            ops_paths::MAINTENANCE,
            get(ops::maintenance).put(ops::set_maintenance),
        )
        .route(ops_paths::AUDIT, written.layer(large))
        .route(ops_paths::CHECK, post(ops::check).layer(large))
        .route(ops_paths::DRY_RUN, post(ops::dry_run).layer(large))
        .route(paths::ORDERS, get(orders::list))
        .route(paths::DAILY_SALES, get(reports::daily_sales))
        .route(paths::ORDERS_KNOWN, post(orders::known).layer(known))
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
