//! Installing what is missing with the machine's own package manager: `apt-get` as root or by password-less `sudo`,
//! Homebrew on macOS. Nothing else is tried; where it may not, the error names the one command that does.

use std::process::Stdio;
use std::time::Duration;

use nix::unistd::geteuid;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;

use crate::{Error, Search};

/// Longest time for a package manager's run: slow mirrors are common, endless ones are not waited for.
const INSTALL_MAX: Duration = Duration::from_secs(15 * 60);

/// `policy-rc.d` keeps Debian from starting the distribution's own servers on the standard ports; ours are private.
const APT_SCRIPT: &str = r#"
set -e
export DEBIAN_FRONTEND=noninteractive
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
    trap 'rm -f "$policy"' EXIT
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
fi
apt-get update -q
apt-get install -y -q --no-install-recommends "$@"
"#;

/// What an installation says.
#[derive(Clone, Copy, Debug)]
pub enum Said<'a> {
    /// What is being done, for everyone to see.
    Step(&'a str),
    /// A line of the package manager's.
    Output(&'a str),
}

/// Makes sure that Postgres and Redis are there, and installs what is missing; `say` hears of it.
///
/// # Errors
/// [`Error::Missing`] with the command to run where this process may not install, [`Error::Install`] when the package
/// manager fails, [`Error::TooOld`] when an old binary is in the way.
pub async fn ensure(search: &Search, say: &(dyn Fn(Said<'_>) + Sync)) -> Result<(), Error> {
    let mut missing = Vec::new();
    for (what, found) in [("Postgres", search.postgres()), ("Redis", search.redis())] {
        match found {
            Ok(_) => {}
            // Named explicitly, so a package would not be looked at either.
            Err(error @ Error::Missing { .. }) if is_pinned(search, what) => return Err(error),
            Err(Error::Missing { .. }) => missing.push(what),
            Err(other) => return Err(other),
        }
    }
    if missing.is_empty() {
        return Ok(());
    }
    let Some(installer) = Installer::detect(search).await else {
        return Err(self::missing(&missing));
    };
    let mut command = installer.command(&missing);
    say(Said::Step(&format!(
        "{} not found, installing: {}",
        missing.join(" and "),
        shown(&missing)
    )));
    run(&mut command, &shown(&missing), say).await?;
    search.postgres()?;
    search.redis()?;
    Ok(())
}

fn is_pinned(search: &Search, what: &str) -> bool {
    match what {
        "Postgres" => search.postgres_bin.is_some(),
        _ => search.redis_server.is_some(),
    }
}

enum Installer {
    Apt { sudo: bool },
    Brew,
}

impl Installer {
    async fn detect(search: &Search) -> Option<Self> {
        let on_path = |name: &str| {
            search
                .path
                .as_ref()
                .is_some_and(|path| std::env::split_paths(path).any(|dir| dir.join(name).is_file()))
        };
        if on_path("apt-get") {
            if geteuid().is_root() {
                return Some(Self::Apt { sudo: false });
            }
            // `-n`: never ask for a password.
            let allowed = Command::new("sudo")
                .args(["-n", "true"])
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .status()
                .await
                .is_ok_and(|status| status.success());
            return allowed.then_some(Self::Apt { sudo: true });
        }
        on_path("brew").then_some(Self::Brew)
    }

    fn command(&self, missing: &[&str]) -> Command {
        let mut command = match self {
            Self::Apt { sudo: false } => Command::new("sh"),
            Self::Apt { sudo: true } => {
                let mut command = Command::new("sudo");
                command.args(["-n", "sh"]);
                command
            }
            Self::Brew => Command::new("brew"),
        };
        match self {
            Self::Apt { .. } => command.args(["-c", APT_SCRIPT, "install"]),
            Self::Brew => command.arg("install"),
        };
        command.args(missing.iter().map(|what| package(what)));
        command
    }
}

fn package(what: &str) -> &'static str {
    match (what, cfg!(target_os = "macos")) {
        ("Postgres", true) => "postgresql@17",
        ("Postgres", false) => "postgresql",
        (_, true) => "redis",
        (_, false) => "redis-server",
    }
}

/// What a person would type, for messages.
fn shown(missing: &[&str]) -> String {
    let packages: Vec<&str> = missing.iter().map(|what| package(what)).collect();
    if cfg!(target_os = "macos") {
        format!("brew install {}", packages.join(" "))
    } else {
        format!(
            "apt-get install -y --no-install-recommends {}",
            packages.join(" ")
        )
    }
}

/// The error that names what is missing and the one command that installs it.
pub(crate) fn missing(missing: &[&str]) -> Error {
    let is = if missing.len() == 1 { "is" } else { "are" };
    let sudo = if cfg!(target_os = "macos") || geteuid().is_root() {
        ""
    } else {
        "sudo "
    };
    Error::Missing {
        what: format!("{} {is}", missing.join(" and ")),
        remedy: format!("{sudo}{}", shown(missing)),
    }
}

async fn run(
    command: &mut Command,
    shown: &str,
    say: &(dyn Fn(Said<'_>) + Sync),
) -> Result<(), Error> {
    const LAST_LINES: usize = 5;
    let failed = |detail: String| Error::Install {
        command: shown.to_owned(),
        detail,
    };
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| failed(error.to_string()))?;
    let (Some(stdout), Some(stderr)) = (child.stdout.take(), child.stderr.take()) else {
        return Err(failed("no output".to_owned()));
    };
    let mut out = BufReader::new(stdout).lines();
    let mut err = BufReader::new(stderr).lines();
    let mut last = Vec::new();
    let work = async {
        let (mut out_open, mut err_open) = (true, true);
        while out_open || err_open {
            let line = tokio::select! {
                line = out.next_line(), if out_open => { out_open = matches!(line, Ok(Some(_))); line },
                line = err.next_line(), if err_open => { err_open = matches!(line, Ok(Some(_))); line },
            };
            if let Ok(Some(line)) = line {
                say(Said::Output(&line));
                last.push(line);
                if last.len() > LAST_LINES {
                    last.remove(0);
                }
            }
        }
        child.wait().await
    };
    match tokio::time::timeout(INSTALL_MAX, work).await {
        Err(_) => Err(failed(format!(
            "not done after {} minutes",
            INSTALL_MAX.as_secs() / 60
        ))),
        Ok(Err(error)) => Err(failed(error.to_string())),
        Ok(Ok(status)) if !status.success() => {
            Err(failed(format!("{status}: {}", last.join(" | "))))
        }
        Ok(Ok(_)) => Ok(()),
    }
}
