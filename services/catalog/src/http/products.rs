//! Products over HTTP.

use std::time::Duration;

use axum::body::{Body, BodyDataStream};
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Response;
use futures_util::StreamExt as _;
use serde::Deserialize;
use steelyard_domain::api::{LIMIT_DEFAULT, LIMIT_MAX, Page};
use steelyard_domain::fault::Invalid;
use steelyard_domain::id::Sku;
use steelyard_domain::product::{
    ImportReport, Product, ProductBody, StockAdjustmentBody, StockLevel,
};
use steelyard_domain::text;
use steelyard_runtime::http::{HttpError, Json, Path, Query};
use steelyard_store::cursor;

use super::App;
use super::etag::tagged;
use crate::failure::{of_abort, of_sql, stock_reserved};
use crate::import::{self, ImportFailure};
use crate::products::{self, Adjusted, Filter, Position, Saved};

/// The longest search.
const QUERY_CHARS_MAX: usize = 200;
/// What is read of a refused import, so that its sender sees the answer: chunks of up to 400 KiB
/// or so, and for how long.
const UNREAD_CHUNKS_MAX: usize = 1_000;
const UNREAD_WAIT_MAX: Duration = Duration::from_secs(2);

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ListQuery {
    q: Option<String>,
    category: Option<String>,
    limit: Option<u32>,
    cursor: Option<String>,
    include: Option<Include>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct GetQuery {
    include: Option<Include>,
}

/// Which products beyond those for sale.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Include {
    All,
}

pub(super) async fn list(
    State(app): State<App>,
    asked: HeaderMap,
    Query(query): Query<ListQuery>,
) -> Result<Response, HttpError> {
    let limit = query.limit.unwrap_or(LIMIT_DEFAULT);
    let mut refused = HttpError::new(StatusCode::BAD_REQUEST, "invalid_query", "see errors");
    if !(1..=LIMIT_MAX).contains(&limit) {
        let detail = format!("must be between 1 and {LIMIT_MAX}");
        refused = refused.at("query/limit", "out_of_range", detail);
    }
    for (name, value, chars_max) in [
        ("q", &query.q, QUERY_CHARS_MAX),
        ("category", &query.category, 128),
    ] {
        let checked = value
            .as_deref()
            .map_or(Ok(()), |value| text::bounded(value, chars_max));
        if let Err(Invalid { code, detail }) = checked {
            refused = refused.at(format!("query/{name}"), code, detail);
        }
    }
    if !refused.faults().is_empty() {
        return Err(refused);
    }
    let filter = Filter {
        q: query.q.filter(|q| !q.trim().is_empty()),
        category: query.category,
        all: query.include.is_some(),
    };
    let of = cursor_list(&filter);
    let of: Vec<&str> = of.iter().map(String::as_str).collect();
    let after: Option<Position> = query
        .cursor
        .map(|text| cursor::open(&of, &text))
        .transpose()
        .map_err(|error| {
            let whole =
                HttpError::new(StatusCode::BAD_REQUEST, "invalid_cursor", error.to_string());
            whole.at("query/cursor", "invalid_cursor", error.to_string())
        })?;
    // One more than asked for says whether there is a next page.
    let mut data = products::list(app.pool()?, &filter, after.as_ref(), limit + 1)
        .await
        .map_err(|error| of_sql(&error))?;
    let more = data.len() > limit as usize;
    data.truncate(limit as usize);
    let last = data.last().filter(|_| more);
    let next_cursor = last
        .map(|product| cursor::seal(&of, &Position::of(product)))
        .transpose()
        .map_err(|_| HttpError::internal())?;
    tagged(StatusCode::OK, &asked, &Page { data, next_cursor })
}

/// Everything that decides which products a list holds; absent and empty filters differ.
fn cursor_list(filter: &Filter) -> [String; 4] {
    [
        "products".to_owned(),
        format!("{:?}", filter.q),
        format!("{:?}", filter.category),
        filter.all.to_string(),
    ]
}

pub(super) async fn get(
    State(app): State<App>,
    Path(sku): Path<String>,
    Query(query): Query<GetQuery>,
    asked: HeaderMap,
) -> Result<Response, HttpError> {
    let product = load(&app, &sku_of(sku)?, query.include.is_some()).await?;
    tagged(StatusCode::OK, &asked, &product)
}

pub(super) async fn put(
    State(app): State<App>,
    Path(sku): Path<String>,
    asked: HeaderMap,
    Json(body): Json<ProductBody>,
) -> Result<Response, HttpError> {
    let sku = path_sku(sku)?;
    let draft = body
        .check(Some(sku.clone()))
        .map_err(|faults| HttpError::validation_failed().with_faults(faults))?;
    let saved = products::upsert(app.pool()?, std::slice::from_ref(&draft))
        .await
        .map_err(|abort| of_abort(&abort))?;
    let status = match saved.into_iter().next() {
        Some(Saved::Created { .. }) => StatusCode::CREATED,
        Some(Saved::Updated { .. } | Saved::Unchanged { .. }) => StatusCode::OK,
        Some(Saved::Refused(detail)) => return Err(stock_reserved(detail)),
        None => return Err(HttpError::internal()),
    };
    let product = load(&app, &sku, true).await?;
    // What was changed is always told, whatever the caller knew before.
    let mut asked = asked;
    asked.remove(header::IF_NONE_MATCH);
    tagged(status, &asked, &product)
}

pub(super) async fn adjust(
    State(app): State<App>,
    Path(sku): Path<String>,
    Json(body): Json<StockAdjustmentBody>,
) -> Result<Json<StockLevel>, HttpError> {
    let sku = sku_of(sku)?;
    let adjustment = body
        .check()
        .map_err(|faults| HttpError::validation_failed().with_faults(faults))?;
    let adjusted = products::adjust(app.pool()?, &sku, &adjustment)
        .await
        .map_err(|abort| of_abort(&abort))?;
    match adjusted {
        Adjusted::Level(level) => Ok(Json(level)),
        Adjusted::Unknown => Err(no_product(&sku)),
        Adjusted::Refused(detail) => Err(stock_reserved(detail)),
    }
}

pub(super) async fn import(
    State(app): State<App>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<ImportReport>, HttpError> {
    let mut body = body.into_data_stream();
    let imported = import_from(&app, &headers, &mut body).await;
    if imported.is_err() {
        // A connection that is closed with bytes unread is reset, and the answer lost with it.
        let unread = body.take(UNREAD_CHUNKS_MAX).for_each(async |_| {});
        drop(tokio::time::timeout(UNREAD_WAIT_MAX, unread).await);
    }
    imported.map(Json)
}

async fn import_from(
    app: &App,
    headers: &HeaderMap,
    body: &mut BodyDataStream,
) -> Result<ImportReport, HttpError> {
    require_ndjson(headers)?;
    let report = import::import(app.pool()?, body, app.import_bytes_max).await;
    report.map_err(|failure| match failure {
        ImportFailure::TooLarge { lines } => {
            let max = app.import_bytes_max;
            let detail =
                format!("an import has at most {max} bytes; its first {lines} lines stand");
            HttpError::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", detail)
        }
        ImportFailure::BrokenOff { lines } => {
            let detail = format!("the body broke off; its first {lines} lines stand");
            HttpError::new(StatusCode::BAD_REQUEST, "body_incomplete", detail)
        }
        ImportFailure::Database(abort) => of_abort(&abort),
    })
}

fn require_ndjson(headers: &HeaderMap) -> Result<(), HttpError> {
    const KINDS: [&str; 3] = [
        "application/x-ndjson",
        "application/ndjson",
        "application/jsonl",
    ];
    let kind = headers
        .get(header::CONTENT_TYPE)
        .and_then(|kind| kind.to_str().ok());
    let kind = kind
        .and_then(|kind| kind.split(';').next())
        .unwrap_or_default()
        .trim();
    if KINDS.iter().any(|known| kind.eq_ignore_ascii_case(known)) {
        return Ok(());
    }
    let detail = "send application/x-ndjson and say so in Content-Type";
    Err(HttpError::new(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "unsupported_media_type",
        detail,
    ))
}

async fn load(app: &App, sku: &Sku, all: bool) -> Result<Product, HttpError> {
    let product = products::get(app.pool()?, sku, all)
        .await
        .map_err(|error| of_sql(&error))?;
    product.ok_or_else(|| no_product(sku))
}

fn no_product(sku: &Sku) -> HttpError {
    HttpError::not_found(format!("there is no product {sku}"))
}

/// A path that is no SKU is no product.
fn sku_of(text: String) -> Result<Sku, HttpError> {
    Sku::try_from(text).map_err(|error| HttpError::not_found(format!("no product: {error}")))
}

/// A new product's SKU must be one.
fn path_sku(text: String) -> Result<Sku, HttpError> {
    Sku::try_from(text).map_err(|Invalid { code, detail }| {
        HttpError::validation_failed().at("path/sku", code, detail)
    })
}
