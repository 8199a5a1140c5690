//! The messages of one queue and every index over them. Changes here are neither logged nor announced: that is
//! [`super::queue::Queue`]'s part. The log's replay goes through the same few changes.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use uuid::Uuid;

use super::{
    dedup::{Attempt, FirstSend, Recent},
    fifo::FifoIndex,
    message::{Message, Visibility},
    settings::{AttributeMap, Settings},
    standard::StandardIndex,
};

/// Messages that one look at the clock removes for their age; the rest waits for the next look, so that no call has to
/// pay for a million of them.
const EXPIRED_MESSAGES_MAX: usize = 10_000;

#[derive(Debug)]
enum Index {
    Fifo(FifoIndex),
    Standard(StandardIndex),
}

#[derive(Debug)]
pub(crate) struct State {
    pub(crate) settings: Settings,
    pub(crate) tags: AttributeMap,
    pub(crate) created_ms: u64,
    pub(crate) modified_ms: u64,
    pub(crate) first_sends: Recent<FirstSend>,
    pub(crate) attempts: Recent<Attempt>,
    pub(crate) purged_ms: Option<u64>,
    /// Messages below this number were purged, also those that are still on their way from another queue.
    pub(crate) purged_below: u64,
    pub(crate) deleted: bool,
    /// Whether something may have become ready to be handed out since waiting receives were last told.
    pub(crate) news: bool,
    messages: BTreeMap<u64, Message>,
    index: Index,
    /// When a message in flight or delayed becomes visible.
    timers: BTreeSet<(u64, u64)>,
    by_age: BTreeSet<(u64, u64)>,
    in_flight: usize,
    delayed: usize,
    stored_bytes: usize,
    no_group: Arc<str>,
}

impl State {
    pub(crate) fn new(settings: Settings, tags: AttributeMap, created_ms: u64) -> Self {
        let index = if settings.fifo {
            Index::Fifo(FifoIndex::default())
        } else {
            Index::Standard(StandardIndex::default())
        };
        Self {
            settings,
            tags,
            created_ms,
            modified_ms: created_ms,
            first_sends: Recent::default(),
            attempts: Recent::default(),
            purged_ms: None,
            purged_below: 0,
            deleted: false,
            news: false,
            messages: BTreeMap::new(),
            index,
            timers: BTreeSet::new(),
            by_age: BTreeSet::new(),
            in_flight: 0,
            delayed: 0,
            stored_bytes: 0,
            no_group: Arc::from(""),
        }
    }

    pub(crate) fn message(&self, seq: u64) -> Option<&Message> {
        self.messages.get(&seq)
    }

    pub(crate) fn message_mut(&mut self, seq: u64) -> Option<&mut Message> {
        self.messages.get_mut(&seq)
    }

    /// Messages from `seq` on, in order.
    pub(crate) fn messages_from(&self, seq: u64) -> impl Iterator<Item = (u64, &Message)> {
        self.messages
            .range(seq..)
            .map(|(seq, message)| (*seq, message))
    }

    pub(crate) const fn in_flight(&self) -> usize {
        self.in_flight
    }

    pub(crate) const fn delayed(&self) -> usize {
        self.delayed
    }

    pub(crate) fn visible(&self) -> usize {
        self.messages.len() - self.in_flight - self.delayed
    }

    pub(crate) const fn stored_bytes(&self) -> usize {
        self.stored_bytes
    }

    pub(crate) fn has_ready(&self) -> bool {
        match &self.index {
            Index::Fifo(index) => index.has_ready(),
            Index::Standard(index) => index.has_ready(),
        }
    }

    /// When the next message becomes visible by itself.
    pub(crate) fn next_timer_ms(&self) -> Option<u64> {
        self.timers.first().map(|(at_ms, _)| *at_ms)
    }

    /// Puts a message in. One that is already there stays as it is (a replay may meet it twice).
    pub(crate) fn put(&mut self, seq: u64, message: Message) {
        if seq < self.purged_below || self.messages.contains_key(&seq) {
            return;
        }
        let group = self.group_of(&message);
        let visibility = message.visibility;
        self.stored_bytes += message.content.size_bytes();
        self.by_age.insert((message.sent_ms, seq));
        self.count(seq, visibility, true);
        self.messages.insert(seq, message);
        match &mut self.index {
            Index::Fifo(index) => index.insert(&group, seq, &self.messages),
            Index::Standard(index) => match visibility {
                Visibility::Visible => index.show(&group, seq),
                Visibility::InFlight { .. } => index.count_in_flight(&group, true),
                Visibility::Delayed { .. } => {}
            },
        }
        self.news = true;
    }

    /// Takes a message out for good.
    pub(crate) fn remove(&mut self, seq: u64) -> Option<Message> {
        let message = self.messages.remove(&seq)?;
        let group = self.group_of(&message);
        self.stored_bytes -= message.content.size_bytes();
        self.by_age.remove(&(message.sent_ms, seq));
        self.count(seq, message.visibility, false);
        match &mut self.index {
            Index::Fifo(index) => index.remove(&group, seq, &self.messages),
            Index::Standard(index) => match message.visibility {
                Visibility::Visible => index.hide(&group, seq),
                Visibility::InFlight { .. } => index.count_in_flight(&group, false),
                Visibility::Delayed { .. } => {}
            },
        }
        // Its group may be free now.
        self.news = true;
        Some(message)
    }

    /// Changes a message's visibility, also to the one it has, and puts it into or out of reach of receives.
    pub(crate) fn set_visibility(&mut self, seq: u64, to: Visibility) {
        let Some(message) = self.messages.get_mut(&seq) else {
            return;
        };
        let from = std::mem::replace(&mut message.visibility, to);
        let group = message
            .content
            .group
            .clone()
            .unwrap_or_else(|| Arc::clone(&self.no_group));
        self.count(seq, from, false);
        self.count(seq, to, true);
        match &mut self.index {
            Index::Fifo(index) => index.refresh(&group, &self.messages),
            Index::Standard(index) => {
                if matches!(from, Visibility::InFlight { .. }) {
                    index.count_in_flight(&group, false);
                }
                match to {
                    Visibility::Visible => index.show(&group, seq),
                    Visibility::InFlight { .. } => {
                        index.hide(&group, seq);
                        index.count_in_flight(&group, true);
                    }
                    Visibility::Delayed { .. } => index.hide(&group, seq),
                }
            }
        }
        self.news |= to == Visibility::Visible;
    }

    /// The next messages to hand out. They are out of reach of further receives until `set_visibility` or `remove` is
    /// called for each.
    pub(crate) fn take(&mut self, max: usize) -> Vec<u64> {
        match &mut self.index {
            Index::Fifo(index) => index.take(max, &self.messages),
            Index::Standard(index) => index.take(max),
        }
    }

    /// Brings everything up to `now_ms`. Returns the messages that were removed because of their age.
    pub(crate) fn advance(&mut self, now_ms: u64) -> Vec<u64> {
        let retention_ms = self.settings.retention_seconds * 1_000;
        let mut expired = Vec::new();
        while let Some((sent_ms, seq)) = self.by_age.first().copied()
            && sent_ms.saturating_add(retention_ms) <= now_ms
            && expired.len() < EXPIRED_MESSAGES_MAX
        {
            self.remove(seq);
            expired.push(seq);
        }
        while let Some((at_ms, seq)) = self.timers.first().copied()
            && at_ms <= now_ms
        {
            self.set_visibility(seq, Visibility::Visible);
        }
        self.first_sends.expire(now_ms);
        self.attempts.expire(now_ms);
        expired
    }

    /// Removes every message numbered below `below`, and what is remembered of sends: AWS lets a purged message be sent
    /// again at once.
    pub(crate) fn purge(&mut self, below: u64) {
        self.purged_below = self.purged_below.max(below);
        let purged: Vec<u64> = self.messages.range(..below).map(|(seq, _)| *seq).collect();
        for seq in purged {
            self.remove(seq);
        }
        self.first_sends.clear();
        self.attempts.clear();
    }

    pub(crate) fn configure(&mut self, settings: Settings, now_ms: u64) {
        if settings.fifo && settings.delay_seconds != self.settings.delay_seconds {
            self.redelay(settings.delay_seconds * 1_000);
        }
        self.settings = settings;
        self.modified_ms = now_ms;
    }

    /// For the replay of the log: notes the first message under a deduplication key, unless it is noted already.
    pub(crate) fn remember_send(&mut self, key: String, start_ms: u64, id: Uuid, seq: u64) {
        if self
            .first_sends
            .get(&key)
            .is_none_or(|first| first.seq != seq)
        {
            self.first_sends.insert(
                key,
                start_ms,
                FirstSend {
                    id,
                    seq,
                    logged_at: 0,
                },
            );
        }
    }

    /// A FIFO queue's new delay also holds for messages that are already delayed (AWS: "retroactive").
    fn redelay(&mut self, delay_ms: u64) {
        let delayed: Vec<(u64, u64)> = self
            .messages
            .iter()
            .filter(|(_, message)| matches!(message.visibility, Visibility::Delayed { .. }))
            .map(|(seq, message)| (*seq, message.sent_ms))
            .collect();
        for (seq, sent_ms) in delayed {
            self.set_visibility(
                seq,
                Visibility::Delayed {
                    until_ms: sent_ms.saturating_add(delay_ms),
                },
            );
        }
    }

    fn group_of(&self, message: &Message) -> Arc<str> {
        message
            .content
            .group
            .clone()
            .unwrap_or_else(|| Arc::clone(&self.no_group))
    }

    fn count(&mut self, seq: u64, visibility: Visibility, add: bool) {
        let (counter, until_ms) = match visibility {
            Visibility::Visible => return,
            Visibility::Delayed { until_ms } => (&mut self.delayed, until_ms),
            Visibility::InFlight { until_ms } => (&mut self.in_flight, until_ms),
        };
        if add {
            *counter += 1;
            self.timers.insert((until_ms, seq));
        } else {
            *counter -= 1;
            self.timers.remove(&(until_ms, seq));
        }
    }
}
