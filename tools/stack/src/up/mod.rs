//! `cargo stack`: every part started in order, waited for, watched, and stopped in order.

mod banner;
pub(crate) mod database;
mod demo;
pub(crate) mod endpoints;
mod in_process;
mod objects;
pub(crate) mod processes;
pub(crate) mod queues;
mod ready;
pub(crate) mod services;
mod stores;

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, TcpListener};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};
use steelyard_localstores::{DirLock, serves};
use steelyard_runtime::config::Env;
use steelyard_runtime::telemetry::{self, Metrics, Telemetry};
use steelyard_tokens::Keys;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::time::Instant;

use self::database::Database;
use self::endpoints::Endpoints;
use self::in_process::Task;
use self::processes::{Binaries, Process};
use self::services::{Given, Plan};
use self::stores::Stores;
use crate::cli::UpArgs;
use crate::dir::StackDir;
use crate::progress::{Progress, err};
use crate::run_file::{Part, RunFile};
use crate::secrets::Secrets;
use crate::tokens;

/// Where the sources are: the services are built from them.
pub(crate) const WORKSPACE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

const TOKEN_TTL: Duration = Duration::from_secs(24 * 60 * 60);
/// Above the time that processes get to stop.
const LEFTOVERS_MAX: Duration = Duration::from_secs(60);
/// How often the parts are looked at while the stack runs.
const WATCH: Duration = Duration::from_millis(250);

/// Brings everything up and waits for Ctrl-C or SIGTERM; a second one ends the stack at once (what it started follows).
///
/// # Errors
/// One line with the remedy: a port that is taken, a server that is missing, a full disk, a URL that nothing answers.
pub async fn command(args: &UpArgs) -> anyhow::Result<ExitCode> {
    let dir = StackDir::at(&args.data.dir)?;
    let stop = steelyard_runtime::shutdown::on_signal().context("cannot wait for Ctrl-C")?;
    let progress = Progress::new();
    let mut stack = match stop
        .run_until_cancelled(Box::pin(Stack::start(&dir, args, &progress)))
        .await
    {
        // Interrupted while it started: whatever runs already is stopped by the drop.
        None => return Ok(ExitCode::FAILURE),
        Some(started) => started?,
    };
    drop(progress);
    banner::print(&dir, &stack.gateway_url, stack.mode, &stack.run_file.tokens);
    let mut died = false;
    while stop
        .run_until_cancelled(tokio::time::sleep(WATCH))
        .await
        .is_some()
    {
        for report in stack.deaths().await {
            died = true;
            err(&report);
        }
    }
    let progress = Progress::new();
    progress.doing("stopping");
    tokio::select! {
        stopped = stack.stop() => stopped?,
        // Impatient: what is left stops by itself when this process is gone.
        _ = tokio::signal::ctrl_c() => return Ok(ExitCode::FAILURE),
    }
    progress.done("everything stopped");
    Ok(if died {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

/// A service, in this process or in its own.
enum Instance {
    Task(Task),
    Process(Process),
}

/// A running stack.
struct Stack {
    dir: StackDir,
    mode: &'static str,
    gateway_url: String,
    run_file: RunFile,
    /// In the order in which they were started.
    instances: Vec<Instance>,
    endpoints: Endpoints,
    stores: Stores,
    telemetry: Option<Telemetry>,
    _lock: DirLock,
}

impl Stack {
    async fn start(dir: &StackDir, args: &UpArgs, progress: &Progress) -> anyhow::Result<Self> {
        let lock = dir.own()?;
        wait_for_leftovers(dir, progress).await?;
        check_port(args.gateway_port)?;
        if args.fresh {
            begin_anew(dir, progress)?;
        }
        let telemetry = if args.processes {
            None
        } else {
            Some(log_to_file(dir)?)
        };
        let binaries = match args.processes {
            true => Some(Binaries::build(args.release, progress).await?),
            false => None,
        };
        let secrets = Secrets::load_or_make(&dir.secrets())?;
        let keys = Keys::load_or_generate(&dir.key())?;
        std::fs::write(dir.jwks(), keys.jwks())
            .with_context(|| format!("cannot write {}", dir.jwks().display()))?;

        let stores = Stores::start(dir, progress).await?;
        let endpoints = Endpoints::start(dir, &secrets, binaries.as_ref(), progress).await?;
        let (database, (), ()) = tokio::try_join!(
            Database::provision(&stores.database, &secrets.database_password),
            queues::provision(&endpoints.aws),
            objects::provision(&endpoints.aws),
        )?;
        let plans = services::plan(&Given {
            dir,
            secrets: &secrets,
            stores: &stores,
            database: &database,
            aws: &endpoints.aws,
            gateway_port: args.gateway_port,
            orders: args.orders,
        })?;
        let metrics = telemetry
            .as_ref()
            .map_or_else(Metrics::detached, Telemetry::metrics);
        let instances = start_services(dir, &plans, binaries.as_ref(), &metrics, progress).await?;

        let gateway_url = plans
            .last()
            .map(|plan| plan.url.clone())
            .unwrap_or_default();
        demo::load(dir, &gateway_url, progress).await?;
        let mode = if args.processes {
            "processes"
        } else {
            "one-process"
        };
        let run_file = run_file(dir, mode, &plans, &instances, &stores, &endpoints)?;
        run_file.write(dir)?;
        Ok(Self {
            dir: dir.clone(),
            mode,
            gateway_url,
            run_file,
            instances,
            endpoints,
            stores,
            telemetry,
            _lock: lock,
        })
    }

    /// What to tell about parts that have ended by themselves since the last look.
    async fn deaths(&mut self) -> Vec<String> {
        let mut reports = Vec::new();
        for instance in &mut self.instances {
            reports.extend(match instance {
                Instance::Task(task) => task.death().await,
                Instance::Process(process) => process.death(),
            });
        }
        reports.extend(self.endpoints.process().and_then(Process::death));
        reports
    }

    /// Stops the services, callers before callees, then the queues, then the stores. Each has a time limit.
    async fn stop(self) -> anyhow::Result<()> {
        let _ = std::fs::remove_file(self.dir.run_file());
        let mut first_error = Ok(());
        for instance in self.instances.into_iter().rev() {
            let stopped = match instance {
                Instance::Task(task) => task.stop().await,
                Instance::Process(process) => process.stop().await,
            };
            first_error = first_error.and(stopped);
        }
        first_error = first_error.and(self.endpoints.stop().await);
        first_error = first_error.and(self.stores.stop().await);
        if let Some(telemetry) = self.telemetry {
            telemetry.flush().await;
        }
        first_error
    }
}

/// The processes of a stack that was killed stop by themselves, but need a moment: they still hold ports and files.
async fn wait_for_leftovers(dir: &StackDir, progress: &Progress) -> anyhow::Result<()> {
    let Some(left) = RunFile::read(dir) else {
        return Ok(());
    };
    let deadline = Instant::now() + LEFTOVERS_MAX;
    for (name, pid) in left
        .parts
        .iter()
        .filter_map(|(name, part)| Some((name, part.pid?)))
    {
        let works = || {
            serves(pid, name.split('-').next().unwrap_or(name), dir.root())
                || serves(pid, "localsqs", dir.root())
        };
        while works() {
            progress.doing(&format!("waiting for {name} of an earlier run to stop"));
            if Instant::now() >= deadline {
                bail!(
                    "{name} (process {pid}) of an earlier run does not stop; stop it with: kill {pid}"
                );
            }
            tokio::time::sleep(WATCH).await;
        }
    }
    Ok(())
}

/// A taken port shows before anything else is started.
fn check_port(port: u16) -> anyhow::Result<()> {
    let Err(error) = TcpListener::bind((Ipv4Addr::LOCALHOST, port)) else {
        return Ok(());
    };
    if error.kind() == std::io::ErrorKind::AddrInUse {
        bail!(
            "port {port} is taken by another program; stop that, or choose another: cargo stack --gateway-port {}",
            other(port)
        );
    }
    Err(error).with_context(|| {
        format!("cannot listen on port {port}; choose another with --gateway-port")
    })
}

/// A port to propose: the next one up that is free.
fn other(port: u16) -> u16 {
    (port.saturating_add(1)..port.saturating_add(100))
        .find(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok())
        .unwrap_or(0)
}

fn begin_anew(dir: &StackDir, progress: &Progress) -> anyhow::Result<()> {
    dir.remove_data()?;
    for variable in ["DATABASE_URL", "REDIS_URL", "AWS_ENDPOINT_URL"] {
        if std::env::var_os(variable).is_some() {
            progress.note(&format!(
                "--fresh leaves the server that {variable} names as it is"
            ));
        }
    }
    progress.done("earlier data removed");
    Ok(())
}

/// The services' logs would drown what a person is to read here.
fn log_to_file(dir: &StackDir) -> anyhow::Result<Telemetry> {
    let path = dir.log("stack");
    let file = std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(&path)
        .with_context(|| format!("cannot write {}", path.display()))?;
    Ok(telemetry::init_to_file(
        "stack",
        &Env::from_process(),
        file,
    )?)
}

async fn start_services(
    dir: &StackDir,
    plans: &[Plan],
    binaries: Option<&Binaries>,
    metrics: &Metrics,
    progress: &Progress,
) -> anyhow::Result<Vec<Instance>> {
    let mut instances = Vec::with_capacity(plans.len());
    for plan in plans {
        instances.push(match binaries {
            Some(binaries) => Instance::Process(Process::of_service(dir, binaries, plan).await?),
            None => Instance::Task(Task::start(plan, metrics)),
        });
    }
    for (plan, instance) in plans.iter().zip(&mut instances) {
        progress.doing(&format!("starting {}", plan.name));
        let url = format!("{}/readyz", plan.admin_url);
        match instance {
            Instance::Task(task) => task.ready(&url).await?,
            Instance::Process(process) => process.ready(&url).await?,
        }
        progress.done(&format!("{} at {}", plan.name, plan.url));
    }
    Ok(instances)
}

fn run_file(
    dir: &StackDir,
    mode: &str,
    plans: &[Plan],
    instances: &[Instance],
    stores: &Stores,
    endpoints: &Endpoints,
) -> anyhow::Result<RunFile> {
    let own = std::process::id();
    let mut parts: BTreeMap<String, Part> = BTreeMap::new();
    for (plan, instance) in plans.iter().zip(instances) {
        let (pid, log) = match instance {
            Instance::Task(_) => (own, dir.log("stack")),
            Instance::Process(process) => (process.pid(), process.log().clone()),
        };
        let part = Part {
            url: plan.url.clone(),
            admin_url: Some(plan.admin_url.clone()),
            pid: Some(pid),
            log: Some(log),
        };
        parts.insert(plan.name.clone(), part);
    }
    let others = stores.parts().into_iter().chain(endpoints.parts());
    parts.extend(others.map(|(name, part)| (name.to_owned(), part)));
    let tokens = banner::TOKENS
        .iter()
        .map(|(name, sub, scope)| {
            Ok((
                (*name).to_owned(),
                tokens::mint(dir, sub, scope, TOKEN_TTL)?,
            ))
        })
        .collect::<anyhow::Result<_>>()?;
    Ok(RunFile {
        pid: own,
        started_at: OffsetDateTime::now_utc().format(&Rfc3339)?,
        mode: mode.to_owned(),
        parts,
        tokens,
    })
}
