//! The service with a real Postgres, an SQS server and an S3 server, the last behind a proxy that fails on demand.
#![expect(dead_code, reason = "each test file uses a part of the stand")]

pub(crate) mod kept;

use std::net::SocketAddr;
use std::time::Duration;

use sqlx::PgPool;
use steelyard_chaosproxy::Proxy;
use steelyard_documents::theme::Place;
use steelyard_documents::{Config, Deps, run};
use steelyard_domain::event::{OrderEvent, OrderEventKind};
use steelyard_domain::id::{CustomerId, IdempotencyKey, OrderId};
use steelyard_domain::order::{HistoryEntry, Order, OrderStatus};
use steelyard_objects::{Bucket, S3Config, S3Credentials};
use steelyard_paper::sample;
use steelyard_queue::{OutgoingMessage, SqsConfig, SqsTransport, Transport as _};
use steelyard_runtime::client::Internal;
use steelyard_runtime::config::{Env, Secret};
use steelyard_runtime::http::Listen;
use steelyard_runtime::telemetry::Metrics;
use steelyard_testkit::{TestDatabase, TestS3, wait_for};
use time::macros::datetime;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// Long enough for a machine that builds beside the tests.
pub(crate) const SOON: Duration = Duration::from_secs(90);
const QUEUE: &str = "documents.fifo";
const BUCKET: &str = "documents";
const DEAD: &str = "documents-dead-letters.fifo";
const TOKEN: &str = "a service token of the tests";
const SHOP: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/shop.example.toml");

pub(crate) struct Stand {
    // Dropped with the stand, and with it the database.
    _database: TestDatabase,
    _sqs: localsqs::Server,
    _s3: TestS3,
    pub(crate) pool: PgPool,
    /// On the services' way to S3.
    pub(crate) way: Proxy,
    /// S3 itself, without the proxy.
    pub(crate) bucket: Bucket,
    transport: SqsTransport,
    config: Config,
    /// Where the service that was started last answers.
    api: Option<SocketAddr>,
    running: Vec<(CancellationToken, JoinHandle<()>)>,
}

/// A row, as far as tests look.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub(crate) struct Row {
    pub(crate) id: Uuid,
    pub(crate) kind: String,
    pub(crate) number: String,
    pub(crate) order_id: Uuid,
    pub(crate) object_key: Option<String>,
    pub(crate) sha256: Option<Vec<u8>>,
}

impl Stand {
    /// Everything but the service. What is in a dead worker's hands comes back after two seconds.
    pub(crate) async fn new() -> Self {
        // On the heap once, instead of in every test's future.
        Box::pin(Self::made()).await
    }

    async fn made() -> Self {
        let database = steelyard_testkit::postgres().await;
        let queue = format!("{QUEUE}:dlq={DEAD},max=1000,VisibilityTimeout=2");
        let sqs = steelyard_testkit::sqs_with(localsqs::Config {
            queues: vec![queue.parse().unwrap()],
            ..localsqs::Config::default()
        })
        .await;
        let env = Env::of([
            ("SHOP", SHOP),
            ("SERVICE_TOKEN", TOKEN),
            ("DATABASE_URL", database.url.as_str()),
            ("DOCUMENTS_BUCKET", BUCKET),
            ("DOCUMENTS_QUEUE", QUEUE),
            ("POLL_WAIT", "1s"),
            ("VISIBILITY_TIMEOUT", "2s"),
        ]);
        let mut config = Config::from_env(&env).unwrap();
        config.listen = Listen::free();
        let s3 = steelyard_testkit::s3(&[BUCKET]).await;
        let way = steelyard_testkit::proxy(s3.address());
        let bucket = Bucket::connect(s3_config(&s3, s3.url()), BUCKET).await;
        config.s3 = s3_config(&s3, format!("http://{}", way.address()));
        let issuing = config.issuing.as_mut().unwrap();
        issuing.sqs = SqsConfig::local(sqs.url());
        let transport = SqsTransport::connect(issuing.sqs.clone()).await;
        let separator = if database.url.contains('?') { '&' } else { '?' };
        let url = format!(
            "{}{separator}options=-csearch_path%3Ddocuments",
            database.url
        );
        Self {
            pool: PgPool::connect_lazy(&url).unwrap(),
            _database: database,
            _sqs: sqs,
            _s3: s3,
            way,
            bucket,
            transport,
            config,
            api: None,
            running: Vec::new(),
        }
    }

    pub(crate) async fn started() -> Self {
        let mut stand = Self::new().await;
        stand.start().await;
        stand
    }

    /// Its files lie in another S3 from now on.
    pub(crate) async fn keeps_in(&mut self, s3: S3Config) {
        self.bucket = Bucket::connect(s3.clone(), BUCKET).await;
        self.config.s3 = s3;
    }

    /// Its theme lies there from now on, and is looked at every second.
    pub(crate) fn theme(&mut self, at: &str) {
        let refresh = Duration::from_secs(1);
        let at = at.parse().unwrap();
        self.config.issuing.as_mut().unwrap().theme = Place { at, refresh };
    }

    pub(crate) async fn start(&mut self) {
        let deps = Deps::connect(&self.config, Metrics::detached())
            .await
            .unwrap();
        self.api = Some(deps.addrs().api);
        let stop = CancellationToken::new();
        let served = run(deps, stop.clone());
        let task = tokio::spawn(async move { served.await.unwrap() });
        self.running.push((stop, task));
    }

    /// Calls it as the gateway does.
    pub(crate) fn client(&self) -> Internal {
        let base = format!("http://{}", self.api.unwrap()).parse().unwrap();
        Internal::new("documents", base, Secret::new(TOKEN), SOON).unwrap()
    }

    /// Stops all services as a deploy does.
    pub(crate) async fn stop(&mut self) {
        for (stop, task) in self.running.drain(..) {
            stop.cancel();
            task.await.unwrap();
        }
    }

    /// Ends all services as `kill -9` does, as far as one process can.
    pub(crate) fn kill(&mut self) {
        for (_, task) in self.running.drain(..) {
            task.abort();
        }
    }

    pub(crate) async fn send(&self, events: &[OrderEvent]) {
        let messages = events.iter().map(|event| {
            // Another deduplication id each time: SQS itself must not make it once.
            let dedup_id = Uuid::new_v4().to_string();
            let body = serde_json::to_string(event).unwrap();
            OutgoingMessage::fifo(event.customer_id.message_group_id(), dedup_id, body)
        });
        let messages: Vec<_> = messages.collect();
        let queue = self.transport.queue_url(QUEUE).await.unwrap();
        for batch in messages.chunks(10) {
            let sent = self.transport.send_batch(&queue, batch).await.unwrap();
            assert!(sent.iter().all(Result::is_ok), "{sent:?}");
        }
    }

    pub(crate) async fn rows(&self) -> Vec<Row> {
        // By name: while the schema is being made, the table still gets columns.
        let rows = sqlx::query_as(
            "SELECT id, kind, number, order_id, object_key, sha256 FROM documents ORDER BY kind, number",
        );
        // Before the first migration there is no table.
        rows.fetch_all(&self.pool).await.unwrap_or_default()
    }

    /// Waits until the queue is empty, and that many documents have their files.
    pub(crate) async fn settled(&self, documents: usize) -> Vec<Row> {
        wait_for("all documents are stored", SOON, async || {
            let rows = self.rows().await;
            let stored = rows.iter().filter(|row| row.object_key.is_some()).count();
            stored == documents && rows.len() == documents && self.depth(QUEUE).await == 0
        })
        .await;
        self.rows().await
    }

    pub(crate) async fn parked(&self) -> usize {
        self.depth(DEAD).await
    }

    async fn depth(&self, queue: &str) -> usize {
        let url = self.transport.queue_url(queue).await.unwrap();
        let depth = self.transport.depths(&url).await.unwrap();
        usize::try_from(depth.visible + depth.in_flight).unwrap()
    }
}

fn s3_config(server: &TestS3, url: String) -> S3Config {
    config(url, server.access_key(), server.secret_key())
}

pub(crate) fn config(url: String, access_key: &str, secret_key: &str) -> S3Config {
    S3Config {
        region: Some("us-east-1".to_owned()),
        endpoint_url: Some(url),
        credentials: S3Credentials::Static {
            access_key_id: access_key.to_owned(),
            secret_access_key: secret_key.to_owned(),
        },
    }
}

/// An order of a customer, told apart by its key.
pub(crate) fn order(customer: &str, key: &str) -> Order {
    let customer: CustomerId = customer.parse().unwrap();
    let idempotency: IdempotencyKey = key.parse().unwrap();
    let mut order = sample::order(2);
    order.id = OrderId::derive("https://id.example", &customer, &idempotency);
    order.customer_id = customer;
    order.reference = Some(key.to_owned());
    order
}

/// An event about it.
pub(crate) fn event(order: &Order, kind: OrderEventKind) -> OrderEvent {
    let mut order = order.clone();
    let at = datetime!(2026-11-24 10:00:00 UTC);
    let entry = |command: &str, status, note: Option<&str>| HistoryEntry {
        version: 1,
        at,
        command_id: steelyard_domain::id::CommandId(Uuid::nil()),
        command: command.to_owned(),
        requested_by: "shop".to_owned(),
        status,
        refused: None,
        note: note.map(str::to_owned),
    };
    order
        .history
        .push(entry("order.place", OrderStatus::Confirmed, None));
    if kind == OrderEventKind::Shipped {
        order
            .history
            .push(entry("order.ship", OrderStatus::Completed, Some("1Z-42")));
    }
    let name = format!("{}/{}", order.id, kind.as_str());
    OrderEvent {
        v: 1,
        kind,
        event_id: event_id(&name),
        customer_id: order.customer_id.clone(),
        at,
        order,
    }
}

/// The same for the same event.
fn event_id(name: &str) -> Uuid {
    use sha2::{Digest, Sha256};
    let digest = Sha256::digest(name.as_bytes());
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest[..16]);
    Uuid::new_v8(bytes)
}
