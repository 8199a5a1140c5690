use std::fs;
use std::io::Write;
use std::net::Ipv4Addr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::sys::signal::Signal;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};

use crate::error::says_disk_full;
use crate::placement::{LOCK, LOG, PASSWORD, PID, missing_is_fine};
use crate::postgres::write_secret;
use crate::process::{log_tail, serves};
use crate::supervise::{POLL, Spec, Supervised};
use crate::{DirLock, Durability, Error, Placement, Program, StoreOptions, free_port};

const WHAT: &str = "Redis";
const CONFIG: &str = "redis.conf";
/// A free port may be taken by another process before Redis binds it.
const PORT_TRIES_MAX: u32 = 5;
/// How long one readiness probe may take.
const PROBE_MAX: Duration = Duration::from_secs(2);

/// A private Redis (or Valkey) server on 127.0.0.1. Dropping it asks it to stop; [`Redis::stop`] also waits.
#[derive(Debug)]
pub struct Redis {
    server: Supervised,
    placement: Placement,
    port: u16,
    password: String,
    log: PathBuf,
    _lock: DirLock,
}

impl Redis {
    /// Starts a server on `store_dir`, which is made when it is new, and waits until it answers.
    ///
    /// # Errors
    /// See [`Error`]: missing or old binaries, a directory in use, a full disk, a server that does not come up.
    pub async fn start(store_dir: &Path, options: &StoreOptions) -> Result<Self, Error> {
        let program = options.search.redis()?;
        let placement = Placement::of(store_dir)?;
        placement.make_dir(&placement.dir)?;
        let lock = DirLock::acquire(&placement.dir.join(LOCK), &placement.dir)?;
        let dir = placement.data();
        placement.make_dir(&dir)?;
        let pid_file = placement.dir.join(PID);
        wait_for_predecessor(&program, &dir, &pid_file, options.stop_max).await?;
        let password_file = placement.dir.join(PASSWORD);
        if !password_file.exists() {
            write_secret(&password_file, &placement)?;
            if let Some(password) = &options.redis_password {
                fs::write(&password_file, password).map_err(Error::io("write", &password_file))?;
            }
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
            write_config(&placement, port, &password, options.durability)?;
            match launch(&program, &placement, port, &password, &log, options).await {
                Err(Error::Start { ref tail, .. })
                    if options.port.is_none()
                        && tries < PORT_TRIES_MAX
                        && tail.contains("in use") => {}
                Err(error) => return Err(error),
                Ok(server) => {
                    fs::write(&pid_file, server.pid().to_string())
                        .map_err(Error::io("write", &pid_file))?;
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

    /// `redis://…`. Holds the password: not for logs.
    #[must_use]
    pub fn url(&self) -> String {
        format!("redis://:{}@127.0.0.1:{}", self.password, self.port)
    }

    /// The password within [`Redis::url`].
    #[must_use]
    pub fn password(&self) -> &str {
        &self.password
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

    /// Sends the server a signal (`SIGSTOP` to stall it, `SIGCONT`); false when it has ended.
    pub fn signal(&mut self, signal: Signal) -> bool {
        self.server.signal(signal)
    }

    /// Ends the server by `SIGKILL` and waits until it is gone: a crash, for tests.
    ///
    /// # Errors
    /// [`Error::NotStopped`] when it was still there after ten seconds.
    pub async fn kill(mut self) -> Result<(), Error> {
        self.server.signal(Signal::SIGKILL);
        self.server.ended(Duration::from_secs(10)).await
    }

    /// Stops the server and waits until it is gone.
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

/// Two servers on one append-only file would ruin it, so one that an earlier owner left behind is waited for.
async fn wait_for_predecessor(
    program: &Program,
    dir: &Path,
    pid_file: &Path,
    wait_max: Duration,
) -> Result<(), Error> {
    let Some(pid) = fs::read_to_string(pid_file)
        .ok()
        .and_then(|text| text.trim().parse().ok())
    else {
        return Ok(());
    };
    let name = program
        .path
        .file_name()
        .unwrap_or_default()
        .to_string_lossy();
    let deadline = Instant::now() + wait_max;
    while serves(pid, &name, dir) {
        if Instant::now() >= deadline {
            return Err(Error::StillRunning {
                what: WHAT,
                dir: dir.to_owned(),
                pid,
            });
        }
        sleep(POLL).await;
    }
    fs::remove_file(pid_file)
        .or_else(missing_is_fine)
        .map_err(Error::io("remove", pid_file))
}

/// The password goes by a file: arguments can be read by every user of the machine.
fn write_config(
    placement: &Placement,
    port: u16,
    password: &str,
    durability: Durability,
) -> Result<(), Error> {
    let path = placement.dir.join(CONFIG);
    let persistence = match durability {
        Durability::Honest => "appendonly yes\nappendfsync everysec\nsave \"\"\n",
        Durability::Throwaway => "appendonly no\nsave \"\"\n",
    };
    let text = format!(
        "bind 127.0.0.1\nport {port}\nrequirepass {password}\ndir \"{}\"\ndaemonize no\nprotected-mode yes\n\
         maxmemory-policy noeviction\n{persistence}",
        placement.data().display()
    );
    fs::remove_file(&path)
        .or_else(missing_is_fine)
        .map_err(Error::io("replace", &path))?;
    fs::OpenOptions::new()
        .create_new(true)
        .write(true)
        .mode(0o600)
        .open(&path)
        .and_then(|mut file| file.write_all(text.as_bytes()))
        .map_err(Error::io("write", &path))?;
    placement.give(&path)
}

async fn launch(
    program: &Program,
    placement: &Placement,
    port: u16,
    password: &str,
    log: &Path,
    options: &StoreOptions,
) -> Result<Supervised, Error> {
    const TAIL_LINES: usize = 6;
    let dir = &placement.data();
    let throwaway = options.durability == Durability::Throwaway;
    let mut server = Supervised::spawn(Spec {
        what: WHAT.to_owned(),
        program: &program.path,
        args: vec![placement.dir.join(CONFIG).to_string_lossy().into_owned()],
        env: Vec::new(),
        run_as: placement.run_as,
        working_dir: dir,
        log,
        stop_signal: if throwaway { "KILL" } else { "TERM" },
        hard_signal: "KILL",
        stop_max: options.stop_max,
        remove_dir: throwaway.then(|| placement.dir.clone()),
    })
    .await?;
    let deadline = Instant::now() + options.ready_max;
    while !answers(port, password).await {
        if server.has_ended() {
            let tail = log_tail(log, TAIL_LINES);
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
            let tail = log_tail(log, TAIL_LINES);
            return Err(Error::NotReady {
                what: WHAT,
                seconds: options.ready_max.as_secs(),
                log: log.to_owned(),
                tail,
            });
        }
        sleep(POLL).await;
    }
    // Someone else's server could answer on a port that ours failed to bind; the password tells them apart, and this
    // tells whether ours is still there.
    if server.has_ended() {
        return Err(Error::Start {
            what: WHAT,
            log: log.to_owned(),
            tail: log_tail(log, TAIL_LINES),
        });
    }
    Ok(server)
}

/// `PING` after `AUTH`; while Redis loads its data it answers `-LOADING`.
async fn answers(port: u16, password: &str) -> bool {
    let probe = async {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?;
        stream
            .write_all(format!("AUTH {password}\r\nPING\r\nQUIT\r\n").as_bytes())
            .await?;
        let mut answer = Vec::new();
        stream.take(1024).read_to_end(&mut answer).await?;
        std::io::Result::Ok(answer)
    };
    matches!(timeout(PROBE_MAX, probe).await, Ok(Ok(answer)) if String::from_utf8_lossy(&answer).contains("+PONG"))
}
