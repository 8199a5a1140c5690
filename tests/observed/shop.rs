//! The services as processes, telling a collector.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use localsqs::{QueueSpec, Server};
use reqwest::Method;
use serde_json::{Value, json};
use steelyard_localstores::free_port;
use steelyard_localstores::supervise::{Spec, Supervised};
use steelyard_testkit::jwt::{AUDIENCE, ISSUER, Issuer, issuer};
use steelyard_testkit::{
    Collector, TestDatabase, TestRedis, TestS3, collector, postgres, redis, s3, sqs_with,
    wait_for_ok,
};
use steelyard_tests::PATIENCE;

/// Who issues documents.
const SHOP: &str = include_str!("../../services/documents/shop.example.toml");
pub(crate) const SERVICE_TOKEN: &str = "a-service-token-that-nobody-may-read";
const SERVICES: [&str; 4] = ["catalog", "documents", "orders", "gateway"];
const BUCKET: &str = "documents";

/// The system, observed.
pub(crate) struct Shop {
    pub(crate) collector: Collector,
    pub(crate) database: TestDatabase,
    pub(crate) http: reqwest::Client,
    issuer: Issuer,
    ports: HashMap<&'static str, (u16, u16)>,
    processes: Vec<Supervised>,
    dir: tempfile::TempDir,
    redis: TestRedis,
    sqs: Server,
    s3: TestS3,
}

impl Shop {
    /// Everything up: the gateway logs `info`, those behind it all that they have to say.
    pub(crate) async fn open() -> Self {
        let (database, redis, collector) = tokio::join!(postgres(), redis(), collector());
        let s3 = s3(&[BUCKET]).await;
        let queues = [
            "orders.fifo:dlq=orders-dead-letters.fifo,max=100",
            "documents.fifo:dlq=documents-dead-letters.fifo,max=100",
            "webhooks.fifo",
        ];
        let sqs = sqs_with(localsqs::Config {
            queues: queues
                .map(|spec| spec.parse::<QueueSpec>().expect("a queue"))
                .into(),
            ..localsqs::Config::default()
        })
        .await;
        let port = || free_port().expect("a free port");
        let ports: HashMap<_, _> = SERVICES.map(|name| (name, (port(), port()))).into();
        let mut shop = Self {
            collector,
            database,
            http: reqwest::Client::builder()
                .no_proxy()
                .tls_certs_only([])
                .build()
                .expect("a client"),
            issuer: issuer(),
            ports,
            processes: Vec::new(),
            dir: tempfile::tempdir().expect("a directory"),
            redis,
            sqs,
            s3,
        };
        for name in SERVICES {
            shop.start(name).await;
        }
        shop
    }

    async fn start(&mut self, name: &'static str) {
        let log = self.log(name);
        let program = Path::new(env!("CARGO_BIN_EXE_part"));
        let mut spec = Spec::new(name, program, self.dir.path(), &log);
        spec.env = self.env(name);
        let process = Supervised::spawn(spec).await.expect("the part starts");
        self.processes.push(process);
        let ready = self.admin(name, "/readyz");
        wait_for_ok(&format!("{name} is ready"), PATIENCE, async || {
            let answer = self.http.get(&ready).send().await;
            let answer = answer.map_err(|error| error.to_string())?;
            if answer.status().is_success() {
                return Ok(());
            }
            Err(answer.text().await.unwrap_or_default())
        })
        .await;
    }

    fn env(&self, name: &str) -> Vec<(String, String)> {
        let (port, admin_port) = self.ports[name];
        let url_of = |name: &str| format!("http://127.0.0.1:{}", self.ports[name].0);
        let filter = if name == "gateway" { "info" } else { "trace" };
        let env = [
            ("PART", name.to_owned()),
            ("RUST_LOG", filter.to_owned()),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", self.collector.url()),
            ("OTEL_METRICS_EXPORTER", "otlp".to_owned()),
            ("OTEL_METRIC_EXPORT_INTERVAL", "500".to_owned()),
            // How long the exporter of traces gathers, in milliseconds: five seconds if nobody says.
            ("OTEL_BSP_SCHEDULE_DELAY", "100".to_owned()),
            ("LISTEN_ADDR", format!("127.0.0.1:{port}")),
            ("ADMIN_ADDR", format!("127.0.0.1:{admin_port}")),
            ("DATABASE_URL", self.database.url.clone()),
            ("REDIS_URL", self.redis.url.clone()),
            ("SERVICE_TOKEN", SERVICE_TOKEN.to_owned()),
            ("CATALOG_URL", url_of("catalog")),
            ("ORDERS_URL", url_of("orders")),
            ("DOCUMENTS_URL", url_of("documents")),
            ("AWS_ENDPOINT_URL", self.sqs.url()),
            ("AWS_REGION", "us-east-1".to_owned()),
            ("AWS_ENDPOINT_URL_S3", self.s3.url()),
            ("AWS_ACCESS_KEY_ID", self.s3.access_key().to_owned()),
            ("AWS_SECRET_ACCESS_KEY", self.s3.secret_key().to_owned()),
            ("POLL_WAIT", "1s".to_owned()),
            ("STOP_NOTICE", "0s".to_owned()),
            ("DOCUMENTS_BUCKET", BUCKET.to_owned()),
            ("SHOP", SHOP.to_owned()),
            ("ORDERS_QUEUE", "orders.fifo".to_owned()),
            ("DOCUMENTS_QUEUE", "documents.fifo".to_owned()),
            ("WEBHOOKS_QUEUE", "webhooks.fifo".to_owned()),
            ("AUTH_JWKS", self.issuer.jwks()),
            ("AUTH_ISSUER", ISSUER.to_owned()),
            ("AUTH_AUDIENCE", AUDIENCE.to_owned()),
        ];
        env.map(|(name, value)| (name.to_owned(), value)).into()
    }

    pub(crate) fn token(&self, sub: &str, scope: &str) -> String {
        self.issuer.mint(sub, scope, Duration::from_mins(30))
    }

    /// A request to the gateway.
    pub(crate) fn call(&self, method: Method, path: &str, token: &str) -> reqwest::RequestBuilder {
        let url = format!("http://127.0.0.1:{}{path}", self.ports["gateway"].0);
        self.http.request(method, url).bearer_auth(token)
    }

    pub(crate) fn admin(&self, name: &str, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.ports[name].1)
    }

    /// A product with a hundred pieces of it.
    pub(crate) async fn stock(&self, sku: &str) {
        let product = json!({
            "sku": sku, "name": "Tea", "prices": [{"currency": "GBP", "amount": "1.00"}],
            "stock": {"adjust": 100, "reference": "opening"},
        });
        let token = self.token("office", "catalog:write");
        let call = self
            .call(Method::POST, "/v1/products/import", &token)
            .header("content-type", "application/x-ndjson")
            .body(format!("{product}\n"));
        let report = call.send().await.expect("an answer").text().await;
        let report = report.expect("a report");
        assert!(report.contains("\"failed\":0"), "{report}");
    }

    fn log(&self, name: &str) -> PathBuf {
        self.dir.path().join(format!("{name}.log"))
    }

    /// What a service has logged so far.
    pub(crate) fn said(&self, name: &str) -> String {
        std::fs::read_to_string(self.log(name)).expect("a log")
    }

    /// The log lines of a service that belong to a trace.
    pub(crate) fn lines_of(&self, name: &str, trace_id: &str) -> Vec<Value> {
        let said = self.said(name);
        let lines = said
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok());
        let belongs = |line: &Value| {
            let spans = line["spans"].as_array().into_iter().flatten();
            spans
                .filter_map(|span| span["trace_id"].as_str())
                .any(|found| found == trace_id)
        };
        lines.filter(belongs).collect()
    }

    /// All that all services have logged.
    pub(crate) fn all_said(&self) -> Vec<(&'static str, String)> {
        SERVICES.map(|name| (name, self.said(name))).into()
    }
}
