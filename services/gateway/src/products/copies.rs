//! The last good copies of product answers, for while the catalog is down.

use axum::body::Bytes;
use axum::http::HeaderMap;
use quick_cache::Weighter;
use quick_cache::sync::Cache;
use tokio::time::Instant;

/// What an entry costs beside its body: key, headers, the cache's own.
const OVERHEAD_BYTES: u64 = 512;
/// A larger answer is not kept: it would push out many small ones.
const COPY_BYTES_MAX: usize = 256 * 1024;
/// A guess at an answer's size, to size the cache's tables.
const TYPICAL_BYTES: u64 = 2 * 1024;

/// A good answer.
#[derive(Debug, Clone)]
pub(crate) struct Copy {
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    pub(crate) taken: Instant,
}

#[derive(Clone)]
struct ByBytes;

impl Weighter<String, Copy> for ByBytes {
    fn weight(&self, key: &String, copy: &Copy) -> u64 {
        (key.len() + copy.body.len()) as u64 + OVERHEAD_BYTES
    }
}

/// Copies by the path and query that the catalog was asked for, bounded in bytes. A scan through
/// the catalog does not push out what is asked for again and again.
pub(crate) struct Copies {
    cache: Cache<String, Copy, ByBytes>,
}

impl Copies {
    pub(crate) fn new(bytes_max: u64) -> Self {
        let entries = usize::try_from(bytes_max / TYPICAL_BYTES)
            .unwrap_or(usize::MAX)
            .min(65_536);
        Self {
            cache: Cache::with_weighter(entries, bytes_max, ByBytes),
        }
    }

    pub(crate) fn keep(&self, asked: String, headers: HeaderMap, body: Bytes) {
        if body.len() <= COPY_BYTES_MAX {
            self.cache.insert(
                asked,
                Copy {
                    headers,
                    body,
                    taken: Instant::now(),
                },
            );
        }
    }

    pub(crate) fn get(&self, asked: &str) -> Option<Copy> {
        self.cache.get(asked)
    }

    pub(crate) fn forget(&self, asked: &str) {
        self.cache.remove(asked);
    }
}

#[cfg(test)]
mod tests {
    use axum::body::Bytes;
    use axum::http::HeaderMap;

    use super::{COPY_BYTES_MAX, Copies};

    #[test]
    fn copies_are_bounded_in_bytes() {
        let copies = Copies::new(1 << 20);
        for n in 0..2_000 {
            copies.keep(
                format!("/{n}"),
                HeaderMap::new(),
                Bytes::from(vec![b'x'; 4_096]),
            );
        }
        assert!(copies.cache.weight() <= 1 << 20);
        assert!(copies.cache.len() > 100);
        let huge = Bytes::from(vec![b'x'; COPY_BYTES_MAX + 1]);
        copies.keep("/huge".to_owned(), HeaderMap::new(), huge);
        assert!(copies.get("/huge").is_none());
    }
}
