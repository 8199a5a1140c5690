//! What a manifest is, before it is worked off: its hash, so that it can be known again, and its rows, to tell how far it is.

use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::manifest::uuid_v8;
use super::rows::Manifest;
use super::source::{Source, SourceError};

const CHUNK_BYTES: u64 = 1 << 20;

/// Reads a manifest once through. Its rows are its lines that are not blank, less a header.
pub(super) async fn scan(
    source: &Source,
    name: &str,
    has_header: bool,
) -> Result<Manifest, SourceError> {
    let bytes = source.bytes(name).await?;
    let (mut hash, mut counter) = (Sha256::new(), Counter::default());
    let mut at = 0;
    while at < bytes {
        let chunk = source
            .read_at(name, at..bytes.min(at + CHUNK_BYTES))
            .await?;
        if chunk.is_empty() {
            return Err(SourceError::Changed(name.to_owned()));
        }
        at += chunk.len() as u64;
        hash.update(&chunk);
        counter.count(&chunk);
    }
    let place = source.place(name);
    let sha256: [u8; 32] = hash.finalize().into();
    Ok(Manifest {
        id: import_id(&place, sha256),
        source: place,
        sha256,
        bytes,
        rows: counter.rows().saturating_sub(u64::from(has_header)),
    })
}

/// The same place and content is the same import.
fn import_id(place: &str, sha256: [u8; 32]) -> Uuid {
    let mut hash = Sha256::new();
    for part in ["steelyard/import/1".as_bytes(), place.as_bytes()] {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    hash.update(sha256);
    uuid_v8(hash)
}

/// Counts lines that hold anything.
#[derive(Debug, Default)]
struct Counter {
    rows: u64,
    /// Whether the line that has begun holds anything.
    begun: bool,
}

impl Counter {
    fn count(&mut self, chunk: &[u8]) {
        let mut line = 0;
        for newline in memchr::memchr_iter(b'\n', chunk) {
            self.begun |= !chunk[line..newline].trim_ascii().is_empty();
            self.rows += u64::from(self.begun);
            self.begun = false;
            line = newline + 1;
        }
        self.begun |= !chunk[line..].trim_ascii().is_empty();
    }

    fn rows(&self) -> u64 {
        self.rows + u64::from(self.begun)
    }
}

#[cfg(test)]
mod tests {
    use super::Counter;

    #[test]
    fn rows_are_lines_that_hold_anything_wherever_chunks_end() {
        let text = b"a\n\r\n  \nbc\n\nd";
        for cut in 0..=text.len() {
            let mut counter = Counter::default();
            counter.count(&text[..cut]);
            counter.count(&text[cut..]);
            assert_eq!(counter.rows(), 3, "cut at {cut}");
        }
    }
}
