//! Sending: concurrent sends gathered into batches, each answered from its own entry's result.

mod gather;
mod pending;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Semaphore, TryAcquireError, mpsc, oneshot};
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::backoff::Backoff;
use crate::message::{MESSAGE_BYTES_MAX, OutgoingMessage, Sent};
use crate::transport::Transport;
use pending::Entry;

/// Limits of a [`Producer`].
#[derive(Clone, Debug)]
pub struct ProducerOptions {
    /// How long an entry waits for company while there is concurrency; an idle producer sends at once.
    pub linger_max: Duration,
    /// Batch calls under way at the same time.
    pub batches_in_flight_max: usize,
    /// Messages taken in and not yet answered; one more is [`SendError::Overloaded`].
    pub queued_messages_max: usize,
    /// Bytes taken in and not yet answered; above that is [`SendError::Overloaded`].
    pub queued_bytes_max: usize,
    /// Deadline of [`Producer::send`].
    pub send_timeout: Duration,
    /// One batch call may take this long; then it counts as failed and its entries are sent again.
    pub call_timeout: Duration,
    /// Waits between attempts of a failed entry.
    pub backoff: Backoff,
}

impl Default for ProducerOptions {
    fn default() -> Self {
        Self {
            linger_max: Duration::from_millis(3),
            batches_in_flight_max: 16,
            queued_messages_max: 10_000,
            queued_bytes_max: 64 * 1024 * 1024,
            send_timeout: Duration::from_secs(10),
            call_timeout: Duration::from_secs(5),
            backoff: Backoff::new(Duration::from_millis(50), Duration::from_secs(2)),
        }
    }
}

/// Why a message was not acknowledged.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum SendError {
    /// The producer holds as much as it may; nothing was sent.
    #[error("too many messages wait to be sent")]
    Overloaded,
    /// The queue refused this message for what it says; sending it again would be refused again.
    #[error("refused by the queue: {code}: {message}")]
    Refused {
        /// SQS error code.
        code: String,
        /// SQS's words.
        message: String,
    },
    /// Larger than SQS takes; nothing was sent.
    #[error("the message has {bytes} bytes, {bytes_max} are allowed")]
    TooLarge {
        /// Body and attributes.
        bytes: usize,
        /// [`MESSAGE_BYTES_MAX`].
        bytes_max: usize,
    },
    /// Not acknowledged within the deadline. It may or may not be in the queue; sending it again with the same
    /// deduplication id is safe for five minutes, after that the receiver must know it.
    #[error("not acknowledged in time (last failure: {})", last.as_deref().unwrap_or("none, the queue was slow"))]
    Timeout {
        /// What the last attempt said, if there was one.
        last: Option<String>,
    },
    /// The producer was shut down; the message may or may not be in the queue, as with [`SendError::Timeout`].
    #[error("the producer is shut down")]
    Closed,
}

/// What a [`Producer::shutdown`] left behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShutdownReport {
    /// Messages whose senders were told [`SendError::Closed`].
    pub unacknowledged: usize,
}

/// Sends messages to one queue, gathering concurrent sends into batch calls. Clones share everything.
///
/// **Order.** Of one message group, one entry at most is under way at any time, and the next follows only when it has
/// been answered: so neither two batches in flight nor a partly failed batch can turn the order of two sends of one
/// group round. Sends of different groups overtake each other freely.
///
/// **A dropped send.** Dropping the future of [`Producer::send`] before its batch call started withdraws the message;
/// later, the message may arrive. Others are not touched either way.
#[derive(Clone)]
pub struct Producer {
    queue: Arc<str>,
    options: Arc<ProducerOptions>,
    entries: mpsc::UnboundedSender<Entry>,
    // The channel itself is unbounded; these two bound what is in it.
    room: Arc<Semaphore>,
    room_bytes: Arc<Semaphore>,
    closing: CancellationToken,
    giving_up: CancellationToken,
    tasks: TaskTracker,
    status: Arc<gather::Status>,
}

impl Producer {
    /// Starts a producer for the named queue; to be called inside a tokio runtime.
    ///
    /// The queue is looked up in the background and again until it is found: a queue service that is down delays
    /// sends, not the start.
    pub fn start(
        transport: Arc<dyn Transport>,
        queue: impl Into<Arc<str>>,
        options: ProducerOptions,
    ) -> Self {
        let queue = queue.into();
        let options = Arc::new(options);
        let (entries, receiver) = mpsc::unbounded_channel();
        let closing = CancellationToken::new();
        let giving_up = CancellationToken::new();
        let tasks = TaskTracker::new();
        let status = Arc::new(gather::Status::new(transport, Arc::clone(&queue)));
        let gatherer = gather::Gatherer::new(
            Arc::clone(&status),
            Arc::clone(&options),
            receiver,
            closing.clone(),
        );
        let given_up = giving_up.clone();
        tasks.spawn(async move {
            tokio::select! {
                () = gatherer.run() => {}
                () = given_up.cancelled() => {}
            }
        });
        tasks.close();
        Self {
            queue,
            room: Arc::new(Semaphore::new(options.queued_messages_max)),
            room_bytes: Arc::new(Semaphore::new(options.queued_bytes_max)),
            options,
            entries,
            closing,
            giving_up,
            tasks,
            status,
        }
    }

    /// The queue's name.
    pub fn queue(&self) -> &str {
        &self.queue
    }

    /// Whether the queue has been found; from then on this stays true.
    pub fn is_ready(&self) -> bool {
        self.status.is_ready()
    }

    /// Sends within [`ProducerOptions::send_timeout`]; returns when SQS has acknowledged this very message.
    ///
    /// # Errors
    /// See [`SendError`].
    pub async fn send(&self, message: OutgoingMessage) -> Result<Sent, SendError> {
        self.send_by(message, Instant::now() + self.options.send_timeout)
            .await
    }

    /// Sends, retrying what may pass, until the deadline.
    ///
    /// # Errors
    /// See [`SendError`].
    pub async fn send_by(
        &self,
        message: OutgoingMessage,
        deadline: Instant,
    ) -> Result<Sent, SendError> {
        let size = message.size_bytes();
        if size > MESSAGE_BYTES_MAX {
            return Err(SendError::TooLarge {
                bytes: size,
                bytes_max: MESSAGE_BYTES_MAX,
            });
        }
        let refuse = |error| match error {
            TryAcquireError::NoPermits => SendError::Overloaded,
            TryAcquireError::Closed => SendError::Closed,
        };
        let room = Arc::clone(&self.room).try_acquire_owned().map_err(refuse)?;
        let bytes = u32::try_from(size).unwrap_or(u32::MAX);
        let room_bytes = Arc::clone(&self.room_bytes)
            .try_acquire_many_owned(bytes)
            .map_err(refuse)?;
        let (reply, answer) = oneshot::channel();
        let entry = Entry::new(message, size, deadline, reply, (room, room_bytes));
        if self.entries.send(entry).is_err() {
            return Err(SendError::Closed);
        }
        match timeout_at(deadline, answer).await {
            Ok(Ok(result)) => result,
            Ok(Err(_dropped)) => Err(SendError::Closed),
            Err(_elapsed) => Err(SendError::Timeout { last: None }),
        }
    }

    /// Takes no more messages and waits until those taken are answered, at most until the deadline.
    pub async fn shutdown(&self, deadline: Instant) -> ShutdownReport {
        self.room.close();
        self.closing.cancel();
        if timeout_at(deadline, self.tasks.wait()).await.is_err() {
            let unacknowledged = self
                .options
                .queued_messages_max
                .saturating_sub(self.room.available_permits());
            self.giving_up.cancel();
            self.tasks.wait().await;
            return ShutdownReport { unacknowledged };
        }
        ShutdownReport { unacknowledged: 0 }
    }
}

impl std::fmt::Debug for Producer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Producer")
            .field("queue", &self.queue)
            .finish_non_exhaustive()
    }
}
