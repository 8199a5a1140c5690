//! What reports ask: of the reader, in bounded pieces.

use rust_decimal::Decimal;
use sqlx::PgPool;
use time::{Date, OffsetDateTime};
use uuid::Uuid;

use super::list::Found;

/// A day's sales in one currency.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct DaySales {
    /// The day of acceptance, UTC.
    pub day: Date,
    /// The currency.
    pub currency: String,
    /// Orders that stand: confirmed or completed.
    pub orders: i64,
    /// Their goods, without tax.
    pub subtotal: Decimal,
    /// Their taxes.
    pub tax_total: Decimal,
    /// `subtotal + tax_total`.
    pub total: Decimal,
    /// Orders that were rejected.
    pub rejected: i64,
    /// Orders that were cancelled.
    pub cancelled: i64,
}

/// Until when what was committed is in this server's answers: now on a writer; on a replica, the commit that it replayed
/// last, or, where the server does not tell, the latest change that it has.
const AS_OF: &str = "
    SELECT CASE WHEN pg_is_in_recovery()
        THEN coalesce(pg_last_xact_replay_timestamp(), (SELECT max(accepted_at) FROM orders), to_timestamp(0))
        ELSE now() END";

const PAGE: &str = "
    SELECT doc::text AS doc, accepted_at, id FROM orders
    WHERE accepted_at >= $1 AND accepted_at < $2 AND (accepted_at, id) > ($3, $4)
    ORDER BY accepted_at, id LIMIT $5";

const DAILY_SALES: &str = "
    SELECT (accepted_at AT TIME ZONE 'UTC')::date AS day, currency,
        count(*) FILTER (WHERE status IN ('confirmed', 'completed')) AS orders,
        coalesce(sum(subtotal) FILTER (WHERE status IN ('confirmed', 'completed')), 0) AS subtotal,
        coalesce(sum(tax_total) FILTER (WHERE status IN ('confirmed', 'completed')), 0) AS tax_total,
        coalesce(sum(total) FILTER (WHERE status IN ('confirmed', 'completed')), 0) AS total,
        count(*) FILTER (WHERE status = 'rejected') AS rejected,
        count(*) FILTER (WHERE status = 'cancelled') AS cancelled
    FROM orders WHERE accepted_at >= $1 AND accepted_at < $2
    GROUP BY 1, 2 ORDER BY 1, 2";

/// See [`AS_OF`].
///
/// # Errors
/// Those of Postgres.
pub async fn as_of(pool: &PgPool) -> sqlx::Result<OffsetDateTime> {
    sqlx::query_scalar(AS_OF).fetch_one(pool).await
}

/// Up to `rows_max` orders that were accepted from `from` on and before `to`, oldest first, after the given one.
///
/// # Errors
/// Those of Postgres.
pub async fn page(
    pool: &PgPool,
    from: OffsetDateTime,
    to: OffsetDateTime,
    after: Option<(OffsetDateTime, Uuid)>,
    rows_max: u32,
) -> sqlx::Result<Vec<Found>> {
    let (after, after_id) = after.unwrap_or((OffsetDateTime::UNIX_EPOCH, Uuid::nil()));
    sqlx::query_as(PAGE)
        .bind(from)
        .bind(to)
        .bind(after)
        .bind(after_id)
        .bind(i64::from(rows_max))
        .fetch_all(pool)
        .await
}

/// Sales by day and currency of orders that were accepted from `from` on and before `to`.
///
/// # Errors
/// Those of Postgres.
pub async fn daily_sales(
    pool: &PgPool,
    from: OffsetDateTime,
    to: OffsetDateTime,
) -> sqlx::Result<Vec<DaySales>> {
    sqlx::query_as(DAILY_SALES)
        .bind(from)
        .bind(to)
        .fetch_all(pool)
        .await
}
