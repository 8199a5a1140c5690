//! `ReceiveMessage`.

use std::{borrow::Cow, collections::BTreeMap};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{
    Call,
    checks::{check_id, check_range},
    respond,
    send::sequence_number,
};
use crate::{
    engine::{
        message::{Attribute, AttributeValue, Message, attributes_md5},
        receive::{Delivery, Receive},
        settings::VISIBILITY_SECONDS_MAX,
    },
    error::Error,
};

/// The sender that every message has: credentials are not looked at.
const SENDER_ID: &str = "AIDALOCALSQS000000000";

const SYSTEM_ATTRIBUTES: [&str; 9] = [
    "SenderId",
    "SentTimestamp",
    "ApproximateReceiveCount",
    "ApproximateFirstReceiveTimestamp",
    "SequenceNumber",
    "MessageDeduplicationId",
    "MessageGroupId",
    "AWSTraceHeader",
    "DeadLetterQueueSourceArn",
];

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ReceiveIn {
    queue_url: Option<String>,
    #[serde(default)]
    attribute_names: Vec<String>,
    #[serde(default)]
    message_system_attribute_names: Vec<String>,
    #[serde(default)]
    message_attribute_names: Vec<String>,
    max_number_of_messages: Option<i64>,
    visibility_timeout: Option<i64>,
    wait_time_seconds: Option<i64>,
    receive_request_attempt_id: Option<String>,
}

#[derive(Serialize)]
struct Received<'a> {
    #[serde(rename = "Messages", skip_serializing_if = "Vec::is_empty")]
    messages: Vec<MessageOut<'a>>,
}

#[derive(Serialize)]
struct MessageOut<'a> {
    #[serde(rename = "MessageId")]
    id: Uuid,
    #[serde(rename = "ReceiptHandle")]
    handle: String,
    #[serde(rename = "MD5OfBody")]
    body_md5: String,
    #[serde(rename = "Body")]
    body: &'a str,
    #[serde(rename = "Attributes", skip_serializing_if = "BTreeMap::is_empty")]
    system: BTreeMap<&'static str, Cow<'a, str>>,
    #[serde(
        rename = "MD5OfMessageAttributes",
        skip_serializing_if = "Option::is_none"
    )]
    attributes_md5: Option<String>,
    #[serde(
        rename = "MessageAttributes",
        skip_serializing_if = "BTreeMap::is_empty"
    )]
    attributes: BTreeMap<&'a str, AttributeOut<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct AttributeOut<'a> {
    data_type: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    string_value: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    binary_value: Option<String>,
}

pub(super) async fn receive(call: &Call<'_>) -> Result<Vec<u8>, Error> {
    let request: ReceiveIn = call.parse()?;
    let queue = call.queue(request.queue_url.as_deref())?;
    let max = match request.max_number_of_messages {
        None => 1,
        Some(number) => usize::try_from(number)
            .ok()
            .filter(|max| (1..=10).contains(max))
            .ok_or_else(|| {
                Error::invalid_value(
                    number,
                    "MaxNumberOfMessages",
                    "Must be between 1 and 10, if provided.",
                )
            })?,
    };
    if let Some(attempt) = &request.receive_request_attempt_id {
        check_id("ReceiveRequestAttemptId", attempt)?;
    }
    let wanted = wanted_system_attributes(&request)?;
    let receive = Receive {
        max,
        visibility_seconds: check_range(
            "VisibilityTimeout",
            request.visibility_timeout,
            VISIBILITY_SECONDS_MAX,
        )?,
        wait_seconds: check_range("WaitTimeSeconds", request.wait_time_seconds, 20)?,
        attempt: request.receive_request_attempt_id.as_deref(),
    };
    let deliveries = queue.receive(&receive, &call.engine.registry).await?;
    let fifo = queue.name.ends_with(".fifo");
    let messages = deliveries
        .iter()
        .map(|delivery| message_out(delivery, &wanted, &request.message_attribute_names, fifo))
        .collect();
    respond(&Received { messages })
}

/// Both parameters mean the same; `AttributeNames` is the older one.
fn wanted_system_attributes(request: &ReceiveIn) -> Result<Vec<&'static str>, Error> {
    let mut wanted = Vec::new();
    for name in request
        .attribute_names
        .iter()
        .chain(&request.message_system_attribute_names)
    {
        if name == "All" {
            return Ok(SYSTEM_ATTRIBUTES.to_vec());
        }
        let known = SYSTEM_ATTRIBUTES.into_iter().find(|known| known == name);
        wanted.push(
            known.ok_or_else(|| {
                Error::invalid_attribute_name(format!("Unknown Attribute {name}."))
            })?,
        );
    }
    Ok(wanted)
}

fn message_out<'a>(
    delivery: &'a Delivery,
    wanted: &[&'static str],
    names: &[String],
    fifo: bool,
) -> MessageOut<'a> {
    let message = &delivery.message;
    let content = &message.content;
    let system = wanted
        .iter()
        .filter_map(|name| {
            Some((
                *name,
                system_attribute(name, message, delivery.handle.message, fifo)?,
            ))
        })
        .collect();
    let attributes: Vec<&Attribute> = content
        .attributes
        .iter()
        .filter(|attribute| is_wanted(&attribute.name, names))
        .collect();
    // SDKs compare the digest with the attributes that they get, which need not be all.
    let md5 = if attributes.len() == content.attributes.len() {
        content.attributes_md5
    } else {
        attributes_md5(attributes.iter().copied())
    };
    MessageOut {
        id: message.id,
        handle: delivery.handle.encode(),
        body_md5: hex::encode(content.body_md5),
        body: &content.body,
        system,
        attributes_md5: md5.map(hex::encode),
        attributes: attributes
            .into_iter()
            .map(|attribute| (attribute.name.as_str(), attribute_out(attribute)))
            .collect(),
    }
}

fn system_attribute<'a>(
    name: &str,
    message: &'a Message,
    seq: u64,
    fifo: bool,
) -> Option<Cow<'a, str>> {
    let content = &message.content;
    Some(match name {
        "SenderId" => SENDER_ID.into(),
        "SentTimestamp" => message.sent_ms.to_string().into(),
        "ApproximateReceiveCount" => message.receive_count.to_string().into(),
        "ApproximateFirstReceiveTimestamp" => message.first_received_ms.to_string().into(),
        "SequenceNumber" => fifo.then(|| sequence_number(seq))?.into(),
        "MessageDeduplicationId" => content.deduplication_id.as_deref()?.into(),
        "MessageGroupId" => content.group.as_deref()?.into(),
        "AWSTraceHeader" => content.trace_header.as_deref()?.into(),
        "DeadLetterQueueSourceArn" => message.dead_letter_source.as_deref()?.into(),
        _ => return None,
    })
}

/// Names may be exact, `All`, `.*`, or a prefix with `.*` behind it.
fn is_wanted(name: &str, wanted: &[String]) -> bool {
    wanted.iter().any(|pattern| {
        pattern == "All"
            || pattern == name
            || pattern
                .strip_suffix(".*")
                .is_some_and(|prefix| name.starts_with(prefix))
    })
}

fn attribute_out(attribute: &Attribute) -> AttributeOut<'_> {
    let (string_value, binary_value) = match &attribute.value {
        AttributeValue::Text(text) => (Some(text.as_str()), None),
        AttributeValue::Binary(bytes) => (None, Some(STANDARD.encode(bytes))),
    };
    AttributeOut {
        data_type: &attribute.data_type,
        string_value,
        binary_value,
    }
}
