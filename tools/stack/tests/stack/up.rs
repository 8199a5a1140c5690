//! `cargo stack` as a person runs it: up, an order, down.

use std::net::TcpListener;
use std::path::Path;
use std::time::Duration;

use nix::sys::signal::Signal;
use serde_json::{Value, json};
use steelyard_localstores::is_alive;
use steelyard_objects::{Bucket, S3Config, S3Credentials};
use steelyard_testkit::{postgres, redis, s3, sqs, wait_for};

use crate::support::{Running, STOP_MAX, data_dir, run, stack};

/// The visibility timeout, and what a busy machine needs on top.
const SETTLED_MAX: Duration = Duration::from_secs(120);

/// Places an order of the demo catalog and waits until it is settled. That may take as long as a message of the same
/// customer is in the hands of a worker that was killed.
async fn place(stack: &Running, key: &str) -> Value {
    let answer = reqwest::Client::new()
        .post(stack.url("/v1/orders"))
        .bearer_auth(&stack.file.tokens["customer"])
        .header("idempotency-key", key)
        .header("prefer", "wait=20")
        .json(&json!({
            "currency": "GBP",
            "lines": [{ "sku": "TEA-EARL-100", "quantity": 2, "unit_price": "4.95" }],
            "ship_to": { "name": "Alice Example", "line1": "1 High Street", "city": "London", "country": "GB" },
        }))
        .send()
        .await
        .unwrap();
    let status = answer.status();
    let mut order: Value = answer.json().await.unwrap();
    assert!(status == 201 || status == 202, "{status}: {order}");
    let path = format!("/v1/orders/{}", order["id"].as_str().unwrap());
    wait_for("the order is settled", SETTLED_MAX, async || {
        if order["status"] == "accepted" {
            order = get(stack, &path).await.1;
        }
        order["status"] != "accepted"
    })
    .await;
    order
}

async fn get(stack: &Running, path: &str) -> (u16, Value) {
    let answer = reqwest::Client::new()
        .get(stack.url(path))
        .bearer_auth(&stack.file.tokens["customer"])
        .send()
        .await
        .unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap())
}

async fn all_gone(pids: &[u32]) {
    wait_for(
        "nothing that the stack started is left",
        STOP_MAX,
        async || !pids.iter().any(|pid| is_alive(*pid)),
    )
    .await;
}

/// Runs a start that must fail, and returns the one line that it says.
fn refused(data: &Path, args: &[&str], env: &[(&str, &str)]) -> String {
    let mut command = stack(data, args);
    let output = command.envs(env.iter().copied()).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(output.stdout.is_empty());
    let said = String::from_utf8(output.stderr).unwrap();
    said.lines()
        .find(|line| line.starts_with("stack: "))
        .unwrap()
        .to_owned()
}

/// The files below `dir`, at any depth.
fn files_below(dir: &Path) -> Vec<std::path::PathBuf> {
    let Ok(entries) = std::fs::read_dir(dir) else {
        return Vec::new();
    };
    let paths = entries.map(|entry| entry.unwrap().path());
    paths
        .flat_map(|path| match path.is_dir() {
            true => files_below(&path),
            false => vec![path],
        })
        .collect()
}

/// Waits until a customer has so many invoices in the stack's bucket, and checks that they are PDFs.
async fn invoiced(data: &Path, customer: &str, count: usize) {
    let year = data.join("s3/documents/invoice");
    let of_customer = || -> Vec<_> {
        let files = files_below(&year).into_iter();
        let of = |path: &std::path::PathBuf| {
            path.parent()
                .is_some_and(|folder| folder.ends_with(customer))
                && path.extension().is_some_and(|ending| ending == "pdf")
        };
        files.filter(of).collect()
    };
    wait_for("the invoices are there", SETTLED_MAX, async || {
        of_customer().len() == count
    })
    .await;
    for path in of_customer() {
        let pdf = std::fs::read(&path).unwrap();
        assert!(pdf.starts_with(b"%PDF-1.7"), "{}", path.display());
    }
}

#[tokio::test]
async fn an_order_settles_and_ctrl_c_stops_everything_and_a_second_start_reuses_the_data() {
    let data = data_dir();
    let mut stack = Running::start(data.path(), &[]).await;
    let order = place(&stack, "first").await;
    assert_eq!(order["status"], "confirmed");
    assert_eq!(order["subtotal"], "9.90");
    // By the shop that the stack wrote for itself.
    assert!(data.path().join("shop.toml").exists());
    invoiced(data.path(), "alice", 1).await;
    let pids = stack.pids();
    assert!(pids.len() >= 3, "the stack, Postgres and Redis: {pids:?}");
    assert_eq!(
        stack.stop(Signal::SIGINT).await,
        Some(0),
        "{}",
        stack.said()
    );
    all_gone(&pids).await;
    assert!(!data.path().join("run.json").exists());

    let mut stack = Running::start(data.path(), &[]).await;
    let (status, again) = get(
        &stack,
        &format!("/v1/orders/{}", order["id"].as_str().unwrap()),
    )
    .await;
    assert_eq!((status, &again["status"]), (200, &json!("confirmed")));
    let (_, product) = get(&stack, "/v1/products/TEA-EARL-100").await;
    assert_eq!(product["available"], 498);
    assert_eq!(
        stack.stop(Signal::SIGTERM).await,
        Some(0),
        "{}",
        stack.said()
    );

    let mut stack = Running::start(data.path(), &["--fresh"]).await;
    let (_, product) = get(&stack, "/v1/products/TEA-EARL-100").await;
    assert_eq!(product["available"], 500);
    assert_eq!(
        stack.stop(Signal::SIGINT).await,
        Some(0),
        "{}",
        stack.said()
    );
}

#[tokio::test]
async fn a_stack_that_is_killed_takes_its_servers_with_it_and_the_next_one_starts() {
    let data = data_dir();
    let mut stack = Running::start(data.path(), &["--processes"]).await;
    let order = place(&stack, "before the crash").await;
    let pids = stack.pids();
    stack.stop(Signal::SIGKILL).await;
    // At once: the services and servers may still be stopping.
    let mut stack = Running::start(data.path(), &[]).await;
    all_gone(&pids).await;
    let (status, _) = get(
        &stack,
        &format!("/v1/orders/{}", order["id"].as_str().unwrap()),
    )
    .await;
    assert_eq!(status, 200);
    assert_eq!(
        stack.stop(Signal::SIGINT).await,
        Some(0),
        "{}",
        stack.said()
    );
}

#[tokio::test]
async fn processes_run_on_their_own_and_one_that_dies_is_reported_with_its_log() {
    let data = data_dir();
    let mut stack = Running::start(data.path(), &["--processes", "--orders", "2"]).await;
    let own = stack.file.pid;
    for part in [
        "gateway",
        "catalog",
        "orders-1",
        "orders-2",
        "documents",
        "sqs",
        "postgres",
        "redis",
    ] {
        let part = &stack.file.parts[part];
        assert!(
            part.pid.unwrap() != own && part.log.as_ref().unwrap().exists(),
            "{part:?}"
        );
    }
    assert_eq!(
        place(&stack, "among processes").await["status"],
        "confirmed"
    );

    let victim = stack.file.parts["orders-2"].pid.unwrap();
    nix::sys::signal::kill(
        nix::unistd::Pid::from_raw(victim.cast_signed()),
        Signal::SIGKILL,
    )
    .unwrap();
    let report = format!("orders-2 (process {victim}) has ended; its log ");
    wait_for(
        "the death is reported",
        Duration::from_secs(10),
        async || stack.said().contains(&report),
    )
    .await;
    assert_eq!(
        place(&stack, "with one worker less").await["status"],
        "confirmed"
    );
    invoiced(data.path(), "alice", 2).await;

    let pids = stack.pids();
    // A part died by itself: that shows in the exit code.
    assert_eq!(
        stack.stop(Signal::SIGINT).await,
        Some(1),
        "{}",
        stack.said()
    );
    all_gone(&pids).await;
}

#[tokio::test]
async fn servers_that_the_environment_names_are_used_and_left_running() {
    let (database, redis, sqs, s3) = tokio::join!(postgres(), redis(), sqs(), s3(&[]));
    let data = data_dir();
    let names = [
        ("DATABASE_URL", database.url.as_str()),
        ("REDIS_URL", redis.url.as_str()),
        ("AWS_ENDPOINT_URL", &sqs.url()),
        ("AWS_ENDPOINT_URL_S3", &s3.url()),
        ("AWS_ACCESS_KEY_ID", s3.access_key()),
        ("AWS_SECRET_ACCESS_KEY", s3.secret_key()),
    ];
    let mut stack = Running::start_with(data.path(), &[], &names).await;
    assert_eq!(place(&stack, "elsewhere").await["status"], "confirmed");
    let config = S3Config {
        region: Some("us-east-1".to_owned()),
        endpoint_url: Some(s3.url()),
        credentials: S3Credentials::Static {
            access_key_id: s3.access_key().to_owned(),
            secret_access_key: s3.secret_key().to_owned(),
        },
    };
    let documents = Bucket::connect(config, "documents").await;
    wait_for("its invoice is there", SETTLED_MAX, async || {
        documents.list("invoice/", None).await.unwrap().len() == 1
    })
    .await;
    assert_eq!(stack.pids(), [stack.file.pid], "nothing else was started");
    assert_eq!(
        stack.stop(Signal::SIGINT).await,
        Some(0),
        "{}",
        stack.said()
    );
    assert!(!data.path().join("postgres").exists());
    for address in [
        database.address(),
        redis.address(),
        sqs.address(),
        s3.address(),
    ] {
        tokio::net::TcpStream::connect(address).await.unwrap();
    }
}

#[tokio::test]
async fn a_second_stack_on_the_same_data_is_told_who_the_first_is() {
    let data = data_dir();
    let mut stack = Running::start(data.path(), &[]).await;
    let said = refused(data.path(), &["--gateway-port", "0"], &[]);
    assert!(
        said.contains(&format!("in use by process {}", stack.file.pid)),
        "{said}"
    );
    assert_eq!(stack.stop(Signal::SIGINT).await, Some(0));
}

#[test]
fn a_taken_port_is_one_line_with_the_remedy() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let said = refused(
        data_dir().path(),
        &["--gateway-port", &port.to_string()],
        &[],
    );
    assert!(
        said.starts_with(&format!("stack: port {port} is taken by another program;")),
        "{said}"
    );
    assert!(said.contains("cargo stack --gateway-port "), "{said}");
}

#[test]
fn a_missing_server_is_one_line_with_the_command_that_installs_it() {
    let empty = data_dir();
    let empty = empty.path().to_str().unwrap();
    let said = refused(
        data_dir().path(),
        &["--gateway-port", "0"],
        &[("STEELYARD_POSTGRES_BIN", empty)],
    );
    assert!(
        said.starts_with("stack: Postgres is not installed; install with: "),
        "{said}"
    );
    let server = format!("{empty}/redis-server");
    let said = refused(
        data_dir().path(),
        &["--gateway-port", "0"],
        &[("STEELYARD_REDIS_SERVER", &server)],
    );
    assert!(
        said.starts_with("stack: Redis is not installed; install with: "),
        "{said}"
    );
}

#[test]
fn a_url_that_nothing_answers_is_one_line_with_the_remedy_and_without_the_password() {
    for (variable, url) in [
        ("DATABASE_URL", "postgres://me:hunter2@127.0.0.1:1/shop"),
        ("REDIS_URL", "redis://:hunter2@127.0.0.1:1"),
        ("AWS_ENDPOINT_URL", "http://127.0.0.1:1"),
    ] {
        let said = refused(
            data_dir().path(),
            &["--gateway-port", "0"],
            &[(variable, url)],
        );
        assert!(
            said.starts_with(&format!(
                "stack: {variable}: nothing answers at 127.0.0.1:1;"
            )),
            "{said}"
        );
        assert!(
            said.contains(&format!("unset {variable}")) && !said.contains("hunter2"),
            "{said}"
        );
    }
    let said = refused(
        data_dir().path(),
        &["--gateway-port", "0"],
        &[("DATABASE_URL", "mysql://db")],
    );
    assert!(
        said.contains("DATABASE_URL is no postgres:// URL"),
        "{said}"
    );
}

#[test]
fn a_token_needs_a_stack_and_scopes_that_exist() {
    let data = data_dir();
    let output = run(data.path(), &["token", "--sub", "alice"]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(
        said.starts_with("stack: no stack was started in "),
        "{said}"
    );
    let output = run(
        data.path(),
        &["token", "--sub", "alice", "--scope", "customer admin"],
    );
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(
        said.starts_with("stack: \"admin\" is no scope; there are: customer, "),
        "{said}"
    );
}
