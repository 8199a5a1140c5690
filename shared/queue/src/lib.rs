//! SQS as it must be used: a micro-batching producer and a consumer runtime that loses nothing.

pub mod backoff;
mod consumer;
mod message;
mod metrics;
mod producer;
mod sqs;
#[cfg(feature = "testing")]
pub mod testing;
pub mod trace;
mod transport;

pub use backoff::Backoff;
pub use consumer::{
    Closed, Consumer, ConsumerBuilder, ConsumerOptions, Delivery, Handle, Handler, Health, Outcome, PARKED, Parked, Set,
    StopReport, Tap,
};
pub use message::{
    AttributeValue, Attributes, BATCH_ENTRIES_MAX, MESSAGE_BYTES_MAX, OutgoingMessage, Received, Sent, attributes_bytes,
};
pub use producer::{Producer, ProducerOptions, SendError, ShutdownReport};
pub use sqs::{SqsConfig, SqsCredentials, SqsTransport};
pub use transport::{
    BoxFuture, Depths, EntryError, EntryResults, QueueUrl, ReceiveRequest, Transport, TransportError, VisibilityChange,
};
