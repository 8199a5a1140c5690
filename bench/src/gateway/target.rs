//! The processes under test.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use anyhow::Context as _;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty};
use hyper::Request;
use hyper_util::rt::TokioIo;
use steelyard_localstores::{Durability, Redis, StoreOptions, free_port};
use steelyard_tokens::{AUDIENCE, ISSUER, Keys};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::time::Instant;

use super::START_MAX;

/// A gateway with what it needs.
pub(super) struct Target {
    pub(super) url: String,
    pub(super) keys: Keys,
    pub(super) ready_in: Duration,
    admin: String,
    gateway: Child,
    sqs: Child,
    redis: Redis,
}

/// What the gateway used so far.
pub(super) struct Usage {
    pub(super) cpu_ms: u64,
    pub(super) rss_kib: u64,
    pub(super) rss_peak_kib: u64,
    pub(super) send_calls: u64,
}

impl Target {
    pub(super) async fn start(log: &str) -> anyhow::Result<Self> {
        let dir =
            std::env::temp_dir().join(format!("steelyard-bench-redis-{}", std::process::id()));
        let redis = Redis::start(&dir, &StoreOptions::new(Durability::Throwaway)).await?;
        let (api, admin, sqs_port) = (free_port()?, free_port()?, free_port()?);
        let sqs = Command::new(beside("localsqs")?)
            .args([
                "--memory",
                "--listen",
                &format!("127.0.0.1:{sqs_port}"),
                "--queue",
                "orders.fifo",
            ])
            .stdout(Stdio::null())
            .kill_on_drop(true)
            .spawn()?;
        let keys = Keys::generate()?;
        let started = Instant::now();
        let gateway = Command::new(beside("gateway")?)
            .env_clear()
            .env("RUST_LOG", log)
            .env("LISTEN_ADDR", format!("127.0.0.1:{api}"))
            .env("ADMIN_ADDR", format!("127.0.0.1:{admin}"))
            .env("AWS_ENDPOINT_URL", format!("http://127.0.0.1:{sqs_port}"))
            .env("AWS_REGION", "us-east-1")
            .env("AWS_ACCESS_KEY_ID", "test")
            .env("AWS_SECRET_ACCESS_KEY", "test")
            .env("ORDERS_QUEUE", "orders.fifo")
            .env("REDIS_URL", redis.url())
            // None is asked for an order to be taken.
            .env("CATALOG_URL", "http://127.0.0.1:9")
            .env("ORDERS_URL", "http://127.0.0.1:9")
            .env("DOCUMENTS_URL", "http://127.0.0.1:9")
            .env("SERVICE_TOKEN", "the token of the benchmark")
            .env("AUTH_JWKS", keys.jwks())
            .env("AUTH_ISSUER", ISSUER)
            .env("AUTH_AUDIENCE", AUDIENCE)
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()?;
        let admin = format!("127.0.0.1:{admin}");
        loop {
            if get(&admin, "/readyz")
                .await
                .is_ok_and(|(status, _)| status == 200)
            {
                break;
            }
            anyhow::ensure!(
                started.elapsed() < START_MAX,
                "the gateway is not ready after {START_MAX:?}"
            );
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let (url, ready_in) = (format!("127.0.0.1:{api}"), started.elapsed());
        Ok(Self {
            url,
            keys,
            ready_in,
            admin,
            gateway,
            sqs,
            redis,
        })
    }

    pub(super) async fn usage(&self) -> anyhow::Result<Usage> {
        let pid = self.gateway.id().context("the gateway has ended")?;
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
        // After the name in parentheses; user and system time are fields 14 and 15 of all, in hundredths of a second.
        let fields: Vec<&str> = stat
            .rsplit(')')
            .next()
            .unwrap_or_default()
            .split_whitespace()
            .collect();
        let ticks = |at: usize| -> anyhow::Result<u64> {
            Ok(fields.get(at).context("no such field")?.parse()?)
        };
        let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
        let kib = |name: &str| -> anyhow::Result<u64> {
            let line = status
                .lines()
                .find_map(|line| line.strip_prefix(name))
                .context("no such line")?;
            Ok(line.split_whitespace().next().unwrap_or_default().parse()?)
        };
        let (_, metrics) = get(&self.admin, "/metrics").await?;
        let metrics = String::from_utf8(metrics.to_vec())?;
        let sends = metrics
            .lines()
            .find(|line| line.starts_with("queue_send_calls_total"));
        let send_calls = sends
            .and_then(|line| line.rsplit(' ').next())
            .map_or(Ok(0), str::parse)?;
        Ok(Usage {
            cpu_ms: (ticks(11)? + ticks(12)?) * 10,
            rss_kib: kib("VmRSS:")?,
            rss_peak_kib: kib("VmHWM:")?,
            send_calls,
        })
    }

    pub(super) async fn stop(mut self) -> anyhow::Result<()> {
        self.gateway.kill().await?;
        self.sqs.kill().await?;
        self.redis.stop().await?;
        Ok(())
    }
}

/// A program of the same build as this one.
fn beside(name: &str) -> anyhow::Result<PathBuf> {
    let path = std::env::current_exe()?.with_file_name(name);
    anyhow::ensure!(
        path.exists(),
        "{} is not there: cargo build --release -p steelyard-gateway -p localsqs",
        path.display()
    );
    Ok(path)
}

async fn get(host: &str, path: &str) -> anyhow::Result<(u16, Bytes)> {
    let stream = TcpStream::connect(host).await?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    let request = Request::get(path)
        .header("host", host)
        .body(Empty::<Bytes>::new())?;
    let answer = sender.send_request(request).await?;
    let status = answer.status().as_u16();
    Ok((status, answer.into_body().collect().await?.to_bytes()))
}
