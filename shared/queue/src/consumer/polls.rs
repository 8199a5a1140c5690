//! Receiving: one poll when idle, several when busy, none without room for what it may bring.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::Handler;
use super::core::{Core, Event};
use crate::message::{BATCH_ENTRIES_MAX, Received};
use crate::transport::{ReceiveRequest, TransportError};

/// A receive can hang past its wait (awslabs/aws-sdk-rust #1094): after this much longer it has failed.
const HANG_GUARD: Duration = Duration::from_secs(5);

/// A poll that ended; `None` when a stop dropped it.
pub(super) struct Polled {
    result: Option<Result<Vec<Received>, TransportError>>,
    attempt_id: Option<String>,
}

pub(super) struct Polls {
    pub(super) open: usize,
    /// No poll before this time, after failures.
    pub(super) after: Instant,
    pub(super) cancel: CancellationToken,
    /// How many polls to have under way: grows while they come back full.
    wanted: usize,
    failures: u32,
    /// Attempt id of a poll whose answer was lost: asked again with it, SQS brings the same messages again.
    again: Option<String>,
}

impl Polls {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            open: 0,
            after: now,
            cancel: CancellationToken::new(),
            wanted: 1,
            failures: 0,
            again: None,
        }
    }

    /// Begins with one poll again, so that many instances do not come back with all they have.
    pub(super) fn slow_start(&mut self) {
        self.wanted = 1;
    }
}

impl<H: Handler> Core<H> {
    pub(super) fn start_polls(&mut self, now: Instant) {
        while self.polls.open < self.polls.wanted && self.polls.after <= now && self.has_room() {
            self.start_poll();
        }
    }

    fn has_room(&self) -> bool {
        let promised = (self.polls.open + 1) * BATCH_ENTRIES_MAX;
        self.hand.len() + promised <= self.env.options.in_hand_max.max(BATCH_ENTRIES_MAX)
    }

    fn start_poll(&mut self) {
        self.polls.open += 1;
        let env = Arc::clone(&self.env);
        let cancel = self.polls.cancel.clone();
        let attempt_id = env.fifo.then(|| {
            self.polls
                .again
                .take()
                .unwrap_or_else(|| format!("{:032x}", rand::random::<u128>()))
        });
        self.jobs.spawn(async move {
            let request = ReceiveRequest {
                messages_max: BATCH_ENTRIES_MAX,
                wait: env.options.poll_wait,
                visibility: env.options.visibility,
                attempt_id: attempt_id.clone(),
            };
            let poll = env.bounded(env.options.poll_wait + HANG_GUARD, async {
                env.transport.receive(env.url().await?, request).await
            });
            let result = tokio::select! {
                biased;
                result = poll => Some(result),
                () = cancel.cancelled() => None,
            };
            Event::Polled(Polled { result, attempt_id })
        });
    }

    pub(super) fn polled(&mut self, polled: Polled) {
        let now = Instant::now();
        self.polls.open -= 1;
        match polled.result {
            None => self.report.polls_dropped += 1,
            Some(Ok(messages)) => {
                self.gauges.polled();
                self.env.metrics.polled(Some(messages.len()));
                self.polls.failures = 0;
                self.polls.after = now;
                self.polls.wanted = match messages.len() {
                    0 => 1,
                    BATCH_ENTRIES_MAX.. => {
                        (self.polls.wanted + 1).min(self.env.options.polls_max.max(1))
                    }
                    _ => self.polls.wanted,
                };
                if !messages.is_empty() && self.hand.ready_messages() == 0 {
                    self.ready_since = Some(now);
                }
                for received in messages {
                    self.hand
                        .insert(received, self.env.fifo, self.env.options.visibility, now);
                }
            }
            Some(Err(error)) => {
                self.env.metrics.polled(None);
                self.polls.failures = self.polls.failures.saturating_add(1);
                self.polls.after = now + self.env.options.backoff.jittered(self.polls.failures);
                self.polls.wanted = 1;
                if matches!(
                    error,
                    TransportError::Timeout(_) | TransportError::Unreachable(_)
                ) {
                    self.polls.again = polled.attempt_id;
                }
                tracing::warn!(%error, queue = %self.env.queue, failures = self.polls.failures, "a poll failed");
            }
        }
    }
}
