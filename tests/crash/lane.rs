//! One whole system for one cell at a time: servers, wires, and the three services as processes.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use localsqs::{Clock, QueueSpec, Server};
use redis::AsyncCommands as _;
use sqlx::PgPool;
use steelyard_queue::{
    OutgoingMessage, ReceiveRequest, Received, SqsConfig, SqsTransport, Transport as _,
};
use steelyard_testkit::jwt::{AUDIENCE, ISSUER, Issuer, issuer};
use steelyard_testkit::{
    Point, TestDatabase, TestRedis, Wire, postgres, redis, sqs_with, wait_for,
};
use steelyard_tests::PATIENCE;
use tempfile::TempDir;
use time::OffsetDateTime;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::matrix::{Armed, Cell};
use crate::part::Part;
use crate::shop::Shop;
use crate::source;
use crate::story::Story;

pub(crate) const ORDERS: &str = "orders.fifo";
pub(crate) const DEAD_LETTERS: &str = "orders-dead-letters.fifo";
pub(crate) const DOCUMENTS: &str = "documents.fifo";
pub(crate) const WEBHOOKS: &str = "webhooks.fifo";
pub(crate) const TOKEN: &str = "a service token of the crash matrix";
/// More than the worker's `VISIBILITY_TIMEOUT`.
const VISIBILITY_OVER: Duration = Duration::from_secs(61);
/// The queue's time runs like ours, and can be moved on besides.
const TICK: Duration = Duration::from_millis(20);

/// How a story went.
pub(crate) struct Run {
    /// What was asked for, by all parts.
    pub(crate) points: Vec<Point>,
    /// Whether the fault happened.
    pub(crate) fired: bool,
}

pub(crate) struct Lane {
    pub(crate) gateway: Part,
    pub(crate) orders: Part,
    pub(crate) catalog: Part,
    pub(crate) pool: PgPool,
    pub(crate) transport: SqsTransport,
    pub(crate) http: reqwest::Client,
    pub(crate) issuer: Issuer,
    sqs: Server,
    clock: Clock,
    redis: TestRedis,
    _database: TestDatabase,
    _dir: TempDir,
    _ticking: DropGuard,
}

impl Lane {
    /// Everything up, and one order through it: what happens once per process lies behind.
    pub(crate) async fn start() -> Self {
        let lane = Self::up().await;
        lane.run(Story::Place, None).await;
        lane
    }

    async fn up() -> Self {
        let (database, redis) = tokio::join!(postgres(), redis());
        let clock = Clock::manual(OffsetDateTime::now_utc());
        let queue = |name: &str| -> QueueSpec { name.parse().expect("a queue") };
        let orders_queue = format!("{ORDERS}:dlq={DEAD_LETTERS},max=100");
        let sqs = sqs_with(localsqs::Config {
            clock: clock.clone(),
            queues: [orders_queue.as_str(), DOCUMENTS, WEBHOOKS]
                .map(queue)
                .into(),
            ..localsqs::Config::default()
        })
        .await;
        let ticking = CancellationToken::new();
        tokio::spawn(
            ticking
                .clone()
                .run_until_cancelled_owned(tick(clock.clone())),
        );

        let dir = tempfile::tempdir().expect("a directory");
        let issuer = issuer();
        let [mut gateway, mut orders, mut catalog] =
            ["gateway", "orders", "catalog"].map(|name| Part::new(name, dir.path()));
        let (at, scripts) = (database.address(), source::scripts());
        catalog.configure([
            (
                "DATABASE_URL",
                database.url_via(catalog.wire.postgres(at).await),
            ),
            ("SERVICE_TOKEN", TOKEN.to_owned()),
        ]);
        let local = |part: &Part| SocketAddr::from(([127, 0, 0, 1], part.port));
        let to_redis = orders.wire.redis(redis.address(), scripts.clone()).await;
        orders.configure([
            (
                "DATABASE_URL",
                database.url_via(orders.wire.postgres(at).await),
            ),
            ("REDIS_URL", redis.url_via(to_redis)),
            ("CATALOG_URL", http(orders.wire.http(local(&catalog)).await)),
            (
                "AWS_ENDPOINT_URL",
                http(orders.wire.http(sqs.address()).await),
            ),
            ("AWS_REGION", "us-east-1".to_owned()),
            ("AWS_ACCESS_KEY_ID", "test".to_owned()),
            ("AWS_SECRET_ACCESS_KEY", "test".to_owned()),
            ("ORDERS_QUEUE", ORDERS.to_owned()),
            ("DOCUMENTS_QUEUE", DOCUMENTS.to_owned()),
            ("WEBHOOKS_QUEUE", WEBHOOKS.to_owned()),
            ("SERVICE_TOKEN", TOKEN.to_owned()),
        ]);
        let to_redis = gateway.wire.redis(redis.address(), scripts).await;
        gateway.configure([
            ("REDIS_URL", redis.url_via(to_redis)),
            ("CATALOG_URL", catalog.base()),
            ("ORDERS_URL", orders.base()),
            // No part of this.
            ("DOCUMENTS_URL", "http://127.0.0.1:9".to_owned()),
            (
                "AWS_ENDPOINT_URL",
                http(gateway.wire.http(sqs.address()).await),
            ),
            ("AWS_REGION", "us-east-1".to_owned()),
            ("AWS_ACCESS_KEY_ID", "test".to_owned()),
            ("AWS_SECRET_ACCESS_KEY", "test".to_owned()),
            ("ORDERS_QUEUE", ORDERS.to_owned()),
            ("SERVICE_TOKEN", TOKEN.to_owned()),
            ("AUTH_JWKS", issuer.jwks()),
            ("AUTH_ISSUER", ISSUER.to_owned()),
            ("AUTH_AUDIENCE", AUDIENCE.to_owned()),
        ]);
        tokio::join!(catalog.start(), orders.start(), gateway.start());
        Self {
            gateway,
            orders,
            catalog,
            pool: PgPool::connect_lazy(&database.url).expect("a URL"),
            transport: SqsTransport::connect(SqsConfig::local(sqs.url())).await,
            http: reqwest::Client::builder()
                .no_proxy()
                .build()
                .expect("a client"),
            issuer,
            sqs,
            clock,
            redis,
            _database: database,
            _dir: dir,
            _ticking: ticking.drop_guard(),
        }
    }

    fn parts(&self) -> [&Part; 3] {
        [&self.gateway, &self.orders, &self.catalog]
    }

    fn wire(&self, part: &str) -> &Wire {
        let part = self.parts().into_iter().find(|known| known.name == part);
        &part.expect("one of the three").wire
    }

    /// Plays a story, with a fault if there is one, and checks all promises.
    pub(crate) async fn run(&self, story: Story, armed: Option<&Armed>) -> Run {
        let mut shop = Shop::open(self);
        story.prepare(&mut shop).await;
        shop.quiet().await;
        for part in self.parts() {
            part.wire.record();
        }
        if let Some(Armed { point, fault }) = armed {
            self.wire(point.part).arm(point.clone(), *fault);
        }
        let over = CancellationToken::new();
        let play = async {
            story.act(&mut shop).await;
            shop.quiet().await;
            let fired = match armed {
                Some(armed) => self.has_fired(&armed.point).await,
                None => false,
            };
            over.cancel();
            fired
        };
        let (fired, ()) = tokio::join!(play, self.bury_the_dead(&over));
        shop.quiet().await;
        let points = self.parts().into_iter().flat_map(|part| part.wire.points());
        let points = points.collect();
        for part in self.parts() {
            // What is looked at from here on is no part of the story.
            part.wire.record();
        }
        shop.check().await;
        Run { points, fired }
    }

    /// A fault at the very last answer comes after all that can be seen from here.
    async fn has_fired(&self, point: &Point) -> bool {
        let wire = self.wire(point.part);
        let fired = async {
            while !wire.has_fired() {
                tokio::time::sleep(TICK).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(5), fired)
            .await
            .is_ok()
    }

    /// Replaces whoever dies, until the story is over and all are there.
    async fn bury_the_dead(&self, over: &CancellationToken) {
        loop {
            let dead = tokio::select! {
                biased;
                () = self.gateway.wire.death() => &self.gateway,
                () = self.orders.wire.death() => &self.orders,
                () = self.catalog.wire.death() => &self.catalog,
                () = over.cancelled() => return,
            };
            dead.kill().await;
            if dead.name == self.orders.name {
                self.let_time_pass().await;
            }
            dead.wire.revive();
            dead.start().await;
        }
    }

    /// What the dead worker had in its hands comes free: its leases run out, and its messages can be seen again.
    async fn let_time_pass(&self) {
        let client = redis::Client::open(self.redis.url.as_str()).expect("a URL");
        let connection = client.get_multiplexed_async_connection().await;
        let mut connection = connection.expect("Redis is there");
        let leases: Vec<String> = connection.keys("*:lease:*").await.expect("the keys");
        for lease in leases {
            let () = connection.del(lease).await.expect("a lease runs out");
        }
        self.clock.advance(VISIBILITY_OVER);
    }

    /// Messages in a queue: visible, in flight or delayed.
    pub(crate) async fn depth(&self, queue: &str) -> u64 {
        let url = self.transport.queue_url(queue).await.expect("a queue");
        let depths = self.transport.depths(&url).await.expect("its depths");
        depths.visible + depths.in_flight + depths.delayed
    }

    pub(crate) async fn send(&self, messages: &[OutgoingMessage]) {
        let url = self.transport.queue_url(ORDERS).await.expect("a queue");
        let sent = self.transport.send_batch(&url, messages).await;
        assert!(sent.expect("sent").iter().all(Result::is_ok));
    }

    /// Takes everything off a queue, in order.
    pub(crate) async fn take_all(&self, queue: &str) -> Vec<Received> {
        let url = self.transport.queue_url(queue).await.expect("a queue");
        let mut all = Vec::new();
        wait_for("the queue is empty", PATIENCE, async || {
            let request = ReceiveRequest {
                messages_max: 10,
                wait: Duration::ZERO,
                visibility: Duration::from_secs(30),
                attempt_id: None,
            };
            let received = self
                .transport
                .receive(&url, request)
                .await
                .expect("received");
            let receipts: Vec<_> = received.iter().map(|m| m.receipt_handle.clone()).collect();
            if !receipts.is_empty() {
                let deleted = self.transport.delete_batch(&url, &receipts).await;
                assert!(deleted.expect("deleted").iter().all(Result::is_ok));
            }
            all.extend(received);
            self.depth(queue).await == 0
        })
        .await;
        all
    }

    /// What its services said last, for whoever looks into a failure.
    pub(crate) fn said(&self, cell: &Cell) -> String {
        let said = self.parts().map(Part::said).join("\n");
        format!("{cell} at {}\n{said}", self.sqs.url())
    }
}

async fn tick(clock: Clock) {
    let mut ticks = tokio::time::interval(TICK);
    loop {
        ticks.tick().await;
        clock.advance(TICK);
    }
}

fn http(address: SocketAddr) -> String {
    format!("http://{address}")
}

/// The lua files below a directory.
pub(crate) fn scripts_in(dir: &Path) -> HashMap<String, String> {
    let files = std::fs::read_dir(dir).expect("a directory");
    let paths = files.map(|file| file.expect("a file").path());
    paths
        .map(|path| {
            let code = std::fs::read_to_string(&path).expect("a script");
            let name = path
                .file_stem()
                .expect("a name")
                .to_string_lossy()
                .into_owned();
            let hash = redis::Script::new(&code).get_hash().to_owned();
            (hash, format!("lease {name}"))
        })
        .collect()
}
