//! Legal holds: what must not be removed, whatever the retention time.

use sqlx::{PgConnection, PgPool};
use time::OffsetDateTime;
use uuid::Uuid;

/// Placing a hold and removing documents take turns by this lock.
const LOCK: &str = "SELECT pg_advisory_xact_lock(hashtextextended('documents:legal holds', 0))";

/// What a hold is placed on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Held {
    /// All documents of a customer, those to come as well.
    Customer(String),
    /// One document.
    Document(Uuid),
}

/// A legal hold.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct Hold {
    /// Its id.
    pub id: Uuid,
    /// On all documents of this customer,
    pub customer_id: Option<String>,
    /// or on this document.
    pub document_id: Option<Uuid>,
    /// Why.
    pub reason: String,
    /// Who placed it.
    pub placed_by: String,
    /// When.
    pub placed_at: OffsetDateTime,
    /// Who released it.
    pub released_by: Option<String>,
    /// When.
    pub released_at: Option<OffsetDateTime>,
}

impl Hold {
    /// Places a hold. When this answers, nothing under it will be removed.
    ///
    /// # Errors
    /// Those of Postgres.
    pub async fn place(pool: &PgPool, on: &Held, reason: &str, by: &str) -> sqlx::Result<Uuid> {
        let (customer, document) = match on {
            Held::Customer(customer) => (Some(customer.as_str()), None),
            Held::Document(document) => (None, Some(*document)),
        };
        let id = Uuid::new_v4();
        let mut transaction = pool.begin().await?;
        lock(&mut transaction).await?;
        sqlx::query(
            "INSERT INTO legal_holds (id, customer_id, document_id, reason, placed_by) VALUES ($1, $2, $3, $4, $5)",
        )
        .bind(id)
        .bind(customer)
        .bind(document)
        .bind(reason)
        .bind(by)
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await?;
        Ok(id)
    }

    /// Releases a hold; whether there was one in force.
    ///
    /// # Errors
    /// Those of Postgres.
    pub async fn release(pool: &PgPool, id: Uuid, by: &str) -> sqlx::Result<bool> {
        let released = sqlx::query(
            "UPDATE legal_holds SET released_at = now(), released_by = $2 WHERE id = $1 AND released_at IS NULL",
        )
        .bind(id)
        .bind(by)
        .execute(pool)
        .await?;
        Ok(released.rows_affected() == 1)
    }

    /// The holds that are in force, the oldest first.
    ///
    /// # Errors
    /// Those of Postgres.
    pub async fn in_force(pool: &PgPool, limit: i64) -> sqlx::Result<Vec<Self>> {
        sqlx::query_as(
            "SELECT id, customer_id, document_id, reason, placed_by, placed_at, released_by, released_at
               FROM legal_holds WHERE released_at IS NULL ORDER BY placed_at, id LIMIT $1",
        )
        .bind(limit)
        .fetch_all(pool)
        .await
    }
}

/// Until the end of the transaction no hold is placed and nothing else is removed.
pub(super) async fn lock(connection: &mut PgConnection) -> sqlx::Result<()> {
    sqlx::query(LOCK).execute(connection).await?;
    Ok(())
}
