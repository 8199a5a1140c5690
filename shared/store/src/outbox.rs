//! Messages that leave after the transaction that made them true: written with [`append`] in that
//! transaction, sent by a [`Relay`].
//!
//! What it promises:
//! - A message that was committed is delivered at least once; receivers deduplicate by `event_id`.
//! - Messages of one key are delivered in the order in which they were appended, if the
//!   transactions that append under that key come one after another (the fence per customer sees
//!   to that). A message that is refused holds back its own key only.
//! - One relay of a table delivers at a time, whatever the number of instances; another takes over
//!   when its connection ends. Two that shared the rows (`SKIP LOCKED`) could not keep the order.
//!
//! A relay learns of new rows from its [`Waker`] in the same process, or from its poll. It does not
//! use `NOTIFY`, for which Postgres takes one lock for the whole cluster at every commit.

mod relay;

use sqlx::PgConnection;
use uuid::Uuid;

pub use relay::{Relay, RelayOptions, Waker};

/// The table, for a service's migrations: `outbox`, one row per message that has not left yet.
pub const DDL: &str = include_str!("../sql/outbox.sql");

/// A message to write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewEvent {
    /// The message, once: receivers deduplicate by it.
    pub event_id: Uuid,
    /// Order is kept among messages of one key.
    pub key: String,
    /// Where it goes; the sink knows the names.
    pub topic: String,
    /// What it says.
    pub payload: String,
    /// W3C trace context of whatever made it true.
    pub traceparent: Option<String>,
}

/// A message that is on its way out.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct Event {
    id: i64,
    /// The message, once: receivers deduplicate by it.
    pub event_id: Uuid,
    /// Order is kept among messages of one key.
    pub key: String,
    /// Where it goes.
    pub topic: String,
    /// What it says.
    pub payload: String,
    /// W3C trace context of whatever made it true.
    pub traceparent: Option<String>,
    attempts: i32,
}

/// What became of one message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Delivery {
    /// The receiver has it for sure.
    Sent,
    /// This message could not be taken, for the reason given: it is tried again later, and the
    /// later ones of its key wait for it.
    Failed(String),
}

/// The receiver as a whole could not be reached: everything is tried again later.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the receiver is away: {0}")]
pub struct SinkAway(pub String);

/// Where messages go.
pub trait Sink: Send + Sync {
    /// Delivers messages of which no two share a key, in any order and as many at a time as suits
    /// the receiver. Answers one [`Delivery`] per message, in their order.
    ///
    /// May be called again with a message that was delivered: a crash may come before the row is
    /// deleted.
    fn deliver(
        &self,
        events: &[Event],
    ) -> impl Future<Output = Result<Vec<Delivery>, SinkAway>> + Send;
}

/// Writes messages, in their order, in one statement of the caller's transaction. Wake the relay
/// after the commit.
///
/// # Errors
/// Those of Postgres; the caller's transaction is to be rolled back.
pub async fn append(connection: &mut PgConnection, events: &[NewEvent]) -> Result<(), sqlx::Error> {
    if events.is_empty() {
        return Ok(());
    }
    let ids: Vec<Uuid> = events.iter().map(|event| event.event_id).collect();
    let column = |of: fn(&NewEvent) -> &str| events.iter().map(of).collect::<Vec<_>>();
    let traces: Vec<Option<&str>> = events.iter().map(|e| e.traceparent.as_deref()).collect();
    sqlx::query(
        "INSERT INTO outbox (event_id, key, topic, payload, traceparent)
         SELECT event_id, key, topic, payload, traceparent
         FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[])
              WITH ORDINALITY AS event (event_id, key, topic, payload, traceparent, position)
         ORDER BY position",
    )
    .bind(ids)
    .bind(column(|event| &event.key))
    .bind(column(|event| &event.topic))
    .bind(column(|event| &event.payload))
    .bind(traces)
    .execute(connection)
    .await?;
    Ok(())
}
