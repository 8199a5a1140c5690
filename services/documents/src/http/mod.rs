//! What the gateway asks: lists, searches, one document, the way to its file.
//!
//! **Invariant:** a URL of a file is written into the audit before anybody has it.

mod audit;
mod bundles;
mod content;
mod documents;
mod imports;
mod query;
mod restore;
mod ubl;

use std::time::Duration;

use axum::Router;
use axum::routing::{get, post};
use sqlx::PgPool;
use steelyard_domain::internal::paths;
use steelyard_objects::Bucket;
use steelyard_runtime::config::Secret;
use steelyard_runtime::http::{HttpError, envelope, require_service_token, with_deadline};
use steelyard_store::{Database, is_outage};

use crate::archive::{self, Archive};
use crate::bundle::Bundles;

/// Longest answer.
const ANSWER_MAX: Duration = Duration::from_secs(10);
/// Queries take no body.
const BODY_BYTES_MAX: usize = 16 * 1_024;

/// What the handlers share.
#[derive(Debug, Clone)]
pub(crate) struct App {
    /// Whether the schema is there.
    pub(crate) database: Database,
    /// For queries only: they never wait for a connection that the worker has.
    pub(crate) queries: PgPool,
    /// Signs what leads to files, as customers reach them.
    pub(crate) public: Bucket,
    /// Brings files back.
    pub(crate) archive: Archive,
    /// Makes zips of many.
    pub(crate) bundles: Bundles,
}

impl App {
    fn queries(&self) -> Result<&PgPool, HttpError> {
        if self.database.is_migrated() {
            Ok(&self.queries)
        } else {
            Err(database_away())
        }
    }
}

/// All routes, for peers that hold `token`.
pub(crate) fn routes(app: App, token: Secret) -> Router {
    let one = format!("{}/{{id}}", paths::DOCUMENTS);
    let bundle = format!("{}/{{id}}", paths::BUNDLES);
    let import = format!("{}/{{id}}", paths::IMPORTS);
    let routes = Router::new()
        .route(paths::DOCUMENTS, get(documents::list))
        .route(paths::BUNDLES, post(bundles::post))
        .route(&bundle, get(bundles::get))
        .route(&format!("{bundle}/content"), get(bundles::content))
        .route(paths::IMPORTS, get(imports::latest))
        .route(&import, get(imports::get))
        .route(&format!("{import}/faults"), get(imports::faults))
        .route(&one, get(documents::get))
        .route(&format!("{one}/content"), get(content::get))
        .route(&format!("{one}/restore"), post(restore::post))
        .route(&format!("{one}/ubl"), get(ubl::get))
        .with_state(app);
    let routes = with_deadline(require_service_token(routes, token), ANSWER_MAX);
    envelope(routes, BODY_BYTES_MAX)
}

fn database_away() -> HttpError {
    HttpError::unavailable("database_away", "the database of documents is away", 1)
}

/// What the archive cannot do now, it can later; but bytes that are not what was put there are a matter for people.
fn of_archive(error: archive::Error) -> HttpError {
    match error {
        archive::Error::Database(error) => of_sql(&error),
        archive::Error::NoDocument(_) => missing(),
        error @ archive::Error::Damaged { .. } => {
            tracing::error!(%error, "the archive is damaged");
            HttpError::internal()
        }
        error => {
            tracing::warn!(%error, "the archive cannot be asked");
            HttpError::unavailable("store_away", "the store of documents is away", 5)
        }
    }
}

fn missing() -> HttpError {
    HttpError::not_found("there is no document with this id for this caller")
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
