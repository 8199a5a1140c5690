//! What becomes of reserved goods: released, consumed, restocked.

use std::collections::HashMap;

use sqlx::types::Json;
use sqlx::{PgConnection, PgPool};
use steelyard_domain::id::OrderId;
use uuid::Uuid;

use super::{StoredUnits, Units, add, columns};
use crate::products::consume_elsewhere;
use crate::transaction::{Abort, Work, transact};

/// A step that a reservation takes; each from one state only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// The order was called off: what it holds is for others.
    Release,
    /// The goods left the warehouse.
    Consume,
    /// They came back, and can be sold again.
    Restock,
}

impl Step {
    /// The state that it leaves, and the one that it leads to.
    const fn states(self) -> (&'static str, &'static str) {
        match self {
            Self::Release => ("held", "released"),
            Self::Consume => ("held", "consumed"),
            Self::Restock => ("consumed", "restocked"),
        }
    }

    /// What one unit does to `on_hand` and to `reserved`.
    const fn moves(self) -> (i64, i64) {
        match self {
            Self::Release => (0, -1),
            Self::Consume => (-1, -1),
            Self::Restock => (1, 0),
        }
    }
}

/// Takes the step with every order that stands before it; the others stay as they are. A release
/// of an order that is not known is remembered: it will not be reserved.
pub(crate) async fn settle(pool: &PgPool, step: Step, orders: &[OrderId]) -> Result<(), Abort> {
    let mut ids: Vec<Uuid> = orders.iter().map(|id| id.0).collect();
    ids.sort_unstable();
    ids.dedup();
    transact(pool, &Settle { step, ids }).await
}

struct Settle {
    step: Step,
    /// Sorted: rows are written in this order.
    ids: Vec<Uuid>,
}

impl Work for Settle {
    type Output = ();

    async fn attempt(&self, connection: &mut PgConnection) -> Result<(), Abort> {
        // Read without a lock, to learn which stock to lock first. Units never change; the state
        // is looked at again below.
        let known: HashMap<Uuid, Units> =
            sqlx::query_as("SELECT order_id, units FROM reservations WHERE order_id = ANY($1)")
                .bind(&self.ids)
                .fetch_all(&mut *connection)
                .await?
                .into_iter()
                .map(|(id, Json(units)): (Uuid, StoredUnits)| (id, units))
                .collect();
        lock_stock(connection, &known).await?;

        let (from, to) = self.step.states();
        let moved: Vec<Uuid> = sqlx::query_scalar(
            "UPDATE reservations SET state = $3, updated_at = now()
             FROM (SELECT order_id FROM reservations WHERE order_id = ANY($1) AND state = $2
                   ORDER BY order_id FOR UPDATE) AS locked
             WHERE reservations.order_id = locked.order_id
             RETURNING reservations.order_id",
        )
        .bind(&self.ids)
        .bind(from)
        .bind(to)
        .fetch_all(&mut *connection)
        .await?;
        if self.step == Step::Release {
            leave_tombstones(connection, &self.ids, &known).await?;
        }

        let mut sum = Units::new();
        for id in moved {
            // Reserved since the look above: its stock is not locked.
            add(&mut sum, known.get(&id).ok_or(Abort::Raced)?);
        }
        if sum.is_empty() {
            return Ok(());
        }
        let (skus, units) = columns(&sum);
        let (on_hand, reserved) = self.step.moves();
        sqlx::query(
            "UPDATE stock SET on_hand = on_hand + $3 * moved.units,
                    reserved = reserved + $4 * moved.units
             FROM unnest($1::text[], $2::bigint[]) AS moved (sku, units)
             WHERE stock.sku = moved.sku",
        )
        .bind(&skus)
        .bind(units)
        .bind(on_hand)
        .bind(reserved)
        .execute(&mut *connection)
        .await?;
        if self.step == Step::Consume {
            consume_elsewhere(connection, &skus).await?;
        }
        Ok(())
    }
}

async fn lock_stock(
    connection: &mut PgConnection,
    known: &HashMap<Uuid, Units>,
) -> Result<(), sqlx::Error> {
    let mut skus: Vec<&str> = known
        .values()
        .flat_map(Units::keys)
        .map(String::as_str)
        .collect();
    if skus.is_empty() {
        return Ok(());
    }
    skus.sort_unstable();
    skus.dedup();
    sqlx::query("SELECT FROM stock WHERE sku = ANY($1) ORDER BY sku FOR NO KEY UPDATE")
        .bind(skus)
        .execute(connection)
        .await?;
    Ok(())
}

async fn leave_tombstones(
    connection: &mut PgConnection,
    ids: &[Uuid],
    known: &HashMap<Uuid, Units>,
) -> Result<(), Abort> {
    let unknown: Vec<Uuid> = ids
        .iter()
        .filter(|id| !known.contains_key(id))
        .copied()
        .collect();
    if unknown.is_empty() {
        return Ok(());
    }
    let left = sqlx::query(
        "INSERT INTO reservations (order_id, state, units)
         SELECT id, 'released', '{}' FROM unnest($1::uuid[]) AS unknown (id)
         ON CONFLICT (order_id) DO NOTHING",
    )
    .bind(&unknown)
    .execute(connection)
    .await?;
    if left.rows_affected() == unknown.len() as u64 {
        Ok(())
    } else {
        Err(Abort::Raced)
    }
}
