//! What is done by receipt handle: deleting, and changing visibility.

use serde::{Deserialize, Serialize};

use super::{
    Call, Nothing,
    batch::{BatchAnswer, Entry, check_entries},
    respond,
};
use crate::{engine::settings::VISIBILITY_SECONDS_MAX, error::Error};

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct One {
    queue_url: Option<String>,
    receipt_handle: Option<String>,
    visibility_timeout: Option<i64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Batch {
    queue_url: Option<String>,
    #[serde(default)]
    entries: Vec<EntryIn>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct EntryIn {
    #[serde(default)]
    id: String,
    #[serde(default)]
    receipt_handle: String,
    visibility_timeout: Option<i64>,
}

impl Entry for EntryIn {
    fn id(&self) -> &str {
        &self.id
    }
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Done<'a> {
    id: &'a str,
}

pub(super) async fn one(call: &Call<'_>) -> Result<Vec<u8>, Error> {
    let request: One = call.parse()?;
    let queue = call.queue(request.queue_url.as_deref())?;
    let handle = request
        .receipt_handle
        .ok_or_else(|| Error::missing_parameter("ReceiptHandle"))?;
    queue
        .delete(&[&handle])
        .await?
        .into_iter()
        .collect::<Result<(), Error>>()?;
    respond(&Nothing {})
}

pub(super) async fn batch(call: &Call<'_>) -> Result<Vec<u8>, Error> {
    let request: Batch = call.parse()?;
    let queue = call.queue(request.queue_url.as_deref())?;
    check_entries(&request.entries)?;
    let handles: Vec<&str> = request
        .entries
        .iter()
        .map(|entry| entry.receipt_handle.as_str())
        .collect();
    let results = queue.delete(&handles).await?;
    let mut answer = BatchAnswer::new();
    for (entry, result) in request.entries.iter().zip(results) {
        answer.push(&entry.id, result.map(|()| Done { id: &entry.id }));
    }
    respond(&answer)
}

pub(super) fn change_visibility(call: &Call<'_>) -> Result<Vec<u8>, Error> {
    let request: One = call.parse()?;
    let queue = call.queue(request.queue_url.as_deref())?;
    let handle = request
        .receipt_handle
        .ok_or_else(|| Error::missing_parameter("ReceiptHandle"))?;
    let seconds = check_seconds(request.visibility_timeout)?;
    queue
        .change_visibility(&[(&handle, seconds)])?
        .into_iter()
        .collect::<Result<(), Error>>()?;
    respond(&Nothing {})
}

pub(super) fn change_visibility_batch(call: &Call<'_>) -> Result<Vec<u8>, Error> {
    let request: Batch = call.parse()?;
    let queue = call.queue(request.queue_url.as_deref())?;
    check_entries(&request.entries)?;
    let mut answer = BatchAnswer::new();
    let mut changes = Vec::with_capacity(request.entries.len());
    let mut entries = Vec::with_capacity(request.entries.len());
    for entry in &request.entries {
        match check_seconds(entry.visibility_timeout) {
            Ok(seconds) => {
                changes.push((entry.receipt_handle.as_str(), seconds));
                entries.push(entry);
            }
            Err(error) => answer.push(&entry.id, Err(error)),
        }
    }
    for (entry, result) in entries.into_iter().zip(queue.change_visibility(&changes)?) {
        answer.push(&entry.id, result.map(|()| Done { id: &entry.id }));
    }
    respond(&answer)
}

fn check_seconds(seconds: Option<i64>) -> Result<u64, Error> {
    let seconds = seconds.ok_or_else(|| Error::missing_parameter("VisibilityTimeout"))?;
    u64::try_from(seconds)
        .ok()
        .filter(|seconds| *seconds <= VISIBILITY_SECONDS_MAX)
        .ok_or_else(|| {
            Error::invalid_value(
                seconds,
                "VisibilityTimeout",
                "Must be between 0 and 43200, if provided.",
            )
        })
}
