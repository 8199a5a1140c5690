//! Transactions that lost a race are done over; whatever they did is rolled back first.

use std::time::Duration;

use sqlx::{PgConnection, PgPool};
use steelyard_store::{Backoff, is_contention};

/// Tries per transaction. Locks are taken in one order, so races are rare: two calls about the same
/// order, or the same new product, at once.
const ATTEMPTS_MAX: u32 = 8;
const PAUSE: Backoff = Backoff {
    first: Duration::from_millis(2),
    longest: Duration::from_millis(50),
};

/// Why an attempt did not come to its end.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Abort {
    /// Another transaction was faster: what was read no longer holds.
    #[error("another transaction was faster")]
    Raced,
    /// Postgres refused or failed.
    #[error(transparent)]
    Sql(#[from] sqlx::Error),
}

/// Work that is done in one transaction, whole or not at all.
pub(crate) trait Work: Sync {
    /// What comes of it.
    type Output: Send;

    /// One try. On an error all of it is rolled back.
    fn attempt(
        &self,
        connection: &mut PgConnection,
    ) -> impl Future<Output = Result<Self::Output, Abort>> + Send;
}

/// Does `work` in a transaction, again when it lost a race, and commits.
pub(crate) async fn transact<W: Work>(pool: &PgPool, work: &W) -> Result<W::Output, Abort> {
    let mut attempts = 0;
    loop {
        attempts += 1;
        let mut transaction = pool.begin().await?;
        let aborted = match work.attempt(&mut transaction).await {
            Ok(output) => {
                transaction.commit().await?;
                return Ok(output);
            }
            Err(aborted) => aborted,
        };
        let raced = match &aborted {
            Abort::Raced => true,
            Abort::Sql(error) => is_contention(error),
        };
        if !raced {
            return Err(aborted);
        }
        if attempts == ATTEMPTS_MAX {
            tracing::warn!(attempts, %aborted, "a transaction lost every race");
            return Err(Abort::Raced);
        }
        transaction.rollback().await?;
        metrics::counter!("catalog_races_total").increment(1);
        tokio::time::sleep(PAUSE.wait(attempts)).await;
    }
}
