//! One region: its stores, its queues, its services, each a process.

use std::collections::HashMap;
use std::time::Duration;

use anyhow::{Context, bail};
use nix::sys::signal::Signal;
use sqlx::{Connection, PgConnection};
use steelyard_localstores::{Durability, Postgres, Redis, StoreOptions, free_port};
use steelyard_queue::{SqsConfig, SqsCredentials, SqsTransport, Transport as _};
use steelyard_tokens::Keys;
use tokio::time::{Instant, sleep};

use super::prepared;
use crate::dir::StackDir;
use crate::secrets::Secrets;
use crate::up::database::Database;
use crate::up::endpoints::{ACCESS_KEY, Aws, REGION};
use crate::up::processes::{Binaries, Process};
use crate::up::queues;
use crate::up::services::{Plan, common, instance};

const POLL: Duration = Duration::from_millis(200);
/// How long a promotion may take, in whole seconds.
const PROMOTE_S_MAX: i32 = 60;

/// By when an order was settled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SettledBy {
    /// When the second region had taken over.
    Takeover,
    /// When the first region's queue had been worked off, too.
    Return,
}

/// A region.
pub(super) struct Region<'a> {
    name: &'static str,
    dir: StackDir,
    binaries: &'a Binaries,
    postgres: Option<Postgres>,
    redis: Option<Redis>,
    sqs: Option<Process>,
    sqs_port: u16,
    aws: Aws,
    database: Database,
    plans: HashMap<&'static str, Plan>,
    running: HashMap<String, Process>,
}

/// The key that tokens of both regions are signed with, and its public half in both.
pub(super) fn keys(a: &StackDir, b: &StackDir) -> anyhow::Result<Keys> {
    let keys = Keys::load_or_generate(&a.key())?;
    for dir in [a, b] {
        std::fs::write(prepared(dir)?.jwks(), keys.jwks())
            .with_context(|| format!("cannot write {}", dir.jwks().display()))?;
    }
    Ok(keys)
}

/// Removes the data of a region's stores, wherever it lies.
pub(super) fn remove_data(dir: &StackDir) {
    let _ = Postgres::remove(&dir.postgres());
    let _ = Redis::remove(&dir.redis());
    let _ = std::fs::remove_dir_all(dir.sqs());
}

impl<'a> Region<'a> {
    /// A region with a database of its own.
    pub(super) async fn primary(
        name: &'static str,
        dir: &StackDir,
        secrets: &Secrets,
        binaries: &'a Binaries,
    ) -> anyhow::Result<Self> {
        let postgres =
            Postgres::start(&prepared(dir)?.postgres(), &options(dir, "postgres")).await?;
        let admin = postgres.url("postgres").parse()?;
        let database = Database::provision(&admin, &secrets.database_password).await?;
        Self::around(name, dir, secrets, binaries, postgres, database).await
    }

    /// A region whose database follows another one's.
    pub(super) async fn standby(
        name: &'static str,
        dir: &StackDir,
        secrets: &Secrets,
        binaries: &'a Binaries,
        primary: &Region<'_>,
    ) -> anyhow::Result<Self> {
        let followed = primary
            .postgres
            .as_ref()
            .context("the first region is down")?;
        let options = options(prepared(dir)?, "postgres");
        let postgres = Postgres::follow(&dir.postgres(), &options, followed).await?;
        let database = primary.database.on_port(postgres.port())?;
        Self::around(name, dir, secrets, binaries, postgres, database).await
    }

    async fn around(
        name: &'static str,
        dir: &StackDir,
        secrets: &Secrets,
        binaries: &'a Binaries,
        postgres: Postgres,
        database: Database,
    ) -> anyhow::Result<Self> {
        let redis = Redis::start(&dir.redis(), &options(dir, "redis")).await?;
        let sqs_port = free_port().context("no free port")?;
        let sqs_url = format!("http://127.0.0.1:{sqs_port}");
        let aws = Aws {
            s3_url: sqs_url.clone(),
            sqs_url,
            region: REGION.to_owned(),
            access_key: ACCESS_KEY.to_owned(),
            secret_key: secrets.s3_secret_key.clone(),
            private: true,
        };
        let mut plans = HashMap::new();
        for service in ["catalog", "orders", "gateway"] {
            let port = free_port().context("no free port")?;
            plans.insert(service, instance(service.to_owned(), service, port)?);
        }
        let mut shared = common(dir, secrets, &redis.url(), &aws);
        for (variable, service) in [("CATALOG_URL", "catalog"), ("ORDERS_URL", "orders")] {
            shared.push((variable.to_owned(), plans[service].url.clone()));
        }
        // Nobody asks for documents during the drill.
        shared.push(("DOCUMENTS_URL".to_owned(), "http://127.0.0.1:9".to_owned()));
        for (service, plan) in &mut plans {
            plan.env.extend(shared.iter().cloned());
            if *service != "gateway" {
                let url = database.url_of(service)?;
                plan.env.push(("DATABASE_URL".to_owned(), url));
            }
        }
        let mut region = Self {
            name,
            dir: dir.clone(),
            binaries,
            postgres: Some(postgres),
            redis: Some(redis),
            sqs: None,
            sqs_port,
            aws,
            database,
            plans,
            running: HashMap::new(),
        };
        region.bring_queue_back().await?;
        queues::provision(&region.aws).await?;
        Ok(region)
    }

    /// Starts SQS, with what it held before.
    pub(super) async fn bring_queue_back(&mut self) -> anyhow::Result<()> {
        let mut sqs = Process::of_localsqs(&self.dir, self.binaries, self.sqs_port).await?;
        sqs.ready(&format!("{}/health", self.aws.sqs_url)).await?;
        self.sqs = Some(sqs);
        Ok(())
    }

    pub(super) fn gateway_url(&self) -> String {
        self.plans["gateway"].url.clone()
    }

    /// What the name's health check asks.
    pub(super) fn health_url(&self) -> String {
        format!("{}/openapi.json", self.gateway_url())
    }

    /// Starts services and waits until they are ready.
    pub(super) async fn serve(&mut self, services: &[&'static str]) -> anyhow::Result<()> {
        for service in services {
            let process = self.start(service, &self.plans[service]).await?;
            self.running.insert((*service).to_owned(), process);
        }
        Ok(())
    }

    async fn start(&self, service: &str, plan: &Plan) -> anyhow::Result<Process> {
        let mut process = Process::of_service(&self.dir, self.binaries, plan)
            .await
            .with_context(|| format!("{service} of region {}", self.name))?;
        process.ready(&format!("{}/readyz", plan.admin_url)).await?;
        Ok(process)
    }

    /// Stops a service for a moment: it holds what it has.
    pub(super) fn freeze(&mut self, service: &str) {
        if let Some(process) = self.running.get_mut(service) {
            process.signal(Signal::SIGSTOP);
        }
    }

    /// Ends everything of the region by `SIGKILL`, the database first: nothing is streamed any more.
    pub(super) async fn lose(&mut self) -> anyhow::Result<()> {
        if let Some(postgres) = self.postgres.take() {
            postgres.kill().await?;
        }
        if let Some(sqs) = self.sqs.take() {
            sqs.kill().await?;
        }
        if let Some(redis) = self.redis.take() {
            redis.kill().await?;
        }
        for (_, process) in self.running.drain() {
            process.kill().await?;
        }
        Ok(())
    }

    /// Makes the following database one of its own.
    pub(super) async fn promote(&self) -> anyhow::Result<()> {
        let postgres = self.postgres.as_ref().context("the database is down")?;
        let mut connection = PgConnection::connect(&postgres.url("postgres")).await?;
        let promoted: bool = sqlx::query_scalar("SELECT pg_promote(true, $1)")
            .bind(PROMOTE_S_MAX)
            .fetch_one(&mut connection)
            .await?;
        connection.close().await?;
        if !promoted {
            bail!("the database of region {} was not promoted", self.name);
        }
        Ok(())
    }

    /// Starts a worker that works the other region's queue off into this region's database.
    pub(super) async fn work_off(&mut self, other: &Region<'_>) -> anyhow::Result<()> {
        let port = free_port().context("no free port")?;
        let mut plan = instance("orders-of-a".to_owned(), "orders", port)?;
        let shared = &self.plans["orders"].env;
        let own = |name: &str| matches!(name, "LISTEN_ADDR" | "ADMIN_ADDR" | "AWS_ENDPOINT_URL");
        plan.env
            .extend(shared.iter().filter(|(name, _)| !own(name)).cloned());
        plan.env
            .push(("AWS_ENDPOINT_URL".to_owned(), other.aws.sqs_url.clone()));
        // Its events leave by this region's own relay, to this region's queues.
        plan.env.push(("ROLES".to_owned(), "worker".to_owned()));
        let process = self.start("orders", &plan).await?;
        self.running.insert(plan.name.clone(), process);
        Ok(())
    }

    /// Messages in the orders queue.
    pub(super) async fn backlog(&self) -> anyhow::Result<u64> {
        let transport = SqsTransport::connect(SqsConfig {
            region: Some(self.aws.region.clone()),
            endpoint_url: Some(self.aws.sqs_url.clone()),
            credentials: SqsCredentials::Static {
                access_key_id: self.aws.access_key.clone(),
                secret_access_key: self.aws.secret_key.clone(),
            },
        })
        .await;
        let queue = transport.queue_url(queues::ORDERS).await?;
        let depths = transport.depths(&queue).await?;
        Ok(depths.visible + depths.in_flight + depths.delayed)
    }

    /// Waits until the orders queue is empty.
    pub(super) async fn drained(&self, max: Duration) -> anyhow::Result<()> {
        let deadline = Instant::now() + max;
        loop {
            let left = self.backlog().await?;
            if left == 0 {
                return Ok(());
            }
            if Instant::now() >= deadline {
                bail!(
                    "{left} messages are left in the queue of region {}",
                    self.name
                );
            }
            sleep(POLL).await;
        }
    }

    /// Ends what still runs; nobody needs the data any more.
    pub(super) async fn stop(&mut self) -> anyhow::Result<()> {
        self.lose().await
    }
}

fn options(dir: &StackDir, server: &str) -> StoreOptions {
    StoreOptions {
        log: Some(dir.log(server)),
        ..StoreOptions::new(Durability::Honest)
    }
}
