//! The fence: what decides, inside the transaction that has the effect.
//!
//! It stands on a table that the service owns; further columns need defaults:
//!
//! ```sql
//! CREATE TABLE customers (
//!     customer_id   text PRIMARY KEY,
//!     fence         bigint NOT NULL,            -- the token of the last holder that wrote
//!     last_sequence bigint NOT NULL DEFAULT 0   -- a number that moves with the fence, for the service's own use
//! );
//! ```
//!
//! A holder reads the row's version (`xmin::text::bigint`) together with everything else that it decides on, decides,
//! and opens its transaction with [`move_fences`]. That the token is not smaller than the stored one keeps a superseded
//! holder out. That the version is still the one that was read keeps a decision off a state that it was not made from,
//! whoever changed it: a superseded holder that came in between, a commit of one's own of which one never heard, or
//! another that was given the same token by a Redis that had forgotten it.
//!
//! `xmin` is the id of the transaction that wrote the row as it is: Postgres keeps it, so no writer can forget it.

use sqlx::PgConnection;

use crate::Token;

/// What a transaction is about to do to one customer.
#[derive(Clone, Copy, Debug)]
pub struct Claim<'a> {
    /// Who.
    pub customer: &'a str,
    /// The token of the lease.
    pub token: Token,
    /// The row's version (`xmin::text::bigint`) as it was read; `None` if there was no row.
    pub seen: Option<i64>,
    /// What `last_sequence` becomes.
    pub last_sequence: i64,
}

// One statement for a whole set. The rows stay locked until the transaction ends: whoever comes meanwhile waits for this
// one's end, and then looks at the row as it is. Rows are taken in the order of their ids, so that two sets do not wait
// for each other in a circle.
const MOVE: &str = "
    WITH ours AS (
        SELECT * FROM unnest($1::text[], $2::bigint[], $3::bigint[], $4::bigint[])
                      AS u (customer_id, token, seen, last_sequence)
    ), new AS (
        INSERT INTO customers (customer_id, fence, last_sequence)
        SELECT customer_id, token, last_sequence FROM ours WHERE seen IS NULL
        ON CONFLICT (customer_id) DO NOTHING
        RETURNING customer_id
    ), known AS (
        UPDATE customers c SET fence = ours.token, last_sequence = ours.last_sequence
        FROM ours
        WHERE c.customer_id = ours.customer_id AND c.xmin::text::bigint = ours.seen
          AND c.fence <= ours.token
        RETURNING c.customer_id
    )
    SELECT customer_id FROM new UNION ALL SELECT customer_id FROM known";

/// Moves the fences of these customers to these tokens, and returns the places (in `claims`) of those that could not be
/// moved: another has written since they were read, or is a later holder. The transaction must have no effects for
/// them: if any is returned, roll back, leave them out, and read them again.
///
/// To be the first statement of the transaction that has the effects, which runs at Postgres's usual `READ COMMITTED`.
/// No customer may be named twice.
///
/// # Errors
/// What Postgres says.
pub async fn move_fences(
    transaction: &mut PgConnection,
    claims: &[Claim<'_>],
) -> Result<Vec<usize>, sqlx::Error> {
    let mut sorted: Vec<&Claim<'_>> = claims.iter().collect();
    sorted.sort_unstable_by_key(|claim| claim.customer);
    let column =
        |of: fn(&Claim<'_>) -> i64| sorted.iter().map(|claim| of(claim)).collect::<Vec<i64>>();
    let customers: Vec<&str> = sorted.iter().map(|claim| claim.customer).collect();
    let seen: Vec<Option<i64>> = sorted.iter().map(|claim| claim.seen).collect();
    let moved: Vec<String> = sqlx::query_scalar(MOVE)
        .bind(customers)
        .bind(column(|claim| claim.token.get()))
        .bind(seen)
        .bind(column(|claim| claim.last_sequence))
        .fetch_all(transaction)
        .await?;
    if moved.len() == claims.len() {
        return Ok(Vec::new());
    }
    let moved: std::collections::HashSet<&str> = moved.iter().map(String::as_str).collect();
    let stale = claims
        .iter()
        .enumerate()
        .filter(|(_, claim)| !moved.contains(claim.customer));
    Ok(stale.map(|(at, _)| at).collect())
}
