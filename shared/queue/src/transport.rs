//! The port between this crate and a queue service.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use crate::message::{OutgoingMessage, Received, Sent};

/// A boxed future: one allocation per call of ten messages buys `dyn Transport`.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Where a queue is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct QueueUrl(Arc<str>);

impl QueueUrl {
    /// Takes the URL as the service gave it.
    pub fn new(url: impl Into<Arc<str>>) -> Self {
        Self(url.into())
    }

    /// The URL.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for QueueUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// How to receive.
#[derive(Clone, Debug)]
pub struct ReceiveRequest {
    /// 1 to 10.
    pub messages_max: usize,
    /// Long-poll wait, whole seconds, at most 20 s.
    pub wait: Duration,
    /// How long what is received stays invisible, whole seconds, at most 12 h.
    pub visibility: Duration,
    /// FIFO only: a call repeated with the id of a call whose answer was lost brings the same messages again
    /// instead of leaving them invisible until their timeout.
    pub attempt_id: Option<String>,
}

/// One entry of a visibility batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VisibilityChange {
    /// From the receive.
    pub receipt_handle: String,
    /// New timeout from now on, whole seconds; zero hands the message back.
    pub visibility: Duration,
}

/// How full a queue is; SQS says approximately.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Depths {
    /// Messages that a receive could bring.
    pub visible: u64,
    /// Messages received and neither deleted nor visible again.
    pub in_flight: u64,
    /// Messages delayed.
    pub delayed: u64,
}

/// Why a whole call failed.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum TransportError {
    /// No answer in time: it is not known whether the call had its effect.
    #[error("no answer from the queue in time: {0}")]
    Timeout(String),
    /// No connection, or it broke: it is not known whether the call had its effect.
    #[error("the queue cannot be reached: {0}")]
    Unreachable(String),
    /// Asked to slow down.
    #[error("throttled by the queue: {code}: {message}")]
    Throttled {
        /// SQS error code.
        code: String,
        /// SQS's words.
        message: String,
    },
    /// The service failed (5xx).
    #[error("the queue failed: {code}: {message}")]
    Unavailable {
        /// SQS error code.
        code: String,
        /// SQS's words.
        message: String,
    },
    /// There is no such queue (or not yet).
    #[error("no such queue: {0}")]
    NoSuchQueue(String),
    /// Refused for what it says; the same call will be refused again.
    #[error("refused by the queue: {code}: {message}")]
    Refused {
        /// SQS error code.
        code: String,
        /// SQS's words.
        message: String,
    },
}

impl TransportError {
    /// Whether the same call may succeed later.
    pub fn is_retryable(&self) -> bool {
        !matches!(self, Self::Refused { .. })
    }

    /// A short code for metrics.
    pub fn code(&self) -> &str {
        match self {
            Self::Timeout(_) => "Timeout",
            Self::Unreachable(_) => "Unreachable",
            Self::NoSuchQueue(_) => "QueueDoesNotExist",
            Self::Throttled { code, .. }
            | Self::Unavailable { code, .. }
            | Self::Refused { code, .. } => code,
        }
    }
}

/// Why one entry of a batch failed while others may have succeeded.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
#[error("{code}: {message}")]
pub struct EntryError {
    /// SQS error code.
    pub code: String,
    /// SQS's words.
    pub message: String,
    /// True: the entry itself is at fault and would fail again.
    pub sender_fault: bool,
}

impl EntryError {
    /// The entry is in neither list of the answer: treated as a failure that may pass.
    pub fn missing() -> Self {
        Self {
            code: "MissingFromAnswer".to_owned(),
            message: "the answer names this entry neither as successful nor as failed".to_owned(),
            sender_fault: false,
        }
    }

    /// The receipt handle no longer holds the message: someone else has it, or may have it soon.
    /// Endpoints differ in the code, so it is recognised by all of them.
    pub fn is_lost_lease(&self) -> bool {
        let code = self.code.rsplit('.').next().unwrap_or(&self.code);
        matches!(
            code,
            "ReceiptHandleIsInvalid" | "MessageNotInflight" | "InvalidIdFormat"
        ) || (code == "InvalidParameterValue" && self.message.contains("eceipt"))
    }
}

/// One result per entry, in the order of the entries.
pub type EntryResults<T> = Vec<Result<T, EntryError>>;

/// A queue service. [`crate::SqsTransport`] is the real one; the `testing` feature has one that misbehaves on purpose.
///
/// Rules for implementations: no retries inside (the callers here retry within their own limits), one result per entry,
/// every call bounded in time.
pub trait Transport: Send + Sync + 'static {
    /// Finds a queue by its name.
    fn queue_url<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<QueueUrl, TransportError>>;

    /// How full the queue is.
    fn depths<'a>(&'a self, queue: &'a QueueUrl) -> BoxFuture<'a, Result<Depths, TransportError>>;

    /// Sends up to ten messages of together at most 1 MiB.
    fn send_batch<'a>(
        &'a self,
        queue: &'a QueueUrl,
        messages: &'a [OutgoingMessage],
    ) -> BoxFuture<'a, Result<EntryResults<Sent>, TransportError>>;

    /// Receives, waiting up to `request.wait` when there is nothing.
    fn receive<'a>(
        &'a self,
        queue: &'a QueueUrl,
        request: ReceiveRequest,
    ) -> BoxFuture<'a, Result<Vec<Received>, TransportError>>;

    /// Deletes up to ten messages by their receipt handles.
    fn delete_batch<'a>(
        &'a self,
        queue: &'a QueueUrl,
        receipt_handles: &'a [String],
    ) -> BoxFuture<'a, Result<EntryResults<()>, TransportError>>;

    /// Changes the visibility of up to ten messages.
    fn change_visibility_batch<'a>(
        &'a self,
        queue: &'a QueueUrl,
        changes: &'a [VisibilityChange],
    ) -> BoxFuture<'a, Result<EntryResults<()>, TransportError>>;
}
