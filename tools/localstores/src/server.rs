use std::fs;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::error::says_disk_full;
use crate::placement::{LOCK, LOG, PASSWORD, missing_is_fine};
use crate::process::{log_tail, random_secret, serves};
use crate::supervise::{POLL, Supervised};
use crate::{DirLock, Error, Placement, StoreOptions, free_port};

/// A free port may be taken by another process before the server binds it.
const PORT_TRIES_MAX: u32 = 5;
/// Lines of its log that a message about a failed start shows.
const TAIL_LINES: usize = 8;

/// A store's directory with its lock: what a server is started on.
pub(crate) struct Home {
    pub(crate) placement: Placement,
    pub(crate) data: PathBuf,
    pub(crate) log: PathBuf,
    lock: DirLock,
}

impl Home {
    /// Makes the directory when it is new, and takes its lock.
    pub(crate) fn open(store_dir: &Path, options: &StoreOptions) -> Result<Self, Error> {
        let placement = Placement::of(store_dir)?;
        placement.make_dir(&placement.dir)?;
        let lock = DirLock::acquire(&placement.dir.join(LOCK), &placement.dir)?;
        let log = options
            .log
            .clone()
            .unwrap_or_else(|| placement.dir.join(LOG));
        Ok(Self {
            data: placement.data(),
            placement,
            log,
            lock,
        })
    }

    /// The file with the superuser's password.
    pub(crate) fn password_file(&self) -> PathBuf {
        self.placement.dir.join(PASSWORD)
    }

    /// Makes a new random password, unless one is given.
    pub(crate) fn make_password(&self, given: Option<&str>) -> Result<(), Error> {
        let path = self.password_file();
        let random = || random_secret().map_err(Error::io("make a password for", &path));
        let password = given.map_or_else(random, |given| Ok(given.to_owned()))?;
        self.write_private(&path, &password)
    }

    /// Writes a file that only the server's account (and root) may read.
    pub(crate) fn write_private(&self, path: &Path, text: &str) -> Result<(), Error> {
        fs::remove_file(path)
            .or_else(missing_is_fine)
            .map_err(Error::io("replace", path))?;
        fs::OpenOptions::new()
            .create_new(true)
            .write(true)
            .mode(0o600)
            .open(path)
            .and_then(|mut file| file.write_all(text.as_bytes()))
            .map_err(Error::io("write", path))?;
        self.placement.give(path)
    }

    /// After a crash of its owner a server needs a moment to stop; the pid in `pid_file` tells whom to wait for. A file
    /// whose pid is no such server's any more is removed.
    pub(crate) async fn wait_for_predecessor(
        &self,
        what: &'static str,
        program: &str,
        pid_file: &Path,
        wait_max: Duration,
    ) -> Result<(), Error> {
        let deadline = Instant::now() + wait_max;
        while let Some(pid) = first_line(pid_file) {
            if !serves(pid, program, &self.data) {
                return fs::remove_file(pid_file)
                    .or_else(missing_is_fine)
                    .map_err(Error::io("remove", pid_file));
            }
            if Instant::now() >= deadline {
                return Err(Error::StillRunning {
                    what,
                    dir: self.data.clone(),
                    pid,
                });
            }
            sleep(POLL).await;
        }
        Ok(())
    }

    /// Starts the server by `spawn` on the port that the options name, or on free ones until it gets one, and waits until
    /// `ready`.
    pub(crate) async fn start(
        self,
        what: &'static str,
        options: &StoreOptions,
        mut spawn: impl AsyncFnMut(&Self, u16) -> Result<Supervised, Error>,
        mut ready: impl AsyncFnMut(u16, u32, &str) -> bool,
    ) -> Result<Server, Error> {
        let path = self.password_file();
        let password = fs::read_to_string(&path).map_err(Error::io("read", &path))?;
        let mut tries = 0;
        loop {
            tries += 1;
            let port = match options.port {
                Some(port) => port,
                None => free_port().map_err(Error::io("find a free port for", &self.data))?,
            };
            let log_start = self.log.metadata().map_or(0, |found| found.len());
            let mut supervised = spawn(&self, port).await?;
            let pid = supervised.pid();
            let deadline = Instant::now() + options.ready_max;
            while !ready(port, pid, &password).await
                && Instant::now() < deadline
                && !supervised.has_ended()
            {
                sleep(POLL).await;
            }
            let tail = self.said_since(log_start);
            // Asked first: another server may answer on a port that ours failed to bind.
            if supervised.has_ended() {
                if says_disk_full(&tail) {
                    return Err(Error::DiskFull { dir: self.data });
                }
                if options.port.is_none() && tries < PORT_TRIES_MAX && says_port_taken(&tail) {
                    continue;
                }
                return Err(Error::Start {
                    what,
                    log: self.log,
                    tail,
                });
            }
            if Instant::now() >= deadline {
                return Err(Error::NotReady {
                    what,
                    seconds: options.ready_max.as_secs(),
                    log: self.log,
                    tail,
                });
            }
            return Ok(Server {
                supervised,
                placement: self.placement,
                port,
                password,
                log: self.log,
                _lock: self.lock,
            });
        }
    }

    /// What was written to the log since it had this length, its last lines at most.
    fn said_since(&self, length: u64) -> String {
        match self.log.metadata() {
            Ok(found) if found.len() > length => log_tail(&self.log, TAIL_LINES),
            _ => String::new(),
        }
    }
}

/// As Postgres and Redis put it.
fn says_port_taken(text: &str) -> bool {
    text.contains("Address already in use")
}

/// The number on a file's first line.
pub(crate) fn first_line(path: &Path) -> Option<u32> {
    fs::read_to_string(path)
        .ok()?
        .lines()
        .next()?
        .trim()
        .parse()
        .ok()
}

/// What every running server has: where it listens, lies and logs.
#[derive(Debug)]
pub struct Server {
    pub(crate) supervised: Supervised,
    placement: Placement,
    port: u16,
    password: String,
    log: PathBuf,
    _lock: DirLock,
}

impl Server {
    /// The port on 127.0.0.1.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The server's process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.supervised.pid()
    }

    /// The administrator's password, as in the URL: not for logs.
    #[must_use]
    pub fn password(&self) -> &str {
        &self.password
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
}
