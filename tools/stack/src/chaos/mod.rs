//! `cargo stack chaos`: a stack of its own, broken by plan while storefronts order; then the books.
//!
//! ```text
//! seed ─► plan ─► faults ─► rig (processes, proxies)
//!    └──► shop ─► load ─► gateways          queues ─► collector
//!                  └─► journal ─────────► books ◄─────────┘
//!                                           ▲ orders, stock (REST)
//! ```
//!
//! The plan, the shop, the load and the books are in `tools/chaos`; here are the processes.

mod env;
mod faults;
mod rig;
mod run;

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use steelyard_chaos::check::Findings;
use steelyard_chaos::plan::{self, Kind, Target};
use steelyard_chaos::report;
use steelyard_localstores::DirLock;
use steelyard_tokens::Keys;

use self::rig::Rig;
use self::run::Run;
use crate::cli::ChaosArgs;
use crate::dir::StackDir;
use crate::progress::{Progress, err, out};
use crate::secrets::Secrets;
use crate::up::processes::Binaries;

/// Ends hard what did not end when it was asked to.
const TIDY_MAX: Duration = Duration::from_secs(60);

/// Runs chaos and reports. Everything that it started is stopped and removed again, whatever happens; the logs stay
/// when something does not hold.
///
/// # Errors
/// When the system under test cannot be started, or the books cannot be read. Violations are no error but exit code 1.
pub async fn command(args: &ChaosArgs) -> anyhow::Result<ExitCode> {
    let seed = args
        .seed
        .unwrap_or_else(|| u64::from(rand::random::<u32>()));
    let lasts = args
        .time
        .unwrap_or_else(|| Duration::from_secs(60 * u64::from(args.minutes)));
    let plan = plan::faults(seed, lasts);
    if args.plan {
        for fault in &plan {
            out(&fault.to_string());
        }
        return Ok(ExitCode::SUCCESS);
    }
    let stop = steelyard_runtime::shutdown::on_signal().context("cannot wait for Ctrl-C")?;
    let progress = Progress::new();
    let binaries = match stop
        .run_until_cancelled(Binaries::build(args.release, &progress))
        .await
    {
        None => return Ok(ExitCode::FAILURE),
        Some(built) => built?,
    };
    let home = Home::make()?;
    let written: String = plan.iter().map(|fault| format!("{fault}\n")).collect();
    std::fs::write(home.dir.logs().join("plan.txt"), written)?;
    out(&format!(
        "chaos: seed {seed}, {} s, {} faults, {} orders/s",
        lasts.as_secs(),
        plan.len(),
        args.rate
    ));
    progress.note(&format!("logs: {}", home.dir.logs().display()));
    let run = Run {
        seed,
        lasts,
        plan: &plan,
        args,
        dir: &home.dir,
        progress: &progress,
        stop: &stop,
    };
    let outcome = Box::pin(run.run(binaries)).await;
    let clean = matches!(&outcome, Ok(Some(outcome)) if outcome.findings.is_clean());
    let logs = home.end(!clean || args.keep_logs)?;
    drop(progress);
    let tell_logs = || {
        if let Some(logs) = &logs {
            out(&format!(
                "  logs, journal.ndjson, faults.log and plan.txt: {logs}"
            ));
        }
    };
    match outcome {
        Err(error) => {
            tell_logs();
            Err(error)
        }
        Ok(None) => {
            err("chaos: interrupted");
            Ok(ExitCode::FAILURE)
        }
        Ok(Some(outcome)) => {
            tell(&outcome);
            tell_logs();
            let verdict = match clean {
                true => "everything holds",
                false => "violated: see above",
            };
            out(&format!("chaos: seed {seed}: {verdict}"));
            Ok(if clean {
                ExitCode::SUCCESS
            } else {
                ExitCode::FAILURE
            })
        }
    }
}

/// What came of a run.
struct Outcome {
    done: Vec<(Target, Kind)>,
    findings: Findings,
    /// Figures for people: name and value.
    figures: Vec<(&'static str, String)>,
}

fn tell(outcome: &Outcome) {
    out("");
    out(&report::faults(&outcome.done));
    for (name, value) in &outcome.figures {
        out(&format!("  {name:<50}{value:>12}"));
    }
    out("");
    out(&report::facts(&outcome.findings));
}

/// The run's own directory, for as long as it takes.
struct Home {
    dir: StackDir,
    temp: tempfile::TempDir,
    _lock: DirLock,
}

impl Home {
    fn make() -> anyhow::Result<Self> {
        use std::os::unix::fs::PermissionsExt;
        let temp = tempfile::Builder::new()
            .prefix("steelyard-chaos-")
            // The account of the database server has to walk through it.
            .permissions(std::fs::Permissions::from_mode(0o755))
            .tempdir()
            .context("cannot make a directory for the data")?;
        let dir = StackDir::at(temp.path())?;
        let lock = dir.own()?;
        Ok(Self {
            dir,
            temp,
            _lock: lock,
        })
    }

    /// Secrets and keys of the system under test.
    fn keys(dir: &StackDir) -> anyhow::Result<(Secrets, Keys)> {
        let secrets = Secrets::load_or_make(&dir.secrets())?;
        let keys = Keys::load_or_generate(&dir.key())?;
        std::fs::write(dir.jwks(), keys.jwks())
            .with_context(|| format!("cannot write {}", dir.jwks().display()))?;
        Ok((secrets, keys))
    }

    /// Removes the data, and the logs unless they are to be kept; answers where those are.
    fn end(self, keep_logs: bool) -> anyhow::Result<Option<String>> {
        Rig::remove_data(&self.dir);
        if !keep_logs {
            self.temp.close().context("cannot remove the data")?;
            return Ok(None);
        }
        for file in [self.dir.secrets(), self.dir.key()] {
            remove(&file);
        }
        let logs = self.dir.logs().display().to_string();
        // Kept on purpose.
        let _ = self.temp.keep();
        Ok(Some(logs))
    }
}

fn remove(file: &Path) {
    let _ = std::fs::remove_file(file);
}
