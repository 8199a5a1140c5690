//! A plan, written in one transaction.

use std::collections::HashSet;

use sqlx::{PgConnection, PgPool};
use steelyard_domain::id::CustomerId;
use steelyard_sequence::Token;
use steelyard_sequence::fence::{self, Claim};
use steelyard_store::inbox::{self, Seen};
use steelyard_store::outbox::{self, NewEvent};
use uuid::Uuid;

use crate::plan::{CustomerPlan, OrderRow};

/// What became of a transaction.
#[derive(Debug, PartialEq, Eq)]
pub enum Committed {
    /// All of it is durable.
    All,
    /// Nothing was written: these customers were written to by somebody else since they were read,
    /// or a holder of a newer lease was here. Their messages have to be read again.
    Stale(HashSet<CustomerId>),
}

const INSERT_ORDERS: &str = "
    INSERT INTO orders (id, customer_id, reference, status, payment_status, fulfillment_status,
        reason, currency, subtotal, tax_total, total, sequence, version,
        placed_at, accepted_at, updated_at, doc)
    SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[],
        $7::text[], $8::text[], $9::numeric[], $10::numeric[], $11::numeric[], $12::bigint[],
        $13::bigint[], $14::timestamptz[], $15::timestamptz[], $16::timestamptz[], $17::json[])";

const UPDATE_ORDERS: &str = "
    UPDATE orders o
    SET status = u.status, payment_status = u.payment_status,
        fulfillment_status = u.fulfillment_status, reason = u.reason, version = u.version,
        updated_at = u.updated_at, doc = u.doc
    FROM unnest($1::uuid[], $2::bigint[], $3::text[], $4::text[], $5::text[], $6::text[],
                $7::bigint[], $8::timestamptz[], $9::json[])
         AS u (id, replaces, status, payment_status, fulfillment_status, reason, version,
               updated_at, doc)
    WHERE o.id = u.id AND o.version = u.replaces";

const INSERT_TOMBSTONES: &str = "
    INSERT INTO tombstones (order_id, customer_id, message_id, fingerprint, accepted_at, body)
    SELECT * FROM unnest($1::uuid[], $2::text[], $3::uuid[], $4::bytea[], $5::timestamptz[],
                         $6::text[])
    ON CONFLICT DO NOTHING";

const INSERT_IGNORED: &str = "
    INSERT INTO ignored (message_id, customer_id, order_id, command, requested_by, reason)
    SELECT *, 'the order is not this customer''s'
    FROM unnest($1::uuid[], $2::text[], $3::uuid[], $4::text[], $5::text[])
    ON CONFLICT DO NOTHING";

/// Writes what the plans say, all or nothing. `plans` come with their customers' lease tokens and
/// hold only such as write something.
///
/// # Errors
/// Those of Postgres; nothing is written then, unless the connection broke during the commit
/// itself: the inbox tells when the messages come again.
pub async fn commit(pool: &PgPool, plans: &[(&CustomerPlan, i64)]) -> sqlx::Result<Committed> {
    let mut transaction = pool.begin().await?;
    let stale = move_fences(&mut transaction, plans).await?;
    let stale = if stale.is_empty() {
        write(&mut transaction, plans).await?
    } else {
        stale
    };
    if !stale.is_empty() {
        transaction.rollback().await?;
        return Ok(Committed::Stale(stale));
    }
    transaction.commit().await?;
    Ok(Committed::All)
}

/// A rehearsal waits no longer for a worker's locks.
const REHEARSAL_LOCKS: &str = "SET LOCAL lock_timeout = '1s'";

/// What [`commit`] would answer, with everything done and nothing kept.
///
/// # Errors
/// Those of Postgres.
pub async fn rehearse(pool: &PgPool, plans: &[(&CustomerPlan, i64)]) -> sqlx::Result<Committed> {
    let mut transaction = pool.begin().await?;
    sqlx::query(REHEARSAL_LOCKS)
        .execute(&mut *transaction)
        .await?;
    let mut stale = move_fences(&mut transaction, plans).await?;
    if stale.is_empty() {
        stale = write(&mut transaction, plans).await?;
    }
    transaction.rollback().await?;
    Ok(if stale.is_empty() {
        Committed::All
    } else {
        Committed::Stale(stale)
    })
}

/// Moves the fences and the sequence numbers, and answers whose could not be moved.
async fn move_fences(
    connection: &mut PgConnection,
    plans: &[(&CustomerPlan, i64)],
) -> sqlx::Result<HashSet<CustomerId>> {
    let claims = plans.iter().map(|(plan, token)| Claim {
        customer: plan.customer_id.as_str(),
        token: Token::new(*token),
        seen: plan.seen.version,
        last_sequence: plan.last_sequence,
    });
    let claims: Vec<Claim<'_>> = claims.collect();
    let stale = fence::move_fences(connection, &claims).await?;
    Ok(stale
        .into_iter()
        .map(|at| plans[at].0.customer_id.clone())
        .collect())
}

/// Writes everything behind the fences; answers whose rows were not as they had been read, which
/// the fences rule out.
async fn write(
    connection: &mut PgConnection,
    plans: &[(&CustomerPlan, i64)],
) -> sqlx::Result<HashSet<CustomerId>> {
    let mut stale = record_commands(connection, plans).await?;
    if !stale.is_empty() {
        return Ok(stale);
    }
    insert_orders(connection, plans).await?;
    stale = update_orders(connection, plans).await?;
    if !stale.is_empty() {
        return Ok(stale);
    }
    append_events(connection, plans).await?;
    keep_tombstones(connection, plans).await?;
    note_ignored(connection, plans).await?;
    Ok(stale)
}

async fn record_commands(
    connection: &mut PgConnection,
    plans: &[(&CustomerPlan, i64)],
) -> sqlx::Result<HashSet<CustomerId>> {
    let of_customers = plans
        .iter()
        .flat_map(|(plan, _)| plan.inbox.iter().map(|row| (&plan.customer_id, row)));
    let (customers, messages): (Vec<_>, Vec<_>) = of_customers
        .map(|(customer, row)| {
            let message = inbox::Message {
                id: row.message_id.0,
                fingerprint: row.fingerprint.0,
            };
            (customer, message)
        })
        .unzip();
    if messages.is_empty() {
        return Ok(HashSet::new());
    }
    let seen = inbox::record(connection, &messages).await?;
    let known = customers.into_iter().zip(seen);
    Ok(known
        .filter(|(_, seen)| *seen != Seen::New)
        .map(|(customer, _)| customer.clone())
        .collect())
}

/// The orders of all plans, with their customers.
fn orders<'a>(
    plans: &'a [(&'a CustomerPlan, i64)],
    new: bool,
) -> Vec<(&'a CustomerId, &'a OrderRow)> {
    plans
        .iter()
        .flat_map(|(plan, _)| plan.orders.iter().map(|row| (&plan.customer_id, row)))
        .filter(|(_, row)| row.replaces.is_none() == new)
        .collect()
}

/// One column of rows.
fn column<'a, R, T>(rows: &[(&'a CustomerId, &'a R)], of: impl Fn(&'a R) -> T) -> Vec<T> {
    rows.iter().map(|(_, row)| of(row)).collect()
}

async fn insert_orders(
    connection: &mut PgConnection,
    plans: &[(&CustomerPlan, i64)],
) -> sqlx::Result<()> {
    let rows = orders(plans, true);
    if rows.is_empty() {
        return Ok(());
    }
    let customers: Vec<&str> = rows.iter().map(|(customer, _)| customer.as_str()).collect();
    sqlx::query(INSERT_ORDERS)
        .bind(column(&rows, |row| row.id.0))
        .bind(customers)
        .bind(column(&rows, |row| row.reference.as_deref()))
        .bind(column(&rows, |row| row.status.as_str()))
        .bind(column(&rows, |row| row.payment_status.as_str()))
        .bind(column(&rows, |row| row.fulfillment_status.as_str()))
        .bind(column(&rows, |row| row.reason.map(|r| r.as_str())))
        .bind(column(&rows, |row| row.currency.code()))
        .bind(column(&rows, |row| row.subtotal))
        .bind(column(&rows, |row| row.tax_total))
        .bind(column(&rows, |row| row.total))
        .bind(column(&rows, |row| row.sequence))
        .bind(column(&rows, |row| row.version))
        .bind(column(&rows, |row| row.placed_at))
        .bind(column(&rows, |row| row.accepted_at))
        .bind(column(&rows, |row| row.updated_at))
        .bind(column(&rows, |row| row.doc.as_str()))
        .execute(connection)
        .await?;
    Ok(())
}

async fn update_orders(
    connection: &mut PgConnection,
    plans: &[(&CustomerPlan, i64)],
) -> sqlx::Result<HashSet<CustomerId>> {
    let rows = orders(plans, false);
    if rows.is_empty() {
        return Ok(HashSet::new());
    }
    let updated = sqlx::query(UPDATE_ORDERS)
        .bind(column(&rows, |row| row.id.0))
        .bind(column(&rows, |row| row.replaces))
        .bind(column(&rows, |row| row.status.as_str()))
        .bind(column(&rows, |row| row.payment_status.as_str()))
        .bind(column(&rows, |row| row.fulfillment_status.as_str()))
        .bind(column(&rows, |row| row.reason.map(|r| r.as_str())))
        .bind(column(&rows, |row| row.version))
        .bind(column(&rows, |row| row.updated_at))
        .bind(column(&rows, |row| row.doc.as_str()))
        .execute(connection)
        .await?;
    if updated.rows_affected() == rows.len() as u64 {
        return Ok(HashSet::new());
    }
    Ok(rows
        .into_iter()
        .map(|(customer, _)| customer.clone())
        .collect())
}

async fn append_events(
    connection: &mut PgConnection,
    plans: &[(&CustomerPlan, i64)],
) -> sqlx::Result<()> {
    let mut events = Vec::new();
    for (plan, _) in plans {
        if plan.events.is_empty() {
            continue;
        }
        let key = plan.customer_id.message_group_id();
        events.extend(plan.events.iter().map(|event| NewEvent {
            event_id: event.event_id,
            key: key.clone(),
            topic: event.kind.as_str().to_owned(),
            payload: event.body.clone(),
            traceparent: event.traceparent.clone(),
        }));
    }
    outbox::append(connection, &events).await
}

async fn keep_tombstones(
    connection: &mut PgConnection,
    plans: &[(&CustomerPlan, i64)],
) -> sqlx::Result<()> {
    let kept = plans
        .iter()
        .flat_map(|(plan, _)| plan.tombstones.iter().map(|row| (&plan.customer_id, row)));
    let kept: Vec<_> = kept.collect();
    if !kept.is_empty() {
        let customers: Vec<&str> = kept.iter().map(|(customer, _)| customer.as_str()).collect();
        sqlx::query(INSERT_TOMBSTONES)
            .bind(column(&kept, |row| row.order_id.0))
            .bind(customers)
            .bind(column(&kept, |row| row.message_id.0))
            .bind(column(&kept, |row| row.fingerprint.0.as_slice()))
            .bind(column(&kept, |row| row.accepted_at))
            .bind(column(&kept, |row| row.body.as_str()))
            .execute(&mut *connection)
            .await?;
    }
    let taken = plans.iter().flat_map(|(plan, _)| &plan.tombstones_taken);
    let taken: Vec<Uuid> = taken.map(|id| id.0).collect();
    if !taken.is_empty() {
        sqlx::query("DELETE FROM tombstones WHERE order_id = ANY($1)")
            .bind(taken)
            .execute(connection)
            .await?;
    }
    Ok(())
}

async fn note_ignored(
    connection: &mut PgConnection,
    plans: &[(&CustomerPlan, i64)],
) -> sqlx::Result<()> {
    let ignored = plans
        .iter()
        .flat_map(|(plan, _)| plan.ignored.iter().map(|row| (&row.customer_id, row)));
    let ignored: Vec<_> = ignored.collect();
    if ignored.is_empty() {
        return Ok(());
    }
    sqlx::query(INSERT_IGNORED)
        .bind(column(&ignored, |row| row.message_id.0))
        .bind(column(&ignored, |row| row.customer_id.as_str()))
        .bind(column(&ignored, |row| row.order_id.0))
        .bind(column(&ignored, |row| row.kind.as_str()))
        .bind(column(&ignored, |row| row.requested_by.as_str()))
        .execute(connection)
        .await?;
    Ok(())
}
