//! SQS as it must be used: a producer that gathers concurrent sends into batches, and a consumer runtime that keeps
//! what SQS only makes possible: nothing lost, order within a group, no message poisoned by an outage.
//!
//! # Sending
//! ```no_run
//! use std::sync::Arc;
//! use steelyard_queue::{OutgoingMessage, Producer, ProducerOptions, SqsConfig, SqsTransport};
//!
//! # async fn example() -> Result<(), steelyard_queue::SendError> {
//! let transport = Arc::new(SqsTransport::connect(SqsConfig::default()).await);
//! let producer = Producer::start(transport, "orders.fifo", ProducerOptions::default());
//! // Returns when SQS has acknowledged this very message; concurrent sends share a call.
//! let sent = producer.send(OutgoingMessage::fifo("customer-17850", "dedup-id", r#"{"v":1}"#)).await?;
//! println!("{} {:?}", sent.message_id, sent.sequence_number);
//! # Ok(())
//! # }
//! ```
//!
//! # Receiving
//! ```no_run
//! use std::sync::Arc;
//! use steelyard_queue::{Consumer, Handler, Outcome, Set, SqsConfig, SqsTransport, Tap};
//! use tokio_util::sync::CancellationToken;
//!
//! struct Worker {
//!     tap: Tap,
//! }
//!
//! impl Handler for Worker {
//!     async fn handle(&self, set: &Set) -> Vec<Outcome> {
//!         set.deliveries()
//!             .iter()
//!             .map(|delivery| match delivery.body.parse::<u64>() {
//!                 Ok(_number) => Outcome::Done,
//!                 Err(error) => Outcome::park(format!("not a number: {error}")),
//!             })
//!             .collect()
//!     }
//! }
//!
//! # async fn example(stop: CancellationToken) {
//! let transport = Arc::new(SqsTransport::connect(SqsConfig::default()).await);
//! let tap = Tap::new().with_probe("postgres", || async { true /* SELECT 1 */ });
//! let worker = Worker { tap: tap.clone() }; // closes the tap when it finds Postgres down
//! let consumer = Consumer::builder(transport, "orders.fifo", worker).dead_letters("orders-dead.fifo").tap(tap).build();
//! let health = consumer.handle();
//! let report = consumer.run(stop).await;
//! # }
//! ```
//!
//! # What the consumer promises
//! * **Order.** A group is in one handler call at a time. After a message that was not done, the rest of its group in
//!   hand waits behind it or is handed back with it, never handled first. The same after lost visibility.
//! * **Heartbeat** for everything in hand, prefetched messages included, in batches, up to a cap. Losing visibility
//!   cancels that group's work ([`Delivery::lost`]); other groups of the set go on.
//! * **Outage is not poison.** While a breaker holds the [`Tap`] closed nothing is received, and what is in hand goes
//!   back without being tried again. Retries up to a minute are waited out in hand and cost no receive counts.
//! * **No stampede.** How much the handler gets at once adapts between set bounds by its own latency and failures; after
//!   an outage one small set goes first, alone, and the window doubles from there.
//! * **Park, never drop.** What fails by itself goes to the dead-letter queue with raw body, attributes, reason and first failure
//!   ([`Parked`]); if it cannot be put there it stays where it is.
//! * **Every batch answer is inspected** entry by entry; deletes are repeated within limits; a stale receipt is a lost
//!   lease, counted and not fatal.
//! * **Panics** cost a handler call, not a consumer: the set is halved until the culprit stands alone.
//! * **Bounded stop:** polls end or are dropped, handlers finish or are dropped, late arrivals are handed back in
//!   order, acknowledgements are flushed, each within its budget; [`StopReport`] says what was left.
//!
//! Delivery is at least once. A lease that is lost while a handler runs can still lead to two handlers at once for a
//! moment: what must not happen twice needs an inbox and a fence where the effect is.
//!
//! # Dead letters
//! [`DeadLetters`] looks into a dead-letter queue without losing, reordering or burning anything, and redrives what is
//! chosen; its page says what SQS's groups put out of reach.
//!
//! # Limits
//! One [`Producer`] and one [`Consumer`] serve one queue. All waits, queues and retries have bounds in
//! [`ProducerOptions`] and [`ConsumerOptions`]. Feature `testing` adds a seeded, misbehaving queue in virtual time.
//!
//! # Figures
//! Through the `metrics` facade; every one carries the label `queue`.
//!
//! | name | kind | what |
//! |---|---|---|
//! | `queue_send_calls_total` | counter | batch calls started |
//! | `queue_send_entries_total` | counter | entries in them |
//! | `queue_send_fill` | histogram | entries per batch call |
//! | `queue_send_call_seconds` | histogram | time of a batch call |
//! | `queue_send_seconds` | histogram | time from a send to its answer |
//! | `queue_send_failures_total` | counter, `code` | entries that failed once, by code |
//! | `queue_receive_calls_total` | counter, `result` | polls: `messages`, `empty`, `failed` |
//! | `queue_received_total` | counter | messages received |
//! | `queue_outcomes_total` | counter, `outcome` | messages by what became of them: `done`, `retry`, `park`, `handed_back` |
//! | `queue_sets_total`, `queue_set_messages`, `queue_set_seconds` | counter, histograms | sets handled, their size, their time |
//! | `queue_panics_total` | counter | handler runs that panicked or answered out of shape |
//! | `queue_delete_calls_total`, `queue_delete_failures_total` | counters, `code` | acknowledgements |
//! | `queue_visibility_calls_total` | counter | heartbeats and hand-backs |
//! | `queue_leases_lost_total` | counter, `at` | messages whose visibility was lost, found at `heartbeat` or `delete` |
//! | `queue_in_hand` | gauge | messages received and not yet settled |
//! | `queue_window_messages` | gauge | messages that handlers may have at once, as it stands now |
//! | `queue_tap_closed` | gauge | breakers that hold the tap closed |
//! | `sqs_requests_total` | counter | requests to SQS by `action`: what it charges for |

pub mod backoff;
mod consumer;
mod dead_letters;
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
    Closed, Consumer, ConsumerBuilder, ConsumerOptions, Delivery, Handle, Handler, Health, Outcome,
    PARKED, Parked, Set, StopReport, Tap,
};
pub use dead_letters::{
    DeadLetters, DeadLettersOptions, Held, Letter, REDRIVEN, Redrive, RedriveOutcome, Redriven,
    Replacement, own_attributes,
};
pub use message::{
    AttributeValue, Attributes, BATCH_ENTRIES_MAX, MESSAGE_BYTES_MAX, OutgoingMessage, Received,
    Sent, attributes_bytes,
};
pub use producer::{Producer, ProducerOptions, SendError, ShutdownReport};
pub use sqs::{SqsConfig, SqsCredentials, SqsTransport};
pub use transport::{
    BoxFuture, Depths, EntryError, EntryResults, QueueUrl, ReceiveRequest, Transport,
    TransportError, VisibilityChange,
};
