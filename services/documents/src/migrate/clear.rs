//! Clearing what was moved, row by row, when told to.

use futures_util::StreamExt as _;
use tokio_util::sync::CancellationToken;

use super::Error;
use super::legacy::Cleared;
use super::moved::{Moved, note_fault};
use super::run::{Migration, Patience};

/// Rows of one question.
const PAGE_ROWS: i64 = 200;

/// What a clearing came to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ClearedRows {
    /// Rows without content now.
    pub cleared: u64,
    /// Rows that were left alone, for their content is not what was moved, or what was moved is not there.
    pub left: u64,
}

impl Migration {
    /// Clears the content of rows that were moved, each after its object was read back and compared.
    ///
    /// # Errors
    /// See [`Error`]. What was cleared stays so.
    pub async fn clear(&self, stop: &CancellationToken) -> Result<ClearedRows, Error> {
        let turn = self.take_turn().await?;
        let mut done = ClearedRows::default();
        let mut after = String::new();
        while !stop.is_cancelled() {
            let page = self.uncleared(&after).await?;
            let Some(last) = page.last() else { break };
            after.clone_from(&last.legacy_id);
            let mut clearing = futures_util::stream::iter(page)
                .map(|moved| self.clear_one(moved))
                .buffer_unordered(self.options.files_max);
            while let Some(cleared) = clearing.next().await {
                match cleared? {
                    true => done.cleared += 1,
                    false => done.left += 1,
                }
            }
        }
        turn.end().await;
        Ok(done)
    }

    async fn uncleared(&self, after: &str) -> Result<Vec<Moved>, Error> {
        let page = sqlx::query_as(
            "SELECT legacy_id, document_id, object_key, sha256 FROM moved_blobs
              WHERE migration_id = $1 AND cleared_at IS NULL AND legacy_id > $2 ORDER BY legacy_id LIMIT $3",
        )
        .bind(self.id)
        .bind(after)
        .bind(PAGE_ROWS)
        .fetch_all(&self.pool);
        Ok(page.await?)
    }

    async fn clear_one(&self, moved: Moved) -> Result<bool, Error> {
        let mut patience = Patience::new(&self.options);
        loop {
            match self.attempt_to_clear(&moved).await {
                Ok(cleared) => return Ok(cleared),
                Err(error) => patience.wait(error).await?,
            }
        }
    }

    async fn attempt_to_clear(&self, moved: &Moved) -> Result<bool, Error> {
        let fault = match self.read_moved(moved).await {
            Ok(_) => None,
            // Read back and compared when it was packed.
            Err(Error::Archived(_)) if self.is_packed(moved).await? => None,
            Err(Error::Archived(_)) => Some(("missing_object", "its object is gone".to_owned())),
            Err(error @ Error::Damaged(_)) => Some(("damaged_object", error.to_string())),
            Err(error) => return Err(error),
        };
        let fault = match fault {
            Some(fault) => Some(fault),
            None => match self.legacy.clear(&moved.legacy_id, &moved.sha256).await? {
                Cleared::Yes => None,
                Cleared::Changed => {
                    Some(("changed", "its content is not what was moved".to_owned()))
                }
            },
        };
        let mut connection = self.pool.acquire().await?;
        if let Some((code, detail)) = fault {
            note_fault(&mut connection, self.id, &moved.legacy_id, code, &detail).await?;
            return Ok(false);
        }
        sqlx::query(
            "UPDATE moved_blobs SET cleared_at = now() WHERE migration_id = $1 AND legacy_id = $2",
        )
        .bind(self.id)
        .bind(&moved.legacy_id)
        .execute(&mut *connection)
        .await?;
        Ok(true)
    }

    async fn is_packed(&self, moved: &Moved) -> Result<bool, Error> {
        let packed: Option<bool> = sqlx::query_scalar(
            "SELECT pack_id IS NOT NULL AND removed_at IS NULL FROM documents WHERE id = $1",
        )
        .bind(moved.document_id)
        .fetch_optional(&self.pool)
        .await?;
        Ok(packed.unwrap_or(false))
    }
}
