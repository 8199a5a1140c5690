//! Orders for the query API, as the JSON that was stored.

use sqlx::{PgPool, Postgres, QueryBuilder};
use steelyard_domain::id::{CustomerId, OrderId};
use steelyard_domain::order::OrderStatus;
use time::OffsetDateTime;
use uuid::Uuid;

/// Which orders a list holds.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// This customer's.
    pub customer_id: Option<CustomerId>,
    /// Those of this status.
    pub status: Option<OrderStatus>,
    /// Those with this number of the shop's own.
    pub reference: Option<String>,
}

/// An order in a list.
#[derive(Debug, sqlx::FromRow)]
pub struct Found {
    /// The order, JSON.
    pub doc: String,
    /// First part of the sort key.
    pub accepted_at: OffsetDateTime,
    /// Second part.
    pub id: Uuid,
}

/// One order's JSON; with a customer, only if it is theirs.
///
/// # Errors
/// Those of Postgres.
pub async fn get(
    pool: &PgPool,
    id: OrderId,
    customer: Option<&CustomerId>,
) -> sqlx::Result<Option<String>> {
    sqlx::query_scalar(
        "SELECT doc::text FROM orders WHERE id = $1 AND ($2::text IS NULL OR customer_id = $2)",
    )
    .bind(id.0)
    .bind(customer.map(CustomerId::as_str))
    .fetch_optional(pool)
    .await
}

/// Of these orders, those that there are, with their status.
///
/// # Errors
/// Those of Postgres.
pub async fn known(pool: &PgPool, ids: &[Uuid]) -> sqlx::Result<Vec<(Uuid, String)>> {
    sqlx::query_as("SELECT id, status FROM orders WHERE id = ANY($1)")
        .bind(ids)
        .fetch_all(pool)
        .await
}

/// Up to `rows_max` orders, newest first, after the given one.
///
/// # Errors
/// Those of Postgres.
pub async fn list(
    pool: &PgPool,
    filter: &Filter,
    after: Option<(OffsetDateTime, Uuid)>,
    rows_max: u32,
) -> sqlx::Result<Vec<Found>> {
    // Only the conditions that apply, so that each combination gets a plan of its own.
    let mut query =
        QueryBuilder::<Postgres>::new("SELECT doc::text AS doc, accepted_at, id FROM orders");
    let mut conditions = query.separated(" AND ");
    let mut lead = " WHERE ";
    if let Some(customer) = &filter.customer_id {
        conditions.push_unseparated(std::mem::take(&mut lead));
        conditions.push("customer_id = ");
        conditions.push_bind_unseparated(customer.as_str());
    }
    if let Some(status) = filter.status {
        conditions.push_unseparated(std::mem::take(&mut lead));
        conditions.push("status = ");
        conditions.push_bind_unseparated(status.as_str());
    }
    if let Some(reference) = &filter.reference {
        conditions.push_unseparated(std::mem::take(&mut lead));
        conditions.push("reference = ");
        conditions.push_bind_unseparated(reference.as_str());
    }
    if let Some((accepted_at, id)) = after {
        conditions.push_unseparated(std::mem::take(&mut lead));
        conditions.push("(accepted_at, id) < (");
        conditions.push_bind_unseparated(accepted_at);
        conditions.push_unseparated(", ");
        conditions.push_bind_unseparated(id);
        conditions.push_unseparated(")");
    }
    query.push(" ORDER BY accepted_at DESC, id DESC LIMIT ");
    query.push_bind(i64::from(rows_max));
    query.build_query_as().fetch_all(pool).await
}
