use std::env;
use std::ffi::OsString;
use std::fmt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Error;
use crate::install::{self, Need};

/// A server binary with its version.
#[derive(Clone, Debug)]
pub struct Program {
    /// Absolute path of the binary.
    pub path: PathBuf,
    /// What it says of itself.
    pub version: Version,
}

/// Major and minor version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    /// 15 in 15.14.
    pub major: u32,
    /// 14 in 15.14.
    pub minor: u32,
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

/// Where to look for server binaries.
#[derive(Clone, Debug, Default)]
pub struct Search {
    /// Only this directory is looked at for Postgres (`STEELYARD_POSTGRES_BIN`).
    pub postgres_bin: Option<PathBuf>,
    /// Only this binary is taken for Redis (`STEELYARD_REDIS_SERVER`).
    pub redis_server: Option<PathBuf>,
    /// The search path (`PATH`).
    pub path: Option<OsString>,
}

const POSTGRES_OLDEST: Version = Version {
    major: 14,
    minor: 0,
};
const REDIS_OLDEST: Version = Version { major: 6, minor: 2 };

impl Search {
    /// From `STEELYARD_POSTGRES_BIN`, `STEELYARD_REDIS_SERVER` and `PATH`.
    #[must_use]
    pub fn from_env() -> Self {
        Self {
            postgres_bin: env::var_os("STEELYARD_POSTGRES_BIN").map(PathBuf::from),
            redis_server: env::var_os("STEELYARD_REDIS_SERVER").map(PathBuf::from),
            path: env::var_os("PATH"),
        }
    }

    /// The newest Postgres whose `postgres` and `initdb` lie together: on `PATH`, and where the distributions and
    /// Homebrew keep them off it.
    ///
    /// # Errors
    /// [`Error::Missing`] with the command that installs it, or [`Error::TooOld`].
    pub fn postgres(&self) -> Result<Program, Error> {
        let dirs = match &self.postgres_bin {
            Some(dir) => vec![dir.clone()],
            None => [
                self.path_dirs(),
                subdirs("/usr/lib/postgresql", "bin"),
                postgres_elsewhere(),
            ]
            .concat(),
        };
        let found = dirs
            .iter()
            .filter(|dir| is_executable(&dir.join("initdb")))
            // PATH may hold links to a versioned folder, which has the other tools too. (Redis is not resolved: its
            // binaries are one file that goes by the name it is called by.)
            .filter_map(|dir| program(&dir.join("postgres").canonicalize().ok()?))
            .max_by_key(|program| program.version);
        accept(Need::Postgres, found, POSTGRES_OLDEST)
    }

    /// `redis-server`, or `valkey-server` where the distribution has that instead.
    ///
    /// # Errors
    /// [`Error::Missing`] with the command that installs it, or [`Error::TooOld`].
    pub fn redis(&self) -> Result<Program, Error> {
        let candidates: Vec<PathBuf> = match &self.redis_server {
            Some(path) => vec![path.clone()],
            None => [self.path_dirs(), homebrew_dirs()]
                .concat()
                .iter()
                .flat_map(|dir| [dir.join("redis-server"), dir.join("valkey-server")])
                .collect(),
        };
        let found = candidates
            .iter()
            .filter_map(|path| program(path))
            .max_by_key(|program| program.version);
        accept(Need::Redis, found, REDIS_OLDEST)
    }

    fn path_dirs(&self) -> Vec<PathBuf> {
        self.path
            .as_ref()
            .map(|path| env::split_paths(path).collect())
            .unwrap_or_default()
    }
}

fn accept(need: Need, found: Option<Program>, needed: Version) -> Result<Program, Error> {
    match found {
        None => Err(install::missing(&[need])),
        Some(program) if program.version < needed => Err(Error::TooOld {
            what: need.name(),
            path: program.path,
            found: program.version,
            needed,
        }),
        Some(program) => Ok(program),
    }
}

fn postgres_elsewhere() -> Vec<PathBuf> {
    let homebrew = [
        "/opt/homebrew/opt",
        "/usr/local/opt",
        "/home/linuxbrew/.linuxbrew/opt",
    ];
    let mut dirs: Vec<PathBuf> = homebrew
        .iter()
        .flat_map(|opt| subdirs(opt, "bin"))
        .collect();
    // Red Hat's community packages; the others are found on PATH.
    dirs.extend((14..30).map(|major| PathBuf::from(format!("/usr/pgsql-{major}/bin"))));
    dirs
}

fn homebrew_dirs() -> Vec<PathBuf> {
    [
        "/opt/homebrew/bin",
        "/usr/local/bin",
        "/home/linuxbrew/.linuxbrew/bin",
        "/usr/bin",
    ]
    .map(PathBuf::from)
    .to_vec()
}

/// `PARENT/*/LEAF`.
fn subdirs(parent: &str, leaf: &str) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(parent) else {
        return Vec::new();
    };
    entries
        .flatten()
        .map(|entry| entry.path().join(leaf))
        .collect()
}

fn is_executable(path: &Path) -> bool {
    path.metadata()
        .is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
}

fn program(path: &Path) -> Option<Program> {
    if !is_executable(path) {
        return None;
    }
    let output = Command::new(path).arg("--version").output().ok()?;
    let version = parse_version(&String::from_utf8_lossy(&output.stdout))?;
    Some(Program {
        path: path.to_owned(),
        version,
    })
}

/// Reads `postgres (PostgreSQL) 15.14 (Debian …)`, `postgres (PostgreSQL) 18beta1`, `Redis server v=7.0.15 sha=…`,
/// `Valkey server v=8.0.1 …`.
fn parse_version(text: &str) -> Option<Version> {
    let number = match text.split_once("v=") {
        Some((_, rest)) => rest,
        None => text.split_once("(PostgreSQL)")?.1.trim_start(),
    };
    let mut parts = number.split(|c: char| !c.is_ascii_digit());
    let major = parts.next()?.parse().ok()?;
    let minor = parts
        .next()
        .and_then(|minor| minor.parse().ok())
        .unwrap_or(0);
    Some(Version { major, minor })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_from_what_the_servers_say() {
        for (text, major, minor) in [
            (
                "postgres (PostgreSQL) 15.14 (Debian 15.14-0+deb12u1)\n",
                15,
                14,
            ),
            ("postgres (PostgreSQL) 18beta1\n", 18, 0),
            (
                "Redis server v=7.0.15 sha=00000000:0 malloc=jemalloc-5.3.0 bits=64 build=ae4d\n",
                7,
                0,
            ),
            (
                "Valkey server v=8.1.2 sha=00000000:0 malloc=jemalloc\n",
                8,
                1,
            ),
        ] {
            assert_eq!(
                parse_version(text),
                Some(Version { major, minor }),
                "{text}"
            );
        }
        assert_eq!(parse_version("command not found"), None);
    }

    #[test]
    fn a_missing_server_is_named_with_the_command_that_installs_it() {
        let empty = tempfile::tempdir().unwrap();
        let search = Search {
            postgres_bin: Some(empty.path().to_owned()),
            redis_server: Some(empty.path().join("redis-server")),
            path: None,
        };
        let postgres = search.postgres().unwrap_err().to_string();
        assert!(
            postgres.starts_with("Postgres is not installed; install with: "),
            "{postgres}"
        );
        let redis = search.redis().unwrap_err().to_string();
        assert!(
            redis.starts_with("Redis is not installed; install with: "),
            "{redis}"
        );
        assert!(!redis.contains('\n'));
    }

    #[test]
    fn a_server_that_is_too_old_is_refused_by_name() {
        let dir = tempfile::tempdir().unwrap();
        let old = dir.path().join("redis-server");
        std::fs::write(&old, "#!/bin/sh\necho 'Redis server v=5.0.14 sha=0'\n").unwrap();
        std::fs::set_permissions(&old, std::fs::Permissions::from_mode(0o755)).unwrap();
        let search = Search {
            redis_server: Some(old),
            ..Search::default()
        };
        let error = search.redis().unwrap_err().to_string();
        assert!(
            error.ends_with("is version 5.0, but Redis 6.2 or newer is needed"),
            "{error}"
        );
    }
}
