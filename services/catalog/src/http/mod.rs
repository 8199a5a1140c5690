//! The catalog's routes.

mod categories;
mod condition;
mod etag;
mod news;
mod products;
mod reservations;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::StatusCode;
use axum::routing::{get, post, put};
use serde::Serialize;
use serde::de::DeserializeOwned;
use sqlx::PgPool;
use steelyard_domain::api::{LIMIT_DEFAULT, LIMIT_MAX};
use steelyard_domain::internal::paths;
use steelyard_domain::ops::paths::QUOTES;
use steelyard_domain::product::{Language, Product};
use steelyard_runtime::config::Secret;
use steelyard_runtime::http::{HttpError, envelope, require_service_token, with_deadline};
use steelyard_status::ProductNews;
use steelyard_store::{Database, cursor};

use crate::author::Author;
use crate::events::Events;
use crate::failure::{database_away, of_sql};
use crate::media::{self, Media};
use crate::products::Pen;
use crate::reservations::Desk;

/// The largest body of a product or a booking.
const BODY_BYTES_MAX: usize = 256 * 1024;
/// The largest reserve call: 500 orders of ordinary size are some hundred KiB.
const RESERVE_BYTES_MAX: usize = 32 * 1024 * 1024;
/// Longest answer, imports and exports aside.
const ANSWER_MAX: Duration = Duration::from_secs(15);

/// What the handlers share.
#[derive(Debug, Clone)]
pub(crate) struct App(Arc<Shared>);

/// What an [`App`] is made of.
#[derive(Debug)]
pub(crate) struct Shared {
    /// For changes.
    pub(crate) database: Database,
    /// For reads: they never wait for connections that changes have.
    pub(crate) reads: PgPool,
    /// Where reservations are made.
    pub(crate) desk: Desk,
    /// Who is told of changes.
    pub(crate) events: Events,
    /// The shop's own language.
    pub(crate) language: Language,
    /// The largest import.
    pub(crate) import_bytes_max: u64,
    /// Images, if this shop keeps any.
    pub(crate) media: Option<Media>,
}

impl App {
    pub(crate) fn new(shared: Shared) -> Self {
        Self(Arc::new(shared))
    }

    /// Puts their images into products.
    async fn show_images(&self, products: &mut [Product]) -> Result<(), HttpError> {
        let Some(media) = &self.0.media else {
            return Ok(());
        };
        let shown = media.show(self.reads()?, products).await;
        shown.map_err(|error| of_sql(&error))
    }

    /// The pool for changes, once the schema is there.
    fn pool(&self) -> Result<&PgPool, HttpError> {
        self.once_migrated(self.0.database.pool())
    }

    /// The pool for reads, once the schema is there.
    fn reads(&self) -> Result<&PgPool, HttpError> {
        self.once_migrated(&self.0.reads)
    }

    /// Where reservations are made, once the schema is there.
    fn desk(&self) -> Result<&Desk, HttpError> {
        self.once_migrated(&self.0.desk)
    }

    fn once_migrated<'a, T>(&self, thing: &'a T) -> Result<&'a T, HttpError> {
        if self.0.database.is_migrated() {
            Ok(thing)
        } else {
            Err(database_away())
        }
    }

    /// What a change by this author needs.
    fn pen<'a>(&'a self, author: &'a Author) -> Pen<'a> {
        Pen {
            author,
            language: &self.0.language,
            events: &self.0.events,
        }
    }

    fn language(&self) -> &Language {
        &self.0.language
    }

    fn import_bytes_max(&self) -> u64 {
        self.0.import_bytes_max
    }
}

/// All routes, for peers that hold `token`. Changes of products are told to `news`.
pub(crate) fn routes(app: App, token: Secret, news: Option<ProductNews>) -> Router {
    let product = |below: &str| format!("{}{below}", paths::PRODUCTS);
    let reserve = post(reservations::reserve).layer(DefaultBodyLimit::max(RESERVE_BYTES_MAX));
    let quote = post(reservations::quote).layer(DefaultBodyLimit::max(RESERVE_BYTES_MAX));
    let category = format!("{}/{{code}}", paths::CATEGORIES);
    let quick = Router::new()
        .route(paths::PRODUCTS, get(products::list))
        .route(&product("/{sku}"), get(products::get).put(products::put))
        .route(&product("/{sku}/source"), get(products::source))
        .route(&product("/{sku}/changes"), get(products::changes))
        .route(&product("/{sku}/stock"), get(products::stock))
        .route(&product("/{sku}/stock-adjustments"), post(products::adjust))
        .route(&product("/imports/{name}"), get(products::import_progress))
        .route(paths::CATEGORIES, get(categories::list))
        .route(&category, put(categories::put))
        .route(paths::RESERVATIONS, reserve)
        .route(paths::UNSETTLED, get(reservations::unsettled))
        .route(QUOTES, quote)
        .route(paths::RELEASE, post(reservations::release))
        .route(paths::CONSUME, post(reservations::consume))
        .route(paths::RESTOCK, post(reservations::restock));
    let slow = Router::new()
        .route(&product("/import"), post(products::import))
        .route(&product("/export"), get(products::export));
    let images = media::routes(app.0.media.clone());
    let routes = with_deadline(quick.merge(images), ANSWER_MAX).merge(slow);
    let reads = app.0.reads.clone();
    let routes = news::told(routes, news, reads).with_state(app);
    envelope(require_service_token(routes, token), BODY_BYTES_MAX)
}

fn invalid_query() -> HttpError {
    let detail = "a query parameter cannot be used: see errors";
    HttpError::new(StatusCode::BAD_REQUEST, "invalid_query", detail)
}

/// Entries of a page.
fn limit_of(limit: Option<u32>) -> Result<u32, HttpError> {
    let limit = limit.unwrap_or(LIMIT_DEFAULT);
    if (1..=LIMIT_MAX).contains(&limit) {
        return Ok(limit);
    }
    let detail = format!("must be between 1 and {LIMIT_MAX}");
    Err(invalid_query().at("query/limit", "out_of_range", detail))
}

/// Opens a cursor of a list, if there is one.
fn opened<K: DeserializeOwned>(of: &[&str], text: Option<&str>) -> Result<Option<K>, HttpError> {
    let position = text.map(|text| cursor::open(of, text)).transpose();
    position.map_err(|error| {
        let whole = HttpError::new(StatusCode::BAD_REQUEST, "invalid_cursor", error.to_string());
        whole.at("query/cursor", "invalid_cursor", error.to_string())
    })
}

/// The cursor of the next page, if there is one.
fn sealed<K: Serialize>(of: &[&str], last: Option<&K>) -> Result<Option<String>, HttpError> {
    let sealed = last.map(|position| cursor::seal(of, position)).transpose();
    sealed.map_err(|_| HttpError::internal())
}
