//! An OpenTelemetry collector that keeps what it is sent.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::StatusCode;
use axum::routing::post;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point;
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use prost::Message as _;
use tokio::net::TcpListener;
use tokio::task::AbortHandle;

use crate::must;

/// The largest body that it takes.
const BODY_BYTES_MAX: usize = 16 << 20;

/// A span as it was sent. Ids are lower-case hexadecimal.
#[derive(Debug, Clone)]
pub struct CollectedSpan {
    /// The process that it comes from.
    pub service: String,
    /// Its name.
    pub name: String,
    /// What it is: a server's, a producer's, …
    pub kind: SpanKind,
    /// Its trace.
    pub trace_id: String,
    /// Its own id.
    pub span_id: String,
    /// The span that it is a child of, if any.
    pub parent_id: Option<String>,
    /// Traces and spans that it is linked to.
    pub links: Vec<(String, String)>,
    /// Its attributes, as text.
    pub attributes: BTreeMap<String, String>,
}

/// A sample of a counter or a gauge, or the count of a histogram.
#[derive(Debug, Clone)]
pub struct CollectedSample {
    /// The process that it comes from.
    pub service: String,
    /// The metric's name.
    pub name: String,
    /// Its labels.
    pub attributes: BTreeMap<String, String>,
    /// Its value; of a histogram, how many values it has.
    pub value: f64,
}

#[derive(Debug, Default)]
struct Received {
    spans: Vec<CollectedSpan>,
    samples: Vec<CollectedSample>,
}

type Shared = Arc<Mutex<Received>>;

/// A collector on a free port of 127.0.0.1; gone when dropped.
#[derive(Debug)]
pub struct Collector {
    addr: SocketAddr,
    received: Shared,
    serving: AbortHandle,
}

/// Starts a collector that takes OTLP over HTTP.
///
/// # Panics
/// When no port is free.
pub async fn collector() -> Collector {
    let received = Shared::default();
    let routes = Router::new()
        .route("/v1/traces", post(traces))
        .route("/v1/metrics", post(metrics))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .with_state(Arc::clone(&received));
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await;
    let listener = must("open the collector's port", listener);
    let addr = must("learn the collector's port", listener.local_addr());
    let serving = tokio::spawn(async move { axum::serve(listener, routes).await });
    Collector {
        addr,
        received,
        serving: serving.abort_handle(),
    }
}

impl Collector {
    /// What `OTEL_EXPORTER_OTLP_ENDPOINT` is to be.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// All spans of a trace so far, in the order in which they came.
    #[must_use]
    pub fn spans_of(&self, trace_id: &str) -> Vec<CollectedSpan> {
        let spans = &lock(&self.received).spans;
        let of_trace = spans.iter().filter(|span| span.trace_id == trace_id);
        of_trace.cloned().collect()
    }

    /// A span, if it has come.
    #[must_use]
    pub fn span(&self, span_id: &str) -> Option<CollectedSpan> {
        let spans = &lock(&self.received).spans;
        spans.iter().find(|span| span.span_id == span_id).cloned()
    }

    /// All samples of a metric so far.
    #[must_use]
    pub fn samples_of(&self, metric: &str) -> Vec<CollectedSample> {
        let samples = &lock(&self.received).samples;
        let of_metric = samples.iter().filter(|sample| sample.name == metric);
        of_metric.cloned().collect()
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

fn lock(received: &Mutex<Received>) -> MutexGuard<'_, Received> {
    received.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn traces(State(received): State<Shared>, body: Bytes) -> StatusCode {
    let Ok(request) = ExportTraceServiceRequest::decode(body) else {
        return StatusCode::BAD_REQUEST;
    };
    let mut received = lock(&received);
    for of_resource in request.resource_spans {
        let service = service(of_resource.resource.as_ref());
        for span in of_resource.scope_spans.into_iter().flat_map(|of| of.spans) {
            received.spans.push(CollectedSpan {
                service: service.clone(),
                kind: span.kind(),
                name: span.name,
                trace_id: hex(&span.trace_id),
                span_id: hex(&span.span_id),
                parent_id: Some(hex(&span.parent_span_id)).filter(|id| !id.is_empty()),
                links: span
                    .links
                    .iter()
                    .map(|link| (hex(&link.trace_id), hex(&link.span_id)))
                    .collect(),
                attributes: texts(&span.attributes),
            });
        }
    }
    StatusCode::OK
}

async fn metrics(State(received): State<Shared>, body: Bytes) -> StatusCode {
    let Ok(request) = ExportMetricsServiceRequest::decode(body) else {
        return StatusCode::BAD_REQUEST;
    };
    let mut received = lock(&received);
    for of_resource in request.resource_metrics {
        let service = service(of_resource.resource.as_ref());
        let scopes = of_resource.scope_metrics.into_iter();
        for metric in scopes.flat_map(|scope| scope.metrics) {
            let samples = match metric.data {
                Some(Data::Sum(sum)) => numbers(&sum.data_points),
                Some(Data::Gauge(gauge)) => numbers(&gauge.data_points),
                Some(Data::Histogram(histogram)) => histogram
                    .data_points
                    .iter()
                    .map(|point| (texts(&point.attributes), float(point.count)))
                    .collect(),
                _ => Vec::new(),
            };
            let samples = samples
                .into_iter()
                .map(|(attributes, value)| CollectedSample {
                    service: service.clone(),
                    name: metric.name.clone(),
                    attributes,
                    value,
                });
            received.samples.extend(samples);
        }
    }
    StatusCode::OK
}

fn numbers(
    points: &[opentelemetry_proto::tonic::metrics::v1::NumberDataPoint],
) -> Vec<(BTreeMap<String, String>, f64)> {
    let points = points.iter().map(|point| {
        let value = match point.value {
            Some(number_data_point::Value::AsInt(value)) => float(value.unsigned_abs()),
            Some(number_data_point::Value::AsDouble(value)) => value,
            None => f64::NAN,
        };
        (texts(&point.attributes), value)
    });
    points.collect()
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a test's figures are far below 2^53"
)]
const fn float(value: u64) -> f64 {
    value as f64
}

fn service(resource: Option<&Resource>) -> String {
    let attributes = resource.map(|resource| texts(&resource.attributes));
    let named = attributes.and_then(|mut attributes| attributes.remove("service.name"));
    named.unwrap_or_default()
}

fn texts(attributes: &[KeyValue]) -> BTreeMap<String, String> {
    let text = |attribute: &KeyValue| {
        let value = attribute.value.as_ref()?.value.as_ref()?;
        Some(match value {
            Value::StringValue(text) => text.clone(),
            Value::IntValue(number) => number.to_string(),
            Value::DoubleValue(number) => number.to_string(),
            Value::BoolValue(truth) => truth.to_string(),
            other => format!("{other:?}"),
        })
    };
    let texts = attributes
        .iter()
        .filter_map(|attribute| Some((attribute.key.clone(), text(attribute)?)));
    texts.collect()
}

fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        let _ = write!(text, "{byte:02x}");
    }
    text
}
