//! Who was given a way to which file.

use sqlx::PgExecutor;
use time::OffsetDateTime;
use uuid::Uuid;

/// A URL that is about to be given away.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Given<'a> {
    /// To which document's file it leads.
    pub document_id: Uuid,
    /// Whose the document is.
    pub customer_id: &'a str,
    /// Who gets it: the subject of the token.
    pub issued_to: &'a str,
    /// As in the logs.
    pub request_id: &'a str,
    /// Of the file.
    pub sha256: &'a [u8],
    /// Until when it is good.
    pub expires_at: OffsetDateTime,
}

/// Writes it down, for ever. What is not written down must not be given away.
///
/// # Errors
/// Those of Postgres.
pub async fn write_down(executor: impl PgExecutor<'_>, given: &Given<'_>) -> sqlx::Result<()> {
    sqlx::query(
        "INSERT INTO content_audit (document_id, customer_id, issued_to, request_id, sha256, expires_at)
         VALUES ($1, $2, $3, $4, $5, $6)",
    )
    .bind(given.document_id)
    .bind(given.customer_id)
    .bind(given.issued_to)
    .bind(given.request_id)
    .bind(given.sha256)
    .bind(given.expires_at)
    .execute(executor)
    .await?;
    Ok(())
}
