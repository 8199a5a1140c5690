//! The real `stack` binary, as a person would run it.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use steelyard_stack::dir::StackDir;
use steelyard_stack::run_file::RunFile;
use steelyard_testkit::wait_for;
use tempfile::TempDir;

/// Until everything is up, a first build of the service binaries included.
pub(crate) const START_MAX: Duration = Duration::from_secs(600);
/// Until everything is down.
pub(crate) const STOP_MAX: Duration = Duration::from_secs(90);

/// A data directory that the servers' account can reach.
pub(crate) fn data_dir() -> TempDir {
    use std::os::unix::fs::PermissionsExt;
    let open = std::fs::Permissions::from_mode(0o755);
    tempfile::Builder::new()
        .prefix("steelyard-stack-")
        .permissions(open)
        .tempdir()
        .unwrap()
}

/// The command, without what the developer's shell names.
pub(crate) fn stack(data: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_stack"));
    command.args(args).arg("--data").arg(data);
    for variable in [
        "DATABASE_URL",
        "REDIS_URL",
        "AWS_ENDPOINT_URL",
        "AWS_ENDPOINT_URL_S3",
        "SHOP",
        "STEELYARD_TOKEN",
        "RUST_LOG",
    ] {
        command.env_remove(variable);
    }
    command
}

/// Runs it to its end.
pub(crate) fn run(data: &Path, args: &[&str]) -> Output {
    stack(data, args).stdin(Stdio::null()).output().unwrap()
}

/// A running stack; killed when dropped, and what it started goes with it.
pub(crate) struct Running {
    child: Child,
    pub(crate) file: RunFile,
    stderr: PathBuf,
}

impl Running {
    /// Starts it and waits until `run.json` is there.
    pub(crate) async fn start(data: &Path, args: &[&str]) -> Self {
        Self::start_with(data, args, &[]).await
    }

    /// The same with further variables.
    pub(crate) async fn start_with(data: &Path, args: &[&str], env: &[(&str, &str)]) -> Self {
        let stderr = data.with_extension("stderr");
        let mut child = stack(data, args)
            .args(["--gateway-port", "0"])
            .envs(env.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(&stderr).unwrap())
            .spawn()
            .unwrap();
        let dir = StackDir::at(data).unwrap();
        wait_for("the stack is up", START_MAX, async || {
            if let Some(status) = child.try_wait().unwrap() {
                panic!(
                    "the stack ended ({status}): {}",
                    std::fs::read_to_string(&stderr).unwrap()
                );
            }
            RunFile::of_running(&dir).is_ok_and(|file| file.pid == child.id())
        })
        .await;
        let file = RunFile::of_running(&dir).unwrap();
        Self {
            child,
            file,
            stderr,
        }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.file.parts["gateway"].url)
    }

    pub(crate) fn said(&self) -> String {
        std::fs::read_to_string(&self.stderr).unwrap()
    }

    /// The processes that it started, itself included.
    pub(crate) fn pids(&self) -> Vec<u32> {
        let mut pids: Vec<u32> = self
            .file
            .parts
            .values()
            .filter_map(|part| part.pid)
            .collect();
        pids.push(self.file.pid);
        pids.sort_unstable();
        pids.dedup();
        pids
    }

    /// Sends the signal, waits for the end, and returns the exit code (none after SIGKILL).
    pub(crate) async fn stop(&mut self, signal: Signal) -> Option<i32> {
        kill(Pid::from_raw(self.child.id().cast_signed()), signal).unwrap();
        wait_for("the stack has ended", STOP_MAX, async || {
            self.child.try_wait().unwrap().is_some()
        })
        .await;
        self.child.wait().unwrap().code()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_file(&self.stderr);
    }
}
