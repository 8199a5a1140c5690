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

/// Something that can be installed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// The server.
    Postgres,
    /// The server, or Valkey.
    Redis,
    /// Python with virtual environments, for tests that run other people's tools.
    Python,
}

impl Need {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Postgres => "Postgres",
            Self::Redis => "Redis",
            Self::Python => "Python",
        }
    }

    fn package(self) -> &'static str {
        match (self, cfg!(target_os = "macos")) {
            (Self::Postgres, true) => "postgresql@17",
            (Self::Postgres, false) => "postgresql",
            (Self::Redis, true) => "redis",
            (Self::Redis, false) => "redis-server",
            (Self::Python, true) => "python3",
            // Debian keeps `ensurepip` out of `python3`.
            (Self::Python, false) => "python3-venv",
        }
    }

    fn check(self, search: &Search) -> Result<(), Error> {
        match self {
            Self::Postgres => search.postgres().map(|_| ()),
            Self::Redis => search.redis().map(|_| ()),
            Self::Python => {
                let works = std::process::Command::new("python3")
                    .args(["-c", "import venv, ensurepip"])
                    .stdin(Stdio::null())
                    .stdout(Stdio::null())
                    .stderr(Stdio::null())
                    .status()
                    .is_ok_and(|status| status.success());
                if works { Ok(()) } else { Err(missing(&[self])) }
            }
        }
    }

    /// Named explicitly: a package would not be looked at.
    fn is_pinned(self, search: &Search) -> bool {
        match self {
            Self::Postgres => search.postgres_bin.is_some(),
            Self::Redis => search.redis_server.is_some(),
            Self::Python => false,
        }
    }
}

/// Makes sure that these are there, and installs what is missing; `say` hears of it.
///
/// # Errors
/// [`Error::Missing`] with the command to run where this process may not install, [`Error::Install`] when the package
/// manager fails, [`Error::TooOld`] when an old binary is in the way.
pub async fn ensure(
    search: &Search,
    needs: &[Need],
    say: &(dyn Fn(Said<'_>) + Sync),
) -> Result<(), Error> {
    let mut wanted = Vec::new();
    for need in needs {
        match need.check(search) {
            Ok(()) => {}
            Err(Error::Missing { .. }) if !need.is_pinned(search) => wanted.push(*need),
            Err(error) => return Err(error),
        }
    }
    if wanted.is_empty() {
        return Ok(());
    }
    let Some(installer) = Installer::detect(search).await else {
        return Err(missing(&wanted));
    };
    let command = shown(&wanted);
    say(Said::Step(&format!(
        "{} not found, installing: {command}",
        names(&wanted)
    )));
    run(&mut installer.command(&wanted), &command, say).await?;
    wanted.iter().try_for_each(|need| need.check(search))
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

    fn command(&self, needs: &[Need]) -> Command {
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
        command.args(needs.iter().map(|need| need.package()));
        command
    }
}

fn names(needs: &[Need]) -> String {
    needs
        .iter()
        .map(|need| need.name())
        .collect::<Vec<_>>()
        .join(" and ")
}

/// What a person would type, for messages.
fn shown(needs: &[Need]) -> String {
    let packages: Vec<&str> = needs.iter().map(|need| need.package()).collect();
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
pub(crate) fn missing(needs: &[Need]) -> Error {
    let is = if needs.len() == 1 { "is" } else { "are" };
    let sudo = if cfg!(target_os = "macos") || geteuid().is_root() {
        ""
    } else {
        "sudo "
    };
    Error::Missing {
        what: format!("{} {is}", names(needs)),
        remedy: format!("{sudo}{}", shown(needs)),
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
