//! Processes under test: where they are, whether they are ready, and what Linux knows about them.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::Context as _;

/// The longest that a part may take to start.
const START_MAX: Duration = Duration::from_secs(20);

/// User and system time of a process and of its children that have ended, in milliseconds.
pub(crate) fn cpu_ms(pid: u32) -> anyhow::Result<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // After the name in parentheses; fields 14 to 17 of all, in hundredths of a second.
    let fields: Vec<&str> = stat
        .rsplit(')')
        .next()
        .unwrap_or_default()
        .split_whitespace()
        .collect();
    let times = fields.get(11..15).context("no such fields")?;
    let ticks = times.iter().map(|field| field.parse::<u64>());
    Ok(ticks.sum::<Result<u64, _>>()? * 10)
}

/// The same for a process and all its children.
pub(crate) fn family_cpu_ms(parent: u32) -> anyhow::Result<u64> {
    let mut sum = cpu_ms(parent)?;
    for entry in fs::read_dir("/proc")? {
        let name = entry?.file_name();
        let Some(pid) = name.to_str().and_then(|name| name.parse::<u32>().ok()) else {
            continue;
        };
        // A process may end while we look.
        let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat")) else {
            continue;
        };
        let mut fields = stat
            .rsplit(')')
            .next()
            .unwrap_or_default()
            .split_whitespace();
        if fields.nth(1).and_then(|field| field.parse().ok()) == Some(parent) {
            sum += cpu_ms(pid).unwrap_or(0);
        }
    }
    Ok(sum)
}

/// Resident memory now and at its peak, KiB.
pub(crate) fn rss_kib(pid: u32) -> anyhow::Result<(u64, u64)> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let kib = |name: &str| -> anyhow::Result<u64> {
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix(name))
            .context("no such line")?;
        Ok(line.split_whitespace().next().unwrap_or_default().parse()?)
    };
    Ok((kib("VmRSS:")?, kib("VmHWM:")?))
}

/// A program of the same build as this one.
pub(crate) fn beside(name: &str) -> anyhow::Result<PathBuf> {
    let path = std::env::current_exe()?.with_file_name(name);
    anyhow::ensure!(
        path.exists(),
        "{} is not there: cargo build --release --workspace",
        path.display()
    );
    Ok(path)
}

/// Waits until `url` answers 200.
pub(crate) async fn ready(url: &str) -> anyhow::Result<()> {
    let http = reqwest::Client::new();
    let began = Instant::now();
    loop {
        if http
            .get(url)
            .send()
            .await
            .is_ok_and(|answer| answer.status() == 200)
        {
            return Ok(());
        }
        anyhow::ensure!(
            began.elapsed() < START_MAX,
            "{url} is not ready after {START_MAX:?}"
        );
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}
