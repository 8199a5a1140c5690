//! Two services whose `SERVICE_TOKEN` differ.

#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use steelyard_runtime::client::Internal;
use steelyard_runtime::config::Secret;
use steelyard_runtime::http::require_service_token;
use tokio::net::TcpListener;

/// What was logged.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// One thread: its log is the whole log.
#[tokio::test]
async fn a_token_that_the_peer_does_not_have_is_told_once_by_the_settings_name() {
    let lines = Lines::default();
    let writer = lines.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    let _logging = tracing::subscriber::set_default(subscriber);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let routes = Router::new().route("/internal", get(async || "null"));
    let routes = require_service_token(routes, Secret::new("what the peer has"));
    tokio::spawn(async move { axum::serve(listener, routes).await });

    let client = |token: &str| {
        Internal::new(
            "catalog",
            url.parse().unwrap(),
            Secret::new(token),
            Duration::from_secs(60),
        )
        .unwrap()
    };
    client("what the peer has")
        .get::<()>("/internal")
        .await
        .unwrap();
    let stranger = client("another secret");
    for _ in 0..3 {
        let refused = stranger.clone().get::<()>("/internal").await.unwrap_err();
        assert_eq!(refused.status(), Some(401));
    }
    let logged = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
    let told: Vec<_> = logged
        .lines()
        .filter(|line| line.contains("SERVICE_TOKEN is not what catalog has"))
        .collect();
    assert_eq!(told.len(), 1, "{logged}");
    assert!(told[0].contains("ERROR"), "{logged}");
    assert!(!logged.contains("another secret"), "{logged}");
}
