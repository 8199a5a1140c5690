//! A child process that cannot outlive its owner.
//!
//! `PR_SET_PDEATHSIG` would fire when the *thread* that spawned ends, which in an async program is any time, and macOS
//! has no such thing. So a small shell is the server's parent: it reads a pipe whose other end the owner holds. When the
//! owner closes it, or dies in whatever way, the shell stops the server: first with the stop signal, and after the stop
//! time hard. Being the server's parent it can never hit a stranger that got the same pid later.
//!
//! The shell has a process group of its own, so that Ctrl-C in a terminal reaches the owner only, which then stops things
//! in order.

use std::io::{self, BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::Duration;

use nix::sys::signal::{self, Signal};
use tokio::time::{Instant, sleep};

use crate::Error;
use crate::placement::Account;
use crate::process::raw;

const WATCHDOG: &str = r#"
exec 3<&0
"$@" 3<&- </dev/null >&2 &
child=$!
printf '%s\n' "$child"
exec >&2
(
    read -r _ <&3
    trap 'kill "$pause" 2>/dev/null; wait; exit 0' TERM
    kill -s "$STOP_SIGNAL" "$child" 2>/dev/null || exit 0
    seconds=0
    while [ "$seconds" -lt "$STOP_SECONDS_MAX" ] && kill -0 "$child" 2>/dev/null; do
        sleep 1 &
        pause=$!
        wait "$pause"
        seconds=$((seconds + 1))
    done
    kill -s "$HARD_SIGNAL" "$child" 2>/dev/null
) &
watcher=$!
exec 3<&-
wait "$child"
status=$?
kill "$watcher" 2>/dev/null
wait "$watcher" 2>/dev/null
[ -n "$REMOVE_DIR" ] && rm -rf -- "$REMOVE_DIR"
exit "$status"
"#;

/// How often a state is looked at that nothing announces.
pub(crate) const POLL: Duration = Duration::from_millis(10);

/// What to run and how to end it.
#[derive(Debug)]
pub struct Spec<'a> {
    /// Its name in messages.
    pub what: String,
    /// The binary.
    pub program: &'a Path,
    /// Its arguments.
    pub args: Vec<String>,
    /// Variables in addition to the owner's own.
    pub env: Vec<(String, String)>,
    /// Where it runs.
    pub working_dir: &'a Path,
    /// Receives its standard output and error, appended.
    pub log: &'a Path,
    /// How it is asked to stop: `TERM`, `INT`, …
    pub stop_signal: &'static str,
    /// How it is ended when it has not stopped in time: `KILL`, …
    pub hard_signal: &'static str,
    /// The time it gets, in whole seconds.
    pub stop_max: Duration,
    /// Removed when it has ended.
    pub(crate) remove_dir: Option<PathBuf>,
    pub(crate) run_as: Option<Account>,
}

impl<'a> Spec<'a> {
    /// A program without arguments that is stopped by `SIGTERM`, and after 30 s by `SIGKILL`.
    #[must_use]
    pub fn new(
        what: impl Into<String>,
        program: &'a Path,
        working_dir: &'a Path,
        log: &'a Path,
    ) -> Self {
        Self {
            what: what.into(),
            program,
            args: Vec::new(),
            env: Vec::new(),
            working_dir,
            log,
            stop_signal: "TERM",
            hard_signal: "KILL",
            stop_max: Duration::from_secs(30),
            remove_dir: None,
            run_as: None,
        }
    }
}

/// A running server with its watchdog. Dropping it asks the server to stop and does not wait; [`Supervised::stop`] waits.
#[derive(Debug)]
pub struct Supervised {
    what: String,
    pid: u32,
    watchdog: Child,
    /// Closing it is the stop request.
    leash: Option<ChildStdin>,
    stop_max: Duration,
    remove_dir: Option<PathBuf>,
}

impl Supervised {
    /// Starts the program.
    ///
    /// # Errors
    /// [`Error::Io`] when the log cannot be opened or the watchdog cannot be started. A program that ends at once shows
    /// by [`Supervised::has_ended`].
    pub async fn spawn(spec: Spec<'_>) -> Result<Self, Error> {
        let program = spec.program.to_owned();
        let log = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(spec.log)
            .map_err(Error::io("open", spec.log))?;
        let mut command = Command::new("/bin/sh");
        command
            .args(["-c", WATCHDOG, "steelyard-watchdog"])
            .arg(spec.program)
            .args(&spec.args)
            .envs(spec.env)
            .env("STOP_SIGNAL", spec.stop_signal)
            .env("HARD_SIGNAL", spec.hard_signal)
            .env("STOP_SECONDS_MAX", spec.stop_max.as_secs().to_string())
            .env("REMOVE_DIR", spec.remove_dir.clone().unwrap_or_default())
            .current_dir(spec.working_dir)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log)
            .process_group(0);
        if let Some(account) = spec.run_as {
            // As root std also drops the supplementary groups.
            command.gid(account.gid).uid(account.uid);
        }
        let started = tokio::task::spawn_blocking(move || -> io::Result<(Child, u32)> {
            let mut watchdog = command.spawn()?;
            let mut line = String::new();
            if let Some(stdout) = watchdog.stdout.take() {
                BufReader::new(stdout).read_line(&mut line)?;
            }
            let pid = line
                .trim()
                .parse()
                .map_err(|_| io::Error::other("the watchdog named no pid"))?;
            Ok((watchdog, pid))
        })
        .await;
        let (mut watchdog, pid) = started
            .unwrap_or_else(|panic| Err(io::Error::other(panic)))
            .map_err(Error::io("start", &program))?;
        let leash = watchdog.stdin.take();
        Ok(Self {
            what: spec.what,
            pid,
            watchdog,
            leash,
            stop_max: spec.stop_max,
            remove_dir: spec.remove_dir,
        })
    }

    /// The program's process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Whether the server (and so its watchdog) has ended.
    pub fn has_ended(&mut self) -> bool {
        matches!(self.watchdog.try_wait(), Ok(Some(_)))
    }

    /// Sends a signal to the server; false when it is gone.
    pub fn signal(&mut self, signal: Signal) -> bool {
        // While the watchdog lives it has not reaped the server, so the pid is still the server's.
        !self.has_ended() && raw(self.pid).is_some_and(|pid| signal::kill(pid, signal).is_ok())
    }

    /// Asks the server to stop and waits until it is gone; after the stop time the watchdog ends it hard.
    ///
    /// # Errors
    /// [`Error::NotStopped`] when even that had no effect.
    pub async fn stop(mut self) -> Result<(), Error> {
        self.leash = None;
        // A second more than the watchdog takes to turn hard.
        self.ended(self.stop_max + Duration::from_secs(2)).await
    }

    /// Waits until the server is gone.
    ///
    /// # Errors
    /// [`Error::NotStopped`] when it was still there after `wait_max`.
    pub async fn ended(&mut self, wait_max: Duration) -> Result<(), Error> {
        let deadline = Instant::now() + wait_max;
        while !self.has_ended() {
            if Instant::now() >= deadline {
                return Err(Error::NotStopped {
                    what: self.what.clone(),
                    pid: self.pid,
                    seconds: wait_max.as_secs(),
                });
            }
            sleep(POLL).await;
        }
        if let Some(dir) = &self.remove_dir {
            // The watchdog emptied it, but its account may not remove an entry of a directory that is the owner's.
            let _ = std::fs::remove_dir_all(dir);
        }
        Ok(())
    }
}
