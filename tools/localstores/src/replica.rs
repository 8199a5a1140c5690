//! A Postgres that follows another one: a stand-by, as a second region has it.

use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;
use tokio::time::timeout;

use crate::placement::missing_is_fine;
use crate::server::Home;
use crate::{Error, Postgres, Program, Server, StoreOptions};

const COPY_MAX: Duration = Duration::from_secs(300);

impl Postgres {
    /// Starts a server that follows `primary` by streaming replication, asynchronously; it is copied from it first when
    /// `store_dir` is new. It answers queries, and takes writes once it is promoted (`pg_promote()`). It knows the same
    /// roles by the same passwords.
    ///
    /// # Errors
    /// See [`Error`]; a primary that keeps no log for followers is one, too.
    pub async fn follow(
        store_dir: &Path,
        options: &StoreOptions,
        primary: &Server,
    ) -> Result<Self, Error> {
        let program = options.search.postgres()?;
        let home = Home::open(store_dir, options)?;
        if !home.data.join("PG_VERSION").exists() {
            copy(&program, &home, primary).await?;
        }
        // It has to be let go: the start takes it again.
        drop(home);
        Self::start(store_dir, options).await
    }
}

/// Copies beside the final place and renames, so that a crash half-way leaves nothing that looks complete.
async fn copy(program: &Program, home: &Home, primary: &Server) -> Result<(), Error> {
    let placement = &home.placement;
    let unfinished = placement.dir.join("data.new");
    fs::remove_dir_all(&unfinished)
        .or_else(missing_is_fine)
        .map_err(Error::io("remove", &unfinished))?;
    placement.make_dir(&unfinished)?;
    home.make_password(Some(primary.password()))?;
    let tool = program.path.with_file_name("pg_basebackup");
    let mut command = Command::new(&tool);
    command
        .args(["--host", "127.0.0.1", "--username", "postgres", "--port"])
        .arg(primary.port().to_string())
        .arg("--pgdata")
        .arg(&unfinished)
        .args(["--write-recovery-conf", "--wal-method", "stream"])
        .args(["--checkpoint", "fast", "--no-password"])
        // Not among the arguments, which everybody on the machine may read.
        .env("PGPASSWORD", primary.password())
        .current_dir(&unfinished)
        .stdin(Stdio::null())
        .kill_on_drop(true);
    if let Some(account) = placement.run_as {
        command.gid(account.gid).uid(account.uid);
    }
    let output = timeout(COPY_MAX, command.output())
        .await
        .unwrap_or_else(|_| Err(std::io::ErrorKind::TimedOut.into()))
        .map_err(Error::io("run", &tool))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        let _ = fs::remove_dir_all(&unfinished);
        return Err(Error::Install {
            command: tool.display().to_string(),
            detail: said.replace('\n', " | "),
        });
    }
    fs::rename(&unfinished, &home.data).map_err(Error::io("create", &placement.dir))
}
