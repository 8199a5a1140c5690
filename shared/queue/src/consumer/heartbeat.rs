//! Keeping what is in hand invisible to others, prefetched messages included, and noticing when it no longer is.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::Handler;
use super::core::{Core, Event};
use super::hand::{Id, Place};
use crate::message::BATCH_ENTRIES_MAX;
use crate::transport::{EntryResults, TransportError, VisibilityChange};

/// Heartbeat calls under way at the same time.
const BEATS_IN_FLIGHT_MAX: usize = 8;

/// One heartbeat call that ended.
pub(super) struct Beaten {
    ids: Vec<Id>,
    started: Instant,
    result: Result<EntryResults<()>, TransportError>,
}

impl<H: Handler> Core<H> {
    /// A twelfth of the visibility: a beat is due at a third, so eight tries lie before the loss.
    fn beat_step(&self) -> Duration {
        (self.env.options.visibility / 12).max(Duration::from_millis(20))
    }

    pub(super) fn beat(&mut self, now: Instant) {
        if now < self.next_beat {
            return;
        }
        self.next_beat = now + self.beat_step();
        let held_max = self.env.options.visibility_held_max;
        let mut lost = Vec::new();
        let mut expired = Vec::new();
        let mut due = Vec::new();
        for (id, message) in self.hand.iter().filter(|(_, message)| !message.lost) {
            if message.safe_until <= now {
                lost.push(id);
            } else if message.received_at + held_max <= now {
                expired.push(id);
            } else if message.beat_at <= now {
                due.push(id);
            }
        }
        for id in lost {
            tracing::warn!(queue = %self.env.queue, "visibility lost: no heartbeat got through in time");
            self.lose(id);
        }
        for id in expired {
            self.expire(id, now);
        }
        self.start_beats(&due, now);
    }

    fn start_beats(&mut self, due: &[Id], now: Instant) {
        let next = now + self.env.options.visibility / 3;
        let visibility = self.env.options.visibility;
        let mut calls = Vec::new();
        for ids in due.chunks(BATCH_ENTRIES_MAX) {
            let mut changes = Vec::with_capacity(ids.len());
            let mut beaten = Vec::with_capacity(ids.len());
            for id in ids {
                let Some(message) = self.hand.get_mut(*id) else {
                    continue;
                };
                message.beat_at = next;
                beaten.push(*id);
                changes.push(VisibilityChange {
                    receipt_handle: message.received.receipt_handle.clone(),
                    visibility,
                });
            }
            calls.push((beaten, changes));
        }
        let lanes = calls.len().div_ceil(BEATS_IN_FLIGHT_MAX).max(1);
        let mut calls = calls.into_iter().peekable();
        while calls.peek().is_some() {
            let lane: Vec<_> = calls.by_ref().take(lanes).collect();
            self.beats_open += 1;
            let env = Arc::clone(&self.env);
            self.jobs.spawn(async move {
                let mut beats = Vec::with_capacity(lane.len());
                for (ids, changes) in lane {
                    let started = Instant::now();
                    env.metrics.visibility_call();
                    let call = async {
                        env.transport
                            .change_visibility_batch(env.url().await?, &changes)
                            .await
                    };
                    let result = env.bounded(env.options.call_timeout, call).await;
                    beats.push(Beaten {
                        ids,
                        started,
                        result,
                    });
                }
                Event::Beaten(beats)
            });
        }
    }

    pub(super) fn beaten(&mut self, beats: Vec<Beaten>) {
        self.beats_open -= 1;
        let now = Instant::now();
        let again_at = now + self.beat_step();
        let visibility = self.env.options.visibility;
        for beat in beats {
            match beat.result {
                Ok(results) => {
                    let mut results = results.into_iter();
                    for id in beat.ids {
                        match results.next() {
                            Some(Ok(())) => {
                                if let Some(message) = self.hand.get_mut(id) {
                                    message.safe_until =
                                        beat.started + visibility - visibility / 12;
                                }
                            }
                            Some(Err(error)) if error.sender_fault || error.is_lost_lease() => {
                                if self.hand.get(id).is_some_and(|message| {
                                    !message.lost && message.place != Place::Settling
                                }) {
                                    tracing::warn!(queue = %self.env.queue, %error, "visibility lost");
                                }
                                self.lose(id);
                            }
                            _ => self.beat_again(id, again_at),
                        }
                    }
                }
                Err(error) => {
                    tracing::warn!(queue = %self.env.queue, %error, messages = beat.ids.len(), "a heartbeat failed");
                    for id in beat.ids {
                        self.beat_again(id, again_at);
                    }
                }
            }
        }
    }

    fn beat_again(&mut self, id: Id, at: Instant) {
        if let Some(message) = self.hand.get_mut(id) {
            message.beat_at = at;
        }
    }

    /// Someone else has this message, or may have it any moment. What is in hand of its group after it would overtake
    /// it, so that is dropped as well.
    fn lose(&mut self, id: Id) {
        let Some(message) = self.hand.get_mut(id).filter(|message| !message.lost) else {
            return;
        };
        message.lost = true;
        let (place, key) = (message.place, Arc::clone(&message.key));
        match place {
            // Its effect is done; the delete may still succeed, else it comes back as a duplicate.
            Place::Settling => {}
            Place::InSet(set) => {
                self.env.metrics.lease_lost("heartbeat");
                self.cancel_group(set, &key);
                let behind = self.hand.drop_waiting(&key, 0);
                self.release(&behind, Duration::ZERO);
            }
            Place::Waiting => {
                self.env.metrics.lease_lost("heartbeat");
                let dropped = self.hand.drop_waiting(&key, id);
                self.release(&dropped, Duration::ZERO);
            }
        }
    }

    /// Held for as long as anything is held: no more heartbeats.
    fn expire(&mut self, id: Id, now: Instant) {
        let Some(message) = self.hand.get_mut(id) else {
            return;
        };
        let (place, key) = (message.place, Arc::clone(&message.key));
        match place {
            Place::Settling => message.lost = true,
            Place::InSet(set) => {
                message.lost = true;
                tracing::warn!(
                    queue = %self.env.queue,
                    held_secs = now.duration_since(message.received_at).as_secs(),
                    "a message was held for as long as is allowed; its handling is cancelled"
                );
                self.cancel_group(set, &key);
                let behind = self.hand.drop_waiting(&key, 0);
                self.release(&behind, Duration::ZERO);
            }
            Place::Waiting => {
                let dropped = self.hand.drop_waiting(&key, id);
                self.release(&dropped, Duration::ZERO);
            }
        }
    }

    fn cancel_group(&mut self, set: u64, key: &super::hand::Key) {
        if let Some(running) = self.sets.get_mut(&set) {
            running.lose(key, Instant::now());
        }
    }
}
