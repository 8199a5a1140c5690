use std::fs;
use std::hash::{BuildHasher, RandomState};
use std::io::{self, Read, Seek, SeekFrom};
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU16, Ordering};

use nix::errno::Errno;
use nix::sys::signal;
use nix::unistd::Pid;

/// Below every system's range of ports for outgoing connections (Linux: from 32768, macOS: from 49152), or a connection
/// of anyone's would take the port before its server does; above the ports that servers are usually given.
const PORTS: std::ops::Range<u16> = 20_000..32_000;

/// A port of 127.0.0.1 that was free a moment ago, and is not given to anyone else in this process until thousands were.
/// Another process may still take it first: try again then.
///
/// # Errors
/// When no port is free.
pub fn free_port() -> io::Result<u16> {
    static NEXT: OnceLock<AtomicU16> = OnceLock::new();
    let span = PORTS.end - PORTS.start;
    // Processes begin at different places.
    let next = NEXT.get_or_init(|| {
        let [low, high, ..] = RandomState::new()
            .hash_one(std::process::id())
            .to_ne_bytes();
        AtomicU16::new(u16::from_ne_bytes([low, high]))
    });
    let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
    for _ in 0..span {
        let port = PORTS.start + next.fetch_add(1, Ordering::Relaxed) % span;
        match TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
            Ok(_) => return Ok(port),
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// Whether a process with this pid exists (a zombie counts until it is reaped).
#[must_use]
pub fn is_alive(pid: u32) -> bool {
    // Signal 0 only asks; EPERM means that it is there and another user's.
    raw(pid).is_some_and(|pid| matches!(signal::kill(pid, None), Ok(()) | Err(Errno::EPERM)))
}

pub(crate) fn raw(pid: u32) -> Option<Pid> {
    i32::try_from(pid)
        .ok()
        .filter(|pid| *pid > 0)
        .map(Pid::from_raw)
}

/// The processes that `pid` has started and that are still there.
pub(crate) fn children_of(pid: u32) -> Vec<u32> {
    if cfg!(target_os = "linux") {
        let Ok(entries) = fs::read_dir("/proc") else {
            return Vec::new();
        };
        let pids = entries
            .flatten()
            .filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        return pids
            .filter(|child| parent_of(*child) == Some(pid))
            .collect();
    }
    let listed = std::process::Command::new("ps")
        .args(["-axo", "pid=,ppid="])
        .output();
    let listed = listed.map(|output| output.stdout).unwrap_or_default();
    let pairs = String::from_utf8_lossy(&listed)
        .lines()
        .filter_map(|line| {
            let mut fields = line.split_whitespace().map(str::parse);
            Some((fields.next()?.ok()?, fields.next()?.ok()?))
        })
        .collect::<Vec<(u32, u32)>>();
    pairs
        .into_iter()
        .filter(|(_, parent)| *parent == pid)
        .map(|(child, _)| child)
        .collect()
}

/// The second field after the program's name, which may itself hold spaces and brackets: proc(5).
fn parent_of(pid: u32) -> Option<u32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, after_name) = stat.rsplit_once(')')?;
    after_name.split_whitespace().nth(1)?.parse().ok()
}

/// Sends a signal to a process; whether it was there.
pub(crate) fn send(pid: u32, signal: signal::Signal) -> bool {
    raw(pid).is_some_and(|pid| signal::kill(pid, signal).is_ok())
}

/// Whether `pid` is a program whose name begins like this and that works in `dir`. Guards against pids that the system
/// has given to another process since.
#[must_use]
pub fn serves(pid: u32, name: &str, dir: &Path) -> bool {
    if !is_alive(pid) {
        return false;
    }
    if cfg!(target_os = "linux") {
        let comm = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
        // Both servers change into their data directory.
        let works_here = fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|cwd| cwd == dir);
        comm.trim().starts_with(name) && works_here
    } else {
        std::process::Command::new("ps")
            .args(["-o", "comm=", "-p", &pid.to_string()])
            .output()
            .is_ok_and(|out| String::from_utf8_lossy(&out.stdout).contains(name))
    }
}

/// The last lines of a log file, at most 4 KiB; empty when there is none.
#[must_use]
pub fn log_tail(path: &Path, lines_max: usize) -> String {
    const BYTES_MAX: u64 = 4096;
    let read = || -> io::Result<String> {
        let mut file = fs::File::open(path)?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(BYTES_MAX)))?;
        let mut bytes = Vec::new();
        file.take(BYTES_MAX).read_to_end(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    };
    let text = read().unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(lines_max)..].join("\n")
}

/// 32 hexadecimal digits from the system's generator: a password that needs no escaping in a URL.
///
/// # Errors
/// When the system has no randomness.
pub fn random_secret() -> io::Result<String> {
    let mut bytes = [0u8; 16];
    fs::File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}
