//! What every answer has, whichever route gave it: names, log line, figures, and a problem
//! document where axum alone would answer with a bare status or not at all.

use std::panic::AssertUnwindSafe;
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::{DefaultBodyLimit, MatchedPath, Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse as _, Response};
use futures_util::FutureExt as _;
use tracing::Instrument as _;

use super::context::{Context, REQUEST_ID, TRACEPARENT};
use super::problem::HttpError;
use crate::telemetry::traces;

/// Puts `router` into the envelope: `x-request-id` and `traceparent` honoured and returned, one
/// log line and metrics per request, 404, 405 and panics answered as problem documents, bodies
/// over `body_bytes_max` refused by extractors (a route may set its own
/// [`DefaultBodyLimit`]).
///
/// Requests are logged at `debug`, refused ones (4xx) at `info`, failed ones (5xx) at `warn`;
/// `http_requests_total` and `http_request_seconds` count them all.
pub fn envelope<S>(router: Router<S>, body_bytes_max: usize) -> Router<S>
where
    S: Clone + Send + Sync + 'static,
{
    router
        .fallback(async || HttpError::new(StatusCode::NOT_FOUND, "no_such_route", NO_ROUTE))
        .method_not_allowed_fallback(async || {
            let code = "method_not_allowed";
            HttpError::new(StatusCode::METHOD_NOT_ALLOWED, code, "see the Allow header")
        })
        .layer(DefaultBodyLimit::max(body_bytes_max))
        .layer(from_fn(answer))
}

const NO_ROUTE: &str = "no route has this path";

/// Answers 503 `timeout` when a route of `router` takes longer than `max` to begin its answer.
pub fn with_deadline<S>(router: Router<S>, max: Duration) -> Router<S>
where
    S: Clone + Send + Sync + 'static,
{
    router.layer(from_fn_with_state(max, deadline))
}

async fn deadline(State(max): State<Duration>, request: Request, next: Next) -> Response {
    match tokio::time::timeout(max, next.run(request)).await {
        Ok(response) => response,
        Err(_elapsed) => {
            let detail = "the answer took too long; it is safe to try again";
            HttpError::unavailable("timeout", detail, 1).into_response()
        }
    }
}

async fn answer(request: Request, next: Next) -> Response {
    let started = Instant::now();
    let method = request.method().clone();
    let route = request.extensions().get::<MatchedPath>().cloned();
    let path = request.uri().path().to_owned();
    let matched = route.as_ref().map_or("none", MatchedPath::as_str);
    let context = Context::of(request.headers(), &format!("{method} {matched}"));
    let span = context.span.clone();
    let guarded = AssertUnwindSafe(next.run(request)).catch_unwind();
    let answering = async {
        guarded.await.unwrap_or_else(|panic| {
            let reason = panic_text(panic.as_ref());
            tracing::error!(reason, "a handler panicked");
            HttpError::internal().into_response()
        })
    };
    let mut response = context
        .clone()
        .scope(answering)
        .instrument(span.clone())
        .await;

    let took = started.elapsed();
    let status = response.status();
    count(&method, matched, status, took);
    traces::attribute(
        &span,
        "http.response.status_code",
        i64::from(status.as_u16()),
    );
    span.in_scope(|| {
        let took_us = took.as_micros();
        let status = status.as_u16();
        match status {
            0..400 => tracing::debug!(target: "access", %method, path, status, took_us),
            400..500 => tracing::info!(target: "access", %method, path, status, took_us),
            _ => tracing::warn!(target: "access", %method, path, status, took_us),
        }
    });

    let headers = response.headers_mut();
    if let Ok(trace) = HeaderValue::try_from(context.trace.to_string()) {
        headers.insert(TRACEPARENT, trace);
    }
    headers.insert(REQUEST_ID, context.request_id);
    headers
        .entry(header::X_CONTENT_TYPE_OPTIONS)
        .or_insert(HeaderValue::from_static("nosniff"));
    response
}

fn count(method: &axum::http::Method, route: &str, status: StatusCode, took: Duration) {
    let (method, route) = (method.as_str().to_owned(), route.to_owned());
    metrics::histogram!("http_request_seconds", "method" => method.clone(), "route" => route.clone())
        .record(took);
    let status = status.as_str().to_owned();
    metrics::counter!("http_requests_total", "method" => method, "route" => route, "status" => status)
        .increment(1);
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> &str {
    if let Some(text) = panic.downcast_ref::<String>() {
        text
    } else {
        panic
            .downcast_ref::<&'static str>()
            .copied()
            .unwrap_or("no reason given")
    }
}
