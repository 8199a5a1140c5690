//! Attributes and tags of a queue.

use serde::{Deserialize, Serialize};

use super::{Call, Nothing, OfQueue, queues::TAGS_MAX, respond};
use crate::{
    engine::{queue::Queue, settings::AttributeMap},
    error::Error,
};

const NAMES: [&str; 21] = [
    "Policy",
    "VisibilityTimeout",
    "MaximumMessageSize",
    "MessageRetentionPeriod",
    "ApproximateNumberOfMessages",
    "ApproximateNumberOfMessagesNotVisible",
    "CreatedTimestamp",
    "LastModifiedTimestamp",
    "QueueArn",
    "ApproximateNumberOfMessagesDelayed",
    "DelaySeconds",
    "ReceiveMessageWaitTimeSeconds",
    "RedrivePolicy",
    "FifoQueue",
    "ContentBasedDeduplication",
    "KmsMasterKeyId",
    "KmsDataKeyReusePeriodSeconds",
    "DeduplicationScope",
    "FifoThroughputLimit",
    "RedriveAllowPolicy",
    "SqsManagedSseEnabled",
];

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Get {
    queue_url: Option<String>,
    #[serde(default)]
    attribute_names: Vec<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Attributes {
    #[serde(skip_serializing_if = "AttributeMap::is_empty")]
    attributes: AttributeMap,
}

pub(super) fn get(call: &Call<'_>) -> Result<Vec<u8>, Error> {
    let request: Get = call.parse()?;
    let queue = call.queue(request.queue_url.as_deref())?;
    let names = &request.attribute_names;
    if let Some(unknown) = names
        .iter()
        .find(|name| *name != "All" && !NAMES.contains(&name.as_str()))
    {
        return Err(Error::invalid_attribute_name(format!(
            "Unknown Attribute {unknown}."
        )));
    }
    let mut attributes = current(&queue)?;
    if !names.iter().any(|name| name == "All") {
        attributes.retain(|name, _| names.contains(name));
    }
    respond(&Attributes { attributes })
}

/// All attributes as they are now; the counts are exact.
fn current(queue: &Queue) -> Result<AttributeMap, Error> {
    queue.with(|state, _| {
        let mut map = state.settings.to_attributes();
        let computed = [
            ("QueueArn", queue.arn.to_string()),
            ("ApproximateNumberOfMessages", state.visible().to_string()),
            (
                "ApproximateNumberOfMessagesNotVisible",
                state.in_flight().to_string(),
            ),
            (
                "ApproximateNumberOfMessagesDelayed",
                state.delayed().to_string(),
            ),
            ("CreatedTimestamp", (state.created_ms / 1_000).to_string()),
            (
                "LastModifiedTimestamp",
                (state.modified_ms / 1_000).to_string(),
            ),
        ];
        map.extend(computed.map(|(name, value)| (name.to_owned(), value)));
        map
    })
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Set {
    queue_url: Option<String>,
    #[serde(default)]
    attributes: AttributeMap,
}

pub(super) async fn set(call: &Call<'_>) -> Result<Vec<u8>, Error> {
    let request: Set = call.parse()?;
    let queue = call.queue(request.queue_url.as_deref())?;
    call.engine
        .set_attributes(&queue, &request.attributes)
        .await?;
    respond(&Nothing {})
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Tag {
    queue_url: Option<String>,
    #[serde(default)]
    tags: AttributeMap,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Untag {
    queue_url: Option<String>,
    #[serde(default)]
    tag_keys: Vec<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Tags {
    #[serde(skip_serializing_if = "AttributeMap::is_empty")]
    tags: AttributeMap,
}

pub(super) async fn tag(call: &Call<'_>) -> Result<Vec<u8>, Error> {
    let request: Tag = call.parse()?;
    let queue = call.queue(request.queue_url.as_deref())?;
    let change = |tags: &mut AttributeMap| {
        let mut all = tags.clone();
        all.extend(request.tags);
        if all.len() > TAGS_MAX {
            return Err(Error::invalid_parameter(format!(
                "Too many tags added for queue {}.",
                queue.name
            )));
        }
        *tags = all;
        Ok(())
    };
    queue.configure(|_, tags| change(tags)).await?;
    respond(&Nothing {})
}

pub(super) async fn untag(call: &Call<'_>) -> Result<Vec<u8>, Error> {
    let request: Untag = call.parse()?;
    let queue = call.queue(request.queue_url.as_deref())?;
    let change = |tags: &mut AttributeMap| {
        tags.retain(|key, _| !request.tag_keys.contains(key));
        Ok(())
    };
    queue.configure(|_, tags| change(tags)).await?;
    respond(&Nothing {})
}

pub(super) fn tags(call: &Call<'_>) -> Result<Vec<u8>, Error> {
    let request: OfQueue = call.parse()?;
    let queue = call.queue(request.queue_url.as_deref())?;
    respond(&Tags {
        tags: queue.with(|state, _| state.tags.clone())?,
    })
}
