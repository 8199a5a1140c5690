//! From a checked command to an acknowledged message.

use axum::http::StatusCode;
use steelyard_domain::command::OutgoingCommand;
use steelyard_queue::{OutgoingMessage, SendError};
use steelyard_runtime::http::HttpError;
use steelyard_runtime::trace::TraceContext;
use tracing::Instrument as _;

use crate::app::App;

/// SQS's codes for a message that is itself at fault; any other refusal is ours or the queue's.
const MESSAGE_AT_FAULT: [&str; 2] = ["InvalidMessageContents", "InvalidMessageContentsException"];

/// Sends a command and returns once SQS has acknowledged it.
///
/// # Errors
/// 503 with `Retry-After` when it could not be acknowledged: sending it again under the same key
/// is safe, whether or not it got through.
pub(crate) async fn send(app: &App, command: OutgoingCommand) -> Result<(), HttpError> {
    let OutgoingCommand {
        body,
        group_id,
        deduplication_id,
        message_id: _,
    } = command;
    let mut message = OutgoingMessage::fifo(group_id, deduplication_id, body);
    let queue = app.producer.queue();
    // What comes of the message is a child of its send.
    let span = tracing::info_span!("send", otel.kind = "producer", queue);
    if let Some(trace) = span.in_scope(TraceContext::current) {
        message = message.with_traceparent(&trace.to_string());
    }
    app.producer
        .send(message)
        .instrument(span)
        .await
        .map(|_sent| ())
        .map_err(|error| refusal(&error))
}

fn refusal(error: &SendError) -> HttpError {
    let again = "send it again with the same Idempotency-Key";
    match error {
        SendError::Overloaded => {
            HttpError::unavailable("overloaded", format!("too much is in hand; {again}"), 1)
        }
        SendError::Closed => {
            HttpError::unavailable("stopping", format!("this instance is stopping; {again}"), 1)
        }
        SendError::Timeout { .. } => {
            tracing::warn!(%error, "a command was not acknowledged");
            let detail = format!("the queue did not acknowledge in time; {again}");
            HttpError::unavailable("queue_unavailable", detail, 2)
        }
        SendError::TooLarge { .. } => {
            let detail = "the command is larger than the queue takes";
            HttpError::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", detail)
        }
        SendError::Refused { code, .. } if MESSAGE_AT_FAULT.contains(&code.as_str()) => {
            tracing::error!(%error, "the queue refused what validation let through");
            let detail = "the command holds characters that the queue does not take";
            HttpError::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "validation_failed",
                detail,
            )
        }
        SendError::Refused { .. } => {
            tracing::error!(%error, "the queue refuses commands: see its policy and settings");
            let detail = format!("the queue does not take orders at the moment; {again}");
            HttpError::unavailable("queue_unavailable", detail, 5)
        }
    }
}
