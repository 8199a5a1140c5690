//! What a FIFO queue remembers of the last five minutes: sends to be told apart from their repeats, and receives that a
//! client may ask for again.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// AWS's deduplication interval, also that of receive attempts: five minutes, counted from the first send.
pub(crate) const INTERVAL_MS: u64 = 300_000;

/// A map whose entries are all kept for [`INTERVAL_MS`].
#[derive(Debug)]
pub(crate) struct Recent<V> {
    entries: HashMap<Arc<str>, (u64, V)>,
    by_age: VecDeque<(u64, Arc<str>)>,
}

impl<V> Default for Recent<V> {
    fn default() -> Self {
        Self {
            entries: HashMap::new(),
            by_age: VecDeque::new(),
        }
    }
}

impl<V> Recent<V> {
    pub(crate) fn get(&self, key: &str) -> Option<&V> {
        self.entries.get(key).map(|(_, value)| value)
    }

    pub(crate) fn get_mut(&mut self, key: &str) -> Option<&mut V> {
        self.entries.get_mut(key).map(|(_, value)| value)
    }

    /// Remembers `value` until [`INTERVAL_MS`] after `start_ms`; replaces what was remembered under `key`.
    pub(crate) fn insert(&mut self, key: String, start_ms: u64, value: V) {
        let key = Arc::<str>::from(key);
        self.by_age.push_back((start_ms, Arc::clone(&key)));
        self.entries.insert(key, (start_ms, value));
    }

    /// Forgets what is older than the interval.
    pub(crate) fn expire(&mut self, now_ms: u64) {
        while let Some((start_ms, _)) = self.by_age.front()
            && start_ms.saturating_add(INTERVAL_MS) <= now_ms
        {
            if let Some((start_ms, key)) = self.by_age.pop_front()
                // A later entry under the same key stays.
                && self.entries.get(&key).is_some_and(|(latest, _)| *latest == start_ms)
            {
                self.entries.remove(&key);
            }
        }
    }

    pub(crate) fn clear(&mut self) {
        self.entries.clear();
        self.by_age.clear();
    }

    /// Entries that began at `from_ms` or later, oldest first: `max` of them, and what began in the same millisecond as
    /// the last.
    pub(crate) fn chunk(&self, from_ms: u64, max: usize) -> Vec<(String, u64, V)>
    where
        V: Clone,
    {
        let start = self
            .by_age
            .partition_point(|(start_ms, _)| *start_ms < from_ms);
        let mut chunk: Vec<(String, u64, V)> = Vec::new();
        for (start_ms, key) in self.by_age.range(start..) {
            if chunk.len() >= max
                && chunk
                    .last()
                    .is_some_and(|(_, last_ms, _)| last_ms < start_ms)
            {
                break;
            }
            if let Some((latest, value)) = self.entries.get(key)
                && latest == start_ms
            {
                chunk.push((key.to_string(), *start_ms, value.clone()));
            }
        }
        chunk
    }
}

/// The first message sent under a deduplication id.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FirstSend {
    pub(crate) id: Uuid,
    pub(crate) seq: u64,
    /// Place in the log: a repeat is answered only once the first is on disk.
    #[serde(skip)]
    pub(crate) logged_at: u64,
}

/// The messages that a receive attempt was given.
#[derive(Debug)]
pub(crate) struct Attempt {
    pub(crate) given: Vec<Given>,
}

/// A message as it was given: if any of this has changed since, the attempt cannot be had again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Given {
    pub(crate) seq: u64,
    pub(crate) receipt: u64,
    pub(crate) until_ms: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_forgotten_five_minutes_after_it_began_and_not_before() {
        let mut recent = Recent::default();
        recent.insert("a".to_owned(), 1_000, 1);
        recent.expire(1_000 + INTERVAL_MS - 1);
        assert_eq!(recent.get("a"), Some(&1));
        recent.expire(1_000 + INTERVAL_MS);
        assert_eq!(recent.get("a"), None);
    }

    #[test]
    fn a_replaced_entry_lives_its_own_five_minutes() {
        let mut recent = Recent::default();
        recent.insert("a".to_owned(), 0, 1);
        recent.insert("a".to_owned(), 10, 2);
        recent.expire(INTERVAL_MS);
        assert_eq!(recent.get("a"), Some(&2));
        assert_eq!(recent.chunk(0, 10), [("a".to_owned(), 10, 2)]);
    }

    #[test]
    fn chunks_give_every_entry_once() {
        let mut recent = Recent::default();
        for at in 0..100 {
            recent.insert(at.to_string(), at / 7, at);
        }
        let (mut seen, mut from_ms) = (Vec::new(), 0);
        while let Some((_, last_ms, _)) = {
            let chunk = recent.chunk(from_ms, 10);
            seen.extend(chunk.iter().map(|(_, _, value)| *value));
            chunk.last().cloned()
        } {
            from_ms = last_ms + 1;
        }
        assert_eq!(seen, (0..100).collect::<Vec<_>>());
    }
}
