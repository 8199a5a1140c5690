//! One row's file: read, compared with what the row says, put where it belongs.

use std::time::Duration;

use bytes::Bytes;
use sha2::{Digest, Sha256};
use steelyard_objects::Bucket;
use steelyard_store::Backoff;
use tokio::time::Instant;

use super::fault::Fault;
use super::manifest::{Place, Row};
use super::source::{Source, SourceError};
use super::zips::{Trouble, Zips};
use super::{Error, FILE_BYTES_MAX};
use crate::budget::{Budget, Room};
use crate::kept::kept;

/// Files up to this size are read without asking first how large they are.
const SMALL_BYTES: u64 = 1 << 20;
/// Between tries while S3 is away.
pub(crate) const AWAY: Backoff = Backoff {
    first: Duration::from_millis(100),
    longest: Duration::from_secs(10),
};
/// Where a PDF says that it is one, and where that it is whole (ISO 32000-2, 7.5; readers look that far).
const PDF_HEAD_BYTES: usize = 1024;
const PDF_TAIL_BYTES: usize = 2048;

/// What files are read from, and where they go.
#[derive(Debug, Clone)]
pub(super) struct Files {
    pub(super) source: Source,
    pub(super) zips: Zips,
    pub(super) budget: Budget,
    pub(super) target: Bucket,
    pub(super) outage_max: Duration,
}

/// A file that lies where it belongs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stored {
    pub(crate) key: String,
    pub(crate) bytes: i64,
}

impl Files {
    /// Reads, checks and keeps the file of `row`, through outages.
    pub(super) async fn keep(&self, row: &Row) -> Result<Result<Stored, Fault>, Error> {
        let deadline = Instant::now() + self.outage_max;
        let mut failures = 0;
        loop {
            let away = match self.attempt(row).await {
                Ok(kept) => return Ok(Ok(kept)),
                Err(Trouble::Fault(fault)) => return Ok(Err(fault)),
                Err(Trouble::Source(away)) => away,
            };
            failures += 1;
            let pause = AWAY.wait(failures);
            if Instant::now() + pause > deadline {
                return Err(Error::Source(away));
            }
            tracing::warn!(line = row.line, error = %away, failures, "a file cannot be moved now");
            tokio::time::sleep(pause).await;
        }
    }

    async fn attempt(&self, row: &Row) -> Result<Stored, Trouble> {
        // The room is held until the bytes are gone.
        let (bytes, _room) = self.read(&row.place).await?;
        let sha256: [u8; 32] = Sha256::digest(&bytes).into();
        check(row, &bytes, sha256).map_err(Trouble::Fault)?;
        let (key, size) = (row.object_key(), i64::try_from(bytes.len()));
        let kept = kept(row.kind.as_str(), row.country.as_deref());
        let put = self.target.put_hashed(&key, bytes, sha256, &kept).await;
        // Whatever S3 refuses here is not the row's fault: key, size and hash are known to be right.
        put.map_err(|error| Trouble::Source(SourceError::S3(error)))?;
        let bytes = size.unwrap_or(i64::MAX);
        Ok(Stored { key, bytes })
    }

    async fn read(&self, place: &Place) -> Result<(Bytes, Room), Trouble> {
        let name = match place {
            Place::Beside(name) => name,
            Place::InZip { zip, entry } => {
                let read = self.zips.read(zip, entry, FILE_BYTES_MAX, &self.budget);
                return read.await;
            }
        };
        let room = self.budget.take(SMALL_BYTES).await;
        match self.source.read(name, SMALL_BYTES).await {
            Ok(bytes) => return Ok((bytes, room)),
            Err(SourceError::TooLarge { .. }) => drop(room),
            Err(error) => return Err(error.into()),
        }
        let room = self.budget.take(FILE_BYTES_MAX).await;
        Ok((self.source.read(name, FILE_BYTES_MAX).await?, room))
    }
}

fn check(row: &Row, bytes: &[u8], sha256: [u8; 32]) -> Result<(), Fault> {
    if sha256 != row.sha256 {
        let detail = format!("the file has {}", hex::encode(sha256));
        return Err(Fault::new("hash_mismatch", detail));
    }
    if is_pdf(bytes) {
        Ok(())
    } else {
        Err(Fault::new("not_a_pdf", "the file is no whole PDF"))
    }
}

/// Whether bytes begin and end as a PDF does.
pub(crate) fn is_pdf(bytes: &[u8]) -> bool {
    let holds = |part: &[u8], mark: &[u8]| part.windows(mark.len()).any(|there| there == mark);
    let head = &bytes[..bytes.len().min(PDF_HEAD_BYTES)];
    let tail = &bytes[bytes.len().saturating_sub(PDF_TAIL_BYTES)..];
    holds(head, b"%PDF-") && holds(tail, b"startxref") && holds(tail, b"%%EOF")
}

#[cfg(test)]
mod tests {
    use super::is_pdf;

    #[test]
    fn a_pdf_says_at_both_ends_that_it_is_one() {
        let whole = b"%PDF-1.7\n1 0 obj\n<<>>\nendobj\nstartxref\n9\n%%EOF\n";
        assert!(is_pdf(whole));
        assert!(!is_pdf(&whole[..30]));
        assert!(!is_pdf(&whole[9..]));
        assert!(!is_pdf(b""));
        assert!(!is_pdf(b"<html>%%EOF startxref</html>"));
    }
}
