//! `GET /internal/reports/daily-sales`: asked of the reader, so it may be a moment behind, and says how far.

use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use serde::Deserialize;
use steelyard_domain::report::{DailySales, DaySales};
use steelyard_runtime::http::{HttpError, Json, Query};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::orders::invalid;
use super::{App, of_sql};
use crate::db::reports;
use crate::export::Period;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SalesQuery {
    /// As an export's: `yesterday`, `last-month`, `2026-11`, `2026-11-01..2026-12-01`.
    period: String,
}

pub(super) async fn daily_sales(
    State(app): State<App>,
    Query(query): Query<SalesQuery>,
) -> Result<Response, HttpError> {
    let period: Period = query
        .period
        .parse()
        .map_err(|error: crate::export::PeriodError| {
            invalid("query/period", "invalid_value", error.to_string())
        })?;
    let pool = app.reader()?;
    // Before the figures: they may hold more, never less.
    let as_of = reports::as_of(pool).await.map_err(|error| of_sql(&error))?;
    let days = reports::daily_sales(pool, period.begin(), period.end()).await;
    let days = days.map_err(|error| of_sql(&error))?;
    let data = days.into_iter().map(|day| {
        let currency = day.currency.parse().map_err(|_| HttpError::internal())?;
        Ok(DaySales {
            day: day.day.to_string(),
            currency,
            orders: day.orders,
            subtotal: day.subtotal,
            tax_total: day.tax_total,
            total: day.total,
            rejected: day.rejected,
            cancelled: day.cancelled,
        })
    });
    let data = data.collect::<Result<_, HttpError>>()?;
    let header = [("as-of", rfc3339(as_of))];
    Ok((header, Json(DailySales { as_of, data })).into_response())
}

fn rfc3339(time: OffsetDateTime) -> String {
    time.format(&Rfc3339).unwrap_or_default()
}
