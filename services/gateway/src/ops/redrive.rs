//! `POST /v1/ops/dead-letters/redrive`: some letters, or all that a filter takes.

use std::collections::HashSet;
use std::sync::Arc;

use axum::extract::State;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use steelyard_domain::api::Problem;
use steelyard_domain::ops::NewAuditEntry;
use steelyard_queue::{Letter, Redrive, RedriveOutcome};
use steelyard_runtime::http::{Context, HttpError, Json};
use utoipa::ToSchema;

use super::audit;
use super::lines::Name;
use super::select::Filter;
use super::view::{place, sha256};
use crate::app::App;
use crate::auth::CallerOf;

/// Letters that one call redrives.
const REDRIVES_MAX: usize = 100;

/// Which letters, and why.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RedriveBody {
    /// Whose dead letters; `orders` when left out.
    #[serde(default)]
    queue: Name,
    /// These letters. Either this or `filter`.
    #[schema(max_items = 100)]
    ids: Option<Vec<String>>,
    /// All letters that have this; `{}` takes all.
    #[serde(default, deserialize_with = "super::select::given")]
    filter: Option<Filter>,
    /// At most so many; 100 when left out.
    #[schema(minimum = 1, maximum = 100)]
    limit: Option<usize>,
    /// Why; for the audit.
    #[schema(min_length = 1, max_length = 500)]
    reason: String,
}

/// What came of a redrive.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Redriven {
    /// One per letter, each customer's in the order in which they were sent.
    pub(super) results: Vec<Outcome>,
    /// How many are in their queue again and no longer among the dead.
    pub(super) moved: usize,
    /// More letters would have been taken, or may be out of reach: ask again.
    pub(super) more: bool,
    /// The entry in the audit; null when there was nothing to redrive.
    pub(super) audit_id: Option<i64>,
    /// False: what came of it could not be written into the audit any more; this answer is all there is.
    pub(super) result_written: bool,
}

/// What became of one letter.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(super) struct Outcome {
    /// The letter.
    pub(super) id: String,
    /// `moved`; `copied`: sent, and still here (redriving it again is harmless); `failed`: not acknowledged, still here;
    /// `behind`: it must not overtake one that failed; `out_of_time`: try again; `not_found`: not in reach.
    pub(super) outcome: &'static str,
    /// In words.
    pub(super) detail: Option<String>,
}

impl Outcome {
    pub(super) fn of(redrive: Redrive) -> Self {
        let (outcome, detail) = match redrive.outcome {
            RedriveOutcome::Moved => ("moved", None),
            RedriveOutcome::Copied(why) => ("copied", Some(why)),
            RedriveOutcome::Failed(why) => ("failed", Some(why)),
            RedriveOutcome::Behind => ("behind", None),
            RedriveOutcome::OutOfTime => ("out_of_time", None),
        };
        Self {
            id: redrive.id,
            outcome,
            detail,
        }
    }
}

/// Send dead letters back to where they came from
///
/// Each goes to its queue again with its body, its group and its attributes, each customer's in their order, and leaves
/// the dead letters once its queue has acknowledged it. If that breaks off in between, it is in both places:
/// the worker settles a command once, however often it comes.
#[utoipa::path(
    post,
    path = "/v1/ops/dead-letters/redrive",
    operation_id = "redrive_dead_letters",
    tag = "ops",
    request_body(content = RedriveBody, example = json!({"filter": {"reason": "numeric field overflow"}, "reason": "fixed in release 1.4.2"})),
    responses(
        (status = 200, description = "What became of each", body = Redriven),
        (status = 422, description = "Something in it is wrong", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "The queue cannot be asked, or the audit cannot be written: nothing was done", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn redrive(
    State(app): State<Arc<App>>,
    CallerOf(caller): CallerOf,
    Json(body): Json<RedriveBody>,
) -> Result<Json<Redriven>, HttpError> {
    check(&body)?;
    let by = caller.subject.clone();
    to_the_end(async move { some(&app, &by, body).await }).await
}

/// Goes on when the caller is gone: a redrive is not left half done for want of a listener.
pub(super) async fn to_the_end<T: Send + 'static>(
    work: impl Future<Output = Result<T, HttpError>> + Send + 'static,
) -> Result<Json<T>, HttpError> {
    let worked = match Context::current() {
        Some(context) => tokio::spawn(context.scope(work)).await,
        None => tokio::spawn(work).await,
    };
    match worked {
        Ok(done) => done.map(Json),
        Err(error) => {
            tracing::error!(%error, "a redrive broke off");
            Err(HttpError::internal())
        }
    }
}

async fn some(app: &App, by: &str, body: RedriveBody) -> Result<Redriven, HttpError> {
    let line = app.lines.get(body.queue)?;
    let limit = body.limit.unwrap_or(REDRIVES_MAX);
    let named: Option<HashSet<&str>> = body
        .ids
        .as_ref()
        .map(|ids| ids.iter().map(String::as_str).collect());
    let is_meant = |letter: &Letter| match (&named, &body.filter) {
        (Some(ids), _) => ids.contains(letter.id()),
        (None, Some(filter)) => filter.takes(letter),
        (None, None) => false,
    };
    let mut held = line.hold().await?;
    let mut meant: Vec<&Letter> = held.letters().iter().filter(|l| is_meant(l)).collect();
    // Whoever has lain longest goes first, so a customer's earlier letters go before the later ones.
    meant.sort_by_key(|letter| place(letter));
    let mut more = meant.len() > limit || named.is_none() && !held.is_complete();
    meant.truncate(limit);
    let ids: HashSet<String> = meant.iter().map(|letter| letter.id().to_owned()).collect();
    let letters: Vec<Value> = meant.iter().map(|letter| described(letter)).collect();
    let missing = body.ids.iter().flatten().filter(|id| !ids.contains(*id));
    let mut results: Vec<Outcome> = missing.map(|id| not_found(id)).collect();
    if ids.is_empty() {
        held.put_back().await;
        return Ok(Redriven {
            results,
            moved: 0,
            more,
            audit_id: None,
            result_written: true,
        });
    }
    let entry = NewAuditEntry {
        by: by.to_owned(),
        action: "redrive".to_owned(),
        subject: line.dead_letters.queue().to_owned(),
        reason: body.reason.clone(),
        detail: json!({ "filter": body.filter, "letters": letters }),
    };
    let written = match audit::write(app, &entry).await {
        Ok(written) => written,
        Err(refused) => {
            held.put_back().await;
            return Err(refused);
        }
    };
    let done = held.redrive(&ids, line.producer(), by, |_| None).await;
    held.put_back().await;
    results.splice(0..0, done.into_iter().map(Outcome::of));
    let moved = results.iter().filter(|r| r.outcome == "moved").count();
    more |= moved < ids.len();
    let result_written = write_result(app, &entry, written.id, &results).await;
    Ok(Redriven {
        results,
        moved,
        more,
        audit_id: Some(written.id),
        result_written,
    })
}

/// Writes down what came of it; says whether that went well.
pub(super) async fn write_result(
    app: &App,
    asked: &NewAuditEntry,
    id: i64,
    results: &[Outcome],
) -> bool {
    let entry = NewAuditEntry {
        action: format!("{}.result", asked.action),
        detail: json!({ "entry": id, "results": results }),
        ..asked.clone()
    };
    audit::write(app, &entry).await.is_ok()
}

/// What the audit keeps of a letter that goes back as it is.
fn described(letter: &Letter) -> Value {
    json!({
        "id": letter.id(),
        "group_id": letter.received().group_id,
        "body_sha256": sha256(&letter.received().body),
    })
}

fn not_found(id: &str) -> Outcome {
    Outcome {
        id: id.to_owned(),
        outcome: "not_found",
        detail: Some(
            "not in reach: gone, held by somebody else, or behind ten of its customer".to_owned(),
        ),
    }
}

fn check(body: &RedriveBody) -> Result<(), HttpError> {
    let mut refused = HttpError::validation_failed();
    let mut at = |place: &str, code: &'static str, detail: &str| {
        refused = refused.clone().at(place, code, detail);
    };
    match (&body.ids, &body.filter) {
        (Some(ids), None) if ids.is_empty() || ids.len() > REDRIVES_MAX => {
            at("/ids", "out_of_range", "between 1 and 100 letters");
        }
        (Some(_), None) | (None, Some(_)) => {}
        _ => at("", "required", "either ids or filter"),
    }
    if body
        .limit
        .is_some_and(|limit| !(1..=REDRIVES_MAX).contains(&limit))
    {
        at("/limit", "out_of_range", "must be between 1 and 100");
    }
    let refused = refused.with_faults(audit::fault_of(&body.reason));
    if refused.faults().is_empty() {
        Ok(())
    } else {
        Err(refused)
    }
}
