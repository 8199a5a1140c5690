use std::fs;
use std::ops::Deref;
use std::path::Path;
use std::time::Duration;

use nix::sys::signal::Signal;
use tokio::process::Command;
use tokio::time::timeout;

use crate::error::says_disk_full;
use crate::placement::missing_is_fine;
use crate::process::{children_of, send};
use crate::server::{Home, Server, first_line};
use crate::supervise::{Spec, Supervised};
use crate::{Durability, Error, Program, StoreOptions};

const WHAT: &str = "Postgres";
const SUPERUSER: &str = "postgres";
const PID_FILE: &str = "postmaster.pid";
const KILL_MAX: Duration = Duration::from_secs(10);
const INITDB_MAX: Duration = Duration::from_secs(120);

/// A private Postgres server on 127.0.0.1. Dropping it asks it to stop; [`Postgres::stop`] also waits.
#[derive(Debug)]
pub struct Postgres {
    server: Server,
}

impl Postgres {
    /// Starts a server on `store_dir`, which is made and initialised when it is new, and waits until it answers.
    ///
    /// As root the data may lie elsewhere, see [`Placement`](crate::Placement); [`Server::placement`] tells.
    ///
    /// # Errors
    /// See [`Error`]: missing or old binaries, a directory in use, a full disk, a server that does not come up.
    pub async fn start(store_dir: &Path, options: &StoreOptions) -> Result<Self, Error> {
        let program = options.search.postgres()?;
        let home = Home::open(store_dir, options)?;
        // Postgres itself refuses to start when the pid in a stale file has gone to any other process since.
        let pid_file = home.data.join(PID_FILE);
        home.wait_for_predecessor(WHAT, "postgres", &pid_file, options.stop_max)
            .await?;
        if home.data.join("PG_VERSION").exists() {
            check_major(&home.data, &program)?;
        } else {
            initialise(&program, &home, options.durability).await?;
        }
        let spawn = async |home: &Home, port| spawn(&program, home, port, options).await;
        let ready = async |_, pid, _: &str| is_ready(&pid_file, pid);
        Ok(Self {
            server: home.start(WHAT, options, spawn, ready).await?,
        })
    }

    /// `postgres://…` of `database` as the superuser. Holds the password: not for logs.
    #[must_use]
    pub fn url(&self, database: &str) -> String {
        format!(
            "postgres://{SUPERUSER}:{}@127.0.0.1:{}/{database}",
            self.password(),
            self.port()
        )
    }

    /// Sends a signal to all of the server's processes (`SIGSTOP` to stall it, `SIGCONT`); false when it has ended.
    pub fn signal(&mut self, signal: Signal) -> bool {
        // Its first process starts the others, so none can be missed while it stands still.
        if signal != Signal::SIGCONT && !self.server.supervised.signal(Signal::SIGSTOP) {
            return false;
        }
        for child in children_of(self.pid()) {
            send(child, signal);
        }
        self.server.supervised.signal(signal)
    }

    /// Ends all of the server's processes by `SIGKILL` and waits until it is gone: a crash, for tests. A start on the
    /// same directory recovers what was committed.
    ///
    /// # Errors
    /// [`Error::NotStopped`] when it was still there after ten seconds.
    pub async fn kill(mut self) -> Result<(), Error> {
        self.signal(Signal::SIGKILL);
        self.server.supervised.ended(KILL_MAX).await
    }

    /// Stops the server (a fast shutdown: sessions are ended, data is flushed) and waits until it is gone.
    ///
    /// # Errors
    /// [`Error::NotStopped`] when even the hard stop had no effect in time.
    pub async fn stop(self) -> Result<(), Error> {
        self.server.supervised.stop().await
    }

    /// Removes the data of `store_dir`, wherever it was placed.
    ///
    /// # Errors
    /// [`Error::InUse`] while an owner runs.
    pub fn remove(store_dir: &Path) -> Result<(), Error> {
        crate::placement::remove(store_dir)
    }
}

impl Deref for Postgres {
    type Target = Server;

    fn deref(&self) -> &Server {
        &self.server
    }
}

fn check_major(dir: &Path, program: &Program) -> Result<(), Error> {
    let path = dir.join("PG_VERSION");
    let data = fs::read_to_string(&path)
        .map_err(Error::io("read", &path))?
        .trim()
        .to_owned();
    if data == program.version.major.to_string() {
        return Ok(());
    }
    Err(Error::OtherMajor {
        dir: dir.to_owned(),
        data,
        installed: program.version.major,
    })
}

/// Initialises beside the final place and renames, so that a crash half-way leaves nothing that looks complete.
async fn initialise(program: &Program, home: &Home, durability: Durability) -> Result<(), Error> {
    let placement = &home.placement;
    let unfinished = placement.dir.join("data.new");
    fs::remove_dir_all(&unfinished)
        .or_else(missing_is_fine)
        .map_err(Error::io("remove", &unfinished))?;
    placement.make_dir(&unfinished)?;
    home.make_password(None)?;
    let mut command = Command::new(program.path.with_file_name("initdb"));
    command
        .arg("--pgdata")
        .arg(&unfinished)
        .arg("--pwfile")
        .arg(home.password_file())
        .args([
            "--username",
            SUPERUSER,
            "--encoding",
            "UTF8",
            "--locale",
            "C",
            "--auth",
            "scram-sha-256",
        ])
        .current_dir(&unfinished)
        .stdin(std::process::Stdio::null())
        .kill_on_drop(true);
    if durability == Durability::Throwaway {
        command.arg("--no-sync");
    }
    if let Some(account) = placement.run_as {
        command.gid(account.gid).uid(account.uid);
    }
    let initdb = program.path.with_file_name("initdb");
    let output = timeout(INITDB_MAX, command.output())
        .await
        .unwrap_or_else(|_| Err(std::io::ErrorKind::TimedOut.into()))
        .map_err(Error::io("run", &initdb))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        let _ = fs::remove_dir_all(&unfinished);
        if says_disk_full(&said) {
            return Err(Error::DiskFull {
                dir: placement.dir.clone(),
            });
        }
        return Err(Error::Install {
            command: initdb.display().to_string(),
            detail: said.replace('\n', " | "),
        });
    }
    fs::rename(&unfinished, &home.data).map_err(Error::io("create", &placement.dir))
}

async fn spawn(
    program: &Program,
    home: &Home,
    port: u16,
    options: &StoreOptions,
) -> Result<Supervised, Error> {
    let data = home.data.to_string_lossy().into_owned();
    let mut args = vec!["-D".to_owned(), data, "-p".to_owned(), port.to_string()];
    for setting in settings(options.durability) {
        args.extend(["-c".to_owned(), (*setting).to_owned()]);
    }
    let throwaway = options.durability == Durability::Throwaway;
    Supervised::spawn(Spec {
        args,
        run_as: home.placement.run_as,
        // INT = fast shutdown; QUIT = immediate, which still frees shared memory, as KILL would not.
        stop_signal: if throwaway { "QUIT" } else { "INT" },
        hard_signal: "QUIT",
        stop_max: options.stop_max,
        remove_dir: throwaway.then(|| home.placement.dir.clone()),
        ..Spec::new(WHAT, &program.path, &home.data, &home.log)
    })
    .await
}

/// The eighth line of `postmaster.pid` says "ready" once connections are taken, or "standby" by a server that follows
/// another one and is as far as to answer queries: what `pg_ctl --wait` goes by.
fn is_ready(pid_file: &Path, pid: u32) -> bool {
    first_line(pid_file) == Some(pid)
        && fs::read_to_string(pid_file).is_ok_and(|text| {
            text.lines()
                .nth(7)
                .is_some_and(|status| matches!(status.trim(), "ready" | "standby"))
        })
}

/// No Unix socket: its path would be too long in deep directories. Times are UTC, as everywhere in the system.
fn settings(durability: Durability) -> &'static [&'static str] {
    match durability {
        Durability::Honest => &[
            "listen_addresses=127.0.0.1",
            "unix_socket_directories=",
            "max_connections=200",
            "shared_buffers=256MB",
            "max_wal_size=2GB",
            "wal_compression=on",
            "timezone=UTC",
            "log_timezone=UTC",
            "jit=off",
        ],
        Durability::Throwaway => &[
            "listen_addresses=127.0.0.1",
            "unix_socket_directories=",
            "max_connections=300",
            "shared_buffers=128MB",
            "fsync=off",
            "synchronous_commit=off",
            "full_page_writes=off",
            "wal_level=minimal",
            "max_wal_senders=0",
            "autovacuum_naptime=10min",
            "timezone=UTC",
            "log_timezone=UTC",
            "jit=off",
        ],
    }
}
