//! `SendMessage` and `SendMessageBatch`.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use md5::{Digest as _, Md5};
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use uuid::Uuid;

use super::{
    Call,
    batch::{BatchAnswer, Entry, check_entries},
    checks::{check_id, check_range, is_message_text},
    respond,
};
use crate::{
    engine::{
        message::{Attribute, AttributeValue, Content, attributes_md5},
        queue::{Outgoing, Sent},
        settings::{MESSAGE_BYTES_MAX, Settings},
    },
    error::Error,
};

/// Message attributes of one message.
const ATTRIBUTES_MAX: usize = 10;

/// A message, alone or as an entry of a batch: the one has the queue's URL beside it, the other an id.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct MessageIn {
    queue_url: Option<String>,
    #[serde(default)]
    id: String,
    message_body: Option<String>,
    delay_seconds: Option<i64>,
    message_attributes: Option<HashMap<String, AttributeIn>>,
    message_system_attributes: Option<HashMap<String, AttributeIn>>,
    message_deduplication_id: Option<String>,
    message_group_id: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct BatchIn {
    queue_url: Option<String>,
    #[serde(default)]
    entries: Vec<MessageIn>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct AttributeIn {
    data_type: Option<String>,
    string_value: Option<String>,
    binary_value: Option<String>,
}

impl Entry for MessageIn {
    fn id(&self) -> &str {
        &self.id
    }
}

#[derive(Serialize)]
struct SentOut {
    #[serde(rename = "Id", skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    #[serde(rename = "MessageId")]
    message_id: Uuid,
    #[serde(rename = "MD5OfMessageBody")]
    body_md5: String,
    #[serde(
        rename = "MD5OfMessageAttributes",
        skip_serializing_if = "Option::is_none"
    )]
    attributes_md5: Option<String>,
    #[serde(
        rename = "MD5OfMessageSystemAttributes",
        skip_serializing_if = "Option::is_none"
    )]
    system_attributes_md5: Option<String>,
    #[serde(rename = "SequenceNumber", skip_serializing_if = "Option::is_none")]
    sequence_number: Option<String>,
}

/// A checked message with what its answer needs.
struct Prepared {
    outgoing: Outgoing,
    system_attributes_md5: Option<[u8; 16]>,
}

pub(super) async fn one(call: &Call<'_>) -> Result<Vec<u8>, Error> {
    let request: MessageIn = call.parse()?;
    let queue = call.queue(request.queue_url.as_deref())?;
    let settings = queue.settings()?;
    check_fifo_parameters(&settings, &request)?;
    let prepared = prepare(&settings, request).map_err(|fault| fault.in_single())?;
    let (content, system_md5) = (
        Arc::clone(&prepared.outgoing.content),
        prepared.system_attributes_md5,
    );
    let sent = queue.send(vec![prepared.outgoing]).await?;
    let sent = sent
        .first()
        .ok_or_else(|| Error::unavailable("The message was not taken."))?;
    respond(&sent_out(None, *sent, &content, system_md5, settings.fifo))
}

pub(super) async fn batch(call: &Call<'_>) -> Result<Vec<u8>, Error> {
    let request: BatchIn = call.parse()?;
    let queue = call.queue(request.queue_url.as_deref())?;
    check_entries(&request.entries)?;
    let settings = queue.settings()?;
    for entry in &request.entries {
        // AWS refuses the whole batch for these, and with another code than for a single message.
        check_fifo_parameters(&settings, entry)
            .map_err(|error| Error::invalid_parameter(error.message()))?;
    }
    let bytes: usize = request.entries.iter().map(|entry| entry.size_bytes()).sum();
    if bytes > MESSAGE_BYTES_MAX {
        return Err(Error::batch_too_long(MESSAGE_BYTES_MAX, bytes));
    }
    let mut answer = BatchAnswer::new();
    let mut kept = Vec::with_capacity(request.entries.len());
    let mut outgoing = Vec::with_capacity(request.entries.len());
    for mut message in request.entries {
        let id = std::mem::take(&mut message.id);
        match prepare(&settings, message).map_err(|fault| fault.in_batch()) {
            Ok(prepared) => {
                kept.push((
                    id,
                    Arc::clone(&prepared.outgoing.content),
                    prepared.system_attributes_md5,
                ));
                outgoing.push(prepared.outgoing);
            }
            Err(error) => answer.push(&id, Err(error)),
        }
    }
    let sent = queue.send(outgoing).await?;
    for ((id, content, system_md5), sent) in kept.into_iter().zip(sent) {
        let out = sent_out(Some(id), sent, &content, system_md5, settings.fifo);
        answer.push("", Ok(out));
    }
    respond(&answer)
}

fn sent_out(
    id: Option<String>,
    sent: Sent,
    content: &Content,
    system_md5: Option<[u8; 16]>,
    fifo: bool,
) -> SentOut {
    SentOut {
        id,
        message_id: sent.id,
        // Of what was sent now: SDKs compare it, also when the message is a repeat and not kept.
        body_md5: hex::encode(content.body_md5),
        attributes_md5: content.attributes_md5.map(hex::encode),
        system_attributes_md5: system_md5.map(hex::encode),
        sequence_number: fifo.then(|| sequence_number(sent.seq)),
    }
}

/// Sequence numbers have 20 digits and leave gaps, as AWS's do.
pub(super) fn sequence_number(seq: u64) -> String {
    (18_850_000_000_000_000_000_u128 + u128::from(seq) * 256).to_string()
}

/// A fault of one message; its wording differs between single sends and batches.
enum Fault {
    TooLong(usize),
    Other(Error),
}

impl Fault {
    fn in_single(self) -> Error {
        match self {
            Self::TooLong(limit) => Error::invalid_parameter(format!(
                "One or more parameters are invalid. Reason: Message must be shorter than {limit} bytes."
            )),
            Self::Other(error) => error,
        }
    }

    fn in_batch(self) -> Error {
        match self {
            Self::TooLong(limit) => Error::invalid_parameter(format!(
                "One or more parameters cannot be validated. Reason: Message must be shorter than {limit} bytes."
            )),
            Self::Other(error) => error,
        }
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Self::Other(error)
    }
}

impl MessageIn {
    /// Bytes as they count against the limit of a whole batch.
    fn size_bytes(&self) -> usize {
        let attributes = self
            .message_attributes
            .iter()
            .flatten()
            .map(|(name, attribute)| {
                let text = |value: &Option<String>| value.as_ref().map_or(0, String::len);
                // Four characters of Base64 are three bytes.
                name.len()
                    + text(&attribute.data_type)
                    + text(&attribute.string_value)
                    + text(&attribute.binary_value) / 4 * 3
            });
        self.message_body.as_ref().map_or(0, |body| body.len()) + attributes.sum::<usize>()
    }
}

/// Whether group and deduplication ids are there as the queue's type demands.
fn check_fifo_parameters(settings: &Settings, message: &MessageIn) -> Result<(), Error> {
    const WRONG_TYPE: &str = "The request include parameter that is not valid for this queue type.";
    if let Some(group) = &message.message_group_id {
        check_id("MessageGroupId", group)?;
    }
    if let Some(id) = &message.message_deduplication_id {
        check_id("MessageDeduplicationId", id)?;
    }
    if !settings.fifo {
        return match &message.message_deduplication_id {
            Some(id) => Err(Error::invalid_value(
                id,
                "MessageDeduplicationId",
                WRONG_TYPE,
            )),
            None => Ok(()),
        };
    }
    if message.message_group_id.is_none() {
        return Err(Error::missing_parameter("MessageGroupId"));
    }
    if message.message_deduplication_id.is_none() && !settings.content_based_deduplication {
        return Err(Error::invalid_parameter(
            "The queue should either have ContentBasedDeduplication enabled or MessageDeduplicationId provided \
             explicitly",
        ));
    }
    match message.delay_seconds {
        Some(delay) if delay != 0 => Err(Error::invalid_value(delay, "DelaySeconds", WRONG_TYPE)),
        _ => Ok(()),
    }
}

fn prepare(settings: &Settings, message: MessageIn) -> Result<Prepared, Fault> {
    let body = match message.message_body {
        Some(body) if !body.is_empty() => body,
        _ => return Err(Error::missing_parameter("MessageBody").into()),
    };
    if !is_message_text(&body) {
        return Err(Error::invalid_message_contents().into());
    }
    let delay_seconds = match message.delay_seconds {
        // On FIFO queues only 0 is allowed, and means the queue's own delay.
        Some(_) if settings.fifo => None,
        delay => check_range("DelaySeconds", delay, 900)?,
    };
    let attributes = read_attributes(message.message_attributes.unwrap_or_default())?;
    let (trace_header, system_attributes_md5) =
        read_system_attributes(message.message_system_attributes.unwrap_or_default())?;
    let deduplication_id = match message.message_deduplication_id {
        None if settings.fifo => Some(hex::encode(Sha256::digest(body.as_bytes()))),
        id => id,
    };
    let content = Content {
        body_md5: Md5::digest(body.as_bytes()).into(),
        body,
        attributes_md5: attributes_md5(&attributes),
        attributes,
        trace_header,
        group: message.message_group_id.map(Arc::from),
        deduplication_id,
    };
    if content.size_bytes() > settings.message_bytes_max {
        return Err(Fault::TooLong(settings.message_bytes_max));
    }
    Ok(Prepared {
        outgoing: Outgoing {
            content: Arc::new(content),
            delay_seconds,
        },
        system_attributes_md5,
    })
}

fn read_attributes(attributes: HashMap<String, AttributeIn>) -> Result<Vec<Attribute>, Error> {
    if attributes.len() > ATTRIBUTES_MAX {
        return Err(Error::invalid_parameter(format!(
            "Number of message attributes [{}] exceeds the allowed maximum [{ATTRIBUTES_MAX}].",
            attributes.len()
        )));
    }
    let sorted: BTreeMap<_, _> = attributes.into_iter().collect();
    sorted
        .into_iter()
        .map(|(name, attribute)| {
            check_attribute_name(&name)?;
            let (data_type, value) = read_attribute(&name, attribute)?;
            Ok(Attribute {
                name,
                data_type,
                value,
            })
        })
        .collect()
}

fn check_attribute_name(name: &str) -> Result<(), Error> {
    let lower = name.to_ascii_lowercase();
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    let valid = (1..=256).contains(&name.len())
        && name.bytes().all(allowed)
        && !name.starts_with('.')
        && !name.ends_with('.')
        && !name.contains("..")
        && !lower.starts_with("aws.")
        && !lower.starts_with("amazon.");
    if valid {
        return Ok(());
    }
    Err(Error::invalid_parameter(format!(
        "Message (user) attribute name '{name}' is invalid: 1 to 256 letters, digits, underscores, hyphens and single \
         dots between them, and no reserved prefix."
    )))
}

fn read_attribute(name: &str, attribute: AttributeIn) -> Result<(String, AttributeValue), Error> {
    let empty = |data_type: &str| {
        Error::invalid_parameter(format!(
            "Message (user) attribute '{name}' must contain a non-empty value of type '{data_type}'."
        ))
    };
    let data_type = attribute
        .data_type
        .filter(|data_type| !data_type.is_empty())
        .ok_or_else(|| {
            Error::invalid_parameter(format!(
                "Message (user) attribute '{name}' must contain a non-empty attribute type."
            ))
        })?;
    let kind = data_type.split('.').next().unwrap_or_default();
    let value = match kind {
        "String" | "Number" => {
            let text = attribute
                .string_value
                .filter(|text| !text.is_empty())
                .ok_or_else(|| empty(kind))?;
            if kind == "Number" && text.parse::<f64>().is_err() {
                return Err(Error::invalid_parameter(format!(
                    "Can't cast the value of message (user) attribute '{name}' to a number."
                )));
            }
            if !is_message_text(&text) {
                return Err(Error::invalid_message_contents());
            }
            AttributeValue::Text(text)
        }
        "Binary" => {
            let text = attribute
                .binary_value
                .filter(|text| !text.is_empty())
                .ok_or_else(|| empty(kind))?;
            AttributeValue::Binary(STANDARD.decode(text).map_err(Error::unreadable)?)
        }
        _ => {
            return Err(Error::invalid_parameter(format!(
                "The type of message (user) attribute '{name}' is invalid. You must use only the following supported \
                 type prefixes: Binary, Number, String."
            )));
        }
    };
    Ok((data_type, value))
}

/// The trace header is the only system attribute that can be sent.
fn read_system_attributes(
    attributes: HashMap<String, AttributeIn>,
) -> Result<(Option<String>, Option<[u8; 16]>), Error> {
    let mut read = Vec::new();
    for (name, attribute) in attributes {
        if name != "AWSTraceHeader" {
            return Err(Error::invalid_parameter(format!(
                "Message system attribute name '{name}' is invalid."
            )));
        }
        let (data_type, value) = read_attribute(&name, attribute)?;
        if data_type != "String" {
            return Err(Error::invalid_parameter(
                "AWSTraceHeader must be of type String.",
            ));
        }
        read.push(Attribute {
            name,
            data_type,
            value,
        });
    }
    let md5 = attributes_md5(&read);
    let header = read.pop().and_then(|attribute| match attribute.value {
        AttributeValue::Text(text) => Some(text),
        AttributeValue::Binary(_) => None,
    });
    Ok((header, md5))
}
