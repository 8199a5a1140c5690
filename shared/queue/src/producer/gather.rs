//! The task that gathers entries into batches and sees each answered.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures_util::FutureExt as _;
use tokio::sync::{OnceCell, mpsc};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use super::pending::{Entry, Pending};
use super::{ProducerOptions, SendError};
use crate::message::{BATCH_ENTRIES_MAX, OutgoingMessage, Sent};
use crate::metrics::ProducerMetrics;
use crate::transport::{EntryResults, QueueUrl, Transport, TransportError};

/// Entries taken from the channel at a time.
const INTAKE_MAX: usize = 256;

/// What the producer's handles and its task share.
pub(super) struct Status {
    transport: Arc<dyn Transport>,
    queue: Arc<str>,
    url: OnceCell<QueueUrl>,
    metrics: ProducerMetrics,
}

impl Status {
    pub(super) fn new(transport: Arc<dyn Transport>, queue: Arc<str>) -> Self {
        Self {
            metrics: ProducerMetrics::new(&queue),
            transport,
            queue,
            url: OnceCell::new(),
        }
    }

    pub(super) fn is_ready(&self) -> bool {
        self.url.initialized()
    }

    async fn url(&self) -> Result<&QueueUrl, TransportError> {
        self.url
            .get_or_try_init(|| self.transport.queue_url(&self.queue))
            .await
    }

    async fn send(
        &self,
        messages: &[OutgoingMessage],
    ) -> Result<EntryResults<Sent>, TransportError> {
        let url = self.url().await?;
        self.transport.send_batch(url, messages).await
    }
}

/// A batch call that ended.
struct Flown {
    entries: Vec<Entry>,
    result: Result<EntryResults<Sent>, TransportError>,
}

pub(super) struct Gatherer {
    status: Arc<Status>,
    options: Arc<ProducerOptions>,
    intake: mpsc::UnboundedReceiver<Entry>,
    intake_open: bool,
    closing: CancellationToken,
    pending: Pending,
    flights: JoinSet<Flown>,
    /// Entries in the latest batch: above one, there is concurrency and a linger pays.
    last_fill: usize,
}

impl Gatherer {
    pub(super) fn new(
        status: Arc<Status>,
        options: Arc<ProducerOptions>,
        intake: mpsc::UnboundedReceiver<Entry>,
        closing: CancellationToken,
    ) -> Self {
        Self {
            status,
            options,
            intake,
            intake_open: true,
            closing,
            pending: Pending::default(),
            flights: JoinSet::new(),
            last_fill: 0,
        }
    }

    pub(super) async fn run(mut self) {
        self.find_queue();
        let mut arrivals = Vec::with_capacity(INTAKE_MAX);
        loop {
            let now = Instant::now();
            self.pending.wake(now);
            let wake_at = self.start_batches(now);
            if !self.intake_open && self.pending.is_empty() && self.flights.is_empty() {
                return;
            }
            tokio::select! {
                biased;
                Some(flown) = self.flights.join_next(), if !self.flights.is_empty() => match flown {
                    Ok(flown) => self.land(flown),
                    Err(error) => tracing::error!(%error, queue = %self.status.queue, "a batch call broke off"),
                },
                taken = self.intake.recv_many(&mut arrivals, INTAKE_MAX), if self.intake_open => {
                    self.intake_open = taken > 0;
                    arrivals.drain(..).for_each(|entry| self.pending.push(entry));
                }
                () = self.closing.cancelled(), if self.intake_open && !self.intake.is_closed() => self.intake.close(),
                () = sleep_until(wake_at.unwrap_or(now)), if wake_at.is_some() => {}
            }
        }
    }

    /// Looks the queue up ahead of the first send, so that readiness shows and the first send is quick.
    /// A failure is only noted: the sends will try again.
    fn find_queue(&mut self) {
        let status = Arc::clone(&self.status);
        self.flights.spawn(async move {
            let result = status.url().await.map(|_| Vec::new());
            if let Err(error) = &result {
                tracing::warn!(%error, queue = %status.queue, "the queue was not found at the start; sends will look again");
            }
            Flown { entries: Vec::new(), result }
        });
    }

    /// Starts what may start, and says when to look again.
    fn start_batches(&mut self, now: Instant) -> Option<Instant> {
        while self.flights.len() < self.options.batches_in_flight_max {
            let Some(oldest) = self.pending.oldest_ready() else {
                break;
            };
            let idle = self.flights.is_empty() && self.last_fill <= 1;
            let full = self.pending.ready_len() >= BATCH_ENTRIES_MAX;
            let linger_until = oldest + self.options.linger_max;
            if !(idle || full || linger_until <= now || !self.intake_open) {
                return earliest(Some(linger_until), self.pending.next_rested());
            }
            let entries = self.pending.take_batch(now);
            if !entries.is_empty() {
                self.start(entries);
            }
        }
        self.pending.next_rested()
    }

    fn start(&mut self, mut entries: Vec<Entry>) {
        self.last_fill = entries.len();
        self.status.metrics.started(entries.len());
        let status = Arc::clone(&self.status);
        let call_timeout = self.options.call_timeout;
        // Taken out and put back, so that the call borrows a plain slice of messages.
        let messages: Vec<OutgoingMessage> = entries
            .iter_mut()
            .map(|entry| std::mem::take(&mut entry.message))
            .collect();
        self.flights.spawn(async move {
            let started = Instant::now();
            // A panic in a transport must not take the entries along: their groups would wait for ever.
            let call =
                AssertUnwindSafe(timeout(call_timeout, status.send(&messages))).catch_unwind();
            let result = match call.await {
                Ok(Ok(result)) => result,
                Ok(Err(_elapsed)) => Err(TransportError::Timeout(format!(
                    "batch call not answered within {call_timeout:?}"
                ))),
                Err(_panic) => Err(TransportError::Unavailable {
                    code: "Panic".to_owned(),
                    message: "the transport panicked".to_owned(),
                }),
            };
            status.metrics.ended(started.elapsed());
            for (entry, message) in entries.iter_mut().zip(messages) {
                entry.message = message;
            }
            Flown { entries, result }
        });
    }

    fn land(&mut self, flown: Flown) {
        let together = flown.entries.len();
        match flown.result {
            Ok(results) => {
                let mut results = results.into_iter();
                for entry in flown.entries {
                    match results.next() {
                        Some(Ok(sent)) => self.settle(entry, Ok(sent)),
                        Some(Err(error)) if error.sender_fault => {
                            self.status.metrics.failed(&error.code, 1);
                            self.settle(
                                entry,
                                Err(SendError::Refused {
                                    code: error.code,
                                    message: error.message,
                                }),
                            );
                        }
                        Some(Err(error)) => self.retry(entry, &error.code, error.to_string()),
                        None => self.retry(
                            entry,
                            "MissingFromAnswer",
                            "the answer has no result for it".to_owned(),
                        ),
                    }
                }
            }
            Err(TransportError::Refused { code, message }) => {
                self.status.metrics.failed(&code, together);
                // Refused as a whole: one entry may have spoilt it for the others, so each goes alone.
                for mut entry in flown.entries.into_iter().rev() {
                    if together > 1 {
                        entry.alone = true;
                        self.pending.put_back(entry);
                    } else {
                        self.settle(
                            entry,
                            Err(SendError::Refused {
                                code: code.clone(),
                                message: message.clone(),
                            }),
                        );
                    }
                }
            }
            Err(error) => {
                for entry in flown.entries {
                    self.retry(entry, error.code(), error.to_string());
                }
            }
        }
    }

    fn retry(&mut self, mut entry: Entry, code: &str, why: String) {
        self.status.metrics.failed(code, 1);
        entry.failures += 1;
        let now = Instant::now();
        let at = now + self.options.backoff.jittered(entry.failures);
        if entry.is_given_up(now) || at >= entry.deadline {
            self.settle(entry, Err(SendError::Timeout { last: Some(why) }));
        } else {
            tracing::debug!(queue = %self.status.queue, failures = entry.failures, why, "a send will be tried again");
            self.pending.rest(entry, at);
        }
    }

    fn settle(&mut self, entry: Entry, result: Result<Sent, SendError>) {
        self.status.metrics.answered(entry.arrived.elapsed());
        self.pending.release(entry.message.group_id.as_deref());
        entry.answer(result);
    }
}

fn earliest(a: Option<Instant>, b: Option<Instant>) -> Option<Instant> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}
