//! What waits to be sent, so arranged that one group has one entry under way at most.

use std::collections::{BTreeMap, HashMap, VecDeque};

use tokio::sync::{OwnedSemaphorePermit, oneshot};
use tokio::time::Instant;

use super::SendError;
use crate::message::{BATCH_ENTRIES_MAX, MESSAGE_BYTES_MAX, OutgoingMessage, Sent};

/// One send under way.
pub(super) struct Entry {
    pub(super) message: OutgoingMessage,
    pub(super) size: usize,
    pub(super) deadline: Instant,
    pub(super) arrived: Instant,
    pub(super) failures: u32,
    /// Goes in a batch of its own, since a whole batch with it in was refused.
    pub(super) alone: bool,
    reply: oneshot::Sender<Result<Sent, SendError>>,
    // Freed with the entry, so that the bounds count all that is held.
    _room: (OwnedSemaphorePermit, OwnedSemaphorePermit),
}

impl Entry {
    pub(super) fn new(
        message: OutgoingMessage,
        size: usize,
        deadline: Instant,
        reply: oneshot::Sender<Result<Sent, SendError>>,
        room: (OwnedSemaphorePermit, OwnedSemaphorePermit),
    ) -> Self {
        Self {
            message,
            size,
            deadline,
            arrived: Instant::now(),
            failures: 0,
            alone: false,
            reply,
            _room: room,
        }
    }

    /// Nobody waits for the answer any more.
    pub(super) fn is_given_up(&self, now: Instant) -> bool {
        self.reply.is_closed() || self.deadline <= now
    }

    pub(super) fn answer(self, result: Result<Sent, SendError>) {
        // A sender that gave up has dropped its end: nothing to tell anyone.
        let _unheard = self.reply.send(result);
    }
}

/// The heads of all groups, ready or waiting out a backoff, and behind each head the later entries of its group.
///
/// Invariant: a group is a key of `behind` exactly as long as it has a head, be it ready, backing off or in flight.
#[derive(Default)]
pub(super) struct Pending {
    ready: VecDeque<Entry>,
    resting: BTreeMap<(Instant, u64), Entry>,
    behind: HashMap<String, VecDeque<Entry>>,
    rested: u64,
}

impl Pending {
    pub(super) fn is_empty(&self) -> bool {
        self.ready.is_empty() && self.resting.is_empty() && self.behind.is_empty()
    }

    pub(super) fn ready_len(&self) -> usize {
        self.ready.len()
    }

    pub(super) fn oldest_ready(&self) -> Option<Instant> {
        self.ready.front().map(|entry| entry.arrived)
    }

    pub(super) fn next_rested(&self) -> Option<Instant> {
        self.resting.keys().next().map(|(at, _)| *at)
    }

    /// Takes a new entry: behind its group's head if it has one.
    pub(super) fn push(&mut self, entry: Entry) {
        if let Some(group) = &entry.message.group_id {
            if let Some(queue) = self.behind.get_mut(group) {
                queue.push_back(entry);
                return;
            }
            self.behind.insert(group.clone(), VecDeque::new());
        }
        self.ready.push_back(entry);
    }

    /// A failed head waits until `at`; its group waits with it.
    pub(super) fn rest(&mut self, entry: Entry, at: Instant) {
        self.rested += 1;
        self.resting.insert((at, self.rested), entry);
    }

    /// A head goes back to the front without a wait.
    pub(super) fn put_back(&mut self, entry: Entry) {
        self.ready.push_front(entry);
    }

    /// The group's head has been answered: the next of the group becomes its head.
    pub(super) fn release(&mut self, group: Option<&str>) {
        let Some(group) = group else { return };
        match self.behind.get_mut(group).and_then(VecDeque::pop_front) {
            Some(next) => self.ready.push_back(next),
            None => {
                self.behind.remove(group);
            }
        }
    }

    /// Brings back the entries whose backoff is over.
    pub(super) fn wake(&mut self, now: Instant) {
        while let Some(first) = self
            .resting
            .first_entry()
            .filter(|first| first.key().0 <= now)
        {
            let entry = first.remove();
            self.ready.push_back(entry);
        }
    }

    /// The next batch: up to ten entries of together at most 1 MiB, skipping those nobody waits for.
    /// `given_up` hears how many those were.
    pub(super) fn take_batch(&mut self, now: Instant) -> Vec<Entry> {
        let mut batch: Vec<Entry> = Vec::new();
        let mut bytes = 0;
        while batch.len() < BATCH_ENTRIES_MAX {
            let Some(entry) = self.ready.pop_front() else {
                break;
            };
            if entry.is_given_up(now) {
                let group = entry.message.group_id.clone();
                entry.answer(Err(SendError::Timeout { last: None }));
                self.release(group.as_deref());
                continue;
            }
            let crowded =
                !batch.is_empty() && (entry.alone || bytes + entry.size > MESSAGE_BYTES_MAX);
            if crowded {
                self.ready.push_front(entry);
                break;
            }
            bytes += entry.size;
            let alone = entry.alone;
            batch.push(entry);
            if alone {
                break;
            }
        }
        batch
    }
}
