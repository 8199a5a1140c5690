//! The server under test, as a process of its own.

use std::{
    io::Read as _,
    path::{Path, PathBuf},
    process::Stdio,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use clap::Args;
use localsqs::{Config, Server, Storage};
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::{Child, Command},
};

#[derive(Debug, Args)]
pub(crate) struct ServeOptions {
    #[arg(long)]
    data: Option<PathBuf>,
}

/// Serves until standard input ends.
#[expect(
    clippy::print_stdout,
    reason = "the parent reads the address from here"
)]
pub(super) async fn serve(options: ServeOptions) -> anyhow::Result<()> {
    let storage = options.data.map_or(Storage::Memory, Storage::Durable);
    let server = Server::start(Config {
        storage,
        in_flight_messages_max: usize::MAX,
        ..Config::default()
    })
    .await?;
    println!("{}", server.url());
    tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new())).await??;
    server.stop().await;
    Ok(())
}

/// An endpoint, and the process behind it if it is ours.
pub(super) struct Served {
    pub(super) url: String,
    child: Option<Child>,
    started_in: Duration,
    kept: String,
}

impl Served {
    pub(super) async fn start(endpoint: Option<&str>, data: Option<&Path>) -> anyhow::Result<Self> {
        if let Some(url) = endpoint {
            let url = url.to_owned();
            return Ok(Self {
                url,
                child: None,
                started_in: Duration::ZERO,
                kept: "elsewhere".to_owned(),
            });
        }
        let mut command = Command::new(std::env::current_exe()?);
        command
            .args(["localsqs", "serve"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true);
        let mut kept = "in memory".to_owned();
        if let Some(data) = data {
            let directory = data.join(format!("localsqs-bench-{}", std::process::id()));
            command.arg("--data").arg(&directory);
            kept = format!("in {}", directory.display());
        }
        let started = Instant::now();
        let mut child = command.spawn()?;
        let stdout = child.stdout.take().context("no output")?;
        let url = BufReader::new(stdout)
            .lines()
            .next_line()
            .await?
            .context("the server did not start")?;
        Ok(Self {
            url,
            child: Some(child),
            started_in: started.elapsed(),
            kept,
        })
    }

    pub(super) fn describe(&self) -> String {
        format!(
            "{}, messages {}, started in {} ms",
            self.url,
            self.kept,
            self.started_in.as_millis()
        )
    }

    /// CPU milliseconds used by the server so far, and its resident memory in MiB; `None` if it is not ours.
    pub(super) fn usage(&self) -> Option<(u64, u64)> {
        let pid = self.child.as_ref()?.id()?;
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // After the name in parentheses: user and system time are fields 14 and 15 of all, in hundredths of a second.
        let fields: Vec<&str> = stat.rsplit(')').next()?.split_whitespace().collect();
        let ticks: u64 =
            fields.get(11)?.parse::<u64>().ok()? + fields.get(12)?.parse::<u64>().ok()?;
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        let resident = status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:"))?;
        let kib: u64 = resident.split_whitespace().next()?.parse().ok()?;
        Some((ticks * 10, kib / 1_024))
    }

    pub(super) async fn stop(mut self) -> anyhow::Result<()> {
        if let Some(child) = &mut self.child {
            drop(child.stdin.take());
            child.wait().await?;
            if let Some(directory) = self.kept.strip_prefix("in /") {
                std::fs::remove_dir_all(Path::new("/").join(directory))?;
            }
        }
        Ok(())
    }
}
