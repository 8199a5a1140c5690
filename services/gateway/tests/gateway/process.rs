//! The gateway as a process: starts, says what is wrong, is asked for its health, stops.

use std::process::{Command, Output, Stdio};
use std::time::Duration;

use reqwest::StatusCode;
use steelyard_testkit::jwt::{AUDIENCE, ISSUER, issuer};
use tokio::io::AsyncReadExt as _;

use crate::support::PATIENCE;

const GATEWAY: &str = env!("CARGO_BIN_EXE_gateway");

fn gateway(args: &[&str], vars: &[(&str, &str)]) -> Output {
    let vars = vars.iter().copied();
    Command::new(GATEWAY)
        .args(args)
        .env_clear()
        .envs(vars)
        .output()
        .unwrap()
}

#[test]
fn a_wrong_configuration_ends_the_process_with_all_faults_at_once() {
    let ended = gateway(
        &[],
        &[("ORDERS_QUEUE", "orders"), ("CATALOG_URL", "catalog")],
    );
    assert!(!ended.status.success());
    let said = String::from_utf8(ended.stderr).unwrap();
    for name in [
        "ORDERS_QUEUE",
        "CATALOG_URL",
        "REDIS_URL",
        "SERVICE_TOKEN",
        "AUTH_JWKS",
    ] {
        assert!(said.contains(name), "{name} is not in: {said}");
    }
}

#[test]
fn the_process_prints_its_contract_without_any_configuration() {
    let ended = gateway(&["--print-contract"], &[]);
    assert!(ended.status.success());
    let contract: serde_json::Value = serde_json::from_slice(&ended.stdout).unwrap();
    assert_eq!(contract["service"], "gateway");
    let setting = |name: &str| {
        let settings = contract["settings"].as_array().unwrap();
        let setting = settings.iter().find(|setting| setting["name"] == name);
        setting.map(|found| (found["required"] == true, found["secret"] == true))
    };
    assert_eq!(setting("REDIS_URL"), Some((true, true)));
    assert_eq!(setting("AUTH_ISSUER"), Some((true, false)));
    assert_eq!(setting("RATE_LIMIT_BURST"), Some((false, false)));
    assert_eq!(setting("DATABASE_URL"), None);
}

#[test]
fn a_subcommand_that_is_none_and_a_health_check_of_nobody_fail_with_one_line() {
    for (args, vars) in [
        (["serve"], ("ADMIN_ADDR", "127.0.0.1:9")),
        (["healthcheck"], ("ADMIN_ADDR", "127.0.0.1:9")),
    ] {
        let ended = gateway(&args, &[vars]);
        assert!(!ended.status.success());
        assert_eq!(String::from_utf8(ended.stderr).unwrap().lines().count(), 1);
    }
}

#[tokio::test]
async fn the_process_is_healthy_while_everything_else_is_down_and_stops_when_told() {
    let admin = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let admin_addr = admin.to_string();
    let jwks = issuer().jwks();
    let nowhere = "http://127.0.0.1:9";
    let vars = [
        ("LISTEN_ADDR", "127.0.0.1:0"),
        ("ADMIN_ADDR", admin_addr.as_str()),
        ("AWS_ENDPOINT_URL", nowhere),
        ("AWS_REGION", "us-east-1"),
        ("AWS_ACCESS_KEY_ID", "test"),
        ("AWS_SECRET_ACCESS_KEY", "test"),
        ("ORDERS_QUEUE", "orders.fifo"),
        ("REDIS_URL", "redis://127.0.0.1:9"),
        ("CATALOG_URL", nowhere),
        ("ORDERS_URL", nowhere),
        ("DOCUMENTS_URL", nowhere),
        ("SERVICE_TOKEN", "a service token of the tests"),
        ("AUTH_JWKS", jwks.as_str()),
        ("AUTH_ISSUER", ISSUER),
        ("AUTH_AUDIENCE", AUDIENCE),
        ("STOP_NOTICE", "1s"),
    ];
    let mut process = tokio::process::Command::new(GATEWAY)
        .env_clear()
        .envs(vars)
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    steelyard_testkit::wait_for("the health check passes", PATIENCE, async || {
        let check = move || gateway(&["healthcheck"], &[("ADMIN_ADDR", &admin.to_string())]);
        tokio::task::spawn_blocking(check)
            .await
            .unwrap()
            .status
            .success()
    })
    .await;
    let metrics = reqwest::get(format!("http://{admin}/metrics"))
        .await
        .unwrap();
    assert_eq!(metrics.status(), StatusCode::OK);

    let pid = nix::unistd::Pid::from_raw(i32::try_from(process.id().unwrap()).unwrap());
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).unwrap();
    let ended = tokio::time::timeout(Duration::from_secs(20), process.wait())
        .await
        .unwrap()
        .unwrap();
    let mut log = String::new();
    process
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut log)
        .await
        .unwrap();
    assert!(ended.success(), "{log}");
    for line in log.lines() {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        assert!(
            line["level"].is_string(),
            "every line of the log is JSON with a level"
        );
    }
    assert!(
        !log.contains("a service token of the tests"),
        "secrets are never logged"
    );
}
