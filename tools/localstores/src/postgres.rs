use std::fs;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::process::Command;
use tokio::time::{Instant, sleep, timeout};

use crate::error::says_disk_full;
use crate::placement::{LOCK, LOG, PASSWORD, missing_is_fine};
use crate::process::{log_tail, random_secret, serves};
use crate::supervise::{POLL, Spec, Supervised};
use crate::{DirLock, Durability, Error, Placement, Program, StoreOptions, free_port};

const WHAT: &str = "Postgres";
const SUPERUSER: &str = "postgres";
/// A free port may be taken by another process before Postgres binds it.
const PORT_TRIES_MAX: u32 = 5;
const INITDB_MAX: Duration = Duration::from_secs(120);

/// A private Postgres server on 127.0.0.1. Dropping it asks it to stop; [`Postgres::stop`] also waits.
#[derive(Debug)]
pub struct Postgres {
    server: Supervised,
    placement: Placement,
    port: u16,
    password: String,
    log: PathBuf,
    _lock: DirLock,
}

impl Postgres {
    /// Starts a server on `store_dir`, which is made and initialised when it is new, and waits until it answers.
    ///
    /// As root the data may lie elsewhere, see [`Placement`]; [`Postgres::placement`] tells.
    ///
    /// # Errors
    /// See [`Error`]: missing or old binaries, a directory in use, a full disk, a server that does not come up.
    pub async fn start(store_dir: &Path, options: &StoreOptions) -> Result<Self, Error> {
        let program = options.search.postgres()?;
        let placement = Placement::of(store_dir)?;
        placement.make_dir(&placement.dir)?;
        let lock = DirLock::acquire(&placement.dir.join(LOCK), &placement.dir)?;
        let dir = placement.data();
        wait_for_predecessor(&dir, options.stop_max).await?;
        let password_file = placement.dir.join(PASSWORD);
        if dir.join("PG_VERSION").exists() {
            check_major(&dir, &program)?;
        } else {
            initialise(&program, &placement, &password_file, options.durability).await?;
        }
        let password =
            fs::read_to_string(&password_file).map_err(Error::io("read", &password_file))?;
        let log = options
            .log
            .clone()
            .unwrap_or_else(|| placement.dir.join(LOG));
        let mut tries = 0;
        loop {
            tries += 1;
            let port = match options.port {
                Some(port) => port,
                None => free_port().map_err(Error::io("find a free port for", &dir))?,
            };
            match launch(&program, &placement, port, &log, options).await {
                Err(Error::Start { ref tail, .. })
                    if options.port.is_none()
                        && tries < PORT_TRIES_MAX
                        && tail.contains("Address already in use") => {}
                Err(error) => return Err(error),
                Ok(server) => {
                    return Ok(Self {
                        server,
                        placement,
                        port,
                        password,
                        log,
                        _lock: lock,
                    });
                }
            }
        }
    }

    /// `postgres://…` of `database` as the superuser. Holds the password: not for logs.
    #[must_use]
    pub fn url(&self, database: &str) -> String {
        format!(
            "postgres://{SUPERUSER}:{}@127.0.0.1:{}/{database}",
            self.password, self.port
        )
    }

    /// The port on 127.0.0.1.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The server's process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.server.pid()
    }

    /// The server's log file.
    #[must_use]
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// Where the data lies.
    #[must_use]
    pub fn placement(&self) -> &Placement {
        &self.placement
    }

    /// Stops the server (a fast shutdown: sessions are ended, data is flushed) and waits until it is gone.
    ///
    /// # Errors
    /// [`Error::NotStopped`] when even the hard stop had no effect in time.
    pub async fn stop(self) -> Result<(), Error> {
        self.server.stop().await
    }

    /// Removes the data of `store_dir`, wherever it was placed.
    ///
    /// # Errors
    /// [`Error::InUse`] while an owner runs.
    pub fn remove(store_dir: &Path) -> Result<(), Error> {
        crate::placement::remove(store_dir)
    }
}

/// After a crash of its owner the server needs a moment to stop; its pid file tells whom to wait for.
async fn wait_for_predecessor(dir: &Path, wait_max: Duration) -> Result<(), Error> {
    let pid_file = dir.join("postmaster.pid");
    let deadline = Instant::now() + wait_max;
    loop {
        let Some(pid) = pid_in(&pid_file) else {
            return Ok(());
        };
        if !serves(pid, "postgres", dir) {
            // Postgres itself refuses to start when the pid in a stale file has gone to any other process since.
            return fs::remove_file(&pid_file)
                .or_else(missing_is_fine)
                .map_err(Error::io("remove", &pid_file));
        }
        if Instant::now() >= deadline {
            return Err(Error::StillRunning {
                what: WHAT,
                dir: dir.to_owned(),
                pid,
            });
        }
        sleep(POLL).await;
    }
}

fn pid_in(pid_file: &Path) -> Option<u32> {
    fs::read_to_string(pid_file)
        .ok()?
        .lines()
        .next()?
        .trim()
        .parse()
        .ok()
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
async fn initialise(
    program: &Program,
    placement: &Placement,
    password_file: &Path,
    durability: Durability,
) -> Result<(), Error> {
    let unfinished = placement.dir.join("data.new");
    fs::remove_dir_all(&unfinished)
        .or_else(missing_is_fine)
        .map_err(Error::io("remove", &unfinished))?;
    placement.make_dir(&unfinished)?;
    write_secret(password_file, placement)?;
    let mut command = Command::new(program.path.with_file_name("initdb"));
    command
        .arg("--pgdata")
        .arg(&unfinished)
        .arg("--pwfile")
        .arg(password_file)
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
    fs::rename(&unfinished, placement.data()).map_err(Error::io("create", &placement.dir))
}

/// A new random password in a file that only the server's account (and root) may read.
pub(crate) fn write_secret(path: &Path, placement: &Placement) -> Result<(), Error> {
    let password = random_secret().map_err(Error::io("make a password for", path))?;
    fs::remove_file(path)
        .or_else(missing_is_fine)
        .map_err(Error::io("replace", path))?;
    fs::OpenOptions::new()
        .create_new(true)
        .write(true)
        .mode(0o600)
        .open(path)
        .and_then(|mut file| file.write_all(password.as_bytes()))
        .map_err(Error::io("write", path))?;
    placement.give(path)
}

async fn launch(
    program: &Program,
    placement: &Placement,
    port: u16,
    log: &Path,
    options: &StoreOptions,
) -> Result<Supervised, Error> {
    let dir = &placement.data();
    let log_start = log.metadata().map_or(0, |found| found.len());
    let mut args = vec![
        "-D".to_owned(),
        dir.to_string_lossy().into_owned(),
        "-p".to_owned(),
        port.to_string(),
    ];
    for setting in settings(options.durability) {
        args.extend(["-c".to_owned(), (*setting).to_owned()]);
    }
    let throwaway = options.durability == Durability::Throwaway;
    let mut server = Supervised::spawn(Spec {
        what: WHAT.to_owned(),
        program: &program.path,
        args,
        env: Vec::new(),
        run_as: placement.run_as,
        working_dir: dir,
        log,
        // INT = fast shutdown; QUIT = immediate, which still frees shared memory, as KILL would not.
        stop_signal: if throwaway { "QUIT" } else { "INT" },
        hard_signal: "QUIT",
        stop_max: options.stop_max,
        remove_dir: throwaway.then(|| placement.dir.clone()),
    })
    .await?;
    let deadline = Instant::now() + options.ready_max;
    while !is_ready(dir, server.pid()) {
        let tail = || since(log, log_start);
        if server.has_ended() {
            let tail = tail();
            if says_disk_full(&tail) {
                return Err(Error::DiskFull { dir: dir.clone() });
            }
            return Err(Error::Start {
                what: WHAT,
                log: log.to_owned(),
                tail,
            });
        }
        if Instant::now() >= deadline {
            let seconds = options.ready_max.as_secs();
            return Err(Error::NotReady {
                what: WHAT,
                seconds,
                log: log.to_owned(),
                tail: tail(),
            });
        }
        sleep(POLL).await;
    }
    Ok(server)
}

/// What this start wrote to the log, its last lines at most.
fn since(log: &Path, start: u64) -> String {
    const LINES_MAX: usize = 8;
    match log.metadata() {
        Ok(found) if found.len() > start => log_tail(log, LINES_MAX),
        _ => String::new(),
    }
}

/// The eighth line of `postmaster.pid` says "ready" once connections are taken: what `pg_ctl --wait` goes by.
fn is_ready(dir: &Path, pid: u32) -> bool {
    let pid_file = dir.join("postmaster.pid");
    pid_in(&pid_file) == Some(pid)
        && fs::read_to_string(&pid_file).is_ok_and(|text| {
            text.lines()
                .nth(7)
                .is_some_and(|status| status.trim() == "ready")
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
