//! What a parked message carries with it, for those who will look at it.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::hand::InHand;
use crate::message::{AttributeValue, Attributes, MESSAGE_BYTES_MAX, OutgoingMessage};

/// Name of the message attribute that holds a [`Parked`] as JSON.
pub const PARKED: &str = "parked";

const REASON_CHARS_MAX: usize = 1_000;
/// SQS's limit.
const ATTRIBUTES_MAX: usize = 10;

/// Why and from where a message was parked. Travels as JSON in the message attribute [`PARKED`], beside the message's
/// own attributes and its raw body.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parked {
    /// What the handler said, at most 1,000 characters.
    pub reason: String,
    /// When it first failed, as far as is known (RFC 3339, UTC).
    pub first_failed_at: String,
    /// When it was parked (RFC 3339, UTC).
    pub parked_at: String,
    /// How often it was received.
    pub receive_count: u32,
    /// The queue it was in.
    pub queue: String,
    /// Its id there.
    pub message_id: String,
    /// Its deduplication id there, if any.
    pub dedup_id: Option<String>,
    /// Its sequence number there, if any.
    pub sequence_number: Option<String>,
    /// When it was sent, ms since 1970.
    pub sent_at_ms: Option<i64>,
}

impl Parked {
    /// Reads it from a dead letter; `None` for one that SQS's own redrive policy moved.
    pub fn from_attributes(attributes: &Attributes) -> Option<Self> {
        serde_json::from_str(attributes.get(PARKED)?.as_text()?).ok()
    }

    pub(super) fn new(message: &InHand, reason: &str, queue: &str, now: OffsetDateTime) -> Self {
        let received = &message.received;
        let first_failed_at =
            message
                .first_failed_at
                .unwrap_or_else(|| match received.first_received_at_ms {
                    // It has been received before, so most likely it failed then.
                    Some(ms) if received.receive_count > 1 => {
                        OffsetDateTime::from_unix_timestamp_nanos(i128::from(ms) * 1_000_000)
                            .unwrap_or(now)
                    }
                    _ => now,
                });
        Self {
            reason: printable(reason),
            first_failed_at: rfc3339(first_failed_at),
            parked_at: rfc3339(now),
            receive_count: received.receive_count,
            queue: queue.to_owned(),
            message_id: received.message_id.clone(),
            dedup_id: received.dedup_id.clone(),
            sequence_number: received.sequence_number.clone(),
            sent_at_ms: received.sent_at_ms,
        }
    }

    /// The message for the dead-letter queue: raw body, original attributes, and this.
    pub(super) fn into_message(self, message: &InHand, fifo: bool) -> OutgoingMessage {
        let received = &message.received;
        let mut outgoing = OutgoingMessage {
            group_id: received
                .group_id
                .clone()
                .or_else(|| fifo.then(|| received.message_id.clone())),
            // The sequence number is new whenever a message enters the queue: a message redriven and parked again
            // within five minutes must not be taken for its own duplicate, for it would then be deleted and lost.
            dedup_id: fifo.then(|| {
                let entered = received.sequence_number.clone();
                format!(
                    "{}-{}",
                    received.message_id,
                    entered.unwrap_or_else(|| received.receive_count.to_string())
                )
            }),
            body: received.body.clone(),
            attributes: received.attributes.clone(),
        };
        if outgoing.attributes.len() >= ATTRIBUTES_MAX && !outgoing.attributes.contains_key(PARKED)
        {
            outgoing.attributes.pop_last();
        }
        match serde_json::to_string(&self) {
            Ok(json) => {
                outgoing
                    .attributes
                    .insert(PARKED.to_owned(), AttributeValue::text(json));
            }
            Err(error) => tracing::error!(%error, "the reason for parking could not be written"),
        }
        if outgoing.size_bytes() > MESSAGE_BYTES_MAX {
            // A message at SQS's limit leaves no room for a reason: the log has it.
            outgoing.attributes.remove(PARKED);
        }
        outgoing
    }
}

fn rfc3339(at: OffsetDateTime) -> String {
    at.format(&Rfc3339).unwrap_or_default()
}

/// Cut to length, without the characters that SQS refuses.
fn printable(text: &str) -> String {
    text.chars()
        .take(REASON_CHARS_MAX)
        .map(|c| {
            if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') {
                ' '
            } else {
                c
            }
        })
        .collect()
}
