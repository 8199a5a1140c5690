//! A message and what never changes about it.

use std::sync::Arc;

use md5::{Digest as _, Md5};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The value of a message attribute.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum AttributeValue {
    Text(String),
    Binary(Vec<u8>),
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Attribute {
    pub(crate) name: String,
    pub(crate) data_type: String,
    pub(crate) value: AttributeValue,
}

/// What a sender gave. Shared between the queue and the answers under way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Content {
    pub(crate) body: String,
    pub(crate) body_md5: [u8; 16],
    /// Sorted by name.
    pub(crate) attributes: Vec<Attribute>,
    pub(crate) attributes_md5: Option<[u8; 16]>,
    pub(crate) trace_header: Option<String>,
    pub(crate) group: Option<Arc<str>>,
    pub(crate) deduplication_id: Option<String>,
}

impl Content {
    /// Bytes as SQS counts them against its limits: body, and names, types and values of the attributes.
    pub(crate) fn size_bytes(&self) -> usize {
        let attributes: usize = self.attributes.iter().map(Attribute::size_bytes).sum();
        self.body.len() + attributes
    }
}

impl Attribute {
    pub(crate) fn size_bytes(&self) -> usize {
        let value = match &self.value {
            AttributeValue::Text(text) => text.len(),
            AttributeValue::Binary(bytes) => bytes.len(),
        };
        self.name.len() + self.data_type.len() + value
    }
}

/// Whether a receive may hand the message out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Visibility {
    Visible,
    /// Not yet handed out for the first time.
    Delayed {
        until_ms: u64,
    },
    InFlight {
        until_ms: u64,
    },
}

/// A message in a queue.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Message {
    pub(crate) id: Uuid,
    pub(crate) content: Arc<Content>,
    pub(crate) sent_ms: u64,
    /// ARN of the queue it came from, once it is a dead letter.
    pub(crate) dead_letter_source: Option<Arc<str>>,
    pub(crate) receive_count: u32,
    /// How many of those were in other queues: a redrive policy counts only its own queue's.
    pub(crate) receives_elsewhere: u32,
    /// 0 before the first receive.
    pub(crate) first_received_ms: u64,
    /// Time of the latest receive: the twelve hours of visibility count from here.
    pub(crate) received_ms: u64,
    /// Number in the latest receipt handle; 0 before the first receive.
    pub(crate) receipt: u64,
    pub(crate) visibility: Visibility,
    /// The place in the log up to which it must be on disk before it may be handed out.
    #[serde(skip)]
    pub(crate) logged_at: u64,
}

impl Message {
    pub(crate) fn new(
        id: Uuid,
        content: Arc<Content>,
        sent_ms: u64,
        visibility: Visibility,
    ) -> Self {
        Self {
            id,
            content,
            sent_ms,
            dead_letter_source: None,
            receive_count: 0,
            receives_elsewhere: 0,
            first_received_ms: 0,
            received_ms: 0,
            receipt: 0,
            visibility,
            logged_at: 0,
        }
    }

    pub(crate) fn is_visible(&self) -> bool {
        self.visibility == Visibility::Visible
    }
}

/// MD5 of message attributes as AWS's developer guide ("Calculating the MD5 message digest for message attributes")
/// defines it: per attribute, sorted by name, the length-prefixed name and type, one byte for the kind of value, the
/// length-prefixed value. `None` when there are none.
pub(crate) fn attributes_md5<'a>(
    sorted: impl IntoIterator<Item = &'a Attribute>,
) -> Option<[u8; 16]> {
    let mut hasher = Md5::new();
    let mut any = false;
    for attribute in sorted {
        any = true;
        update_with_length(&mut hasher, attribute.name.as_bytes());
        update_with_length(&mut hasher, attribute.data_type.as_bytes());
        let (kind, value) = match &attribute.value {
            AttributeValue::Text(text) => (1, text.as_bytes()),
            AttributeValue::Binary(bytes) => (2, bytes.as_slice()),
        };
        hasher.update([kind]);
        update_with_length(&mut hasher, value);
    }
    any.then(|| hasher.finalize().into())
}

fn update_with_length(hasher: &mut Md5, bytes: &[u8]) {
    // Bounded by the message limit of 1 MiB, far below four gigabytes.
    hasher.update(u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_be_bytes());
    hasher.update(bytes);
}
