//! One queue: what can be done with it, each step under its lock, logged in the order in which it happened, and told to
//! the receives that wait.

use std::sync::{Arc, atomic::Ordering};

use parking_lot::{Mutex, MutexGuard};
use tokio::sync::Notify;
use uuid::Uuid;

use super::{
    core::Core,
    dedup::FirstSend,
    message::{Content, Message, Visibility},
    settings::{AttributeMap, Settings},
    state::State,
};
use crate::{error::Error, journal::record::Record};

/// A message to be sent, checked already.
pub(crate) struct Outgoing {
    pub(crate) content: Arc<Content>,
    /// `None`: the queue's own.
    pub(crate) delay_seconds: Option<u64>,
}

/// What a send came to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sent {
    pub(crate) id: Uuid,
    pub(crate) seq: u64,
}

pub(crate) struct Queue {
    pub(crate) uid: u64,
    pub(crate) name: Arc<str>,
    pub(crate) arn: Arc<str>,
    pub(super) core: Arc<Core>,
    pub(super) state: Mutex<State>,
    /// Tells waiting receives that something may be there for them.
    pub(super) news: Notify,
}

impl Queue {
    pub(crate) fn new(uid: u64, name: &str, arn: &str, core: Arc<Core>, state: State) -> Self {
        Self {
            uid,
            name: Arc::from(name),
            arn: Arc::from(arn),
            core,
            state: Mutex::new(state),
            news: Notify::new(),
        }
    }

    /// Runs `change` on the queue as it is now, then tells waiting receives what they need to know.
    pub(crate) fn with<T>(&self, change: impl FnOnce(&mut State, u64) -> T) -> Result<T, Error> {
        let mut state = self.state.lock();
        if state.deleted {
            return Err(Error::no_such_queue());
        }
        let now_ms = self.core.clock.now_ms();
        let timer_before = state.next_timer_ms();
        let bytes_before = state.stored_bytes();
        let expired = state.advance(now_ms);
        if !expired.is_empty() {
            self.core.log(&Record::Removed {
                queue: self.uid,
                seqs: expired,
            });
        }
        let result = change(&mut state, now_ms);
        self.announce(state, timer_before, bytes_before);
        Ok(result)
    }

    fn announce(
        &self,
        mut state: MutexGuard<'_, State>,
        timer_before: Option<u64>,
        bytes_before: usize,
    ) {
        let bytes_after = state.stored_bytes();
        if bytes_after >= bytes_before {
            self.core
                .stored_bytes
                .fetch_add(bytes_after - bytes_before, Ordering::Relaxed);
        } else {
            self.core
                .stored_bytes
                .fetch_sub(bytes_before - bytes_after, Ordering::Relaxed);
        }
        let ready = std::mem::take(&mut state.news) && state.has_ready();
        let timer_after = state.next_timer_ms();
        // A waiting receive sleeps until the next timer that it saw; an earlier one it must be told of.
        let earlier_timer =
            timer_after.is_some_and(|after| timer_before.is_none_or(|before| after < before));
        drop(state);
        if earlier_timer {
            self.news.notify_waiters();
        }
        if ready {
            // One receive wakes; what it leaves behind wakes the next.
            self.news.notify_one();
        }
    }

    /// For the replay of the log, before the queue is in use: no log, no waiting receives, any time.
    pub(crate) fn restore<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let mut state = self.state.lock();
        let before = state.stored_bytes();
        let result = change(&mut state);
        let after = state.stored_bytes();
        self.core.stored_bytes.fetch_add(after, Ordering::Relaxed);
        self.core.stored_bytes.fetch_sub(before, Ordering::Relaxed);
        result
    }

    /// The number that the next message of any queue gets.
    pub(crate) fn next_seq(&self) -> u64 {
        self.core.next_seq.load(Ordering::Relaxed)
    }

    pub(crate) fn settings(&self) -> Result<Settings, Error> {
        self.with(|state, _| state.settings.clone())
    }

    /// Sends messages; all that are acknowledged are on disk.
    pub(crate) async fn send(&self, outgoing: Vec<Outgoing>) -> Result<Vec<Sent>, Error> {
        self.core.writable()?;
        let bytes: usize = outgoing
            .iter()
            .map(|message| message.content.size_bytes())
            .sum();
        if self.core.stored_bytes.load(Ordering::Relaxed) + bytes > self.core.stored_bytes_max {
            return Err(Error::unavailable(format_args!(
                "The server keeps no more than {} bytes of messages.",
                self.core.stored_bytes_max
            )));
        }
        let (sent, logged_at) = self.with(|state, now_ms| {
            let mut logged_at = 0;
            let mut sent = Vec::with_capacity(outgoing.len());
            for message in outgoing {
                let one = self.send_one(state, now_ms, message, &mut logged_at);
                sent.push(one);
            }
            (sent, logged_at)
        })?;
        self.core.durable(logged_at).await?;
        Ok(sent)
    }

    fn send_one(
        &self,
        state: &mut State,
        now_ms: u64,
        outgoing: Outgoing,
        logged_at: &mut u64,
    ) -> Sent {
        let Outgoing {
            content,
            delay_seconds,
        } = outgoing;
        let key = content
            .deduplication_id
            .as_deref()
            .filter(|_| state.settings.fifo)
            .map(|id| {
                match &content.group {
                    // A group id has no NUL.
                    Some(group) if state.settings.deduplicate_per_group => format!("{group}\0{id}"),
                    _ => id.to_owned(),
                }
            });
        if let Some(first) = key.as_deref().and_then(|key| state.first_sends.get(key)) {
            *logged_at = (*logged_at).max(first.logged_at);
            return Sent {
                id: first.id,
                seq: first.seq,
            };
        }
        let (id, seq) = (Uuid::new_v4(), self.core.seq());
        let delay_ms = delay_seconds.unwrap_or(state.settings.delay_seconds) * 1_000;
        let visibility = if delay_ms == 0 {
            Visibility::Visible
        } else {
            Visibility::Delayed {
                until_ms: now_ms + delay_ms,
            }
        };
        let mut message = Message::new(id, content, now_ms, visibility);
        if self.core.journal.get().is_some() {
            message.logged_at = self.core.log(&Record::Put {
                queue: self.uid,
                seq,
                message: message.clone(),
                first_send: key.clone(),
            });
            *logged_at = message.logged_at;
        }
        if let Some(key) = key {
            state.first_sends.insert(
                key,
                now_ms,
                FirstSend {
                    id,
                    seq,
                    logged_at: message.logged_at,
                },
            );
        }
        state.put(seq, message);
        Sent { id, seq }
    }

    /// Removes all messages. AWS allows it once a minute.
    pub(crate) async fn purge(&self) -> Result<(), Error> {
        self.core.writable()?;
        let logged_at = self.with(|state, now_ms| {
            if state
                .purged_ms
                .is_some_and(|purged_ms| now_ms < purged_ms + 60_000)
            {
                return Err(Error::purge_in_progress(&self.name));
            }
            state.purged_ms = Some(now_ms);
            let below = self.core.next_seq.load(Ordering::Relaxed);
            state.purge(below);
            Ok(self.core.log(&Record::Purged {
                queue: self.uid,
                below,
            }))
        })??;
        self.core.durable(logged_at).await
    }

    /// Changes attributes or tags, and logs the queue as it is then.
    pub(crate) async fn configure(
        &self,
        change: impl FnOnce(&mut Settings, &mut AttributeMap) -> Result<(), Error>,
    ) -> Result<(), Error> {
        self.core.writable()?;
        let logged_at = self.with(|state, now_ms| {
            let mut settings = state.settings.clone();
            change(&mut settings, &mut state.tags)?;
            state.configure(settings, now_ms);
            Ok(self.core.log(&self.as_record(state)))
        })??;
        self.core.durable(logged_at).await
    }

    /// Marks the queue as gone; waiting receives learn of it at once.
    pub(crate) fn delete_queue(&self) -> Result<u64, Error> {
        let logged_at = self.with(|state, _| {
            state.deleted = true;
            self.core
                .stored_bytes
                .fetch_sub(state.stored_bytes(), Ordering::Relaxed);
            self.core.log(&Record::QueueDeleted { queue: self.uid })
        })?;
        self.news.notify_waiters();
        Ok(logged_at)
    }

    pub(crate) fn as_record(&self, state: &State) -> Record {
        Record::Queue {
            queue: self.uid,
            name: self.name.to_string(),
            attributes: state.settings.to_log(),
            tags: state.tags.clone(),
            created_ms: state.created_ms,
            modified_ms: state.modified_ms,
        }
    }
}
