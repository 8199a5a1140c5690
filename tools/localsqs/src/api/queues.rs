//! Queues as such: creating, finding, listing, emptying, deleting.

use serde::{Deserialize, Serialize};

use super::{Call, Nothing, OfQueue, respond};
use crate::{
    engine::{queue::Queue, settings::AttributeMap},
    error::Error,
};

/// Tags of one queue.
pub(super) const TAGS_MAX: usize = 50;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Create {
    queue_name: Option<String>,
    #[serde(default)]
    attributes: AttributeMap,
    // The one field of the protocol that begins with a small letter.
    #[serde(default, rename = "tags", alias = "Tags")]
    tags: AttributeMap,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Url {
    queue_url: String,
}

pub(super) async fn create(call: &Call<'_>) -> Result<Vec<u8>, Error> {
    let request: Create = call.parse()?;
    let name = request
        .queue_name
        .ok_or_else(|| Error::missing_parameter("QueueName"))?;
    if request.tags.len() > TAGS_MAX {
        return Err(Error::invalid_parameter(format!(
            "Too many tags. At most {TAGS_MAX} are allowed."
        )));
    }
    let queue = call
        .engine
        .create(&name, &request.attributes, request.tags)
        .await?;
    respond(&Url {
        queue_url: call.queue_url(&queue),
    })
}

pub(super) async fn delete(call: &Call<'_>) -> Result<Vec<u8>, Error> {
    let request: OfQueue = call.parse()?;
    let queue = call.queue(request.queue_url.as_deref())?;
    call.engine.delete(&queue.name).await?;
    respond(&Nothing {})
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Find {
    queue_name: Option<String>,
    #[serde(rename = "QueueOwnerAWSAccountId")]
    owner: Option<String>,
}

pub(super) fn url(call: &Call<'_>) -> Result<Vec<u8>, Error> {
    let request: Find = call.parse()?;
    let name = request
        .queue_name
        .ok_or_else(|| Error::missing_parameter("QueueName"))?;
    if request.owner.is_some_and(|owner| owner != call.account_id) {
        return Err(Error::no_such_queue());
    }
    let queue = call.engine.queue(&name)?;
    respond(&Url {
        queue_url: call.queue_url(&queue),
    })
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ListIn {
    #[serde(default)]
    queue_name_prefix: String,
    next_token: Option<String>,
    max_results: Option<i64>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct ListOut {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    queue_urls: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
}

pub(super) fn list(call: &Call<'_>) -> Result<Vec<u8>, Error> {
    let request: ListIn = call.parse()?;
    let queues = call.engine.registry.all();
    let matching = queues
        .iter()
        .filter(|queue| queue.name.starts_with(&request.queue_name_prefix));
    let (queue_urls, next_token) = page(
        call,
        matching.map(AsRef::as_ref),
        request.next_token.as_deref(),
        request.max_results,
    )?;
    respond(&ListOut {
        queue_urls,
        next_token,
    })
}

/// One page of queues that come sorted by name. The token is the last name of the page before. As on AWS there is a token
/// only when `MaxResults` was given; without it at most 1,000 are listed.
pub(super) fn page<'q>(
    call: &Call<'_>,
    queues: impl Iterator<Item = &'q Queue>,
    token: Option<&str>,
    max_results: Option<i64>,
) -> Result<(Vec<String>, Option<String>), Error> {
    let max = match max_results {
        None => 1_000,
        Some(number) => usize::try_from(number)
            .ok()
            .filter(|max| (1..=1_000).contains(max))
            .ok_or_else(|| {
                Error::invalid_value(
                    number,
                    "MaxResults",
                    "MaxResults is invalid. Valid values: 1 to 1000.",
                )
            })?,
    };
    let mut rest = queues
        .filter(|queue| token.is_none_or(|token| *queue.name > *token))
        .peekable();
    let mut urls = Vec::new();
    let mut last = None;
    while urls.len() < max
        && let Some(queue) = rest.next()
    {
        urls.push(call.queue_url(queue));
        last = Some(queue.name.to_string());
    }
    let more = max_results.is_some() && rest.peek().is_some();
    Ok((urls, last.filter(|_| more)))
}

pub(super) async fn purge(call: &Call<'_>) -> Result<Vec<u8>, Error> {
    let request: OfQueue = call.parse()?;
    call.queue(request.queue_url.as_deref())?.purge().await?;
    respond(&Nothing {})
}
