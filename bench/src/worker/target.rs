//! The processes under test.

use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use sqlx::{Connection as _, PgConnection};
use steelyard_localstores::{Durability, Postgres, Redis, StoreOptions, free_port};
use steelyard_queue::{SqsConfig, SqsTransport, Transport as _};
use tokio::process::{Child, Command};

use super::Options;
use crate::process::{beside, cpu_ms, family_cpu_ms, ready, rss_kib};

pub(super) const TOKEN: &str = "the token of the benchmark";
pub(super) const QUEUE: &str = "orders.fifo";
/// A worker with all that it needs.
pub(super) struct Target {
    pub(super) catalog_url: String,
    pub(super) redis_url: String,
    pub(super) transport: SqsTransport,
    worker_command: Command,
    worker_admin: String,
    worker: Option<Child>,
    catalog: Child,
    sqs: Child,
    redis: Redis,
    postgres: Postgres,
    dirs: [std::path::PathBuf; 2],
}

/// CPU time so far, and the worker's memory.
pub(super) struct Usage {
    pub(super) worker_ms: u64,
    pub(super) catalog_ms: u64,
    pub(super) postgres_ms: u64,
    pub(super) sqs_ms: u64,
    pub(super) redis_ms: u64,
    pub(super) rss_kib: u64,
    pub(super) rss_peak_kib: u64,
}

impl Target {
    /// Starts everything but the worker.
    pub(super) async fn start(options: &Options) -> anyhow::Result<Self> {
        let dir = |kind: &str| {
            let name = format!("steelyard-bench-{kind}-{}", std::process::id());
            std::env::temp_dir().join(name)
        };
        let dirs = [dir("postgres"), dir("redis")];
        let store = StoreOptions::new(Durability::Honest);
        let postgres = Postgres::start(&dirs[0], &store).await?;
        let redis = Redis::start(&dirs[1], &StoreOptions::new(Durability::Throwaway)).await?;

        let sqs_port = free_port()?;
        let sqs_url = format!("http://127.0.0.1:{sqs_port}");
        let scope = "DeduplicationScope=messageGroup,FifoThroughputLimit=perMessageGroupId";
        let orders =
            format!("{QUEUE}:dlq=orders-dead-letters.fifo,max=5,VisibilityTimeout=60,{scope}");
        let mut sqs = Command::new(beside("localsqs")?);
        sqs.args([
            "--memory",
            "--listen",
            &format!("127.0.0.1:{sqs_port}"),
            "--queue",
            &orders,
        ]);
        for queue in ["documents.fifo", "webhooks.fifo"] {
            sqs.args(["--queue", &format!("{queue}:{scope}")]);
        }
        let sqs = sqs.stdout(Stdio::null()).kill_on_drop(true).spawn()?;

        let (catalog_api, catalog_admin) = (free_port()?, free_port()?);
        let catalog = service("catalog", catalog_api, catalog_admin, &postgres)?.spawn()?;
        let catalog_url = format!("http://127.0.0.1:{catalog_api}");
        ready(&format!("http://127.0.0.1:{catalog_admin}/readyz")).await?;

        let worker_admin = free_port()?;
        let mut worker_command = service("orders", free_port()?, worker_admin, &postgres)?;
        worker_command
            .env("RUST_LOG", &options.log)
            .env("REDIS_URL", redis.url())
            .env("CATALOG_URL", &catalog_url)
            .env("AWS_ENDPOINT_URL", &sqs_url)
            .env("AWS_REGION", "us-east-1")
            .env("AWS_ACCESS_KEY_ID", "test")
            .env("AWS_SECRET_ACCESS_KEY", "test")
            .env("ORDERS_QUEUE", QUEUE)
            .env("SET_MESSAGES_MAX", options.set_messages_max.to_string())
            .env("SETS_IN_FLIGHT_MAX", options.sets_in_flight_max.to_string());
        if options.events {
            worker_command.env("DOCUMENTS_QUEUE", "documents.fifo");
            worker_command.env("WEBHOOKS_QUEUE", "webhooks.fifo");
        }
        Ok(Self {
            catalog_url,
            redis_url: redis.url(),
            transport: SqsTransport::connect(SqsConfig::local(sqs_url)).await,
            worker_command,
            worker_admin: format!("http://127.0.0.1:{worker_admin}"),
            worker: None,
            catalog,
            sqs,
            redis,
            postgres,
            dirs,
        })
    }

    /// Starts the worker and says how long it took to be ready.
    pub(super) async fn start_worker(&mut self) -> anyhow::Result<Duration> {
        let began = Instant::now();
        self.worker = Some(self.worker_command.spawn()?);
        ready(&format!("{}/readyz", self.worker_admin)).await?;
        Ok(began.elapsed())
    }

    /// Stops the worker in its tracks while a backlog is built.
    pub(super) fn pause_worker(&self) -> anyhow::Result<()> {
        self.signal(Signal::SIGSTOP)
    }

    pub(super) fn resume_worker(&self) -> anyhow::Result<()> {
        self.signal(Signal::SIGCONT)
    }

    fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        let pid = i32::try_from(self.worker_pid()?)?;
        Ok(kill(Pid::from_raw(pid), signal)?)
    }

    fn worker_pid(&self) -> anyhow::Result<u32> {
        let worker = self.worker.as_ref().context("the worker is not started")?;
        worker.id().context("the worker has ended")
    }

    /// Waits until no command is left, and says how long it took.
    pub(super) async fn settled(&self, max: Duration) -> anyhow::Result<Duration> {
        let queue = self.transport.queue_url(QUEUE).await?;
        let began = Instant::now();
        loop {
            let depths = self.transport.depths(&queue).await?;
            if depths.visible + depths.in_flight == 0 {
                return Ok(began.elapsed());
            }
            anyhow::ensure!(
                began.elapsed() < max,
                "{} commands are left",
                depths.visible
            );
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Waits until no command and no event is left.
    pub(super) async fn drained(&self, max: Duration) -> anyhow::Result<()> {
        self.settled(max).await?;
        let began = Instant::now();
        let mut connection = PgConnection::connect(&self.postgres.url("postgres")).await?;
        loop {
            let left: bool = sqlx::query_scalar("SELECT EXISTS (SELECT FROM orders.outbox)")
                .fetch_one(&mut connection)
                .await?;
            if !left {
                return Ok(());
            }
            anyhow::ensure!(began.elapsed() < max, "events are left");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Orders that were confirmed so far.
    pub(super) async fn confirmed(&self) -> anyhow::Result<i64> {
        let mut connection = PgConnection::connect(&self.postgres.url("postgres")).await?;
        let count = "SELECT count(*) FROM orders.orders WHERE status = 'confirmed'";
        Ok(sqlx::query_scalar(count).fetch_one(&mut connection).await?)
    }

    pub(super) fn usage(&self) -> anyhow::Result<Usage> {
        let worker = self.worker_pid()?;
        let (rss_kib, rss_peak_kib) = rss_kib(worker)?;
        let of = |child: &Child| cpu_ms(child.id().context("a part has ended")?);
        Ok(Usage {
            worker_ms: cpu_ms(worker)?,
            catalog_ms: of(&self.catalog)?,
            postgres_ms: family_cpu_ms(self.postgres.pid())?,
            sqs_ms: of(&self.sqs)?,
            redis_ms: cpu_ms(self.redis.pid())?,
            rss_kib,
            rss_peak_kib,
        })
    }

    pub(super) async fn stop(mut self) -> anyhow::Result<()> {
        let children = [
            self.worker.as_mut(),
            Some(&mut self.catalog),
            Some(&mut self.sqs),
        ];
        for child in children.into_iter().flatten() {
            child.kill().await?;
        }
        self.redis.stop().await?;
        self.postgres.stop().await?;
        Postgres::remove(&self.dirs[0])?;
        Ok(())
    }
}

fn service(name: &str, api: u16, admin: u16, postgres: &Postgres) -> anyhow::Result<Command> {
    let mut command = Command::new(beside(name)?);
    command
        .env_clear()
        .env("RUST_LOG", "warn")
        .env("LISTEN_ADDR", format!("127.0.0.1:{api}"))
        .env("ADMIN_ADDR", format!("127.0.0.1:{admin}"))
        .env("DATABASE_URL", postgres.url("postgres"))
        .env("SERVICE_TOKEN", TOKEN)
        .stderr(Stdio::null())
        .kill_on_drop(true);
    Ok(command)
}
