//! Logs, metrics and traces, set up once per process.
//!
//! Logs go to standard error: text on a terminal, one JSON object per line otherwise, filtered by
//! `RUST_LOG` (default `info`), which the admin listener can change for a while. A line's `spans` name the request, the
//! trace and the order that it belongs to. Metrics are kept in memory and served by the admin listener; they are pushed
//! over OTLP if `OTEL_METRICS_EXPORTER` is `otlp`, and the first-class ones ([`crate::indicators`]) are written as lines for
//! CloudWatch if `EMF_NAMESPACE` is set. Traces leave the process only if `OTEL_EXPORTER_OTLP_ENDPOINT` is set.
//!
//! **Invariant:** nothing here holds up a request or fails one. A collector that is away costs samples.

mod emf;
mod exposition;
pub(crate) mod logs;
mod process;
mod push;
pub(crate) mod traces;

use std::io::IsTerminal as _;
use std::sync::Arc;
use std::time::Duration;

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tokio::task::{AbortHandle, JoinHandle};
use tokio_util::sync::CancellationToken;
use tracing_subscriber::filter::{FilterExt as _, LevelFilter};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Layer, Registry, fmt};

use crate::config::{Env, Faults};
use crate::indicators::Indicator;
use emf::Emf;
use logs::Logs;
use push::Pusher;

/// Histogram buckets of every metric whose name ends in `_seconds`.
const SECONDS: [f64; 14] = [
    0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 30.0,
];
/// From acceptance to settlement: the queue keeps an order for two weeks.
const SETTLE_SECONDS: [f64; 14] = [
    0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 30.0, 120.0, 600.0, 3_600.0, 86_400.0,
];
/// Histogram buckets of every metric whose name ends in `_entries`, `_messages` or `_fill` (batch sizes).
const ENTRIES: [f64; 8] = [1.0, 2.0, 3.0, 5.0, 8.0, 10.0, 50.0, 500.0];
/// What [`init`] reads.
pub(crate) const SETTINGS: [&str; 6] = [
    FILTER,
    OTLP_ENDPOINT,
    TRACE_RATIO,
    METRICS_EXPORTER,
    PUSH_EVERY_MS,
    EMF_NAMESPACE,
];
const FILTER: &str = "RUST_LOG";
const OTLP_ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
const TRACE_RATIO: &str = "OTEL_TRACES_SAMPLER_ARG";
const METRICS_EXPORTER: &str = "OTEL_METRICS_EXPORTER";
const PUSH_EVERY_MS: &str = "OTEL_METRIC_EXPORT_INTERVAL";
const EMF_NAMESPACE: &str = "EMF_NAMESPACE";
/// How often samples are folded into their buckets when nobody asks for them; without it, memory
/// grows on a service that is not scraped.
const UPKEEP: Duration = Duration::from_secs(5);

/// Why telemetry could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Settings that are wrong or contradict each other.
    #[error(transparent)]
    Settings(#[from] Faults),
    /// `RUST_LOG` cannot be read.
    #[error("RUST_LOG cannot be read: {0}")]
    Filter(#[from] tracing_subscriber::filter::ParseError),
    /// Metrics or logs were set up before in this process.
    #[error("telemetry was set up before in this process: {0}")]
    Twice(String),
    /// The exporter refused its settings.
    #[error("OTEL_EXPORTER_OTLP_ENDPOINT cannot be used: {0}")]
    Otlp(String),
}

/// What the environment says about telemetry.
struct Settings {
    filter: String,
    endpoint: Option<String>,
    /// The share of traces that are recorded, of those that begin here.
    trace_ratio: f64,
    pushes_metrics: bool,
    push_every: Duration,
    emf_namespace: Option<String>,
}

impl Settings {
    fn read(env: &Env) -> Result<Self, Faults> {
        let mut reader = env.reader();
        let endpoint = env
            .get(OTLP_ENDPOINT)
            .and_then(|_| reader.http_url(OTLP_ENDPOINT));
        let trace_ratio = reader.within(TRACE_RATIO, 1.0, 0.0..=1.0);
        let pushes_metrics = match env.get(METRICS_EXPORTER) {
            None | Some("prometheus" | "none") => false,
            Some("otlp") => {
                if env.get(OTLP_ENDPOINT).is_none() {
                    let reason = format!("is otlp, and {OTLP_ENDPOINT} does not say where to");
                    reader.fault(METRICS_EXPORTER, reason);
                }
                true
            }
            Some(_) => {
                reader.fault(METRICS_EXPORTER, "must be otlp, prometheus or none");
                false
            }
        };
        let push_every_ms = reader.within(PUSH_EVERY_MS, 60_000, 100..=3_600_000);
        let filter = env.get(FILTER).unwrap_or("info").to_owned();
        let emf_namespace = env.get(EMF_NAMESPACE).map(str::to_owned);
        reader.finish(|| {
            Some(Self {
                filter,
                endpoint: endpoint.map(String::from),
                trace_ratio,
                pushes_metrics,
                push_every: Duration::from_millis(push_every_ms),
                emf_namespace,
            })
        })
    }
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
        process::measure();
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
/// Of that, for the last metrics: standard output may be a pipe that nobody reads.
const LAST_LINES_MAX: Duration = Duration::from_secs(1);

/// Keeps telemetry alive; [`Telemetry::flush`] it as the last act of the process.
#[derive(Debug)]
pub struct Telemetry {
    metrics: Metrics,
    tasks: Vec<AbortHandle>,
    /// Writes the last lines when the token is cancelled.
    emf: Option<(CancellationToken, JoinHandle<()>)>,
    traces: Option<traces::Exporter>,
}

impl Telemetry {
    /// The metrics of this process.
    #[must_use]
    pub fn metrics(&self) -> Metrics {
        self.metrics.clone()
    }

    /// Sends what traces and metrics are still in hand; takes at most [`FLUSH_MAX`].
    pub async fn flush(self) {
        for task in self.tasks {
            task.abort();
        }
        let metrics = async {
            if let Some((stop, emf)) = self.emf {
                stop.cancel();
                drop(tokio::time::timeout(LAST_LINES_MAX, emf).await);
            }
        };
        let traces = async {
            if let Some(traces) = self.traces {
                traces.flush().await;
            }
        };
        tokio::join!(metrics, traces);
    }
}

/// Sets up logs, metrics and traces for this process; `indicators` are the metrics that are written for CloudWatch if that
/// is asked for. A stack of several services in one process calls it once, for all of them. Must be called inside a Tokio
/// runtime.
///
/// # Errors
/// Settings that cannot be read, or a second call in the same process.
pub fn init(
    service: &'static str,
    env: &Env,
    indicators: Vec<Indicator>,
) -> Result<Telemetry, Error> {
    let lines = if std::io::stderr().is_terminal() {
        fmt::layer().with_writer(std::io::stderr).boxed()
    } else {
        // All spans: the outermost names request, trace and order, whatever lies within.
        let json = fmt::layer()
            .json()
            .flatten_event(true)
            .with_current_span(false)
            .with_span_list(true);
        json.with_writer(std::io::stderr).boxed()
    };
    init_with(service, env, indicators, lines)
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
    init_with(service, env, Vec::new(), lines.boxed())
}

fn init_with(
    service: &'static str,
    env: &Env,
    indicators: Vec<Indicator>,
    lines: Box<dyn Layer<Registry> + Send + Sync>,
) -> Result<Telemetry, Error> {
    let settings = Settings::read(env)?;
    let (filter, logs) = Logs::new(&settings.filter)?;
    let traces = settings
        .endpoint
        .as_deref()
        .map(|endpoint| traces::Exporter::new(service, endpoint, settings.trace_ratio))
        .transpose()?;
    let pusher = settings
        .endpoint
        .as_deref()
        .filter(|_| settings.pushes_metrics)
        .map(|endpoint| Pusher::new(service, endpoint))
        .transpose()?;
    // Traces are made of our own spans, whatever is logged; finer ones cost more than the work that they watch.
    let recorded = traces
        .as_ref()
        .map(|traces| traces.layer().with_filter(LevelFilter::INFO));
    tracing_subscriber::registry()
        .with(lines.with_filter(filter.and(logs::nothing_private())))
        .with(recorded)
        .try_init()
        .map_err(|error| Error::Twice(error.to_string()))?;
    logs.install();

    let handle = recorder().map_err(|error| Error::Twice(error.to_string()))?;
    let mut tasks = vec![tokio::spawn(upkeep(handle.clone()))];
    if let Some(pusher) = pusher {
        tasks.push(tokio::spawn(
            pusher.run(settings.push_every, handle.clone()),
        ));
    }
    let emf = settings.emf_namespace.map(|namespace| {
        let (emf, stop) = (
            Emf::new(service, namespace, indicators),
            CancellationToken::new(),
        );
        let running = emf.run(handle.clone(), stop.clone(), std::io::stdout());
        (stop, tokio::spawn(running))
    });
    Ok(Telemetry {
        metrics: Metrics(handle),
        tasks: tasks.iter().map(|task| task.abort_handle()).collect(),
        emf,
        traces,
    })
}

async fn upkeep(handle: PrometheusHandle) {
    let mut ticks = tokio::time::interval(UPKEEP);
    loop {
        ticks.tick().await;
        handle.run_upkeep();
    }
}

fn recorder() -> Result<PrometheusHandle, metrics_exporter_prometheus::BuildError> {
    let mut builder = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS)?
        .set_buckets_for_metric(
            Matcher::Full(crate::indicators::SETTLE.metric.to_owned()),
            &SETTLE_SECONDS,
        )?;
    for sizes in ["_entries", "_messages", "_fill"] {
        builder = builder.set_buckets_for_metric(Matcher::Suffix(sizes.to_owned()), &ENTRIES)?;
    }
    builder.install_recorder()
}

#[cfg(test)]
mod tests {
    use super::Settings;
    use crate::config::Env;

    #[test]
    fn all_that_is_wrong_with_telemetrys_settings_is_said_at_once() {
        let env = Env::of([
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4318"),
            ("OTEL_TRACES_SAMPLER_ARG", "110"),
            ("OTEL_METRICS_EXPORTER", "statsd"),
            ("OTEL_METRIC_EXPORT_INTERVAL", "often"),
        ]);
        let faults = Settings::read(&env).err().expect("four faults");
        let names: Vec<_> = faults.0.iter().map(|fault| fault.name).collect();
        assert_eq!(
            names,
            [
                "OTEL_EXPORTER_OTLP_ENDPOINT",
                "OTEL_TRACES_SAMPLER_ARG",
                "OTEL_METRICS_EXPORTER",
                "OTEL_METRIC_EXPORT_INTERVAL"
            ]
        );
        let env = Env::of([("OTEL_METRICS_EXPORTER", "otlp")]);
        let fault = Settings::read(&env).err().expect("a fault").to_string();
        assert!(fault.contains("does not say where to"), "{fault}");
    }
}
