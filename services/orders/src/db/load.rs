//! What the store holds about the commands in hand.

use std::collections::HashMap;

use sqlx::{PgPool, Row as _};
use steelyard_domain::command::CommandMessage;
use steelyard_domain::id::{CustomerId, Fingerprint, OrderId};
use uuid::Uuid;

use crate::plan::{Asked, Customer, Known, Stored};

/// One row per command; nearly all of it is null for a new order.
const LOAD: &str = "
    SELECT c.xmin::text::bigint, c.last_sequence, i.fingerprint, o.customer_id, o.doc::text AS doc,
           EXISTS (SELECT FROM tombstones t WHERE t.order_id = w.order_id) AS is_awaited
    FROM unnest($1::uuid[], $2::uuid[], $3::text[])
         WITH ORDINALITY AS w (message_id, order_id, customer_id, n)
    LEFT JOIN customers c ON c.customer_id = w.customer_id
    LEFT JOIN inbox i ON i.message_id = w.message_id
    LEFT JOIN orders o ON o.id = w.order_id
    ORDER BY w.n";

const LOAD_TOMBSTONES: &str = "
    SELECT order_id, body FROM tombstones
    WHERE order_id = ANY($1)
    ORDER BY accepted_at, message_id, fingerprint";

/// Reads the present state of the commands' customers and orders, in one query unless a command
/// waits for one of the orders. To be called while their leases are held.
///
/// # Errors
/// Those of Postgres; `Decode` if a stored order cannot be read.
pub async fn load(pool: &PgPool, asked: &[Asked<'_>]) -> sqlx::Result<Known> {
    let mut message_ids: Vec<Uuid> = Vec::with_capacity(asked.len());
    let mut order_ids: Vec<Uuid> = Vec::with_capacity(asked.len());
    let mut customers: Vec<&str> = Vec::with_capacity(asked.len());
    for Asked { message, .. } in asked {
        message_ids.push(message.message_id.0);
        order_ids.push(message.order_id.0);
        customers.push(message.customer_id.as_str());
    }
    let rows = sqlx::query(LOAD)
        .bind(&message_ids)
        .bind(&order_ids)
        .bind(&customers)
        .fetch_all(pool)
        .await?;

    let mut known = Known {
        customers: HashMap::with_capacity(rows.len()),
        ..Known::default()
    };
    let mut awaited = Vec::new();
    for (Asked { message, .. }, row) in asked.iter().zip(rows) {
        if let Some(version) = row.try_get::<Option<i64>, _>(0)? {
            let customer = Customer {
                version: Some(version),
                last_sequence: row.try_get(1)?,
            };
            known
                .customers
                .insert(message.customer_id.clone(), customer);
        }
        if let Some(fingerprint) = row.try_get::<Option<&[u8]>, _>(2)? {
            let fingerprint = fingerprint.try_into().map_err(decode_error)?;
            known
                .commands
                .insert(message.message_id, Fingerprint(fingerprint));
        }
        if let Some(customer_id) = row.try_get::<Option<String>, _>(3)?
            && !known.orders.contains_key(&message.order_id)
        {
            let order = serde_json::from_str(row.try_get(4)?).map_err(decode_error)?;
            let stored = Stored {
                customer_id: CustomerId::try_from(customer_id).map_err(decode_error)?,
                order: Some(order),
            };
            known.orders.insert(message.order_id, stored);
        }
        if row.try_get::<bool, _>(5)? {
            awaited.push(message.order_id.0);
        }
    }
    if !awaited.is_empty() {
        load_tombstones(pool, &awaited, &mut known).await?;
    }
    Ok(known)
}

async fn load_tombstones(pool: &PgPool, awaited: &[Uuid], known: &mut Known) -> sqlx::Result<()> {
    let rows: Vec<(Uuid, String)> = sqlx::query_as(LOAD_TOMBSTONES)
        .bind(awaited)
        .fetch_all(pool)
        .await?;
    for (order_id, body) in rows {
        let message = CommandMessage::decode(&body).map_err(decode_error)?;
        let early = known.early.entry(OrderId(order_id)).or_default();
        early.push(message);
    }
    Ok(())
}

fn decode_error(error: impl std::error::Error + Send + Sync + 'static) -> sqlx::Error {
    sqlx::Error::Decode(Box::new(error))
}
