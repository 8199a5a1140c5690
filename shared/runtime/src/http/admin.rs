//! The admin listener: health for the platform, figures for Prometheus.

use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::extract::{Json, RawBody};
use super::problem::HttpError;
use crate::telemetry::Metrics;
use crate::telemetry::logs::{FILTER_BYTES_MAX, Filter, HOLDS, Logs};

type Check = Arc<dyn Fn() -> Result<(), String> + Send + Sync>;

/// The checks behind `/healthz` (is the process alive, or must it be replaced?) and `/readyz`
/// (may it be given work, and what does it wait for?). Checks are called on every probe and must not block: they look at
/// what the service already knows.
#[derive(Clone, Default)]
pub struct Health {
    live: Vec<(&'static str, Check)>,
    ready: Vec<(&'static str, Check)>,
    whole: Vec<(&'static str, Check)>,
}

impl Health {
    /// No checks: alive and ready.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a check to `/healthz`. When it fails for long the platform replaces the process, so a
    /// dependency's outage is no reason to fail here.
    #[must_use]
    pub fn live(
        mut self,
        name: &'static str,
        check: impl Fn() -> Result<(), String> + Send + Sync + 'static,
    ) -> Self {
        self.live.push((name, Arc::new(check)));
        self
    }

    /// Adds a check to `/readyz` that does not fail it: the process does its part, but something is waiting. The status
    /// is `degraded` then, and the answer says why.
    #[must_use]
    pub fn whole(
        mut self,
        name: &'static str,
        check: impl Fn() -> Result<(), String> + Send + Sync + 'static,
    ) -> Self {
        self.whole.push((name, Arc::new(check)));
        self
    }

    /// Adds a check to `/readyz`.
    #[must_use]
    pub fn ready(
        mut self,
        name: &'static str,
        check: impl Fn() -> Result<(), String> + Send + Sync + 'static,
    ) -> Self {
        self.ready.push((name, Arc::new(check)));
        self
    }
}

impl std::fmt::Debug for Health {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names = |checks: &[(&'static str, Check)]| {
            checks.iter().map(|(name, _)| *name).collect::<Vec<_>>()
        };
        f.debug_struct("Health")
            .field("live", &names(&self.live))
            .field("ready", &names(&self.ready))
            .field("whole", &names(&self.whole))
            .finish()
    }
}

/// `/healthz`, `/readyz`, `/metrics`, and `/log-filter`: what is logged, which `PUT` changes for a while (the body is the
/// filter, `?for=` a time span such as `10m`) and `DELETE` sets back.
pub fn admin(health: Health, metrics: Metrics) -> Router {
    Router::new()
        .route(
            "/healthz",
            get(async |State((health, _)): Probed| report(&health.live, &[])),
        )
        .route(
            "/readyz",
            get(async |State((health, _)): Probed| report(&health.ready, &health.whole)),
        )
        .route(
            "/metrics",
            get(async |State((_, metrics)): Probed| {
                let kind = "text/plain; version=0.0.4; charset=utf-8";
                ([(header::CONTENT_TYPE, kind)], metrics.render())
            }),
        )
        .route(
            "/log-filter",
            get(async || logs().map(|logs| Json(logs.filter())))
                .put(change_filter)
                .delete(async || {
                    logs().map(|logs| {
                        logs.go_back();
                        Json(logs.filter())
                    })
                }),
        )
        .layer(DefaultBodyLimit::max(FILTER_BYTES_MAX))
        .with_state((health, metrics))
}

fn logs() -> Result<&'static Logs, HttpError> {
    let detail = "this process was not given its logs to keep";
    Logs::of_process().ok_or_else(|| HttpError::new(StatusCode::NOT_FOUND, "no_logs", detail))
}

#[derive(Debug, Deserialize)]
struct Holds {
    r#for: Option<String>,
}

async fn change_filter(
    Query(holds): Query<Holds>,
    RawBody(body): RawBody,
) -> Result<Json<Filter>, HttpError> {
    let refuse = |detail: String| HttpError::new(StatusCode::BAD_REQUEST, "bad_log_filter", detail);
    let holds = match holds.r#for.as_deref().map(humantime::parse_duration) {
        None => HOLDS,
        Some(Ok(holds)) => holds,
        Some(Err(error)) => return Err(refuse(format!("for: {error}"))),
    };
    let filter = std::str::from_utf8(&body).map_err(|error| refuse(error.to_string()))?;
    let changed = logs()?.change(filter.trim(), holds);
    changed.map(Json).map_err(|error| refuse(error.to_string()))
}

type Probed = State<(Health, Metrics)>;

#[derive(Serialize)]
struct Report {
    status: &'static str,
    checks: Map<String, Value>,
}

fn report(needed: &[(&'static str, Check)], whole: &[(&'static str, Check)]) -> Response {
    let mut report = Report {
        status: "ok",
        checks: Map::new(),
    };
    let lists = [(whole, "degraded"), (needed, "failing")];
    for (checks, failed) in lists {
        for (name, check) in checks {
            let said = match check() {
                Ok(()) => "ok".to_owned(),
                Err(reason) => {
                    report.status = failed;
                    reason
                }
            };
            report.checks.insert((*name).to_owned(), said.into());
        }
    }
    let status = if report.status == "failing" {
        StatusCode::SERVICE_UNAVAILABLE
    } else {
        StatusCode::OK
    };
    (status, Json(report)).into_response()
}
