//! What all queues of a server share: clock, log, limits, numbers.

use std::sync::{
    OnceLock,
    atomic::{AtomicU64, AtomicUsize, Ordering},
};

use tokio_util::sync::CancellationToken;

use crate::{
    Clock,
    error::Error,
    journal::{Journal, record::Record},
};

pub(crate) struct Core {
    pub(crate) clock: Clock,
    /// Empty while the log is replayed, and for good when messages are kept in memory.
    pub(crate) journal: OnceLock<Journal>,
    pub(crate) stop: CancellationToken,
    pub(crate) in_flight_messages_max: usize,
    pub(crate) stored_bytes_max: usize,
    pub(crate) stored_bytes: AtomicUsize,
    /// Messages are numbered across all queues, so that one that moves keeps an unambiguous place.
    pub(crate) next_seq: AtomicU64,
    pub(crate) next_receipt: AtomicU64,
}

impl Core {
    /// Appends to the log; returns the place up to which it must be on disk for this record to be safe.
    pub(crate) fn log(&self, record: &Record) -> u64 {
        self.journal
            .get()
            .map_or(0, |journal| journal.append(record))
    }

    /// Returns once the log is on disk up to `place`.
    pub(crate) async fn durable(&self, place: u64) -> Result<(), Error> {
        match self.journal.get() {
            Some(journal) => journal.durable(place).await.map_err(Error::unavailable),
            None => Ok(()),
        }
    }

    /// Refuses a change up front when the log cannot take it.
    pub(crate) fn writable(&self) -> Result<(), Error> {
        match self.journal.get() {
            Some(journal) => journal.writable().map_err(Error::unavailable),
            None => Ok(()),
        }
    }

    /// A number for a new message.
    pub(crate) fn seq(&self) -> u64 {
        self.next_seq.fetch_add(1, Ordering::Relaxed)
    }
}
