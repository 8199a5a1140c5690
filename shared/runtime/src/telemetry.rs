//! Logs, metrics and traces, set up once per process.
//!
//! Logs go to standard error: text on a terminal, one JSON object per line otherwise, filtered by
//! `RUST_LOG` (default `info`). Metrics are kept in memory and served by the admin listener.
//! Traces leave the process only if `OTEL_EXPORTER_OTLP_ENDPOINT` is set.

use std::io::IsTerminal as _;
use std::sync::Arc;
use std::time::Duration;

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tokio::task::AbortHandle;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer, Registry, fmt};

use crate::config::Env;
use crate::otlp;

/// Histogram buckets of every metric whose name ends in `_seconds`.
const SECONDS: [f64; 14] = [
    0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 30.0,
];
/// Histogram buckets of every metric whose name ends in `_entries` (batch sizes).
const ENTRIES: [f64; 8] = [1.0, 2.0, 3.0, 5.0, 8.0, 10.0, 50.0, 500.0];
/// What [`init`] reads.
pub(crate) const SETTINGS: [&str; 2] = [FILTER, OTLP_ENDPOINT];
const FILTER: &str = "RUST_LOG";
const OTLP_ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
/// How often samples are folded into their buckets when nobody asks for them; without it, memory
/// grows on a service that is not scraped.
const UPKEEP: Duration = Duration::from_secs(5);

/// Why telemetry could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// `RUST_LOG` cannot be read.
    #[error("RUST_LOG cannot be read: {0}")]
    Filter(#[from] tracing_subscriber::filter::ParseError),
    /// Metrics or logs were set up before in this process.
    #[error("telemetry was set up before in this process: {0}")]
    Twice(String),
    /// The exporter of traces refused its settings.
    #[error("OTEL_EXPORTER_OTLP_ENDPOINT cannot be used: {0}")]
    Otlp(String),
}

/// The metrics of this process; cheap to clone, handed to each service's admin listener.
#[derive(Clone)]
pub struct Metrics(PrometheusHandle);

impl Metrics {
    /// Metrics that nothing records to: for tests that do not look at them.
    #[must_use]
    pub fn detached() -> Self {
        Self(PrometheusBuilder::new().build_recorder().handle())
    }

    /// Everything recorded so far, in Prometheus's text format.
    #[must_use]
    pub fn render(&self) -> String {
        self.0.render()
    }
}

impl std::fmt::Debug for Metrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Metrics")
    }
}

/// The longest that [`Telemetry::flush`] takes.
pub const FLUSH_MAX: Duration = Duration::from_secs(5);

/// Keeps telemetry alive; [`Telemetry::flush`] it as the last act of the process.
#[derive(Debug)]
pub struct Telemetry {
    metrics: Metrics,
    upkeep: AbortHandle,
    traces: Option<otlp::Exporter>,
}

impl Telemetry {
    /// The metrics of this process.
    #[must_use]
    pub fn metrics(&self) -> Metrics {
        self.metrics.clone()
    }

    /// Sends what traces are still in hand; takes at most [`FLUSH_MAX`].
    pub async fn flush(self) {
        self.upkeep.abort();
        if let Some(traces) = self.traces {
            traces.flush().await;
        }
    }
}

/// Sets up logs, metrics and traces for this process. A stack of several services in one process
/// calls it once, for all of them. Must be called inside a Tokio runtime.
///
/// # Errors
/// A filter or endpoint that cannot be read, or a second call in the same process.
pub fn init(service: &'static str, env: &Env) -> Result<Telemetry, Error> {
    let lines = if std::io::stderr().is_terminal() {
        fmt::layer().with_writer(std::io::stderr).boxed()
    } else {
        let json = fmt::layer()
            .json()
            .flatten_event(true)
            .with_span_list(false);
        json.with_writer(std::io::stderr).boxed()
    };
    init_with(service, env, lines)
}

/// [`init`] with the logs as text in `file`: for a stack whose terminal shows other things.
///
/// # Errors
/// As [`init`].
pub fn init_to_file(
    service: &'static str,
    env: &Env,
    file: std::fs::File,
) -> Result<Telemetry, Error> {
    let lines = fmt::layer().with_ansi(false).with_writer(Arc::new(file));
    init_with(service, env, lines.boxed())
}

fn init_with(
    service: &'static str,
    env: &Env,
    lines: Box<dyn Layer<Registry> + Send + Sync>,
) -> Result<Telemetry, Error> {
    let filter = EnvFilter::try_new(env.get(FILTER).unwrap_or("info"))?;
    let endpoint = env.get(OTLP_ENDPOINT);
    let traces = endpoint
        .map(|endpoint| otlp::Exporter::new(service, endpoint))
        .transpose()?;
    tracing_subscriber::registry()
        .with(lines.with_filter(filter))
        .with(traces.as_ref().map(otlp::Exporter::layer))
        .try_init()
        .map_err(|error| Error::Twice(error.to_string()))?;

    let handle = recorder().map_err(|error| Error::Twice(error.to_string()))?;
    let upkept = handle.clone();
    let upkeep = tokio::spawn(async move {
        let mut ticks = tokio::time::interval(UPKEEP);
        loop {
            ticks.tick().await;
            upkept.run_upkeep();
        }
    });
    Ok(Telemetry {
        metrics: Metrics(handle),
        upkeep: upkeep.abort_handle(),
        traces,
    })
}

fn recorder() -> Result<PrometheusHandle, metrics_exporter_prometheus::BuildError> {
    PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS)?
        .set_buckets_for_metric(Matcher::Suffix("_entries".to_owned()), &ENTRIES)?
        .install_recorder()
}
