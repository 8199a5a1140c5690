//! The system under test: processes that can be killed, frozen and started again, and a proxy on every connection
//! between two of them.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, bail};
use nix::sys::signal::Signal;
use steelyard_chaos::plan::{self, Part};
use steelyard_chaosproxy::Proxy;
use steelyard_localstores::install::{self, Need};
use steelyard_localstores::{Durability, Postgres, Redis, StoreOptions, free_port, random_secret};
use tokio::sync::{Mutex, MutexGuard};
use tokio::time::sleep;

use super::env::{self, Shared};
use crate::dir::StackDir;
use crate::progress::Progress;
use crate::secrets::Secrets;
use crate::up::database::Database;
use crate::up::endpoints::{ACCESS_KEY, Aws, REGION};
use crate::up::processes::{Binaries, Process};
use crate::up::queues;
use crate::up::services::{Plan, instance};

/// A start that fails is tried again: a killed server's port or memory may need a moment.
const START_TRIES_MAX: u32 = 20;
const START_PAUSE: Duration = Duration::from_millis(500);

/// One process of the system.
enum Slot {
    /// Ended on purpose.
    Down,
    Service(Process),
    Postgres(Postgres),
    Redis(Redis),
}

/// The system under test.
pub(super) struct Rig {
    dir: StackDir,
    binaries: Binaries,
    slots: HashMap<Part, Mutex<Slot>>,
    /// The services' instances; there once their database is.
    plans: OnceLock<HashMap<Part, Plan>>,
    ports: HashMap<Part, u16>,
    links: HashMap<(Part, Part), Proxy>,
    redis_password: String,
    aws: Aws,
    /// Set when it ends: nothing is started any more.
    closed: AtomicBool,
}

impl Rig {
    /// Ports and proxies; nothing runs yet.
    pub(super) fn new(
        dir: &StackDir,
        secrets: &Secrets,
        binaries: Binaries,
    ) -> anyhow::Result<Self> {
        let mut ports = HashMap::new();
        for part in Part::all() {
            ports.insert(part, free_port().context("no free port")?);
        }
        let mut links = HashMap::new();
        for (from, to) in plan::links() {
            let proxy = Proxy::start(address(ports[&to]));
            links.insert((from, to), proxy.context("no free port for a proxy")?);
        }
        let sqs_url = format!("http://{}", address(ports[&Part::Sqs]));
        let down = |part| (part, Mutex::new(Slot::Down));
        Ok(Self {
            dir: dir.clone(),
            binaries,
            slots: Part::all().into_iter().map(down).collect(),
            plans: OnceLock::new(),
            ports,
            links,
            redis_password: random_secret().context("cannot make a password")?,
            aws: Aws {
                s3_url: sqs_url.clone(),
                sqs_url,
                region: REGION.to_owned(),
                access_key: ACCESS_KEY.to_owned(),
                secret_key: secrets.s3_secret_key.clone(),
                private: true,
            },
            closed: AtomicBool::new(false),
        })
    }

    /// Starts everything and waits until it is ready. A start that was begun is not interrupted: [`Rig::stop`] ends it.
    pub(super) async fn bring_up(
        &self,
        secrets: &Secrets,
        progress: &Progress,
    ) -> anyhow::Result<()> {
        let search = StoreOptions::new(Durability::Honest).search;
        let needs = [Need::Postgres, Need::Redis];
        install::ensure(&search, &needs, &|said| progress.install(said)).await?;
        progress.doing("starting the system under test");
        for part in [Part::Postgres, Part::Redis, Part::Sqs] {
            self.up(part).await?;
        }
        self.ready(Part::Sqs).await?;
        let admin = match &*self.slot(Part::Postgres).await {
            Slot::Postgres(postgres) => postgres.url("postgres"),
            _ => bail!("Postgres is not up"),
        };
        let database = Database::provision(&admin.parse()?, &secrets.database_password).await?;
        queues::provision(&self.aws).await?;
        self.plan_services(secrets, &database)?;
        for part in Part::all() {
            self.up(part).await?;
        }
        for part in Part::all() {
            self.ready(part).await?;
        }
        progress.done("the system under test is up");
        Ok(())
    }

    fn plan_services(&self, secrets: &Secrets, database: &Database) -> anyhow::Result<()> {
        let shared = Shared {
            dir: &self.dir,
            secrets,
            database,
            aws: &self.aws,
            redis_password: &self.redis_password,
            ports: &self.ports,
            links: &self.links,
        };
        let mut plans = HashMap::new();
        for part in Part::all() {
            if let Some(service) = env::service(part) {
                let mut plan = instance(part.to_string(), service, self.ports[&part])?;
                plan.env.extend(shared.env_of(part)?);
                plans.insert(part, plan);
            }
        }
        let _ = self.plans.set(plans);
        Ok(())
    }

    /// How SQS is reached without a proxy.
    pub(super) fn aws(&self) -> &Aws {
        &self.aws
    }

    /// The gateways' URLs.
    pub(super) fn gateways(&self) -> Vec<String> {
        let gateways = (1..=plan::GATEWAYS).map(Part::Gateway);
        gateways
            .map(|part| format!("http://{}", address(self.ports[&part])))
            .collect()
    }

    /// The proxy between two parts.
    pub(super) fn link(&self, from: Part, to: Part) -> Option<&Proxy> {
        self.links.get(&(from, to))
    }

    async fn slot(&self, part: Part) -> MutexGuard<'_, Slot> {
        // Every part has a slot.
        self.slots[&part].lock().await
    }

    /// Starts a part that is down; does not wait until it is ready.
    pub(super) async fn up(&self, part: Part) -> anyhow::Result<()> {
        let mut slot = self.slot(part).await;
        if !matches!(*slot, Slot::Down) {
            return Ok(());
        }
        if self.closed.load(Ordering::Relaxed) {
            bail!("the run is over");
        }
        let mut tries = 0;
        *slot = loop {
            tries += 1;
            match self.spawn(part).await {
                Ok(started) => break started,
                Err(error) if tries == START_TRIES_MAX => {
                    return Err(error.context(format!("{part} does not start")));
                }
                Err(_) => sleep(START_PAUSE).await,
            }
        };
        Ok(())
    }

    async fn spawn(&self, part: Part) -> anyhow::Result<Slot> {
        let store = || StoreOptions {
            log: Some(self.dir.log(part.class())),
            port: Some(self.ports[&part]),
            ..StoreOptions::new(Durability::Honest)
        };
        Ok(match part {
            Part::Postgres => {
                Slot::Postgres(Postgres::start(&self.dir.postgres(), &store()).await?)
            }
            Part::Redis => {
                let options = StoreOptions {
                    redis_password: Some(self.redis_password.clone()),
                    ..store()
                };
                Slot::Redis(Redis::start(&self.dir.redis(), &options).await?)
            }
            Part::Sqs => {
                let port = self.ports[&part];
                Slot::Service(Process::of_localsqs(&self.dir, &self.binaries, port).await?)
            }
            _ => {
                let plans = self.plans.get().context("no database yet")?;
                let plan = plans.get(&part).context("no service")?;
                Slot::Service(Process::of_service(&self.dir, &self.binaries, plan).await?)
            }
        })
    }

    /// Ends a part by `SIGKILL`.
    pub(super) async fn kill(&self, part: Part) -> anyhow::Result<()> {
        let mut slot = self.slot(part).await;
        match std::mem::replace(&mut *slot, Slot::Down) {
            Slot::Down => Ok(()),
            Slot::Service(process) => process.kill().await,
            Slot::Postgres(postgres) => Ok(postgres.kill().await?),
            Slot::Redis(redis) => Ok(redis.kill().await?),
        }
    }

    /// Removes what Redis remembers; it must be down.
    pub(super) fn empty_redis(&self) -> anyhow::Result<()> {
        Ok(Redis::remove(&self.dir.redis())?)
    }

    /// Asks a service to stop, as a deploy does, and waits until it has.
    pub(super) async fn stop_gently(&self, part: Part) -> anyhow::Result<()> {
        let mut slot = self.slot(part).await;
        match std::mem::replace(&mut *slot, Slot::Down) {
            Slot::Service(process) => process.stop().await,
            other => {
                *slot = other;
                Ok(())
            }
        }
    }

    /// Sends a signal to all processes of a part.
    pub(super) async fn signal(&self, part: Part, signal: Signal) {
        match &mut *self.slot(part).await {
            Slot::Down => {}
            Slot::Service(process) => process.signal(signal),
            Slot::Postgres(postgres) => {
                postgres.signal(signal);
            }
            Slot::Redis(redis) => {
                redis.signal(signal);
            }
        }
    }

    /// Waits until a service is ready.
    pub(super) async fn ready(&self, part: Part) -> anyhow::Result<()> {
        let url = match self.plans.get().and_then(|plans| plans.get(&part)) {
            Some(plan) => format!("{}/readyz", plan.admin_url),
            None => format!("{}/health", self.aws.sqs_url),
        };
        match &mut *self.slot(part).await {
            Slot::Service(process) => process.ready(&url).await,
            // Their starts wait.
            _ => Ok(()),
        }
    }

    /// What to tell about parts that ended by themselves; they are started again, as an orchestrator would.
    pub(super) async fn deaths(&self) -> Vec<String> {
        let mut reports = Vec::new();
        for part in Part::all() {
            // Whoever holds it is doing something to it.
            let Ok(mut slot) = self.slots[&part].try_lock() else {
                continue;
            };
            let report = match &mut *slot {
                Slot::Service(process) => process.death(),
                _ => None,
            };
            if let Some(report) = report {
                *slot = Slot::Down;
                drop(slot);
                reports.push(report);
                if let Err(error) = self.up(part).await {
                    reports.push(format!("{error:#}"));
                }
            }
        }
        reports
    }

    /// Undoes everything: whatever is down or frozen goes on, every connection passes, all is ready.
    pub(super) async fn mend(&self) -> anyhow::Result<()> {
        for proxy in self.links.values() {
            proxy.restore();
        }
        for part in Part::all() {
            self.signal(part, Signal::SIGCONT).await;
            self.up(part).await?;
        }
        for part in Part::all() {
            self.ready(part).await?;
        }
        Ok(())
    }

    /// Ends everything, hard: nobody needs the data any more.
    pub(super) async fn stop(&self) {
        self.closed.store(true, Ordering::Relaxed);
        // Callers first, so that nobody complains in its log about what is gone.
        for part in Part::all() {
            self.signal(part, Signal::SIGCONT).await;
            // What does not end now is ended by its watchdog when this process is gone.
            let _ = self.kill(part).await;
        }
    }

    /// Removes the data of all stores, wherever it lies.
    pub(super) fn remove_data(dir: &StackDir) {
        let _ = Postgres::remove(&dir.postgres());
        let _ = Redis::remove(&dir.redis());
        let _ = std::fs::remove_dir_all(dir.sqs());
    }

    /// Where the logs are.
    pub(super) fn logs(&self) -> PathBuf {
        self.dir.logs()
    }
}

pub(super) fn address(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}
