//! Messages as they go out and as they come in.

use std::borrow::Cow;
use std::collections::BTreeMap;

/// Bytes that one message, or all messages of one batch together, may have (body and attributes; SQS quota since 2025-08).
pub const MESSAGE_BYTES_MAX: usize = 1_048_576;

/// Entries that one batch call takes (SQS quota).
pub const BATCH_ENTRIES_MAX: usize = 10;

/// Message attributes by name. SQS allows ten per message.
pub type Attributes = BTreeMap<String, AttributeValue>;

/// The value of a message attribute with its SQS data type (`String`, `Number`, `Binary`, or one of these with a `.label`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AttributeValue {
    /// `String…` and `Number…` attributes.
    Text {
        /// `String`, `Number`, or `String.label`.
        data_type: Cow<'static, str>,
        /// The value as SQS carries it.
        value: String,
    },
    /// `Binary…` attributes.
    Binary {
        /// `Binary` or `Binary.label`.
        data_type: Cow<'static, str>,
        /// The value, not encoded.
        value: Vec<u8>,
    },
}

impl AttributeValue {
    /// A plain `String` attribute.
    pub fn text(value: impl Into<String>) -> Self {
        Self::Text {
            data_type: Cow::Borrowed("String"),
            value: value.into(),
        }
    }

    /// The value, when it is text.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text { value, .. } => Some(value),
            Self::Binary { .. } => None,
        }
    }

    fn size_bytes(&self) -> usize {
        match self {
            Self::Text { data_type, value } => data_type.len() + value.len(),
            Self::Binary { data_type, value } => data_type.len() + value.len(),
        }
    }
}

/// Bytes that these attributes count towards [`MESSAGE_BYTES_MAX`]: name, type and value of each.
pub fn attributes_bytes(attributes: &Attributes) -> usize {
    attributes
        .iter()
        .map(|(name, value)| name.len() + value.size_bytes())
        .sum()
}

/// A message to send.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OutgoingMessage {
    /// `MessageGroupId`: required on FIFO queues; on standard queues it makes the queue fair between tenants.
    pub group_id: Option<String>,
    /// `MessageDeduplicationId`, FIFO only: within five minutes SQS delivers one message of this id and answers the others as if it had.
    pub dedup_id: Option<String>,
    /// The body: text without the control and non-characters that SQS refuses.
    pub body: String,
    /// Message attributes, ten at most.
    pub attributes: Attributes,
}

impl OutgoingMessage {
    /// A message for a FIFO queue.
    pub fn fifo(
        group_id: impl Into<String>,
        dedup_id: impl Into<String>,
        body: impl Into<String>,
    ) -> Self {
        Self {
            group_id: Some(group_id.into()),
            dedup_id: Some(dedup_id.into()),
            body: body.into(),
            attributes: Attributes::new(),
        }
    }

    /// A message for a standard queue.
    pub fn standard(body: impl Into<String>) -> Self {
        Self {
            group_id: None,
            dedup_id: None,
            body: body.into(),
            attributes: Attributes::new(),
        }
    }

    /// Adds a `String` attribute.
    #[must_use]
    pub fn with_attribute(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.attributes
            .insert(name.into(), AttributeValue::text(value));
        self
    }

    /// Carries a W3C trace context along; a malformed one is left out, since a bad trace must not cost an order.
    #[must_use]
    pub fn with_traceparent(mut self, traceparent: &str) -> Self {
        crate::trace::inject(&mut self.attributes, traceparent);
        self
    }

    /// Bytes that count towards [`MESSAGE_BYTES_MAX`].
    pub fn size_bytes(&self) -> usize {
        self.body.len() + attributes_bytes(&self.attributes)
    }
}

/// SQS's acknowledgement of one message: it is stored durably.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sent {
    /// The id that SQS gave. A deduplicated send answers the first one's id.
    pub message_id: String,
    /// FIFO queues only: 20 digits, growing within a group.
    pub sequence_number: Option<String>,
}

/// A message as a receive call brought it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    /// The id that SQS gave when the message was sent.
    pub message_id: String,
    /// Valid for this receive only; another receive makes it stale.
    pub receipt_handle: String,
    /// The raw body.
    pub body: String,
    /// Message attributes.
    pub attributes: Attributes,
    /// `MessageGroupId`.
    pub group_id: Option<String>,
    /// `MessageDeduplicationId`.
    pub dedup_id: Option<String>,
    /// `SequenceNumber`, FIFO only.
    pub sequence_number: Option<String>,
    /// `ApproximateReceiveCount`: how often the message was handed out, this time included.
    pub receive_count: u32,
    /// `ApproximateFirstReceiveTimestamp`, ms since 1970.
    pub first_received_at_ms: Option<i64>,
    /// `SentTimestamp`, ms since 1970.
    pub sent_at_ms: Option<i64>,
}
