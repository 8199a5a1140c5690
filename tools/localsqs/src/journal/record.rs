//! What the log and its snapshots are made of.
//!
//! Every record says what became so, never what was asked for: applying a record a second time, or to a state that
//! already includes it, changes nothing. That is what allows a snapshot to be taken while the queues are in use.

use serde::{Deserialize, Serialize};

use crate::engine::{
    dedup::FirstSend,
    message::{Message, Visibility},
    settings::AttributeMap,
};

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Record {
    /// A queue as it is from now on: new, or with other attributes or tags.
    Queue {
        queue: u64,
        name: String,
        attributes: AttributeMap,
        tags: AttributeMap,
        created_ms: u64,
        modified_ms: u64,
    },
    QueueDeleted {
        queue: u64,
    },
    /// A message came in; `first_send` is the key under which repeats of it are recognised.
    Put {
        queue: u64,
        seq: u64,
        message: Message,
        first_send: Option<String>,
    },
    Removed {
        queue: u64,
        seqs: Vec<u64>,
    },
    Received {
        queue: u64,
        messages: Vec<Received>,
    },
    VisibilityChanged {
        queue: u64,
        seq: u64,
        visibility: Visibility,
    },
    /// A message went from one queue to another: as a dead letter, or back.
    Moved {
        from: u64,
        from_seq: u64,
        to: u64,
        to_seq: u64,
        message: Message,
    },
    Purged {
        queue: u64,
        below: u64,
    },
    /// Only in snapshots: a repeat of this send is still to be recognised.
    FirstSend {
        queue: u64,
        key: String,
        start_ms: u64,
        first: FirstSend,
    },
    /// Last in a snapshot. Numbers below `next_seq` are taken.
    Complete {
        next_seq: u64,
    },
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Received {
    pub(crate) seq: u64,
    pub(crate) receipt: u64,
    pub(crate) receive_count: u32,
    pub(crate) first_received_ms: u64,
    pub(crate) received_ms: u64,
    pub(crate) visibility: Visibility,
}
