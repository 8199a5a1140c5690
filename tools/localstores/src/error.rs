use std::io;
use std::path::{Path, PathBuf};

use crate::Version;

/// Why an instance could not be found, installed, started or stopped. Each message is one line (but for a log's tail)
/// and ends with the remedy where there is one.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A binary is not there and could not be installed.
    #[error("{what} not installed; install with: {remedy}")]
    Missing {
        /// "Postgres is", "Redis is" or "Postgres and Redis are".
        what: String,
        /// One command.
        remedy: String,
    },
    /// A binary is older than what the services need.
    #[error("{path} is version {found}, but {what} {needed} or newer is needed")]
    TooOld {
        /// "Postgres" or "Redis".
        what: &'static str,
        /// The binary.
        path: PathBuf,
        /// Its version.
        found: Version,
        /// The oldest accepted one.
        needed: Version,
    },
    /// The package manager failed.
    #[error("`{command}` failed: {detail}")]
    Install {
        /// What was run.
        command: String,
        /// Its last words.
        detail: String,
    },
    /// Another process owns this directory.
    #[error("{} is in use by process {pid}; stop that one first (kill {pid})", dir.display())]
    InUse {
        /// The directory.
        dir: PathBuf,
        /// The owner.
        pid: u32,
    },
    /// A server of an earlier owner still runs on this directory.
    #[error("{what} of an earlier run (process {pid}) still uses {}; stop it with: kill {pid}", dir.display())]
    StillRunning {
        /// "Postgres" or "Redis".
        what: &'static str,
        /// The directory.
        dir: PathBuf,
        /// The server.
        pid: u32,
    },
    /// The data belongs to another account.
    #[error("{} belongs to uid {owner}, not to uid {expected}; run as that user or remove the directory", dir.display())]
    WrongOwner {
        /// The directory.
        dir: PathBuf,
        /// Whose it is.
        owner: u32,
        /// Whose it would have to be.
        expected: u32,
    },
    /// As root, with neither a `postgres` nor a `nobody` account.
    #[error(
        "Postgres does not run as root and there is no account `postgres` or `nobody`; add one with: useradd --system postgres"
    )]
    NoAccount,
    /// The file system is full.
    #[error("no space left on the disk that holds {}; free some and start again", dir.display())]
    DiskFull {
        /// Where it was noticed.
        dir: PathBuf,
    },
    /// The data was made by another major version of Postgres.
    #[error("{} holds data of Postgres {data}, but the installed Postgres is {installed}; begin anew (--fresh) or install Postgres {data}", dir.display())]
    OtherMajor {
        /// The data directory.
        dir: PathBuf,
        /// Major version of the data.
        data: String,
        /// Major version of the binaries.
        installed: u32,
    },
    /// The server ended instead of becoming ready.
    #[error("{what} did not start; its log {} ends with:\n{tail}", log.display())]
    Start {
        /// "Postgres" or "Redis".
        what: &'static str,
        /// The log file.
        log: PathBuf,
        /// Its last lines.
        tail: String,
    },
    /// The server runs but did not become ready in time.
    #[error("{what} was not ready after {seconds} s; its log {} ends with:\n{tail}", log.display())]
    NotReady {
        /// "Postgres" or "Redis".
        what: &'static str,
        /// The limit.
        seconds: u64,
        /// The log file.
        log: PathBuf,
        /// Its last lines.
        tail: String,
    },
    /// The server could not be ended.
    #[error("{what} (process {pid}) did not stop within {seconds} s")]
    NotStopped {
        /// Its name.
        what: String,
        /// The server.
        pid: u32,
        /// The limit.
        seconds: u64,
    },
    /// The operating system said no.
    #[error("cannot {doing} {}: {source}", path.display())]
    Io {
        /// A verb, such as "create".
        doing: &'static str,
        /// What it was about.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
}

impl Error {
    /// Wraps an I/O error with what was being done; a full disk gets its own, clearer variant.
    pub(crate) fn io(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                Self::DiskFull { dir: path }
            }
            _ => Self::Io {
                doing,
                path,
                source,
            },
        }
    }
}

/// What servers write to their logs when the disk is full (strerror of ENOSPC and EDQUOT).
pub(crate) fn says_disk_full(text: &str) -> bool {
    text.contains("No space left on device") || text.contains("Disk quota exceeded")
}
