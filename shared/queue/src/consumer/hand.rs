//! What is in hand: every message received and not yet settled, and the groups that they wait in.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::message::Received;

/// A message in hand. Ids grow in the order of arrival.
pub(super) type Id = u64;
/// What is handled in sequence.
pub(super) type Key = Arc<str>;

/// Where a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// In its group's queue.
    Waiting,
    /// With the handler, in this set.
    InSet(u64),
    /// Handled: being deleted or parked.
    Settling,
}

pub(super) struct InHand {
    pub(super) received: Arc<Received>,
    pub(super) key: Key,
    pub(super) place: Place,
    pub(super) received_at: Instant,
    /// Until then nobody else can have been given it.
    pub(super) safe_until: Instant,
    pub(super) beat_at: Instant,
    /// Failed attempts since it was received.
    pub(super) retries: u32,
    pub(super) first_failed_at: Option<time::OffsetDateTime>,
    /// No longer ours: not extended, and nothing waits for it.
    pub(super) lost: bool,
}

impl InHand {
    pub(super) fn attempt(&self) -> u32 {
        self.received.receive_count.saturating_add(self.retries)
    }
}

/// What a group is doing. Only a `Ready` one may be taken into a set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Ready,
    Sleeping(Instant),
    /// Set aside for a set that is already put together.
    Chosen,
    InSet,
    /// Waits for this many messages to be parked, then for the time.
    Parking {
        left: usize,
        then: Option<Instant>,
    },
}

struct Group {
    waiting: VecDeque<Id>,
    phase: Phase,
    /// Made the handler panic when alone: goes alone from now on.
    suspect: bool,
}

/// All messages in hand.
///
/// Invariant: a group exists as long as it has waiting messages or is in any phase but `Ready`.
#[derive(Default)]
pub(super) struct Hand {
    messages: BTreeMap<Id, InHand>,
    groups: HashMap<Key, Group>,
    ready: VecDeque<Key>,
    sleeping: BTreeSet<(Instant, Key)>,
    ready_messages: usize,
    next_id: Id,
}

impl Hand {
    pub(super) fn len(&self) -> usize {
        self.messages.len()
    }

    pub(super) fn ready_messages(&self) -> usize {
        self.ready_messages
    }

    pub(super) fn get(&self, id: Id) -> Option<&InHand> {
        self.messages.get(&id)
    }

    pub(super) fn get_mut(&mut self, id: Id) -> Option<&mut InHand> {
        self.messages.get_mut(&id)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (Id, &InHand)> {
        self.messages.iter().map(|(id, message)| (*id, message))
    }

    pub(super) fn next_sleeper(&self) -> Option<Instant> {
        self.sleeping.first().map(|(at, _)| *at)
    }

    /// Takes a message in, behind those of its group.
    pub(super) fn insert(
        &mut self,
        received: Received,
        fifo: bool,
        visibility: Duration,
        now: Instant,
    ) {
        // On a standard queue the message is its own group: two deliveries of it at once are handled one after the other.
        let key = match &received.group_id {
            Some(group) if fifo => Key::from(group.as_str()),
            _ => Key::from(received.message_id.as_str()),
        };
        self.next_id += 1;
        let id = self.next_id;
        let message = InHand {
            received: Arc::new(received),
            key: Arc::clone(&key),
            place: Place::Waiting,
            received_at: now,
            safe_until: now + visibility - visibility / 12,
            beat_at: now + visibility / 3,
            retries: 0,
            first_failed_at: None,
            lost: false,
        };
        self.messages.insert(id, message);
        let ready = &mut self.ready;
        let group = self.groups.entry(Arc::clone(&key)).or_insert_with(|| {
            ready.push_back(key);
            Group {
                waiting: VecDeque::new(),
                phase: Phase::Ready,
                suspect: false,
            }
        });
        group.waiting.push_back(id);
        if group.phase == Phase::Ready {
            self.ready_messages += 1;
        }
    }

    /// The groups of the next set: up to `messages_max` messages, a suspect alone.
    pub(super) fn choose(&mut self, messages_max: usize) -> Vec<Key> {
        let mut chosen = Vec::new();
        let mut messages = 0;
        while messages < messages_max {
            let Some(key) = self.ready.pop_front() else {
                break;
            };
            // Keys of groups that have gone or moved on stay behind in the queue and are skipped here.
            let Some(group) = self
                .groups
                .get_mut(&key)
                .filter(|group| group.phase == Phase::Ready)
            else {
                continue;
            };
            if group.suspect && !chosen.is_empty() {
                self.ready.push_front(key);
                break;
            }
            group.phase = Phase::Chosen;
            messages += group.waiting.len();
            self.ready_messages -= group.waiting.len();
            chosen.push(key);
            if group.suspect {
                break;
            }
        }
        chosen
    }

    /// Moves up to `messages_max` messages of a chosen group into a set.
    pub(super) fn take(&mut self, key: &Key, set: u64, messages_max: usize) -> Vec<Id> {
        let Some(group) = self
            .groups
            .get_mut(key)
            .filter(|group| group.phase == Phase::Chosen)
        else {
            return Vec::new();
        };
        group.phase = Phase::InSet;
        let count = group.waiting.len().min(messages_max);
        let taken: Vec<Id> = group.waiting.drain(..count).collect();
        for id in &taken {
            if let Some(message) = self.messages.get_mut(id) {
                message.place = Place::InSet(set);
            }
        }
        if taken.is_empty() {
            self.rouse(key);
        }
        taken
    }

    /// Puts messages back to the front of their group, in order, for a set that is already put together.
    pub(super) fn put_back_chosen(&mut self, key: &Key, ids: &[Id]) {
        self.put_front(key, ids);
        if let Some(group) = self.groups.get_mut(key) {
            group.phase = Phase::Chosen;
        }
    }

    /// Puts messages back to the front of their group, in order. The group's phase stays.
    pub(super) fn put_front(&mut self, key: &Key, ids: &[Id]) {
        let Some(group) = self.groups.get_mut(key) else {
            return;
        };
        for id in ids.iter().rev() {
            if let Some(message) = self.messages.get_mut(id) {
                message.place = Place::Waiting;
                group.waiting.push_front(*id);
            }
        }
    }

    pub(super) fn suspect(&mut self, key: &Key) {
        if let Some(group) = self.groups.get_mut(key) {
            group.suspect = true;
        }
    }

    /// A group's set (and parking) is over: it goes on at `then`, or at once, or is gone.
    pub(super) fn go_on(&mut self, key: &Key, then: Option<Instant>) {
        match then {
            Some(until)
                if self
                    .groups
                    .get(key)
                    .is_some_and(|group| !group.waiting.is_empty()) =>
            {
                self.sleeping.insert((until, Arc::clone(key)));
                if let Some(group) = self.groups.get_mut(key) {
                    group.phase = Phase::Sleeping(until);
                }
            }
            _ => self.rouse(key),
        }
    }

    /// A group's set is over but for this many messages that are being parked.
    pub(super) fn park(&mut self, key: &Key, left: usize, then: Option<Instant>) {
        if let Some(group) = self.groups.get_mut(key) {
            group.phase = Phase::Parking { left, then };
        }
    }

    /// One of a group's messages was parked, or was not and waits at the front until `retry_at`.
    pub(super) fn parked(&mut self, key: &Key, failed: Option<(Id, Instant)>) {
        if let Some((id, _)) = failed {
            // Those parked later in the same set may have failed before it: keep the order of arrival.
            let Some(group) = self.groups.get_mut(key) else {
                return;
            };
            let at = group.waiting.partition_point(|other| *other < id);
            group.waiting.insert(at, id);
            if let Some(message) = self.messages.get_mut(&id) {
                message.place = Place::Waiting;
            }
        }
        let Some(group) = self.groups.get_mut(key) else {
            return;
        };
        let Phase::Parking { left, then } = group.phase else {
            return;
        };
        let then = then.max(failed.map(|(_, at)| at));
        if left > 1 {
            group.phase = Phase::Parking {
                left: left - 1,
                then,
            };
        } else {
            self.go_on(key, then);
        }
    }

    fn rouse(&mut self, key: &Key) {
        let Some(group) = self.groups.get_mut(key) else {
            return;
        };
        if group.waiting.is_empty() {
            self.groups.remove(key);
            return;
        }
        group.phase = Phase::Ready;
        self.ready_messages += group.waiting.len();
        self.ready.push_back(Arc::clone(key));
    }

    /// Wakes the groups whose time has come.
    pub(super) fn wake(&mut self, now: Instant) {
        while let Some((at, key)) = self.sleeping.pop_first() {
            if at > now {
                self.sleeping.insert((at, key));
                return;
            }
            self.rouse(&key);
        }
    }

    /// Messages in groups that wait out a retry.
    pub(super) fn sleeping_messages(&self) -> usize {
        self.sleeping
            .iter()
            .filter_map(|(_, key)| self.groups.get(key))
            .map(|group| group.waiting.len())
            .sum()
    }

    /// Takes a group's waiting messages from `from` on out of their queue, in order.
    pub(super) fn drop_waiting(&mut self, key: &Key, from: Id) -> Vec<Id> {
        let Some(group) = self.groups.get_mut(key) else {
            return Vec::new();
        };
        let at = group.waiting.partition_point(|id| *id < from);
        let dropped: Vec<Id> = group.waiting.split_off(at).into();
        match group.phase {
            Phase::Ready => {
                self.ready_messages -= dropped.len();
                if group.waiting.is_empty() {
                    self.groups.remove(key);
                }
            }
            Phase::Sleeping(until) if group.waiting.is_empty() => {
                self.sleeping.remove(&(until, Arc::clone(key)));
                self.groups.remove(key);
            }
            // The set that it was meant for finds it gone.
            Phase::Chosen if group.waiting.is_empty() => {
                self.groups.remove(key);
            }
            _ => {}
        }
        dropped
    }

    /// Takes all waiting messages out of all queues, in the order of arrival.
    pub(super) fn drop_all_waiting(&mut self) -> Vec<Id> {
        let keys: Vec<Key> = self.groups.keys().cloned().collect();
        let mut dropped: Vec<Id> = keys
            .iter()
            .flat_map(|key| self.drop_waiting(key, 0))
            .collect();
        dropped.sort_unstable();
        dropped
    }

    pub(super) fn has_waiting(&self) -> bool {
        self.groups.values().any(|group| !group.waiting.is_empty())
    }

    /// Forgets a message.
    pub(super) fn remove(&mut self, id: Id) -> Option<InHand> {
        self.messages.remove(&id)
    }
}
