//! Reading stock and its ledger.

use serde::{Deserialize, Serialize};
use sqlx::{PgPool, Row as _};
use steelyard_domain::id::Sku;
use steelyard_domain::product::{LOCATION_DEFAULT, Stock, StockAt, StockBooking};
use time::OffsetDateTime;

/// Where a page of bookings ended: microseconds since 1970, and the reference.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct BookingPosition {
    micros: i64,
    reference: String,
}

impl BookingPosition {
    /// The place of a booking in its list.
    pub(crate) fn of(booking: &StockBooking) -> Self {
        // Within the years that Postgres' clock can show, microseconds fit.
        let micros = i64::try_from(booking.at.unix_timestamp_nanos() / 1_000);
        Self {
            micros: micros.unwrap_or(i64::MAX),
            reference: booking.reference.clone(),
        }
    }
}

/// A product's stock, with up to `limit` bookings older than `before`; `None` when there is no such product.
pub(crate) async fn stock(
    pool: &PgPool,
    sku: &Sku,
    before: Option<&BookingPosition>,
    limit: u32,
) -> Result<Option<Stock>, sqlx::Error> {
    let level = sqlx::query(
        "SELECT on_hand, reserved, low_at,
                ARRAY(SELECT location FROM stock_at
                      WHERE stock_at.sku = stock.sku AND stock_at.on_hand > 0
                      ORDER BY location) AS locations,
                ARRAY(SELECT stock_at.on_hand FROM stock_at
                      WHERE stock_at.sku = stock.sku AND stock_at.on_hand > 0
                      ORDER BY location) AS units
         FROM stock JOIN products ON products.sku = stock.sku WHERE stock.sku = $1",
    )
    .bind(sku.as_str())
    .fetch_optional(pool)
    .await?;
    let Some(level) = level else { return Ok(None) };
    let (on_hand, reserved): (i64, i64) = (level.try_get("on_hand")?, level.try_get("reserved")?);
    let places: Vec<String> = level.try_get("locations")?;
    let units: Vec<i64> = level.try_get("units")?;
    let main = StockAt {
        location: LOCATION_DEFAULT.to_owned(),
        on_hand: on_hand - units.iter().sum::<i64>(),
    };
    let elsewhere = places.into_iter().zip(units);
    let elsewhere = elsewhere.map(|(location, on_hand)| StockAt { location, on_hand });
    Ok(Some(Stock {
        sku: sku.clone(),
        on_hand,
        reserved,
        available: on_hand - reserved,
        low_at: level.try_get("low_at")?,
        locations: std::iter::once(main).chain(elsewhere).collect(),
        bookings: bookings(pool, sku, before, limit).await?,
        next_cursor: None,
    }))
}

async fn bookings(
    pool: &PgPool,
    sku: &Sku,
    before: Option<&BookingPosition>,
    limit: u32,
) -> Result<Vec<StockBooking>, sqlx::Error> {
    let before_at = before
        .map(|before| {
            OffsetDateTime::from_unix_timestamp_nanos(i128::from(before.micros) * 1_000)
                .map_err(|error| sqlx::Error::Encode(error.into()))
        })
        .transpose()?;
    let rows = sqlx::query(
        "SELECT reference, adjust, location, reason, booked_by, at FROM stock_ledger
         WHERE sku = $1 AND ($2::timestamptz IS NULL OR at < $2 OR at = $2 AND reference > $3)
         ORDER BY at DESC, reference LIMIT $4",
    )
    .bind(sku.as_str())
    .bind(before_at)
    .bind(before.map(|before| before.reference.as_str()))
    .bind(i64::from(limit))
    .fetch_all(pool)
    .await?;
    let booking = |row: sqlx::postgres::PgRow| {
        Ok(StockBooking {
            reference: row.try_get("reference")?,
            adjust: row.try_get("adjust")?,
            location: row.try_get("location")?,
            reason: row.try_get("reason")?,
            booked_by: row.try_get("booked_by")?,
            at: row.try_get("at")?,
        })
    };
    rows.into_iter().map(booking).collect()
}
