//! `cargo stack chaos`, short: the machinery works, and the promises hold for half a minute. Long runs are for releases.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use steelyard_testkit::wait_for;
use tempfile::TempDir;

use crate::support::{START_MAX, STOP_MAX};

/// A place for the run's own directory that the servers' account can reach.
fn temp() -> TempDir {
    crate::support::data_dir()
}

fn chaos(temp: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_stack"));
    command
        .arg("chaos")
        .args(args)
        .env("TMPDIR", temp)
        .stdin(Stdio::null());
    command.env_remove("RUST_LOG");
    command
}

/// Processes that work below this directory.
fn left_in(dir: &Path) -> Vec<String> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    entries
        .filter(|entry| {
            std::fs::read_link(entry.path().join("cwd")).is_ok_and(|cwd| cwd.starts_with(dir))
        })
        .map(|entry| std::fs::read_to_string(entry.path().join("comm")).unwrap_or_default())
        .collect()
}

fn is_empty(dir: &Path) -> bool {
    std::fs::read_dir(dir).unwrap().next().is_none()
}

#[test]
fn half_a_minute_of_chaos_breaks_no_promise_and_leaves_nothing_behind() {
    let temp = temp();
    let args = ["--time", "30s", "--seed", "4", "--rate", "40"];
    let output = chaos(temp.path(), &args).output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    let complained = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(0), "{said}\n{complained}");
    assert!(
        said.ends_with("chaos: seed 4: everything holds\n"),
        "{said}"
    );
    for row in [
        "kill -9",
        "sequence is 1…n per customer",
        "totals to the cent",
    ] {
        assert!(said.contains(row), "{row} in {said}");
    }
    assert!(is_empty(temp.path()), "{complained}");
    assert_eq!(left_in(temp.path()), Vec::<String>::new());
}

#[test]
fn a_plan_is_printed_and_nothing_is_done() {
    let temp = temp();
    let args = ["--minutes", "2", "--seed", "4", "--plan"];
    let print = || String::from_utf8(chaos(temp.path(), &args).output().unwrap().stdout).unwrap();
    let plan = print();
    assert!(plan.lines().count() > 20, "{plan}");
    assert_eq!(plan, print());
    assert!(is_empty(temp.path()));
}

#[tokio::test]
async fn ctrl_c_stops_and_removes_everything_but_the_logs() {
    let temp = temp();
    let args = ["--minutes", "10", "--seed", "4", "--rate", "20"];
    let said = temp.path().with_extension("said");
    let mut child = chaos(temp.path(), &args)
        .stdout(Stdio::null())
        .stderr(std::fs::File::create(&said).unwrap())
        .spawn()
        .unwrap();
    wait_for("it is under way", START_MAX, async || {
        assert!(
            child.try_wait().unwrap().is_none(),
            "{}",
            std::fs::read_to_string(&said).unwrap()
        );
        std::fs::read_to_string(&said)
            .unwrap()
            .contains("requests accepted")
    })
    .await;
    assert!(left_in(temp.path()).len() > 8);
    kill(Pid::from_raw(child.id().cast_signed()), Signal::SIGINT).unwrap();
    wait_for("it has ended", STOP_MAX, async || {
        child.try_wait().unwrap().is_some()
    })
    .await;
    assert_eq!(child.wait().unwrap().code(), Some(1));
    wait_for(
        "its processes are gone",
        Duration::from_secs(30),
        async || left_in(temp.path()).is_empty(),
    )
    .await;
    let kept = std::fs::read_dir(temp.path())
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path();
    assert!(kept.join("logs/faults.log").exists());
    for gone in ["postgres", "redis", "sqs", "secrets.json", "token-key.pem"] {
        assert!(!kept.join(gone).exists(), "{gone}");
    }
    std::fs::remove_file(&said).unwrap();
}
