//! Reservations whose order never settles: found by asking orders, reported, and never simply let go. Goods that were
//! given back by mistake could be sold twice.

use std::collections::HashMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use sqlx::types::Json;
use sqlx::{PgPool, Row as _};
use steelyard_domain::id::OrderId;
use steelyard_domain::internal::{OrderIds, OrdersKnown, UnsettledReservation, paths};
use steelyard_domain::order::OrderStatus;
use steelyard_runtime::client::{CallError, Internal};
use time::OffsetDateTime;
use uuid::Uuid;

use super::StoredUnits;

/// Orders of one question.
const PAGE: usize = 500;
/// Questions of one look: the oldest come first.
const PAGES_MAX: usize = 200;

/// Why a look broke off.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LookError {
    #[error(transparent)]
    Database(#[from] sqlx::Error),
    #[error(transparent)]
    Orders(#[from] CallError),
}

/// What a look found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Looked {
    /// Reservations that were asked about.
    pub(crate) asked: usize,
    /// Those of them in trouble.
    pub(crate) troubled: usize,
    /// Those that were not known to be in trouble before.
    pub(crate) found: usize,
}

/// What an order's state says of a reservation that still holds goods: `None` when that is right.
const fn trouble(status: Option<OrderStatus>) -> Option<&'static str> {
    match status {
        Some(OrderStatus::Accepted | OrderStatus::Confirmed) => None,
        Some(OrderStatus::Rejected) => Some("order_rejected"),
        Some(OrderStatus::Cancelled) => Some("order_cancelled"),
        Some(OrderStatus::Completed) => Some("order_completed"),
        None => Some("order_unknown"),
    }
}

/// Asks orders about every reservation that is older than `age_min` and was never seen settled. One that stands is not
/// asked about again; one in trouble is written down as such, until its trouble is over.
pub(crate) async fn look(
    pool: &PgPool,
    orders: &Internal,
    age_min: Duration,
) -> Result<Looked, LookError> {
    let mut looked = Looked::default();
    let mut after: Option<(OffsetDateTime, Uuid)> = None;
    for _ in 0..PAGES_MAX {
        let page = unseen(pool, age_min, after).await?;
        let Some(last) = page.last().copied() else {
            break;
        };
        after = Some(last);
        looked.asked += page.len();
        let order_ids = page.iter().map(|(_, id)| OrderId(*id)).collect();
        let known: OrdersKnown = orders
            .post(paths::ORDERS_KNOWN, &OrderIds { order_ids })
            .await?;
        let known: HashMap<Uuid, OrderStatus> = known
            .orders
            .into_iter()
            .map(|order| (order.id.0, order.status))
            .collect();
        let (mut standing, mut ids, mut troubles) = (Vec::new(), Vec::new(), Vec::new());
        for (_, id) in page {
            match trouble(known.get(&id).copied()) {
                None => standing.push(id),
                Some(trouble) => {
                    ids.push(id);
                    troubles.push(trouble);
                }
            }
        }
        looked.troubled += ids.len();
        looked.found += write_down(pool, &standing, &ids, &troubles).await?;
    }
    Ok(looked)
}

async fn unseen(
    pool: &PgPool,
    age_min: Duration,
    after: Option<(OffsetDateTime, Uuid)>,
) -> Result<Vec<(OffsetDateTime, Uuid)>, sqlx::Error> {
    let (at, id) = after.unzip();
    sqlx::query_as(
        "SELECT created_at, order_id FROM reservations
         WHERE state = 'held' AND seen_at IS NULL
           AND created_at < now() - $1::double precision * interval '1 second'
           AND ($2::timestamptz IS NULL OR (created_at, order_id) > ($2, $3))
         ORDER BY created_at, order_id LIMIT $4",
    )
    .bind(age_min.as_secs_f64())
    .bind(at)
    .bind(id)
    .bind(i64::try_from(PAGE).unwrap_or(i64::MAX))
    .fetch_all(pool)
    .await
}

/// Answers how many troubles are new. What was released or consumed since it was read is left alone.
async fn write_down(
    pool: &PgPool,
    standing: &[Uuid],
    ids: &[Uuid],
    troubles: &[&str],
) -> Result<usize, sqlx::Error> {
    sqlx::query(
        "UPDATE reservations SET seen_at = now(), trouble = NULL, troubled_at = NULL
         WHERE order_id = ANY($1) AND state = 'held'",
    )
    .bind(standing)
    .execute(pool)
    .await?;
    let found: Vec<(Uuid, String)> = sqlx::query_as(
        "UPDATE reservations SET trouble = told.trouble, troubled_at = now()
         FROM unnest($1::uuid[], $2::text[]) AS told (id, trouble)
         WHERE order_id = told.id AND state = 'held'
           AND reservations.trouble IS DISTINCT FROM told.trouble
         RETURNING order_id, told.trouble",
    )
    .bind(ids)
    .bind(troubles)
    .fetch_all(pool)
    .await?;
    for (order_id, trouble) in &found {
        tracing::warn!(%order_id, trouble, "a reservation holds goods and its order does not stand");
    }
    Ok(found.len())
}

/// Where a page of troubles ended: microseconds since 1970, and the order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Position(i64, Uuid);

impl Position {
    /// The place of a reservation in its list.
    pub(crate) fn of(reservation: &UnsettledReservation) -> Self {
        // Within the years that Postgres' clock can show, microseconds fit.
        let micros = i64::try_from(reservation.reserved_at.unix_timestamp_nanos() / 1_000);
        Self(micros.unwrap_or(i64::MAX), reservation.order_id.0)
    }
}

/// Reservations in trouble, the oldest first.
pub(crate) async fn list(
    pool: &PgPool,
    after: Option<Position>,
    limit: u32,
) -> Result<Vec<UnsettledReservation>, sqlx::Error> {
    let at = after
        .map(|Position(micros, _)| {
            OffsetDateTime::from_unix_timestamp_nanos(i128::from(micros) * 1_000)
                .map_err(|error| sqlx::Error::Encode(error.into()))
        })
        .transpose()?;
    let rows = sqlx::query(
        "SELECT order_id, trouble, units, created_at, troubled_at FROM reservations
         WHERE state = 'held' AND seen_at IS NULL AND trouble IS NOT NULL
           AND ($1::timestamptz IS NULL OR (created_at, order_id) > ($1, $2))
         ORDER BY created_at, order_id LIMIT $3",
    )
    .bind(at)
    .bind(after.map(|Position(_, id)| id))
    .bind(i64::from(limit))
    .fetch_all(pool)
    .await?;
    let reservation = |row: sqlx::postgres::PgRow| {
        let Json(units): StoredUnits = row.try_get("units")?;
        Ok(UnsettledReservation {
            order_id: OrderId(row.try_get("order_id")?),
            trouble: row.try_get("trouble")?,
            units,
            reserved_at: row.try_get("created_at")?,
            found_at: row.try_get("troubled_at")?,
        })
    };
    rows.into_iter().map(reservation).collect()
}
