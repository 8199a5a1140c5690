//! Traces to an OpenTelemetry collector over HTTP.

use std::sync::atomic::{AtomicBool, Ordering};

use opentelemetry::trace::{
    SpanContext, SpanId, TraceContextExt as _, TraceFlags, TraceId, TraceState, TracerProvider as _,
};
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{Sampler, SdkTracer, SdkTracerProvider};
use tracing::{Span, Subscriber};
use tracing_opentelemetry::{OpenTelemetryLayer, OpenTelemetrySpanExt as _};
use tracing_subscriber::registry::LookupSpan;

use super::{Error, FLUSH_MAX};
use crate::trace::TraceContext;

/// Links that a span may have: as many as a set has messages.
const LINKS_MAX: u32 = 512;

/// Whether this process exports traces.
static EXPORTS: AtomicBool = AtomicBool::new(false);

/// Batches spans on a thread of its own and posts them to the collector. Its queue is bounded: what has no room is
/// dropped.
#[derive(Debug)]
pub(crate) struct Exporter {
    provider: SdkTracerProvider,
}

impl Exporter {
    /// `ratio` of the traces that begin here are recorded; of others, those that their caller records.
    pub(crate) fn new(service: &'static str, endpoint: &str, ratio: f64) -> Result<Self, Error> {
        let exporter = SpanExporter::builder()
            .with_http()
            .with_protocol(Protocol::HttpBinary)
            .with_endpoint(format!("{}/v1/traces", endpoint.trim_end_matches('/')))
            .with_timeout(FLUSH_MAX)
            .build()
            .map_err(|error| Error::Otlp(error.to_string()))?;
        let sampler = Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(ratio)));
        let provider = SdkTracerProvider::builder()
            .with_batch_exporter(exporter)
            .with_sampler(sampler)
            .with_max_links_per_span(LINKS_MAX)
            .with_resource(Resource::builder().with_service_name(service).build())
            .build();
        EXPORTS.store(true, Ordering::Relaxed);
        Ok(Self { provider })
    }

    pub(crate) fn layer<S>(&self) -> OpenTelemetryLayer<S, SdkTracer>
    where
        S: Subscriber + for<'a> LookupSpan<'a>,
    {
        // Where in the code a span was made helps nobody on call, and costs bytes in each.
        tracing_opentelemetry::layer()
            .with_location(false)
            .with_threads(false)
            .with_tracked_inactivity(false)
            .with_tracer(self.provider.tracer("steelyard"))
    }

    pub(crate) async fn flush(self) {
        EXPORTS.store(false, Ordering::Relaxed);
        let done =
            tokio::task::spawn_blocking(move || self.provider.shutdown_with_timeout(FLUSH_MAX));
        if let Ok(Err(error)) = done.await {
            tracing::warn!(%error, "the last traces were not delivered");
        }
    }
}

pub(crate) fn is_exporting() -> bool {
    EXPORTS.load(Ordering::Relaxed)
}

fn remote(context: &TraceContext) -> SpanContext {
    SpanContext::new(
        TraceId::from_bytes(context.trace_id()),
        SpanId::from_bytes(context.span_id()),
        TraceFlags::new(context.flags()),
        true,
        TraceState::default(),
    )
}

/// Makes `span` a child of `parent`. Without an exporter it does nothing.
pub(crate) fn adopt(span: &Span, parent: &TraceContext) {
    let parent = opentelemetry::Context::new().with_remote_span_context(remote(parent));
    // An error only says that the span is not recorded.
    drop(span.set_parent(parent));
}

/// Links `span` to another one. Without an exporter it does nothing.
pub(crate) fn link(span: &Span, to: &TraceContext) {
    span.add_link(remote(to));
}

/// Gives `span` an attribute for the collector only: log lines do without.
pub(crate) fn attribute(span: &Span, key: &'static str, value: impl Into<opentelemetry::Value>) {
    span.set_attribute(key, value);
}

/// The trace context of `span` as an exporter sees it, if one does.
pub(crate) fn of_span(span: &Span) -> Option<TraceContext> {
    let context = span.context();
    let context = context.span().span_context().clone();
    context.is_valid().then(|| {
        TraceContext::new(
            context.trace_id().to_bytes(),
            context.span_id().to_bytes(),
            context.trace_flags().to_u8(),
        )
    })
}
