//! Copies of the catalog's product answers: believed for a short while, and kept beyond that for
//! while the catalog is down.

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::body::Bytes;
use axum::http::HeaderMap;
use parking_lot::Mutex;
use quick_cache::Weighter;
use quick_cache::sync::Cache;
use steelyard_status::ProductsChanged;
use tokio::time::Instant;

/// What an entry costs beside its body: key, headers, the cache's own.
const OVERHEAD_BYTES: u64 = 512;
/// A larger answer is not kept: it would push out many small ones.
const COPY_BYTES_MAX: usize = 256 * 1024;
/// A guess at an answer's size, to size the cache's tables.
const TYPICAL_BYTES: u64 = 2 * 1024;
/// Products share this many counters of changes; two that share one are asked for again together.
const SLOTS: usize = 4_096;
/// While the catalog is away, copies are given without asking it, but for one try in this time: a
/// catalog that hangs must not make every reader wait for it.
const AWAY_PAUSE: Duration = Duration::from_millis(500);

/// What an answer is about, and with it which changes make its copies old.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum About {
    /// One product: the slot of its SKU.
    Product(usize),
    /// Many: any product's change may move them.
    List,
}

/// How many changes have been heard that concern an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Epoch {
    all: u64,
    own: u64,
}

/// A good answer.
#[derive(Debug)]
pub(crate) struct Copy {
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    /// Before the catalog was asked: what changed since then may be missing.
    pub(crate) asked_at: Instant,
    pub(crate) epoch: Epoch,
}

#[derive(Clone)]
struct ByBytes;

impl Weighter<String, Arc<Copy>> for ByBytes {
    fn weight(&self, key: &String, copy: &Arc<Copy>) -> u64 {
        (key.len() + copy.body.len()) as u64 + OVERHEAD_BYTES
    }
}

/// Copies by the path and query that the catalog was asked for, bounded in bytes. A scan through
/// the catalog does not push out what is asked for again and again.
pub(crate) struct Copies {
    cache: Cache<String, Arc<Copy>, ByBytes>,
    fresh_max: Duration,
    changes: Changes,
    away_until: Mutex<Option<Instant>>,
}

impl Copies {
    /// Copies of at most so many bytes together, believed for `fresh_max`.
    pub(crate) fn new(bytes_max: u64, fresh_max: Duration) -> Self {
        let entries = usize::try_from(bytes_max / TYPICAL_BYTES)
            .unwrap_or(usize::MAX)
            .min(65_536);
        Self {
            cache: Cache::with_weighter(entries, bytes_max, ByBytes),
            fresh_max,
            changes: Changes::default(),
            away_until: Mutex::new(None),
        }
    }

    /// The copy of this answer, fresh or not.
    pub(crate) fn get(&self, asked: &str) -> Option<Arc<Copy>> {
        self.cache.get(asked)
    }

    pub(crate) fn keep(&self, asked: &str, copy: &Arc<Copy>) {
        if copy.body.len() <= COPY_BYTES_MAX {
            self.cache.insert(asked.to_owned(), Arc::clone(copy));
        }
    }

    pub(crate) fn forget(&self, asked: &str) {
        self.cache.remove(asked);
    }

    /// How long a copy may still be believed without asking; `None`: no longer.
    pub(crate) fn fresh_for(&self, copy: &Copy, about: About) -> Option<Duration> {
        if copy.epoch != self.epoch(about) {
            return None;
        }
        let left = self.fresh_max.checked_sub(copy.asked_at.elapsed())?;
        (!left.is_zero()).then_some(left)
    }

    /// How long the copy should have been given up for, had the catalog been there.
    pub(crate) fn stale_for(&self, copy: &Copy) -> Duration {
        copy.asked_at.elapsed().saturating_sub(self.fresh_max)
    }

    /// What changes an answer that is asked for from now on includes.
    pub(crate) fn epoch(&self, about: About) -> Epoch {
        self.changes.epoch(about)
    }

    /// What an answer about this product is about.
    pub(crate) fn about(&self, sku: &str) -> About {
        About::Product(self.changes.slot(sku))
    }

    /// Copies that this concerns are old from now on; they are kept for while the catalog is away.
    pub(crate) fn heard(&self, changed: &ProductsChanged) {
        match changed {
            ProductsChanged::Skus(skus) => {
                for sku in skus {
                    self.changes.product(sku.as_str());
                }
            }
            ProductsChanged::All => self.changes.all(),
        }
    }

    /// A change of this product went through this gateway.
    pub(crate) fn changed(&self, sku: &str) {
        self.changes.product(sku);
    }

    /// Any product may have changed.
    pub(crate) fn all_changed(&self) {
        self.changes.all();
    }

    /// The catalog could not be asked.
    pub(crate) fn catalog_is_away(&self) {
        *self.away_until.lock() = Some(Instant::now() + AWAY_PAUSE);
    }

    /// Whether the catalog was away just now. The first to hear otherwise is the one to try again;
    /// the others go on with their copies until it has.
    pub(crate) fn is_away(&self) -> bool {
        let mut until = self.away_until.lock();
        match *until {
            None => false,
            Some(at) if Instant::now() < at => true,
            Some(_) => {
                *until = Some(Instant::now() + AWAY_PAUSE);
                false
            }
        }
    }

    /// The catalog answered.
    pub(crate) fn catalog_is_there(&self) {
        *self.away_until.lock() = None;
    }
}

/// Counts what is heard of changes. An answer that was asked for before a change and arrives after
/// it carries the count from before: it is old as it comes.
struct Changes {
    hasher: RandomState,
    all: AtomicU64,
    lists: AtomicU64,
    products: Box<[AtomicU64]>,
}

impl Default for Changes {
    fn default() -> Self {
        Self {
            hasher: RandomState::new(),
            all: AtomicU64::new(0),
            lists: AtomicU64::new(0),
            products: (0..SLOTS).map(|_| AtomicU64::new(0)).collect(),
        }
    }
}

impl Changes {
    fn slot(&self, sku: &str) -> usize {
        // The remainder is below SLOTS.
        usize::try_from(self.hasher.hash_one(sku) % SLOTS as u64).unwrap_or_default()
    }

    fn epoch(&self, about: About) -> Epoch {
        let own = match about {
            About::Product(slot) => &self.products[slot],
            About::List => &self.lists,
        };
        Epoch {
            all: self.all.load(Ordering::Acquire),
            own: own.load(Ordering::Acquire),
        }
    }

    fn product(&self, sku: &str) {
        self.products[self.slot(sku)].fetch_add(1, Ordering::AcqRel);
        self.lists.fetch_add(1, Ordering::AcqRel);
    }

    fn all(&self) {
        self.all.fetch_add(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use axum::body::Bytes;
    use axum::http::HeaderMap;
    use tokio::time::Instant;

    use super::{AWAY_PAUSE, About, COPY_BYTES_MAX, Copies, Copy};

    fn copy(copies: &Copies, about: About, body: Vec<u8>) -> Arc<Copy> {
        Arc::new(Copy {
            headers: HeaderMap::new(),
            body: Bytes::from(body),
            asked_at: Instant::now(),
            epoch: copies.epoch(about),
        })
    }

    #[test]
    fn copies_are_bounded_in_bytes() {
        let copies = Copies::new(1 << 20, Duration::ZERO);
        for n in 0..2_000 {
            let page = copy(&copies, About::List, vec![b'x'; 4_096]);
            copies.keep(&format!("/{n}"), &page);
        }
        assert!(copies.cache.weight() <= 1 << 20);
        assert!(copies.cache.len() > 100);
        let huge = copy(&copies, About::List, vec![b'x'; COPY_BYTES_MAX + 1]);
        copies.keep("/huge", &huge);
        assert!(copies.get("/huge").is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn a_copy_is_believed_until_it_is_old_or_a_change_is_heard() {
        let copies = Copies::new(1 << 20, Duration::from_secs(2));
        let tea = copies.about("TEA");
        // Of another slot.
        let mugs = (0..100).map(|n| copies.about(&format!("MUG-{n}")));
        let mug = mugs.into_iter().find(|mug| *mug != tea).expect("a mug");
        let of_tea = copy(&copies, tea, Vec::new());
        let of_mug = copy(&copies, mug, Vec::new());
        let list = copy(&copies, About::List, Vec::new());
        assert!(copies.fresh_for(&of_tea, tea).is_some());

        copies.changed("TEA");
        assert_eq!(copies.fresh_for(&of_tea, tea), None);
        assert_eq!(copies.fresh_for(&list, About::List), None);
        assert!(copies.fresh_for(&of_mug, mug).is_some());

        copies.all_changed();
        assert_eq!(copies.fresh_for(&of_mug, mug), None);

        let again = copy(&copies, mug, Vec::new());
        tokio::time::advance(Duration::from_millis(1_999)).await;
        assert!(copies.fresh_for(&again, mug).is_some());
        tokio::time::advance(Duration::from_millis(1)).await;
        assert_eq!(copies.fresh_for(&again, mug), None);
    }

    #[tokio::test(start_paused = true)]
    async fn while_the_catalog_is_away_one_reader_in_a_while_tries_it() {
        let copies = Copies::new(1 << 20, Duration::ZERO);
        assert!(!copies.is_away());
        copies.catalog_is_away();
        assert!(copies.is_away());
        tokio::time::advance(AWAY_PAUSE).await;
        assert!(!copies.is_away(), "one tries");
        assert!(copies.is_away(), "the others do not wait for it");
        copies.catalog_is_there();
        assert!(!copies.is_away());
    }
}
