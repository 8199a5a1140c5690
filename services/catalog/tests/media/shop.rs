//! A catalog that keeps images.

use std::sync::Arc;
use std::time::Duration;

use localsqs::{QueueSpec, Server};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use sqlx::PgPool;
use steelyard_catalog::{Catalog, Config};
use steelyard_domain::internal::paths;
use steelyard_objects::{Bucket, S3Config, S3Credentials};
use steelyard_queue::{OutgoingMessage, ReceiveRequest, SqsConfig, SqsTransport, Transport as _};
use steelyard_runtime::client::Internal;
use steelyard_runtime::config::{Env, Secret};
use steelyard_runtime::http::Listen;
use steelyard_runtime::telemetry::Metrics;
use steelyard_store::PoolOptions;
use steelyard_testkit::{
    Proxy, TestDatabase, TestRedis, TestS3, postgres, proxy, redis, s3, sqs_with, wait_for,
};
use tokio_util::sync::{CancellationToken, DropGuard};

/// How long a condition may take to come true on a busy machine, in a build that is not optimized.
pub(crate) const SOON: Duration = Duration::from_secs(60);
const TOKEN: &str = "a token for services";
pub(crate) const CDN: &str = "https://cdn.example/shop";
const DEAD_LETTERS: &str = "media-dead-letters";
const EVENTS: &str = "catalog-events.fifo";

pub(crate) struct Shop {
    client: Internal,
    addrs: Listen,
    http: reqwest::Client,
    pub(crate) pool: PgPool,
    pub(crate) bucket: Bucket,
    stands: Arc<Stands>,
    _stop: DropGuard,
}

/// What shops may share.
pub(crate) struct Stands {
    database: TestDatabase,
    s3: TestS3,
    pub(crate) s3_proxy: Proxy,
    sqs: Server,
    /// Where gateways listen, if there are any.
    pub(crate) redis: Option<TestRedis>,
}

/// An answer: status and body.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) body: Value,
}

impl Stands {
    pub(crate) async fn new() -> Arc<Self> {
        Self::beside(None).await
    }

    pub(crate) async fn with_redis() -> Arc<Self> {
        Self::beside(Some(redis().await)).await
    }

    async fn beside(redis: Option<TestRedis>) -> Arc<Self> {
        let queue = format!("media:dlq={DEAD_LETTERS},max=100");
        let s3 = s3(&["media"]).await;
        Arc::new(Self {
            database: postgres().await,
            redis,
            s3_proxy: proxy(s3.address()),
            s3,
            sqs: sqs_with(localsqs::Config {
                queues: [&*queue, EVENTS]
                    .map(|queue| queue.parse::<QueueSpec>().unwrap())
                    .into(),
                ..localsqs::Config::default()
            })
            .await,
        })
    }

    fn s3_config(&self, url: String) -> S3Config {
        S3Config {
            region: Some("us-east-1".to_owned()),
            endpoint_url: Some(url),
            credentials: S3Credentials::Static {
                access_key_id: self.s3.access_key().to_owned(),
                secret_access_key: self.s3.secret_key().to_owned(),
            },
        }
    }

    fn s3_url(&self) -> String {
        format!("http://{}", self.s3_proxy.address())
    }
}

impl Shop {
    pub(crate) async fn open() -> Self {
        let shop = Self::start(Stands::new().await, 1).await;
        shop.is_ready().await;
        shop
    }

    /// A catalog that works on so many images at once.
    pub(crate) async fn start(stands: Arc<Stands>, renders_max: usize) -> Self {
        let env = Env::of([
            ("DATABASE_URL", stands.database.url.as_str()),
            ("SERVICE_TOKEN", TOKEN),
            ("LISTEN_ADDR", "127.0.0.1:0"),
            ("ADMIN_ADDR", "127.0.0.1:0"),
            ("AWS_REGION", "us-east-1"),
            ("MEDIA_BUCKET", "media"),
            ("MEDIA_QUEUE", "media"),
            ("CATALOG_EVENTS_QUEUE", EVENTS),
            ("MEDIA_SWEEP_EVERY", "200ms"),
            ("MEDIA_RENDER_MAX", "5m"),
            ("POLL_WAIT", "1s"),
        ]);
        let env = match &stands.redis {
            Some(redis) => env.with("REDIS_URL", &redis.url),
            None => env,
        };
        let env = env
            .with("MEDIA_BASE_URL", format!("{CDN}/"))
            .with("MEDIA_RENDERS_MAX", renders_max.to_string())
            .with("AWS_ENDPOINT_URL", stands.sqs.url())
            .with("AWS_ENDPOINT_URL_S3", stands.s3_url());
        let mut config = Config::from_env(&env).unwrap();
        let media = config.media.as_mut().unwrap();
        media.s3 = stands.s3_config(stands.s3_url());
        media.sqs = SqsConfig::local(stands.sqs.url());
        config.sqs = SqsConfig::local(stands.sqs.url());
        let catalog = Catalog::open(&config).await.unwrap();
        let addrs = catalog.addrs();
        let stop = CancellationToken::new();
        tokio::spawn(catalog.run(Metrics::detached(), stop.clone()));
        let base = format!("http://{}", addrs.api).parse().unwrap();
        let url = stands.s3.url();
        Self {
            client: Internal::new("catalog", base, Secret::new(TOKEN), SOON).unwrap(),
            addrs,
            http: reqwest::Client::builder().no_proxy().build().unwrap(),
            pool: steelyard_store::connect(&stands.database.url, &PoolOptions::new("catalog"))
                .unwrap(),
            bucket: Bucket::connect(stands.s3_config(url), "media").await,
            stands,
            _stop: stop.drop_guard(),
        }
    }

    pub(crate) fn stands(&self) -> Arc<Stands> {
        Arc::clone(&self.stands)
    }

    /// `/readyz`, as soon as it is there.
    pub(crate) async fn readiness(&self) -> Option<String> {
        let asked = self.http.get(format!("http://{}/readyz", self.addrs.admin));
        let answer = asked.send().await.ok()?;
        let is_ready = answer.status().is_success();
        answer.text().await.ok().filter(|_| is_ready)
    }

    pub(crate) async fn is_ready(&self) {
        wait_for("the catalog is ready", SOON, async || {
            self.readiness().await.is_some()
        })
        .await;
    }

    pub(crate) async fn call(&self, method: Method, path: &str, body: Option<&Value>) -> Answer {
        // A list has no path of its own, only a query.
        let slash = if path.starts_with('?') { "" } else { "/" };
        let path = format!("{}{slash}{path}", paths::PRODUCTS);
        let mut request = self.client.request(method, &path);
        request = request.header("x-on-behalf-of", "J%C3%BCrgen");
        if let Some(body) = body {
            request = request.json(body);
        }
        let answer = request.send().await.unwrap();
        let status = answer.status();
        let text = answer.text().await.unwrap();
        let body = serde_json::from_str(&text).unwrap_or(Value::Null);
        Answer { status, body }
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.call(Method::GET, path, None).await
    }

    /// Makes a product.
    pub(crate) async fn product(&self, sku: &str) {
        let body = json!({"name": "A lamp", "prices": []});
        wait_for("the product is there", SOON, async || {
            let made = self.call(Method::PUT, sku, Some(&body)).await;
            made.status.is_success()
        })
        .await;
    }

    pub(crate) async fn announce(&self, sku: &str, content_type: &str, bytes: usize) -> Answer {
        let body = json!({"content_type": content_type, "bytes": bytes, "alt": "A lamp"});
        self.call(Method::POST, &format!("{sku}/images"), Some(&body))
            .await
    }

    /// Makes the request that an announcement gave, with this file.
    pub(crate) async fn upload(&self, announced: &Answer, file: &[u8]) -> StatusCode {
        let upload = &announced.body["upload"];
        let method = upload["method"].as_str().unwrap().parse().unwrap();
        let mut request = self.http.request(method, upload["url"].as_str().unwrap());
        for (name, value) in upload["headers"].as_object().unwrap() {
            if name != "content-length" {
                request = request.header(name, value.as_str().unwrap());
            }
        }
        request.body(file.to_vec()).send().await.unwrap().status()
    }

    /// Announces, uploads and completes; answers the image's path.
    pub(crate) async fn bring(&self, sku: &str, content_type: &str, file: &[u8]) -> String {
        let announced = self.announce(sku, content_type, file.len()).await;
        assert_eq!(announced.status, StatusCode::CREATED, "{announced:?}");
        assert_eq!(self.upload(&announced, file).await, StatusCode::OK);
        let path = path_of(sku, &announced);
        let completed = self.complete(&path).await;
        assert_eq!(completed.status, StatusCode::ACCEPTED, "{completed:?}");
        path
    }

    pub(crate) async fn complete(&self, path: &str) -> Answer {
        self.call(Method::POST, &format!("{path}/complete"), None)
            .await
    }

    /// The image once it is settled.
    pub(crate) async fn settled(&self, path: &str) -> Value {
        let mut image = Value::Null;
        wait_for("the image is settled", SOON, async || {
            image = self.get(path).await.body;
            matches!(image["status"].as_str(), Some("ready" | "refused"))
        })
        .await;
        image
    }

    pub(crate) async fn keys(&self, prefix: &str) -> Vec<String> {
        let listed = self.bucket.list(prefix, None).await.unwrap();
        listed.into_iter().map(|object| object.key).collect()
    }

    /// As if the image had been announced so long ago.
    pub(crate) async fn age(&self, path: &str, hours: i32) {
        let id = path.rsplit('/').next().unwrap();
        sqlx::query(
            "UPDATE images SET created_at = created_at - $2 * interval '1 hour' WHERE id = $1::uuid",
        )
        .bind(id)
        .bind(hours)
        .execute(&self.pool)
        .await
        .unwrap();
    }

    async fn transport(&self) -> SqsTransport {
        SqsTransport::connect(SqsConfig::local(self.stands.sqs.url())).await
    }

    pub(crate) async fn send(&self, body: &str) {
        let transport = self.transport().await;
        let queue = transport.queue_url("media").await.unwrap();
        let message = OutgoingMessage::standard(body);
        let sent = transport.send_batch(&queue, &[message]).await.unwrap();
        assert!(sent.iter().all(Result::is_ok), "{sent:?}");
    }

    /// So many events, each as its type, SKU and version.
    pub(crate) async fn events(&self, count: usize) -> Vec<String> {
        let transport = self.transport().await;
        let queue = transport.queue_url(EVENTS).await.unwrap();
        let mut events = Vec::new();
        wait_for("the events are in the queue", SOON, async || {
            let request = ReceiveRequest {
                messages_max: 10,
                wait: Duration::from_secs(1),
                visibility: Duration::from_secs(60),
                attempt_id: None,
            };
            let received = transport.receive(&queue, request).await.unwrap();
            let receipts: Vec<_> = received.iter().map(|m| m.receipt_handle.clone()).collect();
            if !receipts.is_empty() {
                transport.delete_batch(&queue, &receipts).await.unwrap();
            }
            events.extend(received.iter().map(|message| {
                let event: Value = serde_json::from_str(&message.body).unwrap();
                let (kind, product) = (event["type"].as_str().unwrap(), &event["products"][0]);
                let sku = product["sku"].as_str().unwrap();
                format!("{kind} {sku} {}", product["version"])
            }));
            events.len() >= count
        })
        .await;
        // Those of different products have no order.
        events.sort_unstable();
        events
    }

    pub(crate) async fn dead_letters(&self) -> u64 {
        let transport = self.transport().await;
        let queue = transport.queue_url(DEAD_LETTERS).await.unwrap();
        transport.depths(&queue).await.unwrap().visible
    }
}

/// `{sku}/images/{id}`.
pub(crate) fn path_of(sku: &str, announced: &Answer) -> String {
    let id = announced.body["image"]["id"].as_str().unwrap();
    format!("{sku}/images/{id}")
}
