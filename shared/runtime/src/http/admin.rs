//! The admin listener: health for the platform, figures for Prometheus.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde::Serialize;
use serde_json::{Map, Value};

use super::extract::Json;
use crate::telemetry::Metrics;

type Check = Arc<dyn Fn() -> Result<(), String> + Send + Sync>;

/// The checks behind `/healthz` (is the process alive, or must it be replaced?) and `/readyz`
/// (may it be given work?). Checks are called on every probe and must not block: they look at
/// what the service already knows.
#[derive(Clone, Default)]
pub struct Health {
    live: Vec<(&'static str, Check)>,
    ready: Vec<(&'static str, Check)>,
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
            .finish()
    }
}

/// `/healthz`, `/readyz` and `/metrics`.
pub fn admin(health: Health, metrics: Metrics) -> Router {
    Router::new()
        .route(
            "/healthz",
            get(async |State((health, _)): Probed| report(&health.live)),
        )
        .route(
            "/readyz",
            get(async |State((health, _)): Probed| report(&health.ready)),
        )
        .route(
            "/metrics",
            get(async |State((_, metrics)): Probed| {
                let kind = "text/plain; version=0.0.4; charset=utf-8";
                ([(header::CONTENT_TYPE, kind)], metrics.render())
            }),
        )
        .with_state((health, metrics))
}

type Probed = State<(Health, Metrics)>;

#[derive(Serialize)]
struct Report {
    status: &'static str,
    checks: Map<String, Value>,
}

fn report(checks: &[(&'static str, Check)]) -> Response {
    let mut report = Report {
        status: "ok",
        checks: Map::new(),
    };
    for (name, check) in checks {
        let said = match check() {
            Ok(()) => "ok".to_owned(),
            Err(reason) => {
                report.status = "failing";
                reason
            }
        };
        report.checks.insert((*name).to_owned(), said.into());
    }
    let ok = report.status == "ok";
    let status = if ok {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    (status, Json(report)).into_response()
}
