//! Everything under `deploy/` against the tools of the trade and against the services' own contracts.

#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test stops at the first surprise and says why it could not run"
)]

use std::io;
use std::path::Path;

use steelyard_deploy_check::Checks;

/// Runs a check with the linters.
fn check(args: &[&str]) {
    run(Checks::ready, args);
}

/// Runs a check. Where its tools cannot be had, a person's run goes on without it and says so; CI's does not.
fn run(tools: fn(&Path) -> io::Result<Checks>, args: &[&str]) {
    let checks = match tools(Path::new(env!("CARGO_TARGET_TMPDIR"))) {
        Ok(checks) => checks,
        Err(reason) => {
            let notice = format!("NOT RUN: {args:?}: {reason}");
            assert!(std::env::var_os("CI").is_none(), "{notice}");
            eprintln!("\n{notice}\n");
            return;
        }
    };
    let output = checks.run(args).unwrap();
    assert!(
        output.status.success(),
        "{args:?}:\n{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
fn the_checks_see_what_they_are_made_to_see() {
    check(&[
        "unittest",
        "discover",
        "--start-directory",
        "deploy/check",
        "--pattern",
        "test_*.py",
    ]);
}

#[test]
fn the_dockerfile_is_well_made() {
    check(&["checks.image"]);
}

#[test]
fn the_compose_file_keeps_the_specification_and_every_services_contract() {
    check(&["checks.compose"]);
}

#[test]
fn the_stacks_keep_every_services_contract() {
    check(&["checks.ecs"]);
}

#[test]
fn the_workflows_are_well_made_and_give_nothing_away() {
    check(&["checks.pipeline"]);
}

#[test]
fn migrations_only_add() {
    check(&["checks.migrations"]);
}

#[test]
fn an_auditor_finds_nothing_in_the_stacks_that_is_not_explained() {
    let config = "deploy/check/checkov.yaml";
    run(
        Checks::with_checkov,
        &["checkov.main", "--config-file", config],
    );
}

#[test]
fn an_emulated_account_is_what_the_stacks_say() {
    check(&["checks.emulated"]);
}

/// Minutes long, and it needs Postgres, Redis and a free machine: on demand. `STEELYARD_HOST_MODE=localstack` (or
/// `localsqs`) names the queues; binaries are taken from where `cargo build --workspace --bins` leaves them.
#[test]
fn the_system_of_the_compose_file_works_as_processes_of_this_machine() {
    let Ok(profile) = std::env::var("STEELYARD_HOST_MODE") else {
        return;
    };
    let target = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let checks = Checks::with_localstack(target).unwrap();
    let binaries = target.join("../debug");
    let binaries = binaries.to_str().unwrap();
    let output = checks
        .run(&["checks.host_mode", "--profile", &profile, "--bin", binaries])
        .unwrap();
    println!("{}", String::from_utf8_lossy(&output.stdout));
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}
