//! A gateway of the test's own, with a queue and peers that the test commands.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Response, StatusCode};
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use steelyard_domain::command::CommandMessage;
use steelyard_gateway::{AuthConfig, Config, Deps, JwksSource, Limits, run};
use steelyard_queue::testing::FakeQueue;
use steelyard_queue::{Backoff, ProducerOptions, SqsConfig, Transport};
use steelyard_runtime::config::Secret;
use steelyard_runtime::http::{Doors, Listen};
use steelyard_runtime::telemetry::Metrics;
use steelyard_testkit::jwt::{AUDIENCE, ISSUER, Issuer, issuer};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};

pub(crate) const QUEUE: &str = "orders.fifo";
pub(crate) const DEAD_LETTERS: &str = "orders-dead-letters.fifo";
pub(crate) const SERVICE_TOKEN: &str = "a service token of the tests";
/// Nothing listens on the discard port: as good as a service that is down.
pub(crate) const NOWHERE: &str = "http://127.0.0.1:9";
pub(crate) const NO_REDIS: &str = "redis://127.0.0.1:9";
/// How long a condition may take to come true on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// A running gateway.
pub(crate) struct Gateway {
    pub(crate) url: String,
    pub(crate) admin: String,
    pub(crate) queue: FakeQueue,
    pub(crate) issuer: Arc<Issuer>,
    pub(crate) http: reqwest::Client,
    pub(crate) stop: CancellationToken,
    pub(crate) served: Option<JoinHandle<anyhow::Result<()>>>,
    _stop: DropGuard,
}

/// What a test's gateway stands on; by default a queue, and nothing else.
pub(crate) struct Setting {
    pub(crate) redis: String,
    pub(crate) orders: String,
    pub(crate) catalog: String,
    pub(crate) documents: String,
    pub(crate) limits: Limits,
    pub(crate) jwks: Option<JwksSource>,
    /// Another gateway's, so that both believe the same tokens.
    pub(crate) issuer: Option<Arc<Issuer>>,
    pub(crate) queues: Vec<&'static str>,
    pub(crate) send_timeout: Duration,
    /// In place of the fake queue.
    pub(crate) transport: Option<Arc<dyn Transport>>,
}

impl Default for Setting {
    fn default() -> Self {
        Self {
            redis: NO_REDIS.to_owned(),
            orders: NOWHERE.to_owned(),
            catalog: NOWHERE.to_owned(),
            documents: NOWHERE.to_owned(),
            limits: Limits {
                stop_notice: Duration::ZERO,
                drain_max: Duration::from_secs(5),
                ..Limits::default()
            },
            jwks: None,
            issuer: None,
            queues: vec![QUEUE],
            send_timeout: Duration::from_millis(300),
            transport: None,
        }
    }
}

impl Setting {
    pub(crate) async fn start(self) -> Gateway {
        let issuer = self.issuer.unwrap_or_else(|| Arc::new(issuer()));
        let config = Config {
            listen: Listen::free(),
            sqs: SqsConfig::default(),
            orders_queue: QUEUE.to_owned(),
            dead_letters_queue: DEAD_LETTERS.to_owned(),
            documents_queue: None,
            webhooks_queue: None,
            redis_url: Secret::new(self.redis),
            catalog: self.catalog.parse().unwrap(),
            orders: self.orders.parse().unwrap(),
            documents: self.documents.parse().unwrap(),
            service_token: Secret::new(SERVICE_TOKEN),
            auth: AuthConfig {
                jwks: self.jwks.unwrap_or(JwksSource::Inline(issuer.jwks())),
                issuer: ISSUER.to_owned(),
                audience: AUDIENCE.to_owned(),
                refresh_every: Duration::from_mins(5),
            },
            limits: self.limits,
            producer: ProducerOptions {
                send_timeout: self.send_timeout,
                backoff: Backoff::new(Duration::from_millis(5), Duration::from_millis(50)),
                ..ProducerOptions::default()
            },
        };
        let queue = FakeQueue::new(7, &self.queues);
        let doors = Doors::open(&config.listen).await.unwrap();
        let Listen { api, admin } = doors.addrs();
        let deps = Deps {
            doors,
            metrics: Metrics::detached(),
            transport: self.transport.unwrap_or_else(|| Arc::new(queue.clone())),
        };
        let stop = CancellationToken::new();
        let served = tokio::spawn(run(config, deps, stop.clone()));
        Gateway {
            url: format!("http://{api}"),
            admin: format!("http://{admin}"),
            queue,
            issuer,
            http: reqwest::Client::builder().no_proxy().build().unwrap(),
            _stop: stop.clone().drop_guard(),
            stop,
            served: Some(served),
        }
    }
}

impl Gateway {
    pub(crate) async fn start() -> Self {
        Setting::default().start().await
    }

    pub(crate) fn token(&self, sub: &str, scope: &str) -> String {
        self.issuer.mint(sub, scope, Duration::from_mins(5))
    }

    pub(crate) fn call(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.url))
    }

    /// A request of `sub` with these scopes.
    pub(crate) fn by(&self, sub: &str, scope: &str, method: Method, path: &str) -> RequestBuilder {
        self.call(method, path).bearer_auth(self.token(sub, scope))
    }

    /// `POST /v1/orders` of the storefront.
    pub(crate) fn place(&self, key: &str, body: &Value) -> RequestBuilder {
        self.by("shop", "storefront", Method::POST, "/v1/orders")
            .header("idempotency-key", key)
            .json(body)
    }

    /// The commands in the queue, decoded.
    pub(crate) fn commands(&self) -> Vec<CommandMessage> {
        let bodies = self.queue.bodies(QUEUE);
        bodies
            .iter()
            .map(|body| CommandMessage::decode(body).unwrap())
            .collect()
    }

    /// Waits until the gateway has found its queue.
    pub(crate) async fn ready(&self) {
        let url = format!("{}/readyz", self.admin);
        steelyard_testkit::wait_for("the gateway is ready", PATIENCE, async || {
            self.http
                .get(&url)
                .send()
                .await
                .is_ok_and(|answer| answer.status() == StatusCode::OK)
        })
        .await;
    }
}

/// An order as a storefront sends it.
pub(crate) fn order() -> Value {
    json!({
        "customer_id": "17850", "currency": "GBP", "reference": "536365",
        "lines": [
            {"sku": "85123A", "quantity": 6, "unit_price": "2.55"},
            {"sku": "71053", "quantity": 6, "unit_price": "3.39"},
        ],
        "ship_to": {
            "name": "Ada Lovelace", "line1": "12 St James's Square", "city": "London",
            "postcode": "SW1Y 4JH", "country": "GB"
        },
        "email": "ada@example.com", "metadata": {"channel": "web"}
    })
}

/// Checks that an answer is a problem document and gives its body.
pub(crate) async fn problem(answer: reqwest::Response) -> Value {
    let status = answer.status().as_u16();
    assert_eq!(
        answer.headers()["content-type"],
        "application/problem+json",
        "{status}"
    );
    let body: Value = answer.json().await.unwrap();
    assert_eq!(body["status"], status, "{body}");
    assert!(!body["request_id"].as_str().unwrap().is_empty(), "{body}");
    body
}

/// A canned answer of a peer.
#[derive(Clone)]
pub(crate) struct Canned {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: String,
}

impl Canned {
    pub(crate) fn json(body: &Value) -> Self {
        let headers = vec![("content-type", "application/json".to_owned())];
        Self {
            status: 200,
            headers,
            body: body.to_string(),
        }
    }

    pub(crate) fn problem(status: u16, code: &str) -> Self {
        let body = json!({
            "type": format!("/problems/{code}"), "title": code, "status": status,
            "detail": "as the test says", "code": code, "request_id": "peer"
        });
        Self {
            status,
            ..Self::json(&body)
        }
    }

    pub(crate) fn with(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }
}

/// A request as a peer saw it.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

struct PeerState {
    canned: HashMap<String, Canned>,
    seen: Vec<Seen>,
    /// True: answers wait.
    held: watch::Sender<bool>,
}

impl Default for PeerState {
    fn default() -> Self {
        Self {
            canned: HashMap::new(),
            seen: Vec::new(),
            held: watch::Sender::new(false),
        }
    }
}

/// A service behind the gateway that says what the test wants; to anything else it answers 404.
#[derive(Clone)]
pub(crate) struct Peer {
    pub(crate) url: String,
    state: Arc<Mutex<PeerState>>,
}

impl Peer {
    pub(crate) async fn start() -> Self {
        let state = Arc::<Mutex<PeerState>>::default();
        let router = Router::new()
            .fallback(answer)
            .with_state(Arc::clone(&state));
        let url = Self::serve(router).await;
        Self { url, state }
    }

    /// One that does what a test says instead; its URL.
    pub(crate) async fn serve(router: Router) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await });
        url
    }

    /// Answers `path` (with its query) so from now on.
    pub(crate) fn say(&self, path: &str, canned: Canned) {
        self.state
            .lock()
            .unwrap()
            .canned
            .insert(path.to_owned(), canned);
    }

    /// Takes questions, and answers what it would have said now once [`Peer::release`] is called.
    pub(crate) fn hold(&self) {
        self.state.lock().unwrap().held.send_replace(true);
    }

    /// Ends a [`Peer::hold`].
    pub(crate) fn release(&self) {
        self.state.lock().unwrap().held.send_replace(false);
    }

    /// How often `path` was asked for.
    pub(crate) fn asked(&self, path: &str) -> usize {
        let seen = self.seen();
        seen.iter().filter(|seen| seen.path == path).count()
    }

    /// What was asked so far, but for what the gateway asks by itself now and then.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        let seen = self.state.lock().unwrap().seen.clone();
        seen.into_iter()
            .filter(|seen| seen.path != steelyard_domain::ops::paths::PROCESSING)
            .collect()
    }
}

async fn answer(State(state): State<Arc<Mutex<PeerState>>>, request: Request) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let path = parts.uri.path_and_query().unwrap().to_string();
    let body = axum::body::to_bytes(body, 16 << 20)
        .await
        .unwrap_or_default();
    let (canned, mut held) = {
        let mut state = state.lock().unwrap();
        state.seen.push(Seen {
            method: parts.method,
            path: path.clone(),
            headers: parts.headers,
            body,
        });
        (state.canned.get(&path).cloned(), state.held.subscribe())
    };
    held.wait_for(|held| !held).await.unwrap();
    let canned = canned.unwrap_or_else(|| Canned::problem(404, "not_found"));
    let mut response = Response::builder().status(canned.status);
    for (name, value) in canned.headers {
        response = response.header(name, value);
    }
    response.body(Body::from(canned.body)).unwrap()
}
