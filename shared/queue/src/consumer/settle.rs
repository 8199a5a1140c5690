//! The end of a message: deleted, parked and then deleted, or handed back.

use std::sync::Arc;
use std::time::Duration;

use time::OffsetDateTime;
use tokio::time::Instant;

use super::Handler;
use super::core::{Core, Env, Event};
use super::hand::{Id, InHand};
use super::park::Parked;
use crate::message::{BATCH_ENTRIES_MAX, MESSAGE_BYTES_MAX, OutgoingMessage};
use crate::transport::{EntryError, EntryResults, TransportError, VisibilityChange};

/// Calls that park messages, under way at the same time.
const PARKS_IN_FLIGHT_MAX: usize = 4;
/// Attempts to hand a message back; then its visibility timeout does it.
const RELEASE_ATTEMPTS_MAX: u32 = 3;

/// A message to delete.
pub(super) struct Ack {
    id: Id,
    receipt: String,
    attempts: u32,
    parked: bool,
}

impl Ack {
    pub(super) fn done(id: Id, receipt: String) -> Self {
        Self {
            id,
            receipt,
            attempts: 0,
            parked: false,
        }
    }
}

/// A delete call that ended.
pub(super) struct Deleted {
    acks: Vec<Ack>,
    result: Result<EntryResults<()>, TransportError>,
}

/// A message on its way to the dead-letter queue.
pub(super) struct ParkItem {
    id: Id,
    message: OutgoingMessage,
}

impl ParkItem {
    pub(super) fn new(id: Id, message: &InHand, reason: &str, env: &Env) -> Self {
        let fifo = env
            .dead_letters
            .as_deref()
            .is_some_and(|name| name.ends_with(".fifo"));
        tracing::warn!(queue = %env.queue, message_id = %message.received.message_id, group = %message.key, reason, "a message is parked");
        let parked = Parked::new(message, reason, &env.queue, OffsetDateTime::now_utc());
        Self {
            id,
            message: parked.into_message(message, fifo),
        }
    }
}

/// Whether the dead-letter queue has it.
pub(super) struct ParkResult {
    id: Id,
    result: Result<(), String>,
}

impl<H: Handler> Core<H> {
    /// Starts delete calls: full ones as they come, a last one that is not full when nothing else is under way.
    pub(super) fn start_deletes(&mut self, now: Instant) {
        while let Some(first) = self
            .acks_later
            .first_entry()
            .filter(|first| first.key().0 <= now)
        {
            self.acks.push_back(first.remove());
        }
        while self.acks.len() >= BATCH_ENTRIES_MAX
            && self.deletes_open < self.env.options.deletes_in_flight_max.max(1)
        {
            self.start_delete();
        }
        if !self.acks.is_empty() && self.deletes_open == 0 {
            self.start_delete();
        }
    }

    fn start_delete(&mut self) {
        let count = self.acks.len().min(BATCH_ENTRIES_MAX);
        let acks: Vec<Ack> = self.acks.drain(..count).collect();
        self.deletes_open += 1;
        let env = Arc::clone(&self.env);
        self.jobs.spawn(async move {
            let receipts: Vec<String> = acks.iter().map(|ack| ack.receipt.clone()).collect();
            env.metrics.delete_call();
            let call = async {
                env.transport
                    .delete_batch(env.url().await?, &receipts)
                    .await
            };
            let result = env.bounded(env.options.call_timeout, call).await;
            Event::Deleted(Deleted { acks, result })
        });
    }

    pub(super) fn deleted(&mut self, deleted: Deleted) {
        self.deletes_open -= 1;
        match deleted.result {
            Ok(results) => {
                let mut results = results.into_iter();
                for ack in deleted.acks {
                    match results.next().unwrap_or_else(|| Err(EntryError::missing())) {
                        Ok(()) => self.settled(&ack),
                        Err(error) if error.is_lost_lease() => {
                            // The effect is done; the message comes back as a duplicate and is deleted then.
                            self.env.metrics.lease_lost("delete");
                            tracing::warn!(queue = %self.env.queue, %error, "visibility was lost before the delete");
                            self.settled(&ack);
                        }
                        Err(error) => {
                            self.delete_failed(ack, &error.code, &error, !error.sender_fault);
                        }
                    }
                }
            }
            Err(error) => {
                for ack in deleted.acks {
                    self.delete_failed(ack, error.code(), &error, error.is_retryable());
                }
            }
        }
    }

    fn settled(&mut self, ack: &Ack) {
        self.hand.remove(ack.id);
        let counter = if ack.parked {
            &mut self.report.parked
        } else {
            &mut self.report.done
        };
        *counter += 1;
    }

    fn delete_failed(
        &mut self,
        mut ack: Ack,
        code: &str,
        error: &impl std::fmt::Display,
        retryable: bool,
    ) {
        self.env.metrics.delete_failed(code, 1);
        ack.attempts += 1;
        if retryable && ack.attempts < self.env.options.delete_attempts_max {
            let at = Instant::now() + self.env.options.backoff.jittered(ack.attempts);
            self.acks_later.insert((at, ack.id), ack);
        } else {
            tracing::warn!(queue = %self.env.queue, attempts = ack.attempts, %error, "a message could not be deleted; it will come back as a duplicate");
            self.hand.remove(ack.id);
            self.unsettled(1);
        }
    }

    fn unsettled(&mut self, messages: usize) {
        if self.is_stopping() {
            self.report.unsettled += messages;
        }
    }

    /// Hands messages back in this order. They leave the hand now; those already lost are only forgotten.
    pub(super) fn release(&mut self, ids: &[Id], visibility: Duration) {
        let before = self.releases.len();
        for id in ids {
            if let Some(message) = self.hand.remove(*id).filter(|message| !message.lost) {
                self.releases.push(VisibilityChange {
                    receipt_handle: message.received.receipt_handle.clone(),
                    visibility,
                });
            }
        }
        let released = self.releases.len() - before;
        self.env.metrics.outcome("handed_back", released);
        self.report.handed_back += u64::try_from(released).unwrap_or(u64::MAX);
    }

    /// One after the other, so that the order is kept, and never beside a heartbeat, which could arrive later and
    /// hide the message again.
    pub(super) fn start_releases(&mut self) {
        if self.releases.is_empty() || self.releasing || self.beats_open > 0 {
            return;
        }
        self.releasing = true;
        let changes = std::mem::take(&mut self.releases);
        let env = Arc::clone(&self.env);
        self.jobs.spawn(async move {
            let mut failed = 0;
            for chunk in changes.chunks(BATCH_ENTRIES_MAX) {
                failed += release_chunk(&env, chunk.to_vec()).await;
            }
            Event::Released { failed }
        });
    }

    pub(super) fn released(&mut self, failed: usize) {
        self.releasing = false;
        self.unsettled(failed);
        if failed > 0 {
            tracing::warn!(queue = %self.env.queue, messages = failed, "messages could not be handed back; they come back after their visibility timeout");
        }
    }

    pub(super) fn start_parks(&mut self) {
        while self.parks_open < PARKS_IN_FLIGHT_MAX && !self.parks.is_empty() {
            let mut bytes = 0;
            let count = self
                .parks
                .iter()
                .take(BATCH_ENTRIES_MAX)
                .take_while(|item| {
                    bytes += item.message.size_bytes();
                    bytes <= MESSAGE_BYTES_MAX
                })
                .count()
                .max(1);
            let items: Vec<ParkItem> = self.parks.drain(..count).collect();
            self.parks_open += 1;
            let env = Arc::clone(&self.env);
            self.jobs
                .spawn(async move { Event::Parked(park(&env, items).await) });
        }
    }

    pub(super) fn parked(&mut self, results: Vec<ParkResult>) {
        self.parks_open -= 1;
        let retry_at = Instant::now() + self.env.options.backoff.jittered(3);
        for ParkResult { id, result } in results {
            let Some(message) = self.hand.get(id) else {
                continue;
            };
            let key = Arc::clone(&message.key);
            let receipt = message.received.receipt_handle.clone();
            match result {
                Ok(()) => {
                    self.env.metrics.outcome("park", 1);
                    self.acks.push_back(Ack {
                        id,
                        receipt,
                        attempts: 0,
                        parked: true,
                    });
                    self.hand.parked(&key, None);
                }
                Err(error) => {
                    tracing::error!(queue = %self.env.queue, error, "a message could not be parked and stays where it is");
                    self.hand.parked(&key, Some((id, retry_at)));
                }
            }
        }
    }
}

/// Hands up to ten messages back; says how many it could not.
async fn release_chunk(env: &Env, mut changes: Vec<VisibilityChange>) -> usize {
    for attempt in 1..=RELEASE_ATTEMPTS_MAX {
        env.metrics.visibility_call();
        let call = async {
            env.transport
                .change_visibility_batch(env.url().await?, &changes)
                .await
        };
        match env.bounded(env.options.call_timeout, call).await {
            Ok(results) => {
                let mut results = results.into_iter();
                // A receipt that holds nothing any more has nothing to hand back.
                changes.retain(|_| matches!(results.next(), Some(Err(error)) if !error.sender_fault && !error.is_lost_lease()));
            }
            Err(error) => {
                tracing::debug!(%error, queue = %env.queue, attempt, "messages were not handed back yet");
            }
        }
        if changes.is_empty() {
            return 0;
        }
        if attempt < RELEASE_ATTEMPTS_MAX {
            tokio::time::sleep(env.options.backoff.jittered(attempt)).await;
        }
    }
    changes.len()
}

async fn park(env: &Env, items: Vec<ParkItem>) -> Vec<ParkResult> {
    let (ids, messages): (Vec<Id>, Vec<OutgoingMessage>) = items
        .into_iter()
        .map(|item| (item.id, item.message))
        .unzip();
    let mut results = match park_call(env, &messages).await {
        Ok(results) => results,
        // One of them spoilt the call for the others.
        Err(TransportError::Refused { .. }) if messages.len() > 1 => {
            let mut results = Vec::with_capacity(messages.len());
            for message in &messages {
                let alone = park_call(env, std::slice::from_ref(message)).await;
                results.push(
                    alone
                        .map_err(|error| error.to_string())
                        .and_then(|mut one| {
                            one.pop()
                                .unwrap_or_else(|| Err(EntryError::missing().to_string()))
                        }),
                );
            }
            results
        }
        Err(error) => vec![Err(error.to_string()); ids.len()],
    }
    .into_iter();
    ids.into_iter()
        .map(|id| {
            let result = results
                .next()
                .unwrap_or_else(|| Err(EntryError::missing().to_string()));
            ParkResult { id, result }
        })
        .collect()
}

async fn park_call(
    env: &Env,
    messages: &[OutgoingMessage],
) -> Result<Vec<Result<(), String>>, TransportError> {
    let call = async {
        env.transport
            .send_batch(env.dead_letters_url().await?, messages)
            .await
    };
    let results = env.bounded(env.options.call_timeout, call).await?;
    Ok(results
        .into_iter()
        .map(|result| result.map(|_| ()).map_err(|error| error.to_string()))
        .collect())
}
