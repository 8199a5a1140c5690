//! Which messages of a FIFO queue may be handed out.
//!
//! A group gives messages only from its head: the oldest message that is still in the queue. While that one is in
//! flight or delayed, the group gives nothing. When it becomes visible again it is handed out even though the same
//! consumer may still hold later ones: so AWS does it.
//!
//! Groups with a visible head stand in line; one that was served goes to the end. So a receive costs the same at any
//! depth, and no busy group keeps others waiting.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    sync::Arc,
};

use super::message::Message;

#[derive(Debug, Default)]
pub(crate) struct FifoIndex {
    groups: HashMap<Arc<str>, Group>,
    /// Groups whose head is visible, by their place in line.
    line: BTreeMap<u64, Arc<str>>,
    next_ticket: u64,
}

#[derive(Debug, Default)]
struct Group {
    /// Sequence numbers, ascending.
    order: VecDeque<u64>,
    ticket: Option<u64>,
}

impl FifoIndex {
    pub(crate) fn has_ready(&self) -> bool {
        !self.line.is_empty()
    }

    /// Adds a message; `messages` already holds it.
    pub(crate) fn insert(&mut self, group: &Arc<str>, seq: u64, messages: &BTreeMap<u64, Message>) {
        let entry = self.groups.entry(Arc::clone(group)).or_default();
        match entry.order.back() {
            Some(&last) if last > seq => {
                // A dead letter overtaken on its way by a direct send.
                if let Err(at) = entry.order.binary_search(&seq) {
                    entry.order.insert(at, seq);
                }
            }
            Some(&last) if last == seq => {}
            _ => entry.order.push_back(seq),
        }
        self.refresh(group, messages);
    }

    /// Removes a message; `messages` no longer holds it.
    pub(crate) fn remove(&mut self, group: &Arc<str>, seq: u64, messages: &BTreeMap<u64, Message>) {
        let Some(entry) = self.groups.get_mut(group) else {
            return;
        };
        if entry.order.front() == Some(&seq) {
            entry.order.pop_front();
        } else if let Ok(at) = entry.order.binary_search(&seq) {
            entry.order.remove(at);
        }
        self.refresh(group, messages);
    }

    /// Puts the group into or out of the line after something about its messages changed.
    pub(crate) fn refresh(&mut self, group: &Arc<str>, messages: &BTreeMap<u64, Message>) {
        let Some(entry) = self.groups.get_mut(group) else {
            return;
        };
        let Some(head) = entry.order.front() else {
            if let Some(ticket) = entry.ticket {
                self.line.remove(&ticket);
            }
            self.groups.remove(group);
            return;
        };
        let ready = messages.get(head).is_some_and(Message::is_visible);
        match (ready, entry.ticket) {
            (true, None) => {
                let ticket = self.next_ticket;
                self.next_ticket += 1;
                entry.ticket = Some(ticket);
                self.line.insert(ticket, Arc::clone(group));
            }
            (false, Some(ticket)) => {
                self.line.remove(&ticket);
                entry.ticket = None;
            }
            _ => {}
        }
    }

    /// The next messages to hand out, at most `max`: as many of the first group in line as can be had, then of the
    /// next. The groups leave the line: the caller changes the messages and then calls `refresh` for each.
    pub(crate) fn take(&mut self, max: usize, messages: &BTreeMap<u64, Message>) -> Vec<u64> {
        let mut taken = Vec::new();
        while taken.len() < max
            && let Some((_, group)) = self.line.pop_first()
        {
            let Some(entry) = self.groups.get_mut(&group) else {
                continue;
            };
            entry.ticket = None;
            for seq in entry.order.iter().take(max - taken.len()) {
                if !messages.get(seq).is_some_and(Message::is_visible) {
                    break;
                }
                taken.push(*seq);
            }
        }
        taken
    }
}
