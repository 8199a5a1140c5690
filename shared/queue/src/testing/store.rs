//! One queue of the fake: what is in it and who holds what.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

use tokio::time::Instant;

use crate::message::{OutgoingMessage, Received, Sent};
use crate::transport::{Depths, EntryError};

/// SQS's deduplication interval.
const DEDUP: Duration = Duration::from_secs(300);

/// A message in the fake queue, as a test sees it.
#[derive(Clone, Debug)]
pub struct Held {
    /// The message as it was sent.
    pub message: OutgoingMessage,
    /// Its id.
    pub message_id: String,
    /// How often it was handed out.
    pub receive_count: u32,
    /// Whether a receive could bring it now, its group aside.
    pub visible: bool,
}

struct Stored {
    message: OutgoingMessage,
    message_id: String,
    receive_count: u32,
    visible_at: Instant,
    /// Handed out and neither deleted nor visible again.
    receipt: Option<String>,
    first_received_at_ms: Option<i64>,
    sent_at_ms: i64,
}

/// What a receive shall do to the messages that it takes.
pub(super) struct Take {
    pub(super) messages_max: usize,
    pub(super) visibility: Duration,
}

pub(super) struct Store {
    name: String,
    fifo: bool,
    epoch: Instant,
    next_sequence: u64,
    messages: BTreeMap<u64, Stored>,
    /// How many messages each group has.
    groups: HashMap<String, usize>,
    dedup: HashMap<String, (Instant, Sent)>,
    pub(super) receives_max: Option<u32>,
}

impl Store {
    pub(super) fn new(name: &str, epoch: Instant) -> Self {
        Self {
            name: name.to_owned(),
            fifo: name.ends_with(".fifo"),
            epoch,
            next_sequence: 1,
            messages: BTreeMap::new(),
            groups: HashMap::new(),
            dedup: HashMap::new(),
            receives_max: None,
        }
    }

    pub(super) fn is_fifo(&self) -> bool {
        self.fifo
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    fn now_ms(&self, now: Instant) -> i64 {
        // 2026-01-01T00:00:00Z, so that timestamps look like some.
        1_767_225_600_000 + i64::try_from(now.duration_since(self.epoch).as_millis()).unwrap_or(0)
    }

    pub(super) fn send(
        &mut self,
        message: &OutgoingMessage,
        now: Instant,
    ) -> Result<Sent, EntryError> {
        let fault = |code: &str, text: &str| EntryError {
            code: code.to_owned(),
            message: text.to_owned(),
            sender_fault: true,
        };
        if message.body.chars().any(|c| matches!(c, '\u{0}'..='\u{8}' | '\u{b}' | '\u{c}' | '\u{e}'..='\u{1f}' | '\u{fffe}' | '\u{ffff}')) {
            return Err(fault("InvalidMessageContents", "the body has characters outside the allowed set"));
        }
        if self.fifo && (message.group_id.is_none() || message.dedup_id.is_none()) {
            return Err(fault(
                "MissingParameter",
                "a FIFO queue needs a group id and a deduplication id",
            ));
        }
        self.dedup.retain(|_, (at, _)| now < *at + DEDUP);
        if let Some((_, sent)) = message
            .dedup_id
            .as_ref()
            .filter(|_| self.fifo)
            .and_then(|id| self.dedup.get(id))
        {
            return Ok(sent.clone());
        }
        let sequence = self.next_sequence;
        self.next_sequence += 1;
        let sent = Sent {
            message_id: format!("{}-{sequence}", self.name),
            sequence_number: self.fifo.then(|| format!("{sequence:020}")),
        };
        if let (true, Some(dedup)) = (self.fifo, &message.dedup_id) {
            self.dedup.insert(dedup.clone(), (now, sent.clone()));
        }
        let stored = Stored {
            message: message.clone(),
            message_id: sent.message_id.clone(),
            receive_count: 0,
            visible_at: now,
            receipt: None,
            first_received_at_ms: None,
            sent_at_ms: self.now_ms(now),
        };
        if let Some(group) = &stored.message.group_id {
            *self.groups.entry(group.clone()).or_default() += 1;
        }
        self.messages.insert(sequence, stored);
        Ok(sent)
    }

    fn remove(&mut self, sequence: u64) -> Option<Stored> {
        let stored = self.messages.remove(&sequence)?;
        if let Some(group) = &stored.message.group_id
            && let Some(count) = self.groups.get_mut(group)
        {
            *count -= 1;
            if *count == 0 {
                self.groups.remove(group);
            }
        }
        Some(stored)
    }

    /// Hands messages out, and those that have been handed out too often to the caller, for the dead-letter queue.
    /// `tamper` may shorten the visibility of a message (duplicates, early expiry).
    pub(super) fn receive(
        &mut self,
        take: &Take,
        now: Instant,
        mut tamper: impl FnMut(Duration) -> Duration,
    ) -> (Vec<Received>, Vec<OutgoingMessage>) {
        let now_ms = self.now_ms(now);
        let (due, overdrawn) = self.due(take.messages_max, now);
        let mut taken = Vec::with_capacity(due.len());
        for sequence in due {
            let Some(stored) = self.messages.get_mut(&sequence) else {
                continue;
            };
            stored.receive_count += 1;
            stored.visible_at = now + tamper(take.visibility);
            stored.first_received_at_ms.get_or_insert(now_ms);
            let receipt = format!("{sequence}:{}", stored.receive_count);
            stored.receipt = Some(receipt.clone());
            taken.push(Received {
                message_id: stored.message_id.clone(),
                receipt_handle: receipt,
                body: stored.message.body.clone(),
                attributes: stored.message.attributes.clone(),
                group_id: stored.message.group_id.clone(),
                dedup_id: stored.message.dedup_id.clone(),
                sequence_number: self.fifo.then(|| format!("{sequence:020}")),
                receive_count: stored.receive_count,
                first_received_at_ms: stored.first_received_at_ms,
                sent_at_ms: Some(stored.sent_at_ms),
            });
        }
        let dead = overdrawn
            .iter()
            .filter_map(|sequence| self.remove(*sequence));
        let dead = dead.map(|stored| stored.message).collect();
        (taken, dead)
    }

    /// What a receive brings now, and what has been received too often.
    fn due(&self, messages_max: usize, now: Instant) -> (Vec<u64>, Vec<u64>) {
        let (mut due, mut overdrawn) = (Vec::new(), Vec::new());
        let mut blocked: HashSet<&str> = HashSet::new();
        for (sequence, stored) in &self.messages {
            let all_blocked = self.fifo && blocked.len() == self.groups.len();
            if due.len() >= messages_max || all_blocked {
                break;
            }
            let group = stored.message.group_id.as_deref().filter(|_| self.fifo);
            if group.is_some_and(|group| blocked.contains(group)) {
                continue;
            }
            if stored.visible_at > now {
                blocked.extend(group);
            } else if self
                .receives_max
                .is_some_and(|max| stored.receive_count >= max)
            {
                overdrawn.push(*sequence);
            } else {
                due.push(*sequence);
            }
        }
        (due, overdrawn)
    }

    pub(super) fn delete(&mut self, receipt: &str, now: Instant) -> Result<(), EntryError> {
        let sequence = sequence_of(receipt)?;
        let Some(stored) = self.messages.get(&sequence) else {
            return Ok(());
        };
        let current = stored.receipt.as_deref() == Some(receipt);
        if self.fifo && (!current || stored.visible_at <= now) {
            return Err(EntryError {
                code: "InvalidParameterValue".to_owned(),
                message: "Value for parameter ReceiptHandle is invalid. Reason: The receipt handle has expired.".to_owned(),
                sender_fault: true,
            });
        }
        // A standard queue answers a stale handle with success and may keep the message.
        if current {
            self.remove(sequence);
        }
        Ok(())
    }

    pub(super) fn change_visibility(
        &mut self,
        receipt: &str,
        visibility: Duration,
        now: Instant,
    ) -> Result<(), EntryError> {
        let sequence = sequence_of(receipt)?;
        match self.messages.get_mut(&sequence) {
            Some(stored)
                if stored.receipt.as_deref() == Some(receipt) && stored.visible_at > now =>
            {
                stored.visible_at = now + visibility;
                Ok(())
            }
            _ => Err(EntryError {
                code: "MessageNotInflight".to_owned(),
                message: "the message is not in flight".to_owned(),
                sender_fault: true,
            }),
        }
    }

    pub(super) fn take_away(&mut self, body: &str, group: &str, now: Instant) {
        let found = self.messages.values_mut().find(|stored| {
            stored.message.body == body && stored.message.group_id.as_deref() == Some(group)
        });
        if let Some(stored) = found {
            stored.visible_at = now;
        }
    }

    /// When the next invisible message becomes visible.
    pub(super) fn next_visible(&self, now: Instant) -> Option<Instant> {
        self.messages
            .values()
            .map(|stored| stored.visible_at)
            .filter(|at| *at > now)
            .min()
    }

    pub(super) fn depths(&self, now: Instant) -> Depths {
        let in_flight = self
            .messages
            .values()
            .filter(|stored| stored.visible_at > now)
            .count();
        let count = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
        Depths {
            visible: count(self.messages.len() - in_flight),
            in_flight: count(in_flight),
            delayed: 0,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.messages.len()
    }

    pub(super) fn held(&self, now: Instant) -> Vec<Held> {
        self.messages
            .values()
            .map(|stored| Held {
                message: stored.message.clone(),
                message_id: stored.message_id.clone(),
                receive_count: stored.receive_count,
                visible: stored.visible_at <= now,
            })
            .collect()
    }
}

fn sequence_of(receipt: &str) -> Result<u64, EntryError> {
    receipt
        .split(':')
        .next()
        .and_then(|text| text.parse().ok())
        .ok_or_else(|| EntryError {
            code: "ReceiptHandleIsInvalid".to_owned(),
            message: "not a receipt handle".to_owned(),
            sender_fault: true,
        })
}
