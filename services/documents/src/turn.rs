//! One process at a time, for what must not be done by two.

use sqlx::{PgConnection, PgPool};

/// Held until its connection closes: by a crash, too. If Postgres goes away the turn ends unnoticed, so whatever is done
/// under it must not go wrong when two do it; it is only wasted.
#[derive(Debug)]
pub(crate) struct Turn {
    connection: PgConnection,
    what: String,
}

impl Turn {
    /// Takes the turn of this name; `None` while somebody else has it.
    pub(crate) async fn take(pool: &PgPool, what: &str) -> sqlx::Result<Option<Self>> {
        let mut connection = pool.acquire().await?.detach();
        let lock = "SELECT pg_try_advisory_lock(hashtextextended('documents:' || $1, 0))";
        let taken: bool = sqlx::query_scalar(lock)
            .bind(what)
            .fetch_one(&mut connection)
            .await?;
        Ok(taken.then_some(Self {
            connection,
            what: what.to_owned(),
        }))
    }

    /// Gives it back: the next one finds it free at once. A turn that is only dropped is free when Postgres has noticed.
    pub(crate) async fn end(mut self) {
        let unlock = "SELECT pg_advisory_unlock(hashtextextended('documents:' || $1, 0))";
        let freed = sqlx::query(unlock)
            .bind(&self.what)
            .execute(&mut self.connection)
            .await;
        if let Err(error) = freed {
            tracing::debug!(%error, what = self.what, "a turn ends with its connection");
        }
    }
}
