//! Dead-letter queues: whose they are, and the way back.

use std::sync::{Arc, atomic::Ordering};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::{Deserialize, Serialize};
use serde_json::json;
use uuid::Uuid;

use super::{Call, queues::page, respond};
use crate::{
    engine::{
        moves::{MESSAGES_PER_SECOND_MAX, Move, MoveTask, Status},
        queue::Queue,
    },
    error::Error,
};

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct SourcesIn {
    queue_url: Option<String>,
    next_token: Option<String>,
    max_results: Option<i64>,
}

#[derive(Serialize)]
struct SourcesOut {
    // Small letter: so it stands in the service model.
    #[serde(rename = "queueUrls")]
    queue_urls: Vec<String>,
    #[serde(rename = "NextToken", skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
}

pub(super) fn sources(call: &Call<'_>) -> Result<Vec<u8>, Error> {
    let request: SourcesIn = call.parse()?;
    let queue = call.queue(request.queue_url.as_deref())?;
    let sources = call.engine.dead_letter_sources(&queue);
    let (queue_urls, next_token) = page(
        call,
        sources.iter().map(AsRef::as_ref),
        request.next_token.as_deref(),
        request.max_results,
    )?;
    respond(&SourcesOut {
        queue_urls,
        next_token,
    })
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Start {
    source_arn: Option<String>,
    destination_arn: Option<String>,
    max_number_of_messages_per_second: Option<i64>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Started {
    task_handle: String,
}

pub(super) fn start(call: &Call<'_>) -> Result<Vec<u8>, Error> {
    let request: Start = call.parse()?;
    let source = by_arn(call, "SourceArn", request.source_arn)?;
    if call.engine.dead_letter_sources(&source).is_empty() {
        return Err(Error::invalid_parameter(
            "Source queue must be configured as a Dead Letter Queue.",
        ));
    }
    let destination = match request.destination_arn {
        Some(arn) => Some(by_arn(call, "DestinationArn", Some(arn))?),
        None => None,
    };
    if let Some(destination) = &destination
        && destination.settings()?.fifo != source.settings()?.fifo
    {
        return Err(Error::unsupported(
            "Source and destination must be queues of the same type.",
        ));
    }
    let rate = match request.max_number_of_messages_per_second {
        None => None,
        Some(number) => Some(
            u64::try_from(number)
                .ok()
                .filter(|rate| (1..=MESSAGES_PER_SECOND_MAX).contains(rate))
                .ok_or_else(|| {
                    Error::invalid_value(
                        number,
                        "MaxNumberOfMessagesPerSecond",
                        "Must be between 1 and 500, if provided.",
                    )
                })?,
        ),
    };
    let order = Move {
        source,
        destination,
        messages_per_second_max: rate,
    };
    let task = call
        .engine
        .moves
        .start(order, &call.engine.core, &call.engine.registry)?;
    respond(&Started {
        task_handle: handle(&task),
    })
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ListIn {
    source_arn: Option<String>,
    max_results: Option<i64>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct ListOut {
    results: Vec<TaskOut>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct TaskOut {
    #[serde(skip_serializing_if = "Option::is_none")]
    task_handle: Option<String>,
    status: &'static str,
    source_arn: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    destination_arn: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_number_of_messages_per_second: Option<u64>,
    approximate_number_of_messages_moved: u64,
    approximate_number_of_messages_to_move: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    failure_reason: Option<&'static str>,
    started_timestamp: u64,
}

pub(super) fn list(call: &Call<'_>) -> Result<Vec<u8>, Error> {
    let request: ListIn = call.parse()?;
    let source = by_arn(call, "SourceArn", request.source_arn)?;
    let max = match request.max_results {
        None => 1,
        Some(number) => usize::try_from(number)
            .ok()
            .filter(|max| (1..=10).contains(max))
            .ok_or_else(|| {
                Error::invalid_value(
                    number,
                    "MaxResults",
                    "Must be between 1 and 10, if provided.",
                )
            })?,
    };
    let tasks = call.engine.moves.of_source(&source.arn, max);
    respond(&ListOut {
        results: tasks.iter().map(|task| task_out(task)).collect(),
    })
}

fn task_out(task: &MoveTask) -> TaskOut {
    let (status, failure_reason) = match task.status() {
        Status::Running => ("RUNNING", None),
        Status::Completed => ("COMPLETED", None),
        Status::Cancelling => ("CANCELLING", None),
        Status::Cancelled => ("CANCELLED", None),
        Status::Failed(reason) => ("FAILED", Some(reason)),
    };
    TaskOut {
        // Only a running task can be named: to cancel it.
        task_handle: (status == "RUNNING").then(|| handle(task)),
        status,
        source_arn: task.source_arn.to_string(),
        destination_arn: task.destination_arn.clone(),
        max_number_of_messages_per_second: task.messages_per_second_max,
        approximate_number_of_messages_moved: task.moved.load(Ordering::Relaxed),
        approximate_number_of_messages_to_move: task.to_move,
        failure_reason,
        started_timestamp: task.started_ms,
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct CancelIn {
    task_handle: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Cancelled {
    approximate_number_of_messages_moved: u64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Handle {
    task_id: Uuid,
    source_arn: String,
}

/// AWS's handles are this JSON in Base64.
fn handle(task: &MoveTask) -> String {
    STANDARD.encode(json!({ "taskId": task.id, "sourceArn": &*task.source_arn }).to_string())
}

pub(super) fn cancel(call: &Call<'_>) -> Result<Vec<u8>, Error> {
    let request: CancelIn = call.parse()?;
    let text = request
        .task_handle
        .ok_or_else(|| Error::missing_parameter("TaskHandle"))?;
    let handle: Handle = STANDARD
        .decode(&text)
        .ok()
        .and_then(|json| serde_json::from_slice(&json).ok())
        .ok_or_else(|| Error::invalid_parameter("Value for parameter TaskHandle is invalid."))?;
    by_arn(call, "SourceArn", Some(handle.source_arn.clone()))?;
    let moved = call
        .engine
        .moves
        .cancel(&handle.source_arn, handle.task_id)?;
    respond(&Cancelled {
        approximate_number_of_messages_moved: moved,
    })
}

fn by_arn(call: &Call<'_>, parameter: &str, arn: Option<String>) -> Result<Arc<Queue>, Error> {
    let arn = arn.ok_or_else(|| Error::missing_parameter(parameter))?;
    call.engine.registry.by_arn(&arn).ok_or_else(|| {
        Error::resource_not_found(format!(
            "The resource that you specified for the {parameter} parameter doesn't exist."
        ))
    })
}
