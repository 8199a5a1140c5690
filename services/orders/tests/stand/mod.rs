//! The service with a real Postgres, Redis and SQS server, and a catalog that does as it is told.
#![expect(
    dead_code,
    unreachable_pub,
    reason = "each test file uses a part of the stand"
)]

pub mod catalog;
pub mod commands;

use std::sync::Arc;
use std::time::Duration;

use localsqs::{Clock, QueueSpec, Server};
use serde_json::Value;
use sqlx::PgPool;
use steelyard_domain::id::OrderId;
use steelyard_domain::order::Order;
use steelyard_orders::{Config, Limits, Orders, Roles};
use steelyard_queue::{
    OutgoingMessage, ReceiveRequest, Received, SqsConfig, SqsTransport, Transport as _,
};
use steelyard_runtime::config::{Env, Secret};
use steelyard_runtime::http::Listen;
use steelyard_runtime::protection::{self, TaskAgent};
use steelyard_runtime::telemetry::Metrics;
use steelyard_testkit::{TestDatabase, TestRedis, wait_for};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use catalog::FakeCatalog;
use commands::Sealed;

pub const TOKEN: &str = "a token of services";
/// Whose customers the orders are.
pub const ISSUER: &str = "https://id.example";
/// Long enough for a machine that builds beside the tests.
pub const SOON: Duration = Duration::from_secs(180);

pub const ORDERS: &str = "orders.fifo";
pub const DEAD: &str = "orders-dead-letters.fifo";
pub const DOCUMENTS: &str = "documents.fifo";
pub const WEBHOOKS: &str = "webhooks.fifo";

pub struct Stand {
    pub catalog: Arc<FakeCatalog>,
    pub database: TestDatabase,
    pub redis: TestRedis,
    pub sqs: Server,
    pub pool: PgPool,
    pub transport: SqsTransport,
    pub http: reqwest::Client,
    config: Config,
    running: Vec<Running>,
}

struct Running {
    base: String,
    admin: String,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Everything but the service, which [`Stand::start`] starts.
pub async fn stand() -> Stand {
    stand_by(Clock::system()).await
}

/// The same with queues that go by this clock.
pub async fn stand_by(clock: Clock) -> Stand {
    let (database, redis, catalog) = tokio::join!(
        steelyard_testkit::postgres(),
        steelyard_testkit::redis(),
        FakeCatalog::start(),
    );
    stand_of(database, redis, catalog, clock).await
}

async fn stand_of(
    database: TestDatabase,
    redis: TestRedis,
    catalog: Arc<FakeCatalog>,
    clock: Clock,
) -> Stand {
    // Deduplication per group, as in production: a stranger's command cannot swallow another's.
    let scope = "DeduplicationScope=messageGroup,FifoThroughputLimit=perMessageGroupId";
    let orders = format!("{ORDERS}:dlq={DEAD},max=5,VisibilityTimeout=30,{scope}");
    let sqs = localsqs::Config {
        queues: [orders.as_str(), DOCUMENTS, WEBHOOKS]
            .map(|queue| queue.parse::<QueueSpec>().unwrap())
            .into(),
        clock,
        ..localsqs::Config::default()
    };
    let sqs = steelyard_testkit::sqs_with(sqs).await;
    let env = Env::of([
        ("DATABASE_URL", database.url.as_str()),
        ("REDIS_URL", redis.url.as_str()),
        ("CATALOG_URL", catalog.url.as_str()),
        ("ORDERS_QUEUE", ORDERS),
        ("DOCUMENTS_QUEUE", DOCUMENTS),
        ("WEBHOOKS_QUEUE", WEBHOOKS),
        ("SERVICE_TOKEN", TOKEN),
        ("AUTH_ISSUER", ISSUER),
    ]);
    let mut config = Config::from_env(&env).unwrap();
    config.sqs = SqsConfig::local(sqs.url());
    config.listen = Listen::free();
    config.limits.poll_wait = Duration::from_secs(1);
    let separator = if database.url.contains('?') { '&' } else { '?' };
    let url = format!("{}{separator}options=-csearch_path%3Dorders", database.url);
    Stand {
        pool: PgPool::connect_lazy(&url).unwrap(),
        transport: SqsTransport::connect(config.sqs.clone()).await,
        http: reqwest::Client::new(),
        running: Vec::new(),
        catalog,
        database,
        redis,
        sqs,
        config,
    }
}

/// The stand with one service that has all roles.
pub async fn started() -> Stand {
    let mut stand = stand().await;
    stand.start().await;
    stand
}

impl Stand {
    /// Changes the settings of the services started from here on.
    pub fn configure(&mut self, change: impl FnOnce(&mut Config)) {
        change(&mut self.config);
    }

    pub async fn start(&mut self) {
        let orders = Orders::open(self.config.clone()).await.unwrap();
        let base = format!("http://{}", orders.addrs().api);
        let admin = format!("http://{}", orders.addrs().admin);
        let stop = CancellationToken::new();
        let run = orders.run(Metrics::detached(), stop.clone());
        let task = tokio::spawn(async move { run.await.unwrap() });
        self.running.push(Running {
            base,
            admin: admin.clone(),
            stop,
            task,
        });
        let http = self.http.clone();
        wait_for("the service is ready", SOON, async || {
            let ready = http.get(format!("{admin}/readyz")).send().await;
            ready.is_ok_and(|answer| answer.status() == 200)
        })
        .await;
    }

    /// Stops all services as a deploy does.
    pub async fn stop(&mut self) {
        for mut running in self.running.drain(..) {
            running.stop.cancel();
            (&mut running.task).await.unwrap();
        }
    }

    /// Ends all services as `kill -9` does, as far as one process can.
    pub fn kill(&mut self) {
        for running in self.running.drain(..) {
            running.task.abort();
        }
    }

    /// Puts commands on the queue, in this order.
    pub async fn send(&self, commands: &[Sealed]) {
        let messages = commands.iter().map(|sealed| {
            OutgoingMessage::fifo(&sealed.group_id, &sealed.deduplication_id, &sealed.body)
        });
        self.send_raw(messages.collect()).await;
    }

    pub async fn send_raw(&self, messages: Vec<OutgoingMessage>) {
        let queue = self.transport.queue_url(ORDERS).await.unwrap();
        for batch in messages.chunks(10) {
            let sent = self.transport.send_batch(&queue, batch).await.unwrap();
            assert!(sent.iter().all(Result::is_ok), "{sent:?}");
        }
    }

    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.running[0].base)
    }

    /// What `/readyz` says: the answer's status, the overall one, and the worker's.
    pub async fn readiness(&self) -> (u16, String, String) {
        let url = format!("{}/readyz", self.running[0].admin);
        let answer = self.http.get(url).send().await.unwrap();
        let status = answer.status().as_u16();
        let report: serde_json::Value =
            serde_json::from_str(&answer.text().await.unwrap()).unwrap();
        let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
        (
            status,
            text(&report["status"]),
            text(&report["checks"]["worker"]),
        )
    }

    /// A query as the gateway makes it: status and body.
    pub async fn get(&self, path: &str) -> (u16, String) {
        let url = self.url(path);
        let answer = self.http.get(url).bearer_auth(TOKEN).send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    }

    /// A call as the gateway makes it: status and body.
    pub async fn ask(&self, method: &str, path: &str, body: &Value) -> (u16, Value) {
        let method: reqwest::Method = method.parse().unwrap();
        let request = self.http.request(method, self.url(path)).bearer_auth(TOKEN);
        let answer = request.json(body).send().await.unwrap();
        let status = answer.status().as_u16();
        (status, answer.json().await.unwrap())
    }

    pub async fn find(&self, id: OrderId) -> Option<Order> {
        let (status, body) = self.get(&format!("/internal/orders/{id}")).await;
        (status == 200).then(|| serde_json::from_str(&body).unwrap())
    }

    /// The order, once it has been settled.
    pub async fn settled(&self, id: OrderId) -> Order {
        self.once(id, |_| true).await
    }

    /// The order, once it is as described.
    pub async fn once(&self, id: OrderId, is_so: impl Fn(&Order) -> bool) -> Order {
        let mut found = None;
        wait_for("the order is as expected", SOON, async || {
            found = self.find(id).await;
            found.as_ref().is_some_and(&is_so)
        })
        .await;
        found.unwrap()
    }

    /// Waits until the queue of commands is empty.
    pub async fn drained(&self) {
        wait_for("all commands are settled", SOON, async || {
            let depths = self.depths(ORDERS).await;
            depths == (0, 0)
        })
        .await;
    }

    /// Messages in a queue: visible and in flight.
    pub async fn depths(&self, queue: &str) -> (u64, u64) {
        let queue = self.transport.queue_url(queue).await.unwrap();
        let depths = self.transport.depths(&queue).await.unwrap();
        (depths.visible, depths.in_flight)
    }

    /// Where the queues are served.
    pub fn sqs_address(&self) -> std::net::SocketAddr {
        let url = self.sqs.url();
        url.trim_start_matches("http://")
            .trim_end_matches('/')
            .parse()
            .unwrap()
    }

    /// Takes `count` messages off a queue, in order, and sees that no more come.
    pub async fn receive(&self, queue: &str, count: usize) -> Vec<Received> {
        let url = self.transport.queue_url(queue).await.unwrap();
        let mut all = Vec::new();
        let deadline = tokio::time::Instant::now() + SOON;
        loop {
            let request = ReceiveRequest {
                messages_max: 10,
                wait: Duration::from_secs(u64::from(all.len() < count)),
                visibility: Duration::from_secs(60),
                attempt_id: None,
            };
            let received = self.transport.receive(&url, request).await.unwrap();
            if received.is_empty() && all.len() >= count {
                assert_eq!(all.len(), count, "{queue}");
                return all;
            }
            let receipts: Vec<_> = received.iter().map(|m| m.receipt_handle.clone()).collect();
            if !receipts.is_empty() {
                self.transport.delete_batch(&url, &receipts).await.unwrap();
            }
            all.extend(received);
            let in_time = tokio::time::Instant::now() < deadline;
            assert!(in_time, "{queue} gave {} messages, not {count}", all.len());
        }
    }

    /// One number out of the database.
    pub async fn number(&self, sql: &'static str) -> i64 {
        sqlx::query_scalar(sql).fetch_one(&self.pool).await.unwrap()
    }
}

/// Settings that put a whole backlog into one set.
pub fn one_big_set(config: &mut Config) {
    config.limits = Limits {
        sets_in_flight_max: 1,
        ..config.limits
    };
}

/// Settings of a process that only works.
pub fn only(roles: &str) -> impl FnOnce(&mut Config) {
    let roles: Roles = roles.parse().unwrap();
    move |config| config.roles = roles
}

/// Another database user or address.
pub fn database(url: String) -> impl FnOnce(&mut Config) {
    move |config| config.database_url = Secret::new(url)
}

/// A task whose agent is looked for without a pause.
pub fn spared_by(uri: &str) -> impl FnOnce(&mut Config) {
    let env = Env::of([("ECS_AGENT_URI", uri)]);
    let agent = TaskAgent::read(&mut env.reader(), &env).unwrap();
    let agent = agent.with(protection::Options {
        look_every: Duration::from_millis(1),
        ..protection::Options::default()
    });
    move |config| config.agent = Some(agent)
}
