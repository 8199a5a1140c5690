//! `POST /v1/ops/dead-letters/{id}/redrive`: one letter, as it is or corrected.

use std::collections::HashSet;
use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;
use steelyard_domain::api::Problem;
use steelyard_domain::command::{CommandMessage, DecodeError, Envelope};
use steelyard_domain::id::Fingerprint;
use steelyard_domain::ops::{Checked, DryRunRequest, NewAuditEntry, paths};
use steelyard_queue::{Letter, Replacement};
use steelyard_runtime::http::{HttpError, Json, Path, Query};
use utoipa::ToSchema;

use super::audit;
use super::letters::Of;
use super::lines::{Name, not_in_reach};
use super::redrive::{Outcome, Redriven, to_the_end, write_result};
use super::view::sha256;
use crate::app::App;
use crate::auth::CallerOf;
use crate::peers;

/// Why, and what instead.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RedriveOneBody {
    /// Why; for the audit.
    #[schema(min_length = 1, max_length = 500)]
    reason: String,
    /// The corrected message, whole; the letter goes as it is when left out. `fingerprint` is made anew.
    #[schema(value_type = Option<Object>)]
    body: Option<Box<RawValue>>,
}

/// Send one dead letter back, as it is or corrected
///
/// A corrected message is checked as the worker checks it before anything is sent. It stays the same command: if
/// the letter says which order, customer and command it is, the correction says the same. What was there before and
/// what was sent instead are in the audit. Only letters of `orders` can be corrected.
#[utoipa::path(
    post,
    path = "/v1/ops/dead-letters/{id}/redrive",
    operation_id = "redrive_dead_letter",
    tag = "ops",
    params(("id" = String, Path, description = "The letter"), Of),
    request_body(content = RedriveOneBody),
    responses(
        (status = 200, description = "What became of it", body = Redriven),
        (status = 404, description = "No such letter in reach", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "The corrected message is no command that a worker could read, or another one", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "The queue cannot be asked, or the audit cannot be written: nothing was done", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn redrive_one(
    State(app): State<Arc<App>>,
    CallerOf(caller): CallerOf,
    Path(id): Path<String>,
    Query(of): Query<Of>,
    Json(body): Json<RedriveOneBody>,
) -> Result<Json<Redriven>, HttpError> {
    if let Some(fault) = audit::fault_of(&body.reason) {
        return Err(HttpError::validation_failed().with_faults([fault]));
    }
    let by = caller.subject.clone();
    to_the_end(async move { one(&app, &by, &id, of.queue, body).await }).await
}

async fn one(
    app: &App,
    by: &str,
    id: &str,
    queue: Name,
    body: RedriveOneBody,
) -> Result<Redriven, HttpError> {
    let line = app.lines.get(queue)?;
    let corrected = match &body.body {
        None => None,
        Some(_) if queue != Name::Orders => {
            let detail = "only letters of orders can be corrected";
            return Err(HttpError::validation_failed().at("/body", "not_allowed", detail));
        }
        Some(raw) => Some(checked(app, raw.get()).await?),
    };
    let mut held = line.hold().await?;
    let Some(letter) = held.letters().iter().find(|letter| letter.id() == id) else {
        let complete = held.is_complete();
        held.put_back().await;
        return Err(not_in_reach(complete));
    };
    let (entry, replacement) = match described(letter, by, &body.reason, corrected) {
        Ok(described) => described,
        Err(refused) => {
            held.put_back().await;
            return Err(refused);
        }
    };
    let written = match audit::write(app, &entry).await {
        Ok(written) => written,
        Err(refused) => {
            held.put_back().await;
            return Err(refused);
        }
    };
    let ids = HashSet::from([id.to_owned()]);
    let done = held.redrive(&ids, line.producer(), by, |_| replacement.clone());
    let results: Vec<Outcome> = done.await.into_iter().map(Outcome::of).collect();
    held.put_back().await;
    let moved = results.iter().filter(|r| r.outcome == "moved").count();
    let result_written = write_result(app, &entry, written.id, &results).await;
    Ok(Redriven {
        more: moved == 0,
        moved,
        audit_id: Some(written.id),
        result_written,
        results,
    })
}

/// A message that a worker can read.
pub(super) struct Corrected {
    pub(super) body: String,
    pub(super) group_id: String,
    message: CommandMessage,
}

/// Makes a message of what the operator wrote, and has the worker's own eyes look at it.
///
/// # Errors
/// 422 with what is wrong; 503 when nobody can look.
pub(super) async fn checked(app: &App, text: &str) -> Result<Corrected, HttpError> {
    let refuse =
        |detail: String| HttpError::validation_failed().at("/body", "not_a_command", detail);
    let body = sealed(text).map_err(|error| refuse(error.to_string()))?;
    let message = CommandMessage::decode(&body).map_err(|error| {
        HttpError::validation_failed().at(place_of(&error), "not_a_command", error.to_string())
    })?;
    let group_id = message.customer_id.message_group_id();
    let request = DryRunRequest {
        body: body.clone(),
        group_id: Some(group_id.clone()),
    };
    let checked = app.orders.post::<_, Checked>(paths::CHECK, &request).await;
    match checked {
        Ok(Checked { refusal: None }) => Ok(Corrected {
            body,
            group_id,
            message,
        }),
        Ok(Checked {
            refusal: Some(reason),
        }) => Err(refuse(reason)),
        Err(error) => {
            tracing::warn!(%error, "a corrected message cannot be checked");
            Err(peers::down(app.orders.peer()))
        }
    }
}

/// Where in the body a message cannot be believed.
const fn place_of(error: &DecodeError) -> &'static str {
    match error {
        DecodeError::Version(_) => "/body/v",
        DecodeError::OrderId(_) => "/body/order_id",
        DecodeError::MessageId => "/body/message_id",
        DecodeError::KeyMissing => "/body/idempotency_key",
        _ => "/body",
    }
}

/// The message with the fingerprint that its payload has.
fn sealed(text: &str) -> serde_json::Result<String> {
    let mut fields: serde_json::Map<String, serde_json::Value> = serde_json::from_str(text)?;
    // What stands there now is of the payload before it was corrected; any will do to read the frame.
    let placeholder = Fingerprint::of(b"").to_string();
    fields.insert("fingerprint".to_owned(), placeholder.into());
    let text = serde_json::to_string(&fields)?;
    let mut frame: Envelope<'_> = serde_json::from_str(&text)?;
    frame.fingerprint = Fingerprint::of(frame.payload.get().as_bytes());
    serde_json::to_string(&frame)
}

/// What the audit keeps, and what is sent instead of the letter, if anything.
fn described(
    letter: &Letter,
    by: &str,
    reason: &str,
    corrected: Option<Corrected>,
) -> Result<(NewAuditEntry, Option<Replacement>), HttpError> {
    let before = &letter.received().body;
    let mut detail = json!({
        "group_id": letter.received().group_id,
        "before_sha256": sha256(before),
    });
    let mut action = "redrive";
    let replacement = match corrected {
        None => None,
        Some(corrected) => {
            same_command(before, &corrected.message)?;
            let after_sha256 = sha256(&corrected.body);
            action = "edit";
            // Whole: the letter is deleted, and the command may never have been stored anywhere else.
            detail["before"] = json!(before);
            detail["after"] = json!(corrected.body);
            detail["after_sha256"] = json!(after_sha256);
            detail["after_group_id"] = json!(corrected.group_id);
            let tag = after_sha256[..32].to_owned();
            Some(Replacement {
                body: corrected.body,
                group_id: Some(corrected.group_id),
                tag,
            })
        }
    };
    let entry = NewAuditEntry {
        by: by.to_owned(),
        action: action.to_owned(),
        subject: letter.id().to_owned(),
        reason: reason.to_owned(),
        detail,
    };
    Ok((entry, replacement))
}

/// A correction changes what is asked for, never whose command it is, as far as the letter tells.
fn same_command(before: &str, after: &CommandMessage) -> Result<(), HttpError> {
    let before: serde_json::Value = serde_json::from_str(before).unwrap_or_default();
    let same = [
        ("message_id", after.message_id.to_string()),
        ("order_id", after.order_id.to_string()),
        ("customer_id", after.customer_id.as_str().to_owned()),
        ("type", after.command.kind().as_str().to_owned()),
    ];
    let mut refused = HttpError::validation_failed();
    for (field, now) in same {
        if let Some(was) = before[field].as_str()
            && was != now
        {
            let detail = format!("must stay {was:?}: a correction is of the same command");
            refused = refused.at(format!("/body/{field}"), "changed", detail);
        }
    }
    if refused.faults().is_empty() {
        Ok(())
    } else {
        debug_assert_eq!(refused.status(), StatusCode::UNPROCESSABLE_ENTITY);
        Err(refused)
    }
}
