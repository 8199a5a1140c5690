//! What Linux knows about a process.

use std::fs;
use std::path::PathBuf;

use anyhow::Context as _;

/// User and system time of a process and of its children that have ended, in milliseconds.
pub(super) fn cpu_ms(pid: u32) -> anyhow::Result<u64> {
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
pub(super) fn family_cpu_ms(parent: u32) -> anyhow::Result<u64> {
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
pub(super) fn rss_kib(pid: u32) -> anyhow::Result<(u64, u64)> {
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
pub(super) fn beside(name: &str) -> anyhow::Result<PathBuf> {
    let path = std::env::current_exe()?.with_file_name(name);
    anyhow::ensure!(
        path.exists(),
        "{} is not there: cargo build --release -p steelyard-orders -p steelyard-catalog -p localsqs",
        path.display()
    );
    Ok(path)
}
