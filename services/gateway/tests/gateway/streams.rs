//! Imports and exports go through while they are on their way: the gateway keeps no body.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::routing::{get, post};
use futures_util::{StreamExt as _, stream};
use reqwest::{Method, StatusCode};
use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::support::{Gateway, PATIENCE, Peer, Setting};

/// What the other side waits for, and would wait for in vain if the gateway waited for the end of a body.
struct Signal {
    send: Mutex<Option<oneshot::Sender<()>>>,
    sent: Mutex<Option<oneshot::Receiver<()>>>,
}

impl Signal {
    fn new() -> Arc<Self> {
        let (send, sent) = oneshot::channel();
        Arc::new(Self {
            send: Mutex::new(Some(send)),
            sent: Mutex::new(Some(sent)),
        })
    }

    fn give(&self) {
        let send = self.send.lock().unwrap().take();
        send.unwrap().send(()).unwrap();
    }

    async fn wait(&self) {
        let sent = self.sent.lock().unwrap().take();
        timeout(PATIENCE, sent.unwrap()).await.unwrap().unwrap();
    }

    /// A body whose last bytes are sent once the first have come to the other side.
    fn body(self: Arc<Self>) -> impl stream::Stream<Item = Result<Bytes, Infallible>> {
        let last = async move {
            self.wait().await;
            Ok(Bytes::from_static(LAST))
        };
        stream::once(async { Ok(Bytes::from_static(FIRST)) }).chain(stream::once(last))
    }
}

const FIRST: &[u8] = b"{\"sku\": \"a\", \"name\": \"A\", \"prices\": []}\n";
const LAST: &[u8] = b"{\"sku\": \"b\", \"name\": \"B\", \"prices\": []}\n";

async fn gateway(catalog: Router) -> Gateway {
    let catalog = Peer::serve(catalog).await;
    Setting {
        catalog,
        ..Setting::default()
    }
    .start()
    .await
}

#[tokio::test]
async fn the_catalog_has_the_first_lines_of_an_import_before_the_last_are_sent() {
    let signal = Signal::new();
    let heard = Arc::clone(&signal);
    let import = async move |request: Request| {
        let mut body = request.into_body().into_data_stream();
        let mut all = body.next().await.unwrap().unwrap().to_vec();
        heard.give();
        while let Some(more) = body.next().await {
            all.extend_from_slice(&more.unwrap());
        }
        all
    };
    let gateway = gateway(Router::new().route("/internal/products/import", post(import))).await;
    let answer = gateway
        .by(
            "office",
            "catalog:write",
            Method::POST,
            "/v1/products/import",
        )
        .header("content-type", "application/x-ndjson")
        .body(reqwest::Body::wrap_stream(signal.body()))
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(answer.bytes().await.unwrap(), [FIRST, LAST].concat());
}

#[tokio::test]
async fn the_first_lines_of_an_export_are_there_before_the_catalog_has_the_last() {
    let signal = Signal::new();
    let waits = Arc::clone(&signal);
    let export = async move || Body::from_stream(Arc::clone(&waits).body());
    let gateway = gateway(Router::new().route("/internal/products/export", get(export))).await;
    let export = gateway
        .by(
            "office",
            "catalog:write",
            Method::GET,
            "/v1/products/export",
        )
        .send();
    let answer = timeout(PATIENCE, export).await.unwrap().unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    let mut body = answer.bytes_stream();
    let mut all = body.next().await.unwrap().unwrap().to_vec();
    signal.give();
    while let Some(more) = body.next().await {
        all.extend_from_slice(&more.unwrap());
    }
    assert_eq!(all, [FIRST, LAST].concat());
}
