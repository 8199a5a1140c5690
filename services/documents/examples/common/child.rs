//! A process that was started.

use anyhow::Context as _;
use tokio::io::AsyncBufReadExt as _;
use tokio::process::Child;

/// The first line that it says: a server's address.
pub(crate) async fn first_line(child: &mut Child) -> anyhow::Result<String> {
    let out = child.stdout.take().context("no output")?;
    let line = tokio::io::BufReader::new(out).lines().next_line().await?;
    line.context("the server said nothing")
}

/// The most memory that a process had, in KB; 0 where there is no `/proc`, and once it has ended.
pub(crate) fn rss_peak_kb(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kb = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
    kb.unwrap_or(0)
}
