//! A dead letter as operators see it.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use steelyard_domain::command::CommandMessage;
use steelyard_queue::{AttributeValue, Letter, Parked, own_attributes};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use utoipa::ToSchema;

use super::lines::Name;

/// A list shows no longer body than this; the letter itself does.
pub(super) const LISTED_BODY_BYTES_MAX: usize = 64 * 1024;

/// A message that was set aside.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct DeadLetter {
    /// Its id among the dead letters; another one each time it is parked.
    id: String,
    /// Whose queue it came from.
    queue: Name,
    /// Its message group: the customer.
    group_id: Option<String>,
    /// Why it was parked; null when SQS itself moved it after too many receives.
    reason: Option<String>,
    /// When it first failed, as far as is known.
    first_failed_at: Option<String>,
    /// When it was parked.
    parked_at: Option<String>,
    /// Every time that it was parked, as far as is known: oldest first, the last is the present one.
    history: Vec<Attempt>,
    /// How often it was redriven.
    redriven: u32,
    /// Who redrove it last.
    redriven_by: Option<String>,
    /// When.
    redriven_at: Option<String>,
    /// The command, if it is one.
    command: Option<CommandView>,
    /// Why it is no command that can be read; null for other queues' letters.
    undecodable: Option<String>,
    /// The body, if it is JSON.
    #[schema(value_type = Option<Object>)]
    body: Option<Value>,
    /// The body as it is, if it is not JSON.
    raw: Option<String>,
    /// Bytes of the body; one over 64 KiB is not in lists.
    body_bytes: usize,
    /// SHA-256 of the body, hexadecimal.
    body_sha256: String,
    /// The message's own attributes; binary ones as their size.
    attributes: BTreeMap<String, String>,
}

/// One parking.
#[derive(Debug, Serialize, ToSchema)]
struct Attempt {
    /// What the worker said.
    reason: String,
    /// When it first failed that time.
    first_failed_at: String,
    /// When it was parked.
    parked_at: String,
    /// How often it had been received.
    receive_count: u32,
}

/// What a command says of itself.
#[derive(Debug, Serialize, ToSchema)]
struct CommandView {
    /// `order.place`, …
    #[serde(rename = "type")]
    kind: &'static str,
    /// The command, once.
    message_id: String,
    /// About which order.
    order_id: String,
    /// Whose order.
    customer_id: String,
    /// When the gateway took it.
    #[serde(with = "time::serde::rfc3339")]
    accepted_at: OffsetDateTime,
    /// Who asked.
    requested_by: String,
}

impl DeadLetter {
    pub(super) fn of(letter: &Letter, queue: Name, body_bytes_max: usize) -> Self {
        let received = letter.received();
        let read = (queue == Name::Orders).then(|| CommandMessage::decode(&received.body));
        let (command, undecodable) = match read {
            None => (None, None),
            Some(Ok(message)) => (Some(CommandView::of(message)), None),
            Some(Err(error)) => (None, Some(error.to_string())),
        };
        let shown = received.body.len() <= body_bytes_max;
        let body: Option<Value> = shown
            .then(|| serde_json::from_str(&received.body).ok())
            .flatten();
        let raw = (shown && body.is_none()).then(|| received.body.clone());
        let redriven = letter.redriven();
        Self {
            id: letter.id().to_owned(),
            queue,
            group_id: received.group_id.clone(),
            reason: letter.parked().map(|parked| parked.reason.clone()),
            first_failed_at: letter
                .history()
                .next()
                .map(|first| first.first_failed_at.clone()),
            parked_at: parked_at(letter).and_then(|at| at.format(&Rfc3339).ok()),
            history: letter.history().map(Attempt::of).collect(),
            redriven: redriven.map_or(0, |redriven| redriven.times),
            redriven_by: redriven.map(|redriven| redriven.by.clone()),
            redriven_at: redriven.map(|redriven| redriven.at.clone()),
            command,
            undecodable,
            body,
            raw,
            body_bytes: received.body.len(),
            body_sha256: sha256(&received.body),
            attributes: own_attributes(&received.attributes)
                .map(|(name, value)| (name.to_owned(), shown_attribute(value)))
                .collect(),
        }
    }
}

impl Attempt {
    fn of(parked: &Parked) -> Self {
        Self {
            reason: parked.reason.clone(),
            first_failed_at: parked.first_failed_at.clone(),
            parked_at: parked.parked_at.clone(),
            receive_count: parked.receive_count,
        }
    }
}

impl CommandView {
    fn of(message: CommandMessage) -> Self {
        Self {
            kind: message.command.kind().as_str(),
            message_id: message.message_id.to_string(),
            order_id: message.order_id.to_string(),
            customer_id: message.customer_id.into(),
            accepted_at: message.accepted_at,
            requested_by: message.requested_by,
        }
    }
}

fn shown_attribute(value: &AttributeValue) -> String {
    match value {
        AttributeValue::Text { value, .. } => value.clone(),
        AttributeValue::Binary { value, .. } => format!("{} bytes", value.len()),
    }
}

/// When it came to lie here.
pub(super) fn parked_at(letter: &Letter) -> Option<OffsetDateTime> {
    let told = letter.parked().map(|parked| parked.parked_at.as_str());
    let told = told.and_then(|text| OffsetDateTime::parse(text, &Rfc3339).ok());
    told.or_else(|| {
        let ms = letter.received().sent_at_ms?;
        OffsetDateTime::from_unix_timestamp_nanos(i128::from(ms) * 1_000_000).ok()
    })
}

/// What lists are sorted by: when it came, and its number, since several come in one millisecond.
pub(super) fn place(letter: &Letter) -> (i64, &str, &str) {
    let received = letter.received();
    let at_ms = received.sent_at_ms.unwrap_or(i64::MAX);
    let number = received.sequence_number.as_deref().unwrap_or_default();
    (at_ms, number, letter.id())
}

/// SHA-256, hexadecimal.
pub(super) fn sha256(body: &str) -> String {
    use std::fmt::Write as _;

    Sha256::digest(body)
        .iter()
        .fold(String::with_capacity(64), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
}
