//! The service with a real Postgres and SQS server, and a file store that fails on demand.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use sqlx::PgPool;
use steelyard_documents::files::{Files, FilesAway, NewFile, Put};
use steelyard_documents::{Config, Deps, run};
use steelyard_domain::event::{OrderEvent, OrderEventKind};
use steelyard_domain::id::{CustomerId, IdempotencyKey, OrderId};
use steelyard_domain::order::{HistoryEntry, Order, OrderStatus};
use steelyard_paper::sample;
use steelyard_queue::{OutgoingMessage, SqsConfig, SqsTransport, Transport as _};
use steelyard_runtime::config::Env;
use steelyard_runtime::http::Listen;
use steelyard_runtime::telemetry::Metrics;
use steelyard_testkit::{TestDatabase, wait_for};
use time::macros::datetime;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// Long enough for a machine that builds beside the tests.
pub(crate) const SOON: Duration = Duration::from_secs(90);
const QUEUE: &str = "documents.fifo";
const DEAD: &str = "documents-dead-letters.fifo";
const SHOP: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/shop.example.toml");

/// A file store in memory.
#[derive(Debug, Default)]
pub(crate) struct Shelf {
    files: Mutex<BTreeMap<String, Vec<u8>>>,
    pub(crate) away: AtomicBool,
    /// Puts that do not end before their worker is killed, between number and file.
    pub(crate) hangs: AtomicBool,
    pub(crate) hanging: AtomicUsize,
    killed: Mutex<CancellationToken>,
}

impl Files for Shelf {
    fn put(&self, file: NewFile) -> Put<'_> {
        Box::pin(async move {
            if self.away.load(Ordering::SeqCst) {
                return Err(FilesAway("away".into()));
            }
            if self.hangs.load(Ordering::SeqCst) {
                self.hanging.fetch_add(1, Ordering::SeqCst);
                let killed = self.killed.lock().clone();
                killed.cancelled().await;
                return Err(FilesAway("its worker is dead".into()));
            }
            self.files.lock().insert(file.key, file.bytes);
            Ok(())
        })
    }

    fn is_well(&self) -> std::pin::Pin<Box<dyn Future<Output = bool> + Send + '_>> {
        Box::pin(async { !self.away.load(Ordering::SeqCst) })
    }
}

impl Shelf {
    pub(crate) fn files(&self) -> BTreeMap<String, Vec<u8>> {
        self.files.lock().clone()
    }
}

pub(crate) struct Stand {
    // Dropped with the stand, and with it the database.
    _database: TestDatabase,
    _sqs: localsqs::Server,
    pub(crate) pool: PgPool,
    pub(crate) shelf: Arc<Shelf>,
    transport: SqsTransport,
    config: Config,
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
        let database = steelyard_testkit::postgres().await;
        let queue = format!("{QUEUE}:dlq={DEAD},max=1000,VisibilityTimeout=2");
        let sqs = steelyard_testkit::sqs_with(localsqs::Config {
            queues: vec![queue.parse().unwrap()],
            ..localsqs::Config::default()
        })
        .await;
        let env = Env::of([
            ("SHOP", SHOP),
            ("DATABASE_URL", database.url.as_str()),
            ("DOCUMENTS_FOLDER", "/nowhere"),
            ("DOCUMENTS_QUEUE", QUEUE),
            ("POLL_WAIT", "1s"),
            ("VISIBILITY_TIMEOUT", "2s"),
        ]);
        let mut config = Config::from_env(&env).unwrap();
        config.listen = Listen::free();
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
            shelf: Arc::default(),
            transport,
            config,
            running: Vec::new(),
        }
    }

    pub(crate) async fn started() -> Self {
        let mut stand = Self::new().await;
        stand.start().await;
        stand
    }

    pub(crate) async fn start(&mut self) {
        let mut deps = Deps::connect(&self.config, Metrics::detached())
            .await
            .unwrap();
        deps.issuing.as_mut().unwrap().files = self.shelf.clone();
        let stop = CancellationToken::new();
        let served = run(deps, stop.clone());
        let task = tokio::spawn(async move { served.await.unwrap() });
        self.running.push((stop, task));
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
        std::mem::take(&mut *self.shelf.killed.lock()).cancel();
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
        let rows = sqlx::query_as("SELECT * FROM documents ORDER BY kind, number");
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
