//! `bench products`: what a product costs that a shopper reads through the gateway, of its cache and of the catalog.
//!
//! Gateway, catalog, Postgres and Redis are processes of their own on this machine.

use std::fmt::Write as _;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use bytes::Bytes;
use clap::Args;
use http_body_util::{BodyExt as _, Empty};
use hyper::Request;
use hyper_util::rt::TokioIo;
use steelyard_localstores::{Durability, Postgres, Redis, StoreOptions, free_port};
use steelyard_tokens::{AUDIENCE, Claims, ISSUER, Keys};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::task::JoinSet;

use crate::process::{beside, cpu_ms, family_cpu_ms, ready, rss_kib};

const TOKEN: &str = "the token of the benchmark";
/// Products that are asked for again and again.
const HOT: usize = 100;
/// Products of one import request.
const LINES: usize = 50_000;
/// Coprime to any sensible number of products: with it as the step, each is read once before any is read again.
const STRIDE: usize = 7_919;
const IMPORT_MAX: Duration = Duration::from_secs(600);

/// What to measure.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Products in the catalog.
    #[arg(long, default_value_t = 100_000)]
    products: usize,
    /// Reads of a few products.
    #[arg(long, default_value_t = 200_000)]
    hits: usize,
    /// Reads of as many products.
    #[arg(long, default_value_t = 20_000)]
    misses: usize,
    /// Connections, each with one request under way.
    #[arg(long, default_value_t = 8)]
    connections: usize,
}

struct Target {
    host: String,
    bearer: String,
    gateway: Child,
    catalog: Child,
    redis: Redis,
    postgres: Postgres,
}

/// Measures and prints.
pub(crate) async fn run(options: Options) -> anyhow::Result<()> {
    let dir = |kind: &str| {
        let name = format!("steelyard-bench-{kind}-{}", std::process::id());
        std::env::temp_dir().join(name)
    };
    let stores = [dir("postgres"), dir("redis")];
    let mut target = Target::start(&stores).await?;
    target.import(options.products).await?;
    let hot = |n: usize| n % HOT;
    target.reads(HOT, options.connections, hot).await?;
    target
        .measure("of the cache", options.hits, options.connections, hot)
        .await?;
    let products = options.products.max(1);
    // The first have been read.
    let cold = move |n: usize| (HOT + n * STRIDE) % products;
    for connections in [1, options.connections] {
        let what = format!("of the catalog, {connections} at a time");
        target
            .measure(&what, options.misses, connections, cold)
            .await?;
    }
    target.gateway.kill().await?;
    target.catalog.kill().await?;
    target.redis.stop().await?;
    target.postgres.stop().await?;
    Postgres::remove(&stores[0])?;
    Ok(())
}

impl Target {
    async fn start([postgres, redis]: &[std::path::PathBuf; 2]) -> anyhow::Result<Self> {
        let postgres = Postgres::start(postgres, &StoreOptions::new(Durability::Honest)).await?;
        let redis = Redis::start(redis, &StoreOptions::new(Durability::Throwaway)).await?;
        let keys = Keys::generate()?;
        let catalog_api = free_port()?;
        let mut catalog = service("catalog", catalog_api, &redis)?;
        catalog.0.env("DATABASE_URL", postgres.url("postgres"));
        let catalog = (catalog.0.spawn()?, catalog.1);
        ready(&catalog.1).await?;
        let api = free_port()?;
        let mut gateway = service("gateway", api, &redis)?;
        gateway
            .0
            .env("CATALOG_URL", format!("http://127.0.0.1:{catalog_api}"))
            // None of these is asked for a product.
            .env("ORDERS_URL", "http://127.0.0.1:9")
            .env("DOCUMENTS_URL", "http://127.0.0.1:9")
            .env("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
            .env("AWS_REGION", "us-east-1")
            .env("AWS_ACCESS_KEY_ID", "test")
            .env("AWS_SECRET_ACCESS_KEY", "test")
            .env("ORDERS_QUEUE", "orders.fifo")
            .env("RATE_LIMIT_PER_S", "1000000")
            .env("RATE_LIMIT_BURST", "1000000")
            .env("AUTH_JWKS", keys.jwks())
            .env("AUTH_ISSUER", ISSUER)
            .env("AUTH_AUDIENCE", AUDIENCE);
        let gateway = (gateway.0.spawn()?, gateway.1);
        ready(&gateway.1.replace("/readyz", "/healthz")).await?;
        let claims = Claims::new("shop", "storefront catalog:write", Duration::from_hours(1));
        Ok(Self {
            host: format!("127.0.0.1:{api}"),
            bearer: format!("Bearer {}", keys.mint(&claims)?),
            gateway: gateway.0,
            catalog: catalog.0,
            redis,
            postgres,
        })
    }

    async fn import(&self, products: usize) -> anyhow::Result<()> {
        let http = reqwest::Client::builder().timeout(IMPORT_MAX).build()?;
        for first in (0..products).step_by(LINES) {
            let mut lines = String::new();
            for n in first..products.min(first + LINES) {
                let pence = 55 + n % 900;
                writeln!(
                    lines,
                    r#"{{"sku":"P{n}","name":"Product number {n}","description":"{}","category":"c{}","attributes":{{"brand":"B{}"}},"prices":[{{"currency":"GBP","amount":"{}.{:02}"}}]}}"#,
                    "Painted by hand. ".repeat(10),
                    n % 400,
                    n % 200,
                    pence / 100,
                    pence % 100,
                )?;
            }
            let answer = http
                .post(format!("http://{}/v1/products/import", self.host))
                .header("authorization", &self.bearer)
                .header("content-type", "application/x-ndjson")
                .body(lines)
                .send()
                .await?
                .error_for_status()?;
            let report: serde_json::Value = answer.json().await?;
            anyhow::ensure!(report["failed"] == 0, "not all were imported: {report}");
        }
        Ok(())
    }

    #[expect(clippy::print_stdout, reason = "the report is what this is for")]
    async fn measure(
        &self,
        what: &str,
        reads: usize,
        connections: usize,
        sku: impl Fn(usize) -> usize + Copy + Send + 'static,
    ) -> anyhow::Result<()> {
        let cpu = || -> anyhow::Result<[u64; 3]> {
            let of = |child: &Child| cpu_ms(child.id().context("a part has ended")?);
            let postgres = family_cpu_ms(self.postgres.pid())?;
            Ok([of(&self.gateway)?, of(&self.catalog)?, postgres])
        };
        let (before, began) = (cpu()?, Instant::now());
        let mut latencies = self.reads(reads, connections, sku).await?;
        let (took, after) = (began.elapsed(), cpu()?);
        latencies.sort_unstable();
        let at = |percent: usize| latencies[(latencies.len() - 1) * percent / 100].as_micros();
        let each = |part: usize| (after[part] - before[part]) * 1_000_000 / reads.max(1) as u64;
        println!(
            "{what}: {} reads/s, p50 {} µs, p99 {} µs; CPU ns a read: gateway {}, catalog {}, Postgres {}; gateway's RSS {} MiB",
            reads as u128 * 1_000 / took.as_millis().max(1),
            at(50),
            at(99),
            each(0),
            each(1),
            each(2),
            rss_kib(self.gateway.id().context("the gateway has ended")?)?.0 / 1_024,
        );
        Ok(())
    }

    /// Reads products, the `n`th being `sku(n)`, and says how long each took.
    async fn reads(
        &self,
        reads: usize,
        connections: usize,
        sku: impl Fn(usize) -> usize + Copy + Send + 'static,
    ) -> anyhow::Result<Vec<Duration>> {
        let next = Arc::new(AtomicUsize::new(0));
        let mut readers = JoinSet::new();
        for _ in 0..connections.max(1) {
            let (host, bearer, next) = (self.host.clone(), self.bearer.clone(), Arc::clone(&next));
            readers.spawn(async move {
                let stream = TcpStream::connect(&host).await?;
                stream.set_nodelay(true)?;
                let (mut sender, connection) =
                    hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
                tokio::spawn(connection);
                let mut latencies = Vec::new();
                loop {
                    let n = next.fetch_add(1, Ordering::Relaxed);
                    if n >= reads {
                        return anyhow::Ok(latencies);
                    }
                    let request = Request::get(format!("/v1/products/P{}", sku(n)))
                        .header("host", &host)
                        .header("authorization", &bearer)
                        .body(Empty::<Bytes>::new())?;
                    let began = Instant::now();
                    sender.ready().await?;
                    let answer = sender.send_request(request).await?;
                    let status = answer.status();
                    answer.into_body().collect().await?;
                    anyhow::ensure!(status == 200, "a product is answered by {status}");
                    latencies.push(began.elapsed());
                }
            });
        }
        let mut latencies = Vec::with_capacity(reads);
        while let Some(read) = readers.join_next().await {
            latencies.extend(read??);
        }
        anyhow::ensure!(!latencies.is_empty(), "nothing was read");
        Ok(latencies)
    }
}

/// A service and where it says that it is ready.
fn service(name: &str, api: u16, redis: &Redis) -> anyhow::Result<(Command, String)> {
    let admin = free_port()?;
    let mut command = Command::new(beside(name)?);
    command
        .env_clear()
        .env("RUST_LOG", "warn")
        .env("LISTEN_ADDR", format!("127.0.0.1:{api}"))
        .env("ADMIN_ADDR", format!("127.0.0.1:{admin}"))
        .env("REDIS_URL", redis.url())
        .env("SERVICE_TOKEN", TOKEN)
        .stderr(Stdio::null())
        .kill_on_drop(true);
    Ok((command, format!("http://127.0.0.1:{admin}/readyz")))
}
