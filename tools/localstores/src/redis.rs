use std::fs;
use std::net::Ipv4Addr;
use std::ops::Deref;
use std::path::Path;
use std::time::Duration;

use nix::sys::signal::Signal;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::placement::PID;
use crate::server::{Home, Server};
use crate::supervise::{Spec, Supervised};
use crate::{Durability, Error, Program, StoreOptions, free_port};

const WHAT: &str = "Redis";
const CONFIG: &str = "redis.conf";
/// How long one readiness probe may take.
const PROBE_MAX: Duration = Duration::from_secs(2);

/// What a server is to others of its kind, all on 127.0.0.1 and with the same password.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum RedisRole {
    /// Nothing.
    #[default]
    Single,
    /// A node of a cluster that is yet to be made.
    ClusterNode,
    /// Copies the server on this port.
    ReplicaOf(u16),
    /// No store: watches the server on `primary`, which it knows by `name`, and its replicas. It decides alone.
    Sentinel {
        /// What the replica set is called.
        name: String,
        /// The port of its present primary.
        primary: u16,
    },
}

impl RedisRole {
    /// Lines of configuration. Delays are short: for tests.
    fn config(&self, password: &str) -> Result<String, Error> {
        let lines = match self {
            Self::Single => String::new(),
            Self::ClusterNode => {
                // Its usual bus port, 10,000 above the other, may be anyone's.
                let bus = free_port().map_err(Error::io(
                    "find a free port for",
                    Path::new("a cluster's bus"),
                ))?;
                format!(
                    "cluster-enabled yes\ncluster-port {bus}\ncluster-node-timeout 1000\nmasterauth {password}\n"
                )
            }
            Self::ReplicaOf(port) => {
                format!(
                    "replicaof 127.0.0.1 {port}\nmasterauth {password}\nrepl-diskless-sync-delay 0\n"
                )
            }
            Self::Sentinel { name, primary } => format!(
                "sentinel monitor {name} 127.0.0.1 {primary} 1\nsentinel auth-pass {name} {password}\n\
                 sentinel down-after-milliseconds {name} 500\nsentinel failover-timeout {name} 3000\n"
            ),
        };
        Ok(lines)
    }

    fn is_sentinel(&self) -> bool {
        matches!(self, Self::Sentinel { .. })
    }
}

/// A private Redis (or Valkey) server on 127.0.0.1. Dropping it asks it to stop; [`Redis::stop`] also waits.
#[derive(Debug)]
pub struct Redis {
    server: Server,
}

impl Redis {
    /// Starts a server on `store_dir`, which is made when it is new, and waits until it answers.
    ///
    /// # Errors
    /// See [`Error`]: missing or old binaries, a directory in use, a full disk, a server that does not come up.
    pub async fn start(store_dir: &Path, options: &StoreOptions) -> Result<Self, Error> {
        let program = options.search.redis()?;
        let home = Home::open(store_dir, options)?;
        home.placement.make_dir(&home.data)?;
        // Two servers on one append-only file would ruin it.
        let name = program
            .path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy();
        let pid_file = home.placement.dir.join(PID);
        home.wait_for_predecessor(WHAT, &name, &pid_file, options.stop_max)
            .await?;
        if !home.password_file().exists() {
            home.make_password(options.redis_password.as_deref())?;
        }
        let spawn = async |home: &Home, port| spawn(&program, home, port, options).await;
        let ready = async |port, _, password: &str| answers(port, password).await;
        let server = home.start(WHAT, options, spawn, ready).await?;
        fs::write(&pid_file, server.pid().to_string()).map_err(Error::io("write", &pid_file))?;
        Ok(Self { server })
    }

    /// `redis://…`. Holds the password: not for logs.
    #[must_use]
    pub fn url(&self) -> String {
        format!("redis://:{}@127.0.0.1:{}", self.password(), self.port())
    }

    /// Sends the server a signal (`SIGSTOP` to stall it, `SIGCONT`); false when it has ended.
    pub fn signal(&mut self, signal: Signal) -> bool {
        self.server.supervised.signal(signal)
    }

    /// Ends the server by `SIGKILL` and waits until it is gone: a crash, for tests.
    ///
    /// # Errors
    /// [`Error::NotStopped`] when it was still there after ten seconds.
    pub async fn kill(mut self) -> Result<(), Error> {
        self.server.supervised.signal(Signal::SIGKILL);
        self.server.supervised.ended(Duration::from_secs(10)).await
    }

    /// Stops the server and waits until it is gone.
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

impl Deref for Redis {
    type Target = Server;

    fn deref(&self) -> &Server {
        &self.server
    }
}

/// The password goes by a file: arguments can be read by every user of the machine.
fn write_config(home: &Home, path: &Path, port: u16, options: &StoreOptions) -> Result<(), Error> {
    let password_file = home.password_file();
    let password = fs::read_to_string(&password_file).map_err(Error::io("read", &password_file))?;
    let persistence = match options.durability {
        _ if options.redis_role.is_sentinel() => "",
        Durability::Honest => {
            "appendonly yes\nappendfsync everysec\nsave \"\"\nmaxmemory-policy noeviction\n"
        }
        Durability::Throwaway => "appendonly no\nsave \"\"\nmaxmemory-policy noeviction\n",
    };
    let role = options.redis_role.config(&password)?;
    let text = format!(
        "bind 127.0.0.1\nport {port}\nrequirepass {password}\ndir \"{}\"\ndaemonize no\nprotected-mode yes\n\
         {persistence}{role}",
        home.data.display()
    );
    home.write_private(path, &text)
}

async fn spawn(
    program: &Program,
    home: &Home,
    port: u16,
    options: &StoreOptions,
) -> Result<Supervised, Error> {
    let config = home.placement.dir.join(CONFIG);
    write_config(home, &config, port, options)?;
    let throwaway = options.durability == Durability::Throwaway;
    let mut args = vec![config.to_string_lossy().into_owned()];
    args.extend(
        options
            .redis_role
            .is_sentinel()
            .then(|| "--sentinel".to_owned()),
    );
    Supervised::spawn(Spec {
        args,
        run_as: home.placement.run_as,
        stop_signal: if throwaway { "KILL" } else { "TERM" },
        stop_max: options.stop_max,
        remove_dir: throwaway.then(|| home.placement.dir.clone()),
        ..Spec::new(WHAT, &program.path, &home.data, &home.log)
    })
    .await
}

/// `PING` after `AUTH`; while Redis loads its data it answers `-LOADING`.
async fn answers(port: u16, password: &str) -> bool {
    let probe = async {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?;
        stream
            .write_all(format!("AUTH {password}\r\nPING\r\n").as_bytes())
            .await?;
        // A sentinel knows no QUIT.
        stream.shutdown().await?;
        let mut answer = Vec::new();
        stream.take(1024).read_to_end(&mut answer).await?;
        std::io::Result::Ok(answer)
    };
    matches!(timeout(PROBE_MAX, probe).await, Ok(Ok(answer)) if String::from_utf8_lossy(&answer).contains("+PONG"))
}
