//! Starting, stopping, watching.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::Duration;

use localsqs::{QueueSpec, Server};
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions as _, PgConnection};
use steelyard_localstores::free_port;
use steelyard_objects::S3Credentials;
use steelyard_queue::{OutgoingMessage, SqsConfig, SqsCredentials, SqsTransport, Transport};
use steelyard_runtime::config::Env;
use steelyard_runtime::telemetry::Metrics;
use steelyard_testkit::jwt::{AUDIENCE, ISSUER, Issuer, issuer};
use steelyard_testkit::{
    Proxy, TestDatabase, TestRedis, TestS3, postgres, proxy, redis, s3, sqs_with, wait_for_ok,
};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::PATIENCE;
use crate::balanced::Balanced;
use crate::client::{Client, plain_http};

const ORDERS: &str = "orders.fifo";
const DEAD_LETTERS: &str = "orders-dead-letters.fifo";
const DOCUMENTS: &str = "documents.fifo";
const WEBHOOKS: &str = "webhooks.fifo";
const BUCKET: &str = "documents";
const SHOP: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../services/documents/shop.example.toml"
);
const SERVICE_TOKEN: &str = "a service token of the stories";

/// A service that can be stopped and started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Part {
    /// The public door.
    Gateway,
    /// Another one beside it.
    SecondGateway,
    /// Products and stock.
    Catalog,
    /// One of the order workers, by its number.
    Orders(u8),
    /// Invoices and their like. Not there unless a story starts it.
    Documents,
}

struct Running {
    stop: CancellationToken,
    task: JoinHandle<()>,
}

/// The whole system.
pub struct System {
    issuer: Issuer,
    sqs: Server,
    s3: TestS3,
    redis: TestRedis,
    postgres_proxy: Proxy,
    redis_proxy: Proxy,
    databases: HashMap<&'static str, TestDatabase>,
    ports: HashMap<Part, (u16, u16)>,
    running: HashMap<Part, Running>,
    stop_notice: &'static str,
    copies_fresh: &'static str,
}

impl System {
    /// Everything up, with one order worker.
    pub async fn start() -> Self {
        Self::with_workers(1).await
    }

    /// Everything up, with that many order workers.
    pub async fn with_workers(workers: u8) -> Self {
        Self::with_workers_and_receives(workers, 100).await
    }

    /// The same, and a message that is received more often than that is dead.
    pub async fn with_workers_and_receives(workers: u8, receives_max: u32) -> Self {
        let mut system = Self::empty(receives_max).await;
        system.up(Part::Catalog).await;
        for number in 1..=workers {
            system.up(Part::Orders(number)).await;
        }
        system.up(Part::Gateway).await;
        system
    }

    async fn empty(receives_max: u32) -> Self {
        let databases = HashMap::from([
            ("catalog", postgres().await),
            ("orders", postgres().await),
            ("documents", postgres().await),
        ]);
        let redis = redis().await;
        let queues = [ORDERS, DOCUMENTS, WEBHOOKS].map(|name| {
            let dead_letters = name.replace(".fifo", "-dead-letters.fifo");
            format!("{name}:dlq={dead_letters},max={receives_max}").parse::<QueueSpec>()
        });
        let config = localsqs::Config {
            queues: queues
                .into_iter()
                .map(|spec| spec.expect("a queue"))
                .collect(),
            ..localsqs::Config::default()
        };
        Self {
            issuer: issuer(),
            sqs: sqs_with(config).await,
            s3: s3(&[BUCKET]).await,
            postgres_proxy: proxy(databases["orders"].address()),
            redis_proxy: proxy(redis.address()),
            redis,
            databases,
            ports: HashMap::new(),
            running: HashMap::new(),
            stop_notice: "0s",
            copies_fresh: "2s",
        }
    }

    /// Gateways started from here on announce a stop this long before they carry it out.
    pub fn announce_stops(&mut self, notice: &'static str) {
        self.stop_notice = notice;
    }

    /// Gateways started from here on believe their copies of products for so long.
    pub fn believe_copies_for(&mut self, time: &'static str) {
        self.copies_fresh = time;
    }

    /// Starts a part and waits until it is ready.
    pub async fn up(&mut self, part: Part) {
        let ports = *self.ports.entry(part).or_insert_with(|| {
            (
                free_port().expect("a free port"),
                free_port().expect("a free port"),
            )
        });
        // Callees are configured before they run, so their ports are settled with the first caller.
        for callee in [Part::Catalog, Part::Orders(1), Part::Documents] {
            self.ports.entry(callee).or_insert_with(|| {
                (
                    free_port().expect("a free port"),
                    free_port().expect("a free port"),
                )
            });
        }
        let stop = CancellationToken::new();
        let task = tokio::spawn(serve(
            part,
            self.env(part, ports),
            self.s3_keys(),
            stop.clone(),
        ));
        self.running.insert(part, Running { stop, task });
        let url = format!("http://127.0.0.1:{}/readyz", ports.1);
        let http = plain_http();
        wait_for_ok(&format!("{part:?} is ready"), PATIENCE, async || {
            let answer = http.get(&url).send().await;
            let answer = answer.map_err(|error| error.to_string())?;
            if answer.status().is_success() {
                return Ok(());
            }
            Err(answer.text().await.unwrap_or_default())
        })
        .await;
    }

    /// Stops a part in good order.
    pub async fn down(&mut self, part: Part) {
        if let Some(Running { stop, task }) = self.running.remove(&part) {
            stop.cancel();
            tokio::time::timeout(PATIENCE, task)
                .await
                .expect("stopped in time")
                .expect("no panic");
        }
    }

    /// No connection to Postgres goes through any more.
    pub fn take_postgres_away(&self) {
        self.postgres_proxy.refuse();
    }

    /// Postgres is back.
    pub fn bring_postgres_back(&self) {
        self.postgres_proxy.restore();
    }

    /// No connection to Redis goes through any more.
    pub fn take_redis_away(&self) {
        self.redis_proxy.refuse();
    }

    /// Redis is back.
    pub fn bring_redis_back(&self) {
        self.redis_proxy.restore();
    }

    /// A client whose token says who it is and what it may do.
    pub fn client(&self, sub: &str, scope: &str) -> Client {
        let token = self.issuer.mint(sub, scope, Duration::from_mins(30));
        Client::new(self.ports[&Part::Gateway].0, token)
    }

    /// The same over a load balancer before both gateways.
    pub fn balanced(&self, sub: &str, scope: &str) -> Balanced {
        let token = self.issuer.mint(sub, scope, Duration::from_mins(30));
        let gateways = [Part::Gateway, Part::SecondGateway].map(|part| self.ports[&part]);
        Balanced::new(&gateways, &token)
    }

    /// Puts a message into the orders queue, past the gateway.
    pub async fn send(&self, message: OutgoingMessage) {
        self.put(ORDERS, message).await;
    }

    /// Puts a message among the dead letters of orders.
    pub async fn send_to_dead_letters(&self, message: OutgoingMessage) {
        self.put(DEAD_LETTERS, message).await;
    }

    async fn put(&self, queue: &str, message: OutgoingMessage) {
        let transport = self.transport().await;
        let url = transport
            .queue_url(queue)
            .await
            .expect("the queue is there");
        let sent = transport.send_batch(&url, &[message]).await;
        let sent = sent.expect("the queue answers");
        assert!(sent.iter().all(Result::is_ok), "{sent:?}");
    }

    async fn transport(&self) -> SqsTransport {
        SqsTransport::connect(SqsConfig {
            region: Some("us-east-1".to_owned()),
            endpoint_url: Some(self.sqs.url()),
            credentials: credentials(),
        })
        .await
    }

    /// A connection to a service's database, past the proxy, in the service's schema.
    pub async fn database(&self, owner: &str) -> PgConnection {
        let database = &self.databases[owner];
        let options: PgConnectOptions = database.url.parse().expect("a URL");
        let options = options.options([("search_path", owner)]);
        options.connect().await.expect("a connection")
    }

    fn s3_keys(&self) -> S3Credentials {
        S3Credentials::Static {
            access_key_id: self.s3.access_key().to_owned(),
            secret_access_key: self.s3.secret_key().to_owned(),
        }
    }

    /// Messages in a queue: ready, in flight or delayed.
    pub async fn depth(&self, queue: &str) -> u64 {
        let transport = self.transport().await;
        let url = transport
            .queue_url(queue)
            .await
            .expect("the queue is there");
        let depths = transport.depths(&url).await.expect("the queue answers");
        depths.visible + depths.in_flight + depths.delayed
    }

    /// Orders that no worker could handle.
    pub async fn dead_letters(&self) -> u64 {
        self.depth(DEAD_LETTERS).await
    }

    /// Orders and commands that wait for a worker.
    pub async fn backlog(&self) -> u64 {
        self.depth(ORDERS).await
    }

    fn env(&self, part: Part, (port, admin_port): (u16, u16)) -> Env {
        let url_of = |callee: Part| format!("http://127.0.0.1:{}", self.ports[&callee].0);
        let mut env = Env::of([
            ("LISTEN_ADDR", format!("127.0.0.1:{port}")),
            ("ADMIN_ADDR", format!("127.0.0.1:{admin_port}")),
            ("SERVICE_TOKEN", SERVICE_TOKEN.to_owned()),
            ("REDIS_URL", self.redis.url_via(self.redis_proxy.address())),
            ("AWS_ENDPOINT_URL", self.sqs.url()),
            ("AWS_REGION", "us-east-1".to_owned()),
            ("POLL_WAIT", "1s".to_owned()),
            ("STOP_NOTICE", self.stop_notice.to_owned()),
            ("PRODUCT_FRESH_MAX", self.copies_fresh.to_owned()),
            ("ORDERS_QUEUE", ORDERS.to_owned()),
            ("DOCUMENTS_QUEUE", DOCUMENTS.to_owned()),
            ("WEBHOOKS_QUEUE", WEBHOOKS.to_owned()),
            ("CATALOG_URL", url_of(Part::Catalog)),
            ("ORDERS_URL", url_of(Part::Orders(1))),
            ("DOCUMENTS_URL", url_of(Part::Documents)),
            ("AUTH_JWKS", self.issuer.jwks()),
            ("AUTH_ISSUER", ISSUER.to_owned()),
            ("AUTH_AUDIENCE", AUDIENCE.to_owned()),
        ]);
        let owner = match part {
            Part::Gateway | Part::SecondGateway => return env,
            Part::Catalog => "catalog",
            Part::Orders(_) => "orders",
            Part::Documents => "documents",
        };
        if part == Part::Documents {
            env = env
                .with("AWS_ENDPOINT_URL_S3", self.s3.url())
                .with("DOCUMENTS_BUCKET", BUCKET)
                .with("SHOP", SHOP);
        }
        // The proxy leads to the server of all databases.
        let via: SocketAddr = self.postgres_proxy.address();
        env = env.with("DATABASE_URL", self.databases[owner].url_via(via));
        env
    }
}

/// The services run in this process, whose own variables must not matter.
fn credentials() -> SqsCredentials {
    SqsCredentials::Static {
        access_key_id: "test".to_owned(),
        secret_access_key: "test".to_owned(),
    }
}

async fn serve(part: Part, env: Env, s3_keys: S3Credentials, stop: CancellationToken) {
    match part {
        Part::Documents => {
            let mut config =
                steelyard_documents::Config::from_env(&env).expect("documents' settings");
            config.s3.credentials = s3_keys;
            if let Some(issuing) = &mut config.issuing {
                issuing.sqs.credentials = credentials();
            }
            let deps = steelyard_documents::Deps::connect(&config, Metrics::detached())
                .await
                .expect("the listeners of documents");
            steelyard_documents::run(deps, stop)
                .await
                .expect("documents runs");
        }
        Part::Catalog => {
            let config = steelyard_catalog::Config::from_env(&env).expect("catalog's settings");
            steelyard_catalog::run(&config, Metrics::detached(), stop)
                .await
                .expect("catalog runs");
        }
        Part::Orders(_) => {
            let mut config = steelyard_orders::Config::from_env(&env).expect("orders' settings");
            config.sqs.credentials = credentials();
            Box::pin(steelyard_orders::run(config, Metrics::detached(), stop))
                .await
                .expect("orders runs");
        }
        Part::Gateway | Part::SecondGateway => {
            let mut config = steelyard_gateway::Config::from_env(&env).expect("gateway's settings");
            config.sqs.credentials = credentials();
            let deps = steelyard_gateway::Deps::connect(&config, Metrics::detached())
                .await
                .expect("the gateway's listeners");
            Box::pin(steelyard_gateway::run(config, deps, stop))
                .await
                .expect("the gateway runs");
        }
    }
}
