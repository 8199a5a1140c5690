//! A collector that takes connections and never answers holds up nobody.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use steelyard_runtime::config::Env;
use steelyard_runtime::http::{Doors, Health, Listen, envelope};
use steelyard_runtime::telemetry;
use steelyard_testkit::wait_for;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

const PATIENCE: Duration = Duration::from_secs(60);
/// More than the exporter's queue of spans holds.
const REQUESTS: usize = 5_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_are_answered_and_the_process_ends_while_the_collector_only_listens() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", silent.local_addr().unwrap());
    let connections = Arc::<AtomicUsize>::default();
    let counted = Arc::clone(&connections);
    tokio::spawn(async move {
        let mut held = Vec::new();
        while let Ok((connection, _)) = silent.accept().await {
            held.push(connection);
            counted.fetch_add(1, Ordering::Relaxed);
        }
    });
    let env = Env::of([
        ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str()),
        ("OTEL_METRICS_EXPORTER", "otlp"),
        ("OTEL_METRIC_EXPORT_INTERVAL", "100"),
        ("RUST_LOG", "error"),
    ]);
    let telemetry = telemetry::init("tested", &env, Vec::new()).unwrap();
    let doors = Doors::open(&Listen::free()).await.unwrap();
    let url = format!("http://{}/", doors.addrs().api);
    let stop = CancellationToken::new();
    let routes = envelope(Router::new().route("/", get(async || "hello")), 1_024);
    let served = tokio::spawn(doors.serve(
        routes,
        Health::new(),
        telemetry.metrics(),
        stop.clone(),
        Duration::from_secs(5),
    ));

    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let ask = async || {
        let answer = http.get(&url).send().await.unwrap();
        assert_eq!(answer.text().await.unwrap(), "hello");
    };
    ask().await;
    wait_for(
        "both exporters wait for the collector",
        PATIENCE,
        async || {
            ask().await;
            connections.load(Ordering::Relaxed) >= 2
        },
    )
    .await;
    let all = async {
        for _ in 0..REQUESTS {
            ask().await;
        }
    };
    tokio::time::timeout(PATIENCE * 2, all)
        .await
        .expect("requests do not wait for the collector");
    stop.cancel();
    served.await.unwrap().unwrap();
    tokio::time::timeout(PATIENCE, telemetry.flush())
        .await
        .expect("nor does the end");
}
