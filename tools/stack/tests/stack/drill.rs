//! `cargo stack drill`, short: a region is lost, the other one takes over, and every order is accounted for.

use std::process::{Command, Stdio};

#[test]
fn a_second_region_takes_over_and_every_accepted_order_is_accounted_for() {
    let temp = crate::support::data_dir();
    let output = Command::new(env!("CARGO_BIN_EXE_stack"))
        .args(["drill", "--rate", "10", "--before", "8s", "--after", "3s"])
        .env("TMPDIR", temp.path())
        .env_remove("RUST_LOG")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    let complained = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(0), "{said}\n{complained}");
    let figure = |row: &str| -> u64 {
        let line = said.lines().find(|line| line.trim_start().starts_with(row));
        let line = line.unwrap_or_else(|| panic!("no {row} in\n{said}"));
        line.split_whitespace().last().unwrap().parse().unwrap()
    };
    assert!(figure("by the second region") > 0, "{said}");
    // The lost region's worker stood still for a second before the loss: its queue kept what came meanwhile.
    assert!(figure("RPO at the takeover") > 0, "{said}");
    assert!(figure("messages that had stayed") > 0, "{said}");
    assert!(
        figure("RPO after that queue") <= figure("RPO at the takeover"),
        "{said}"
    );
    for row in ["RTO of intake", "RTO of settlement"] {
        assert!(said.contains(row), "{said}");
    }
    let left = std::fs::read_dir(temp.path()).unwrap().count();
    assert_eq!(left, 0, "nothing stays behind");
}
