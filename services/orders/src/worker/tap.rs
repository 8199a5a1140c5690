//! The breakers: what the worker needs, and how to see that it is well again.

use steelyard_queue::Tap;

use super::turns::Turns;
use crate::catalog::Catalog;
use sqlx::PgPool;

/// The breaker of Postgres.
pub const POSTGRES: &str = "postgres";
/// The breaker of Redis.
pub const REDIS: &str = "redis";
/// The breaker of catalog.
pub const CATALOG: &str = "catalog";

/// A customer that cannot be one: ids are not blank.
const WRITE_PROBE: &str = "INSERT INTO customers (customer_id, fence) VALUES ('', 0)";

/// A tap that opens again when what it was closed for can do its part.
#[must_use]
pub fn guarded_tap(pool: PgPool, turns: Turns, catalog: Catalog) -> Tap {
    Tap::new()
        .with_probe(POSTGRES, move || can_write(pool.clone()))
        .with_probe(REDIS, move || {
            let turns = turns.clone();
            async move { turns.is_well().await }
        })
        .with_probe(CATALOG, move || {
            let catalog = catalog.clone();
            async move { catalog.is_well().await }
        })
}

/// A disk that is full or a replica that is read-only answers every `SELECT`: only a write tells.
async fn can_write(pool: PgPool) -> bool {
    let attempt = async {
        let mut transaction = pool.begin().await?;
        sqlx::query(WRITE_PROBE).execute(&mut *transaction).await?;
        transaction.rollback().await
    };
    attempt.await.is_ok()
}
