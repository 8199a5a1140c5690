//! What is known about the request in hand, for whoever answers it or calls on from it.

use axum::http::{HeaderMap, HeaderValue};
use tracing::Span;
use uuid::Uuid;

use crate::trace::{self, TraceContext};

/// The header that names one request in logs, answers and problem documents.
pub const REQUEST_ID: &str = "x-request-id";
/// The W3C header that names a trace and the calling span.
pub const TRACEPARENT: &str = "traceparent";
/// A caller's own request id is honoured up to this length.
const REQUEST_ID_BYTES_MAX: usize = 128;

tokio::task_local! {
    static CURRENT: Context;
}

/// Names of the request in hand.
#[derive(Debug, Clone)]
pub struct Context {
    /// The caller's `x-request-id`, or a new one.
    pub request_id: HeaderValue,
    /// The caller's trace with a span of ours, or a new trace.
    pub trace: TraceContext,
    /// The request's span, whose fields are in all its log lines.
    pub(crate) span: Span,
}

impl Context {
    /// Names the request, and makes its span: of `error` level, so that all its lines have its fields, whatever is logged.
    pub(crate) fn of(headers: &HeaderMap, name: &str) -> Self {
        let parent: Option<TraceContext> = headers
            .get(TRACEPARENT)
            .and_then(|value| value.to_str().ok())
            .and_then(|text| text.parse().ok());
        let honoured = |id: &&HeaderValue| {
            (1..=REQUEST_ID_BYTES_MAX).contains(&id.len())
                && id.as_bytes().iter().all(u8::is_ascii_graphic)
        };
        let request_id = headers
            .get(REQUEST_ID)
            .filter(honoured)
            .cloned()
            .unwrap_or_else(new_request_id);
        let span = tracing::error_span!(
            parent: None,
            "request",
            otel.name = name,
            otel.kind = "server",
            request_id = request_id.to_str().unwrap_or_default(),
            trace_id = tracing::field::Empty,
            order_id = tracing::field::Empty,
        );
        if let Some(parent) = &parent {
            trace::adopt(&span, parent);
        }
        // An exporter gives ids of its own; the answer and the log name the trace that can be looked up.
        let trace = TraceContext::of(&span)
            .unwrap_or_else(|| parent.map_or_else(TraceContext::root, TraceContext::child));
        span.record("trace_id", trace.trace_id_hex());
        Self {
            request_id,
            trace,
            span,
        }
    }

    /// The context of the request that this task is answering; `None` outside of one.
    #[must_use]
    pub fn current() -> Option<Self> {
        CURRENT.try_with(Clone::clone).ok()
    }

    /// The request id as text.
    #[must_use]
    pub fn request_id(&self) -> &str {
        self.request_id.to_str().unwrap_or_default()
    }

    /// Runs `answer` as a part of this request: in a task of its own, say.
    pub async fn scope<F: Future>(self, answer: F) -> F::Output {
        CURRENT.scope(self, answer).await
    }
}

fn new_request_id() -> HeaderValue {
    let mut text = [0; uuid::fmt::Simple::LENGTH];
    let text: &str = Uuid::new_v4().simple().encode_lower(&mut text);
    HeaderValue::from_str(text).unwrap_or_else(|_| HeaderValue::from_static("none"))
}
