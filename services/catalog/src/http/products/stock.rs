//! Stock of one product.

use axum::extract::State;
use steelyard_domain::product::{Stock, StockAdjustmentBody, StockLevel};
use steelyard_runtime::http::{HttpError, Json, Path, Query};

use super::one::PageQuery;
use super::{App, no_product, sku_of};
use crate::author::Author;
use crate::failure::{of_abort, of_sql, stock_refused};
use crate::http::{limit_of, opened, sealed};
use crate::products::{self, Adjusted, BookingPosition};

pub(crate) async fn adjust(
    State(app): State<App>,
    Path(sku): Path<String>,
    author: Author,
    Json(body): Json<StockAdjustmentBody>,
) -> Result<Json<StockLevel>, HttpError> {
    let sku = sku_of(sku)?;
    let adjustment = body
        .check()
        .map_err(|faults| HttpError::validation_failed().with_faults(faults))?;
    let adjusted = products::adjust(app.pool()?, app.pen(&author), &sku, &adjustment)
        .await
        .map_err(|abort| of_abort(&abort))?;
    match adjusted {
        Adjusted::Level(level) => Ok(Json(level)),
        Adjusted::Unknown => Err(no_product(&sku)),
        Adjusted::Refused(refused) => Err(stock_refused(refused)),
    }
}

pub(crate) async fn stock(
    State(app): State<App>,
    Path(sku): Path<String>,
    Query(query): Query<PageQuery>,
) -> Result<Json<Stock>, HttpError> {
    let sku = sku_of(sku)?;
    let limit = limit_of(query.limit)?;
    let of = ["bookings", sku.as_str()];
    let before: Option<BookingPosition> = opened(&of, query.cursor.as_deref())?;
    let found = products::stock(app.reads()?, &sku, before.as_ref(), limit + 1).await;
    let found = found.map_err(|error| of_sql(&error))?;
    let mut stock = found.ok_or_else(|| no_product(&sku))?;
    let more = stock.bookings.len() > limit as usize;
    stock.bookings.truncate(limit as usize);
    let last = stock.bookings.last().filter(|_| more);
    stock.next_cursor = sealed(&of, last.map(BookingPosition::of).as_ref())?;
    Ok(Json(stock))
}
