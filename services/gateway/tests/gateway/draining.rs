//! A graceful stop: announced first, then carried out, with every request answered.

use std::time::Duration;

use reqwest::StatusCode;
use steelyard_gateway::Limits;
use steelyard_testkit::wait_for;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::support::{Gateway, PATIENCE, QUEUE, Setting, order, problem};

/// Longer than any test here looks.
const NOTICE: Duration = Duration::from_mins(10);

async fn with_notice(stop_notice: Duration) -> Gateway {
    let limits = Limits {
        stop_notice,
        drain_max: Duration::from_secs(10),
        ..Limits::default()
    };
    let setting = Setting {
        limits,
        ..Setting::default()
    };
    let gateway = setting.start().await;
    gateway.ready().await;
    gateway
}

/// One connection, by hand: a client library would open another one without a word.
struct Connection(TcpStream);

impl Connection {
    async fn open(gateway: &Gateway) -> Self {
        let address = gateway.url.trim_start_matches("http://");
        Self(TcpStream::connect(address).await.unwrap())
    }

    /// The head of the answer.
    async fn get(&mut self, path: &str) -> String {
        let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n");
        self.0.write_all(request.as_bytes()).await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(self.0.read_u8().await.unwrap());
        }
        let head = String::from_utf8(head).unwrap().to_lowercase();
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "))
            .unwrap();
        let mut body = vec![0; length.parse().unwrap()];
        self.0.read_exact(&mut body).await.unwrap();
        head
    }

    /// Waits until the other side closes.
    async fn is_closed(&mut self) -> bool {
        let mut rest = [0; 1];
        matches!(
            tokio::time::timeout(PATIENCE, self.0.read(&mut rest)).await,
            Ok(Ok(0) | Err(_))
        )
    }
}

#[tokio::test]
async fn a_stop_is_announced_before_anything_is_refused() {
    let gateway = with_notice(NOTICE).await;
    let mut kept = Connection::open(&gateway).await;
    let head = kept.get("/openapi.json").await;
    assert!(!head.contains("connection: close"), "{head}");

    gateway.stop.cancel();
    wait_for("readiness says no", PATIENCE, async || {
        let ready = gateway.http.get(format!("{}/readyz", gateway.admin));
        ready.send().await.unwrap().status() == StatusCode::SERVICE_UNAVAILABLE
    })
    .await;
    let alive = gateway.http.get(format!("{}/healthz", gateway.admin));
    assert_eq!(alive.send().await.unwrap().status(), StatusCode::OK);

    // A balancer that has not looked yet still sends its requests, on old connections and new ones.
    let head = kept.get("/openapi.json").await;
    assert!(
        head.starts_with("http/1.1 200") && head.contains("connection: close"),
        "{head}"
    );
    assert!(kept.is_closed().await, "it said so and left it open");
    let taken = gateway.place("late", &order()).send().await.unwrap();
    assert_eq!(taken.status(), StatusCode::ACCEPTED);
    assert_eq!(taken.headers()["connection"], "close");
    assert_eq!(gateway.queue.len(QUEUE), 1);
    // Refusals say it too.
    let nowhere = gateway.http.get(format!("{}/nowhere", gateway.url));
    let nowhere = nowhere.send().await.unwrap();
    assert_eq!(nowhere.headers()["connection"], "close");
    assert_eq!(problem(nowhere).await["code"], "no_such_route");
}

#[tokio::test]
async fn after_the_notice_idle_connections_are_closed_and_new_ones_refused() {
    let mut gateway = with_notice(Duration::from_millis(200)).await;
    let mut kept = Connection::open(&gateway).await;
    kept.get("/openapi.json").await;
    gateway.stop.cancel();
    assert!(
        kept.is_closed().await,
        "an idle connection holds up the stop"
    );
    let served = gateway.served.take().unwrap();
    tokio::time::timeout(PATIENCE, served)
        .await
        .unwrap()
        .unwrap()
        .unwrap();
    let address = gateway.url.trim_start_matches("http://");
    assert!(TcpStream::connect(address).await.is_err());
}
