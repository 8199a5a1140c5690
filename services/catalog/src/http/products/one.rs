//! One product: as shoppers see it, as those who change it do, and what was changed.

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use serde::Deserialize;
use steelyard_domain::api::Page;
use steelyard_domain::product::Change;
use steelyard_runtime::http::{HttpError, Json, Path, Query};

use super::{App, Include, load, no_product, sku_of, viewer};
use crate::failure::of_sql;
use crate::http::etag::tagged;
use crate::http::{limit_of, opened, sealed};
use crate::products;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct GetQuery {
    include: Option<Include>,
    lang: Option<String>,
    country: Option<String>,
    groups: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PageQuery {
    pub(crate) limit: Option<u32>,
    pub(crate) cursor: Option<String>,
}

pub(crate) async fn get(
    State(app): State<App>,
    Path(sku): Path<String>,
    Query(query): Query<GetQuery>,
    asked: HeaderMap,
) -> Result<Response, HttpError> {
    let viewer = viewer(
        query.include,
        query.lang,
        query.country,
        query.groups.as_deref(),
    )?;
    let product = load(&app, &sku_of(sku)?, &viewer).await?;
    tagged(StatusCode::OK, &asked, &product, Some(product.version))
}

pub(crate) async fn source(
    State(app): State<App>,
    Path(sku): Path<String>,
    asked: HeaderMap,
) -> Result<Response, HttpError> {
    let sku = sku_of(sku)?;
    let source = products::source_of(app.reads()?, &sku).await;
    let source = source.map_err(|error| of_sql(&error))?;
    let (source, version) = source.ok_or_else(|| no_product(&sku))?;
    tagged(StatusCode::OK, &asked, &source, Some(version))
}

pub(crate) async fn changes(
    State(app): State<App>,
    Path(sku): Path<String>,
    Query(query): Query<PageQuery>,
) -> Result<Json<Page<Change>>, HttpError> {
    let sku = sku_of(sku)?;
    let limit = limit_of(query.limit)?;
    let of = ["changes", sku.as_str()];
    let before: Option<i64> = opened(&of, query.cursor.as_deref())?;
    let found = products::changes(app.reads()?, &sku, before, limit + 1).await;
    let mut data = found.map_err(|error| of_sql(&error))?;
    if data.is_empty() && before.is_none() {
        return Err(no_product(&sku));
    }
    let more = data.len() > limit as usize;
    data.truncate(limit as usize);
    let last = data.last().filter(|_| more).map(|change| change.version);
    let next_cursor = sealed(&of, last.as_ref())?;
    Ok(Json(Page { data, next_cursor }))
}
