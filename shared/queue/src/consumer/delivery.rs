//! What a handler is given, and what it answers.

use std::borrow::Cow;
use std::future::Future;
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::message::Received;

/// One message in a handler's hands. Cheap to clone. The message's own fields are reached through it (`delivery.body`).
#[derive(Clone, Debug)]
pub struct Delivery {
    pub(super) received: Arc<Received>,
    pub(super) key: Arc<str>,
    pub(super) attempt: u32,
    pub(super) lost: CancellationToken,
}

impl Delivery {
    /// Which attempt this is, counted from 1: SQS's receive count plus the failed attempts made without a new receive.
    /// An upper bound: SQS counts every time a message was handed out, even when nobody looked at it.
    pub fn attempt(&self) -> u32 {
        self.attempt
    }

    /// Identifies what is handled in sequence: the message group on FIFO queues, the message itself on standard queues.
    pub fn sequence_key(&self) -> &str {
        &self.key
    }

    /// Cancelled when this group's messages are no longer safely ours (visibility lost) or when a stop has run out of
    /// patience. Look at it before an effect, or `select!` on it; what was done after it must be protected by a fence.
    pub fn lost(&self) -> &CancellationToken {
        &self.lost
    }

    /// The W3C trace context that the sender gave along.
    pub fn traceparent(&self) -> Option<&str> {
        crate::trace::extract(&self.received.attributes)
    }
}

impl Deref for Delivery {
    type Target = Received;

    fn deref(&self) -> &Received {
        &self.received
    }
}

/// Messages handed to a handler in one go: of one or many groups, a group's messages adjacent and in order.
#[derive(Clone, Debug)]
pub struct Set {
    pub(super) deliveries: Vec<Delivery>,
    pub(super) cancel: CancellationToken,
}

impl Set {
    /// A set of these messages, for tests of handlers. Group by group, in order.
    #[cfg(feature = "testing")]
    pub fn of(messages: Vec<Received>) -> Self {
        let mut deliveries: Vec<Delivery> = Vec::with_capacity(messages.len());
        for received in messages {
            let key: Arc<str> =
                Arc::from(received.group_id.as_deref().unwrap_or(&received.message_id));
            let lost = match deliveries.last() {
                Some(last) if last.key == key => last.lost.clone(),
                _ => CancellationToken::new(),
            };
            deliveries.push(Delivery {
                attempt: received.receive_count,
                received: Arc::new(received),
                key,
                lost,
            });
        }
        Self {
            deliveries,
            cancel: CancellationToken::new(),
        }
    }

    /// All messages; [`Handler::handle`] answers with one outcome for each, in this order.
    pub fn deliveries(&self) -> &[Delivery] {
        &self.deliveries
    }

    /// The messages group by group.
    pub fn groups(&self) -> impl Iterator<Item = &[Delivery]> {
        self.deliveries.chunk_by(|a, b| a.key == b.key)
    }

    /// Cancelled when all groups are lost or a stop has run out of patience; shortly after, the handler is dropped.
    pub fn cancel(&self) -> &CancellationToken {
        &self.cancel
    }

    /// Number of messages.
    pub fn len(&self) -> usize {
        self.deliveries.len()
    }

    /// Never true for a set that a consumer hands out.
    pub fn is_empty(&self) -> bool {
        self.deliveries.is_empty()
    }
}

/// What became of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Its effect is durable, or it was a duplicate of one whose effect is: delete it.
    Done,
    /// It failed, and may succeed later: counts towards [`super::ConsumerOptions::attempts_max`].
    ///
    /// The rest of its group waits behind it. Later messages of the group in the same set must not have had an effect;
    /// whatever outcome they carry, they are delivered again.
    Retry {
        /// How long to wait.
        after: Duration,
        /// For the log.
        why: Cow<'static, str>,
    },
    /// Not now, and not its own fault (its customer's lease is busy, a dependency is down). Like `Retry`, but it never
    /// counts against the message.
    Wait {
        /// How long to wait.
        after: Duration,
        /// For the log.
        why: Cow<'static, str>,
    },
    /// Never: it fails by itself and would fail again. Goes to the dead-letter queue with this reason.
    Park {
        /// For those who will look at it there.
        reason: String,
    },
    /// The set failed as a whole and it is not known through whom: all its groups answer this, and the set is halved
    /// and tried again at once until the culprit stands alone, where it counts as a `Retry` with backoff.
    Isolate {
        /// For the log.
        why: Cow<'static, str>,
    },
}

impl Outcome {
    /// Its name, for figures and traces.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Retry { .. } => "retry",
            Self::Wait { .. } => "wait",
            Self::Park { .. } => "park",
            Self::Isolate { .. } => "isolate",
        }
    }

    /// A retry after this long.
    pub fn retry(after: Duration, why: impl Into<Cow<'static, str>>) -> Self {
        Self::Retry {
            after,
            why: why.into(),
        }
    }

    /// A wait of this long, through no fault of the message.
    pub fn wait(after: Duration, why: impl Into<Cow<'static, str>>) -> Self {
        Self::Wait {
            after,
            why: why.into(),
        }
    }

    /// Off to the dead-letter queue.
    pub fn park(reason: impl Into<String>) -> Self {
        Self::Park {
            reason: reason.into(),
        }
    }

    /// Find out whose fault it is.
    pub fn isolate(why: impl Into<Cow<'static, str>>) -> Self {
        Self::Isolate { why: why.into() }
    }
}

/// Handles sets of messages.
///
/// Delivery is at least once: a handler must know what it has done already and answer `Done` for it.
/// A handler that panics, or answers with the wrong number of outcomes, counts as [`Outcome::Isolate`] for its set.
pub trait Handler: Send + Sync + 'static {
    /// One outcome per delivery, in order. A group is in one set at a time.
    fn handle(&self, set: &Set) -> impl Future<Output = Vec<Outcome>> + Send;
}

impl<H: Handler> Handler for Arc<H> {
    fn handle(&self, set: &Set) -> impl Future<Output = Vec<Outcome>> + Send {
        H::handle(self, set)
    }
}
