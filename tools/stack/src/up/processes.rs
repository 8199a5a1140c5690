//! Services as operating system processes: built, started, watched, stopped.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, bail};
use nix::sys::signal::Signal;
use steelyard_localstores::log_tail;
use steelyard_localstores::supervise::{Spec, Supervised};
use tokio::process::Command;

use super::WORKSPACE;
use super::services::Plan;
use crate::dir::StackDir;
use crate::progress::Progress;

/// Above the services' own drain times, so that they end by themselves.
const STOP_MAX: Duration = Duration::from_secs(40);
const KILL_MAX: Duration = Duration::from_secs(10);
/// Lines of its log that a message about a dead process shows.
const TAIL_LINES: usize = 12;

/// The binaries that the stack runs, with their packages.
const BINARIES: [(&str, &str); 5] = [
    ("localsqs", "localsqs"),
    ("catalog", "steelyard-catalog"),
    ("documents", "steelyard-documents"),
    ("orders", "steelyard-orders"),
    ("gateway", "steelyard-gateway"),
];

/// Built service binaries by name.
pub(crate) struct Binaries {
    by_name: HashMap<String, PathBuf>,
}

impl Binaries {
    /// Builds them; cargo shows its own progress meanwhile.
    pub(crate) async fn build(release: bool, progress: &Progress) -> anyhow::Result<Self> {
        progress.doing("building the services");
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut command = Command::new(&cargo);
        command
            .args([
                "build",
                "--locked",
                "--message-format",
                "json-render-diagnostics",
            ])
            // Not built, but named: with the stack's own features of all dependencies, nothing that `cargo stack` has
            // built already is built again.
            .args(["--package", "steelyard-stack"])
            .args(
                BINARIES
                    .iter()
                    .flat_map(|(bin, package)| ["--package", *package, "--bin", *bin]),
            )
            .args(release.then_some("--release"))
            .current_dir(WORKSPACE)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .kill_on_drop(true);
        let output = progress
            .suspended(
                command
                    .spawn()
                    .with_context(|| format!("cannot run {}", cargo.display()))?
                    .wait_with_output(),
            )
            .await?;
        if !output.status.success() {
            bail!("the services do not build; see above");
        }
        let by_name = output
            .stdout
            .split(|byte| *byte == b'\n')
            .filter_map(|line| serde_json::from_slice::<serde_json::Value>(line).ok())
            .filter_map(|message| {
                let name = message["target"]["name"].as_str()?.to_owned();
                Some((name, PathBuf::from(message["executable"].as_str()?)))
            })
            .collect();
        progress.done("services built");
        Ok(Self { by_name })
    }

    fn get(&self, name: &str) -> anyhow::Result<&PathBuf> {
        self.by_name
            .get(name)
            .with_context(|| format!("cargo built no binary named {name}"))
    }
}

/// A running process.
pub(crate) struct Process {
    name: String,
    log: PathBuf,
    process: Supervised,
    reported: bool,
}

impl Process {
    pub(crate) async fn of_service(
        dir: &StackDir,
        binaries: &Binaries,
        plan: &Plan,
    ) -> anyhow::Result<Self> {
        Self::spawn(
            dir,
            binaries,
            &plan.name,
            plan.service,
            Vec::new(),
            plan.env.clone(),
        )
        .await
    }

    pub(crate) async fn of_localsqs(
        dir: &StackDir,
        binaries: &Binaries,
        port: u16,
    ) -> anyhow::Result<Self> {
        let data = dir.sqs().to_string_lossy().into_owned();
        let args = ["--listen", &format!("127.0.0.1:{port}"), "--data", &data]
            .map(str::to_owned)
            .to_vec();
        Self::spawn(dir, binaries, "sqs", "localsqs", args, Vec::new()).await
    }

    async fn spawn(
        dir: &StackDir,
        binaries: &Binaries,
        name: &str,
        binary: &str,
        args: Vec<String>,
        env: Vec<(String, String)>,
    ) -> anyhow::Result<Self> {
        let log = dir.log(name);
        let mut spec = Spec::new(name, binaries.get(binary)?, dir.root(), &log);
        spec.args = args;
        spec.env = env;
        spec.stop_max = STOP_MAX;
        let process = Supervised::spawn(spec).await?;
        Ok(Self {
            name: name.to_owned(),
            log,
            process,
            reported: false,
        })
    }

    pub(crate) fn pid(&self) -> u32 {
        self.process.pid()
    }

    pub(crate) fn log(&self) -> &PathBuf {
        &self.log
    }

    /// Waits until `url` answers 200; the message of a failure ends with the tail of the log.
    pub(crate) async fn ready(&mut self, url: &str) -> anyhow::Result<()> {
        let (name, log) = (self.name.clone(), self.log.clone());
        let late = || format!("; {}", log_ends(&log));
        super::ready::wait(&name, url, async || self.death(), late).await
    }

    /// What to tell about a process that has ended by itself; once.
    pub(crate) fn death(&mut self) -> Option<String> {
        if self.reported || !self.process.has_ended() {
            return None;
        }
        self.reported = true;
        Some(format!(
            "{} (process {}) has ended; {}",
            self.name,
            self.process.pid(),
            log_ends(&self.log)
        ))
    }

    /// Sends a signal (`SIGSTOP` to stall it, `SIGCONT`).
    pub(crate) fn signal(&mut self, signal: Signal) {
        self.process.signal(signal);
    }

    /// Ends it by `SIGKILL` and waits until it is gone: a crash.
    pub(crate) async fn kill(mut self) -> anyhow::Result<()> {
        self.process.signal(Signal::SIGKILL);
        Ok(self.process.ended(KILL_MAX).await?)
    }

    pub(crate) async fn stop(self) -> anyhow::Result<()> {
        Ok(self.process.stop().await?)
    }
}

fn log_ends(log: &Path) -> String {
    format!(
        "its log {} ends with:\n{}",
        log.display(),
        log_tail(log, TAIL_LINES)
    )
}
