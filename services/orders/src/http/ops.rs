//! What the gateway asks for operators.

use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;
use steelyard_domain::api::{LIMIT_DEFAULT, LIMIT_MAX, Page};
use steelyard_domain::ops::{
    AuditEntry, Checked, DryRun, DryRunRequest, Maintenance, MaintenanceOrder, NewAuditEntry,
    Processing,
};
use steelyard_runtime::http::{HttpError, Json, Query};
use steelyard_store::cursor;
use time::OffsetDateTime;
use tokio::time::timeout;

use super::orders::invalid;
use super::{App, of_sql};
use crate::ops::{self, DryRunError};
use crate::worker;

/// Longer than that nobody waits to hear that Postgres is away.
const STORED_MAX: Duration = Duration::from_millis(1_500);
/// The name of the list in its cursors.
const LIST: &str = "ops-audit";

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AuditQuery {
    action: Option<String>,
    limit: Option<u32>,
    cursor: Option<String>,
}

/// From Postgres; while that is away, what this process's worker knows of itself.
pub(super) async fn processing(State(app): State<App>) -> Json<Processing> {
    let stored = async {
        let pool = app.writer().ok()?;
        let maintenance = ops::load(pool).await.ok()?;
        Some((maintenance, ops::workers(pool).await.ok()?))
    };
    let own = app.known.as_ref();
    let stored = timeout(STORED_MAX, stored).await.ok().flatten();
    let Some((maintenance, mut workers)) = stored else {
        return Json(Processing {
            maintenance: own.and_then(ops::Known::maintenance),
            workers: own.map(ops::Known::report).into_iter().collect(),
            all_workers: false,
        });
    };
    if let Some(own) = own.map(ops::Known::report) {
        // It knows itself better than its last report does.
        workers.retain(|worker| worker.instance != own.instance);
        workers.push(own);
    }
    Json(Processing {
        maintenance: Some(maintenance),
        workers,
        all_workers: true,
    })
}

pub(super) async fn maintenance(State(app): State<App>) -> Result<Json<Maintenance>, HttpError> {
    let loaded = ops::load(app.writer()?).await;
    loaded.map(Json).map_err(|error| of_sql(&error))
}

pub(super) async fn set_maintenance(
    State(app): State<App>,
    Json(order): Json<MaintenanceOrder>,
) -> Result<Json<Maintenance>, HttpError> {
    order
        .set
        .check(OffsetDateTime::now_utc())
        .map_err(|faults| HttpError::validation_failed().with_faults(faults))?;
    let set = ops::set(app.writer()?, &order).await;
    set.map(Json).map_err(|error| of_sql(&error))
}

pub(super) async fn write_down(
    State(app): State<App>,
    Json(entry): Json<NewAuditEntry>,
) -> Result<(StatusCode, Json<AuditEntry>), HttpError> {
    let written = ops::append(app.writer()?, &entry).await;
    let written = written.map_err(|error| of_sql(&error))?;
    Ok((StatusCode::CREATED, Json(written)))
}

pub(super) async fn audit(
    State(app): State<App>,
    Query(query): Query<AuditQuery>,
) -> Result<Json<Page<AuditEntry>>, HttpError> {
    let limit = query.limit.unwrap_or(LIMIT_DEFAULT);
    if !(1..=LIMIT_MAX).contains(&limit) {
        let detail = format!("must be between 1 and {LIMIT_MAX}");
        return Err(invalid("query/limit", "out_of_range", detail));
    }
    let name = [LIST, query.action.as_deref().unwrap_or_default()];
    let before: Option<i64> = query
        .cursor
        .map(|text| cursor::open(&name, &text))
        .transpose()
        .map_err(|error| invalid("query/cursor", "invalid_cursor", error.to_string()))?;
    // One more than asked for tells whether there is a next page.
    let found = ops::list(app.writer()?, query.action.as_deref(), before, limit + 1).await;
    let mut data = found.map_err(|error| of_sql(&error))?;
    let has_more = data.len() > limit as usize;
    data.truncate(limit as usize);
    let next_cursor = match data.last() {
        Some(last) if has_more => {
            Some(cursor::seal(&name, &last.id).map_err(|_| HttpError::internal())?)
        }
        _ => None,
    };
    Ok(Json(Page { data, next_cursor }))
}

/// Whether a worker could read the message.
pub(super) async fn check(
    State(app): State<App>,
    Json(request): Json<DryRunRequest>,
) -> Json<Checked> {
    let (group_id, issuer) = (request.group_id.as_deref(), app.issuer.as_deref());
    let read = worker::read(&request.body, group_id, issuer);
    Json(Checked {
        refusal: read.err(),
    })
}

pub(super) async fn dry_run(
    State(app): State<App>,
    Json(request): Json<DryRunRequest>,
) -> Result<Json<DryRun>, HttpError> {
    let run = ops::dry_run(
        app.writer()?,
        &app.catalog,
        &app.tax,
        app.issuer.as_deref(),
        &request,
    )
    .await;
    run.map(Json).map_err(|error| match error {
        DryRunError::Sql(error) => of_sql(&error),
        DryRunError::Catalog(reason) => {
            tracing::warn!(reason, "no quote");
            HttpError::unavailable("catalog_unavailable", "catalog cannot give a quote", 2)
        }
        DryRunError::Busy => HttpError::unavailable("orders_unavailable", error.to_string(), 1),
        DryRunError::Plan(reason) => {
            tracing::error!(reason, "a dry run could not be planned");
            HttpError::internal()
        }
    })
}
