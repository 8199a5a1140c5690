//! Traces leave the process for a collector, as children of the caller's.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::routing::{get, post};
use steelyard_runtime::config::Env;
use steelyard_runtime::http::{Doors, Health, Listen, envelope};
use steelyard_runtime::telemetry;
use steelyard_runtime::trace::TraceContext;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

type Received = Arc<Mutex<Vec<(HeaderMap, Bytes)>>>;

#[tokio::test]
async fn a_requests_span_reaches_the_collector_within_the_callers_trace() {
    let received = Received::default();
    let collector = Router::new()
        .route(
            "/v1/traces",
            post(
                async |State(received): State<Received>, headers: HeaderMap, body: Bytes| {
                    received.lock().unwrap().push((headers, body));
                },
            ),
        )
        .with_state(Arc::clone(&received));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, collector).await });

    let env = Env::of([
        ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint),
        ("RUST_LOG", "info".into()),
    ]);
    let telemetry = telemetry::init("tested", &env, Vec::new()).unwrap();
    let doors = Doors::open(&Listen::free()).await.unwrap();
    let url = format!("http://{}", doors.addrs().api);
    let stop = CancellationToken::new();
    let routes = Router::new().route(
        "/",
        get(async || {
            TraceContext::current()
                .map(|trace| trace.to_string())
                .unwrap_or_default()
        }),
    );
    let routes = envelope(routes, 1024);
    let drain_max = Duration::from_secs(5);
    let served = tokio::spawn(doors.serve(
        routes,
        Health::new(),
        telemetry.metrics(),
        stop.clone(),
        drain_max,
    ));

    let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let request = reqwest::Client::new()
        .get(&url)
        .header("traceparent", parent);
    let inside = request.send().await.unwrap().text().await.unwrap();
    assert_eq!(
        inside[..36],
        parent[..36],
        "what is called from here stays in the trace"
    );
    stop.cancel();
    served.await.unwrap().unwrap();
    telemetry.flush().await;

    let received = received.lock().unwrap();
    let (headers, body) = received.first().unwrap();
    assert_eq!(headers["content-type"], "application/x-protobuf");
    let trace_id = parent.parse::<TraceContext>().unwrap().trace_id();
    assert!(
        body.windows(16).any(|bytes| bytes == trace_id),
        "the caller's trace id is in it"
    );
    assert!(
        body.windows(6).any(|bytes| bytes == b"tested"),
        "and the service's name"
    );
}
