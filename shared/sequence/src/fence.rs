//! The fence: what decides, inside the transaction that has the effect.
//!
//! It stands on a table that the service owns:
//! `customers (customer_id text PRIMARY KEY, fence bigint NOT NULL DEFAULT 0, …)`; further columns need defaults.

use std::collections::BTreeMap;

use sqlx::PgConnection;

use crate::Token;

// One statement for a whole set. Rows are taken in the order of their ids, so that two sets cannot deadlock. A customer
// that is new gets a row. The row stays locked until the transaction ends: whoever brings a larger token meanwhile waits
// for this one's effects, and this one's smaller token is refused ever after.
const RAISE: &str = "\
WITH claims AS (
    SELECT customer_id, token FROM unnest($1::text[], $2::bigint[]) AS given (customer_id, token)
), raised AS (
    INSERT INTO customers AS stored (customer_id, fence)
    SELECT customer_id, token FROM claims ORDER BY customer_id
    ON CONFLICT (customer_id) DO UPDATE SET fence = excluded.fence WHERE stored.fence <= excluded.fence
    RETURNING stored.customer_id
)
SELECT customer_id FROM claims EXCEPT SELECT customer_id FROM raised";

/// Raises the fences of these customers to these tokens, and returns the customers whose stored fence is already
/// higher: others have taken over from this holder, and the transaction must not have effects for them. If any is
/// returned, roll back, and leave them out of the next attempt.
///
/// To be the first statement of the transaction that has the effects. Of a customer named twice the larger token counts.
///
/// # Errors
/// What Postgres says.
pub async fn raise_fences<C: AsRef<str>>(
    transaction: &mut PgConnection,
    claims: &[(C, Token)],
) -> Result<Vec<String>, sqlx::Error> {
    let mut by_customer: BTreeMap<&str, i64> = BTreeMap::new();
    for (customer, token) in claims {
        let highest = by_customer.entry(customer.as_ref()).or_insert(token.get());
        *highest = (*highest).max(token.get());
    }
    let (customers, tokens): (Vec<&str>, Vec<i64>) = by_customer.into_iter().unzip();
    sqlx::query_scalar(RAISE)
        .bind(customers)
        .bind(tokens)
        .fetch_all(transaction)
        .await
}
