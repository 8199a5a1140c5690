//! Holds what `deploy/` says against what the services say they need.
//!
//! The checks are Python (`checks/`), since their tools are: cfn-lint, checkov, hadolint and the compose
//! specification's schema come from PyPI, into a virtual environment under the target directory. The contracts come from
//! the code: [`contracts`].

use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use steelyard_runtime::contract::{Contract, Service};

/// The services that are deployed.
pub const SERVICES: [Service; 4] = [
    steelyard_gateway::SERVICE,
    steelyard_orders::SERVICE,
    steelyard_catalog::SERVICE,
    steelyard_documents::SERVICE,
];

/// What is run by schedule, by hand or by events, and ends: listens nowhere.
pub const TASKS: [Service; 7] = [
    steelyard_catalog::MIGRATE,
    steelyard_documents::MIGRATE,
    steelyard_orders::MIGRATE,
    steelyard_orders::export::EXPORT,
    steelyard_documents::LIFECYCLE,
    steelyard_documents::IMPORT,
    steelyard_documents_lambda::FUNCTION,
];

/// This crate's folder.
const HERE: &str = env!("CARGO_MANIFEST_DIR");

/// What each service needs, as its `--print-contract` prints it.
#[must_use]
pub fn contracts() -> Vec<Contract> {
    SERVICES.iter().chain(&TASKS).map(Contract::of).collect()
}

/// The checks with the tools that they need.
#[derive(Debug)]
pub struct Checks {
    python: PathBuf,
    contracts: PathBuf,
}

impl Checks {
    /// Installs the tools under `target` when they are not there yet, and writes the contracts for the checks to read.
    ///
    /// # Errors
    /// What is in the way of the tools: no Python, or no package index.
    pub fn ready(target: &Path) -> io::Result<Self> {
        Self::with(target, "deploy-check", "requirements.txt", 11)
    }

    /// As [`Checks::ready`], with LocalStack instead of the linters: for `checks.host_mode`.
    ///
    /// # Errors
    /// As [`Checks::ready`].
    pub fn with_localstack(target: &Path) -> io::Result<Self> {
        // LocalStack 4.14.0 says 3.10, and asks for `warnings.deprecated`, which came with 3.13.
        Self::with(target, "host-mode", "requirements-host-mode.txt", 13)
    }

    /// As [`Checks::ready`], with checkov, which wants its own versions of everything.
    ///
    /// # Errors
    /// As [`Checks::ready`].
    pub fn with_checkov(target: &Path) -> io::Result<Self> {
        Self::with(target, "checkov", "requirements-checkov.txt", 9)
    }

    fn with(target: &Path, name: &str, requirements: &str, minor_min: u8) -> io::Result<Self> {
        fs::create_dir_all(target)?;
        let python = install(target, name, requirements, minor_min)?;
        // Whole at any time: checks run side by side.
        let thread = std::thread::current().id();
        let unfinished = target.join(format!("contracts-{}-{thread:?}", std::process::id()));
        fs::write(&unfinished, serde_json::to_vec_pretty(&contracts())?)?;
        let contracts = target.join("contracts.json");
        fs::rename(unfinished, &contracts)?;
        Ok(Self { python, contracts })
    }

    /// Runs `python -m ARGS` in the repository's root; the checks find each other and the contracts.
    ///
    /// # Errors
    /// When Python cannot be started.
    pub fn run(&self, args: &[&str]) -> io::Result<Output> {
        Command::new(&self.python)
            .arg("-m")
            .args(args)
            .current_dir(root())
            .env("PYTHONPATH", HERE)
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .env("STEELYARD_CONTRACTS", &self.contracts)
            .output()
    }
}

/// The repository.
#[must_use]
pub fn root() -> PathBuf {
    Path::new(HERE).join("../..")
}

/// A virtual environment with what the requirements file names, made anew when the file has changed.
fn install(target: &Path, name: &str, requirements: &str, minor_min: u8) -> io::Result<PathBuf> {
    let requirements = Path::new(HERE).join(requirements);
    let wanted = fs::read_to_string(&requirements)?;
    let environment = target.join(format!("{name}-venv"));
    // Test runs side by side take turns.
    let turn = File::create(target.join(format!("{name}-venv.lock")))?;
    turn.lock()?;
    let python = environment.join("bin/python");
    let installed = environment.join("installed.txt");
    if fs::read_to_string(&installed).is_ok_and(|found| found == wanted) {
        return Ok(python);
    }
    finish(
        Command::new(found(minor_min)?)
            .args(["-m", "venv", "--clear"])
            .arg(&environment),
    )?;
    finish(
        Command::new(&python)
            .args(["-m", "pip", "install", "--quiet", "--requirement"])
            .arg(&requirements),
    )?;
    fs::write(installed, wanted)?;
    Ok(python)
}

/// A Python 3 of at least this minor version with what virtual environments need: the one that `STEELYARD_PYTHON` names,
/// else one on the path.
fn found(minor_min: u8) -> io::Result<OsString> {
    let test =
        format!("import ensurepip, sys, venv; sys.exit(sys.version_info < (3, {minor_min}))");
    let fits = |program: &OsString| {
        let output = Command::new(program).args(["-c", &test]).output();
        output.is_ok_and(|output| output.status.success())
    };
    let on_path = ["python3", "python3.13", "python3.12"].map(OsString::from);
    let named = std::env::var_os("STEELYARD_PYTHON");
    named.into_iter().chain(on_path).find(fits).ok_or_else(|| {
        io::Error::other(format!(
            "no Python 3.{minor_min} or newer with venv; name one in STEELYARD_PYTHON"
        ))
    })
}

fn finish(command: &mut Command) -> io::Result<()> {
    let output = command.output()?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(io::Error::other(format!("{command:?} failed: {said}")))
}
