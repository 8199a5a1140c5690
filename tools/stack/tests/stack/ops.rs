//! `cargo stack ops`, as the person on call runs it.

use std::path::Path;
use std::time::Duration;

use nix::sys::signal::Signal;
use serde_json::{Value, json};
use steelyard_queue::{OutgoingMessage, SqsConfig, SqsTransport, Transport};
use steelyard_testkit::wait_for;

use crate::support::{Running, data_dir, run};

const SOON: Duration = Duration::from_secs(60);

/// What it prints; it must go well.
fn said(data: &Path, args: &[&str]) -> String {
    let output = run(data, args);
    let said = String::from_utf8(output.stdout).unwrap();
    let trouble = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{args:?}: {said} {trouble}");
    said
}

fn json_of(data: &Path, args: &[&str]) -> Value {
    let args = [args, &["--json"]].concat();
    serde_json::from_str(&said(data, &args)).unwrap()
}

/// Puts what nobody can read into the orders queue: it is parked.
async fn park(stack: &Running, bodies: &[String]) {
    let url = stack.file.parts["sqs"].url.clone();
    let transport = SqsTransport::connect(SqsConfig::local(url)).await;
    let queue = transport.queue_url("orders.fifo").await.unwrap();
    for body in bodies {
        let message = OutgoingMessage::fifo("alice", body.replace(' ', "-"), body);
        let sent = transport.send_batch(&queue, &[message]).await.unwrap();
        assert!(sent[0].is_ok(), "{sent:?}");
    }
}

#[tokio::test]
async fn the_person_on_call_looks_tries_redrives_and_pauses_from_a_terminal() {
    let data = data_dir();
    let dir = data.path();
    let mut stack = Running::start(dir, &[]).await;
    let bodies: Vec<String> = (1..=12).map(|n| format!("not JSON {n}")).collect();
    park(&stack, &bodies).await;
    wait_for("they are parked", SOON, async || {
        let queues = json_of(dir, &["ops", "queues"]);
        queues["queues"][1]["depth"] == 12
    })
    .await;
    let letters = json_of(dir, &["ops", "dead-letters", "list"]);
    assert_eq!(letters["complete"], false, "ten of a customer are in reach");
    let id = letters["data"][0]["id"].as_str().unwrap();
    let listed = said(dir, &["ops", "dead-letters", "list", "--customer", "alice"]);
    assert!(
        listed.contains(id) && listed.contains("unreadable"),
        "{listed}"
    );
    let shown = said(dir, &["ops", "dead-letters", "show", id]);
    assert!(
        shown.ends_with("not JSON 1\n") && shown.contains("FIRST FAILED"),
        "{shown}"
    );

    // It would be parked again, and the exit code says so.
    let output = run(dir, &["ops", "dead-letters", "dry-run", id]);
    assert_eq!(output.status.code(), Some(1));
    let tried = String::from_utf8(output.stdout).unwrap();
    assert!(tried.starts_with("It would be parked again: "), "{tried}");
    let broken = dir.join("broken.json");
    std::fs::write(&broken, json!({"v": 1}).to_string()).unwrap();
    let file = broken.to_str().unwrap();
    let output = run(
        dir,
        &[
            "ops",
            "dead-letters",
            "edit",
            id,
            "--why",
            "a try",
            "--body",
            file,
        ],
    );
    assert_eq!(output.status.code(), Some(1));
    let refused = String::from_utf8(output.stderr).unwrap();
    assert!(refused.contains("validation_failed"), "{refused}");

    let moved = said(
        dir,
        &[
            "ops",
            "dead-letters",
            "redrive",
            "--all",
            "--why",
            "again",
            "--as",
            "olga",
        ],
    );
    // They are parked again at once; it does not run after them.
    assert_eq!(moved.matches("  moved\n").count(), 12, "{moved}");
    wait_for(
        "they are parked again, with their history",
        SOON,
        async || {
            let letters = json_of(dir, &["ops", "dead-letters", "list"]);
            let letter = &letters["data"][0];
            letter["redriven"] == 1 && letter["history"].as_array().unwrap().len() == 2
        },
    )
    .await;

    let paused = said(
        dir,
        &[
            "ops",
            "maintenance",
            "on",
            "--why",
            "a look",
            "--for",
            "1h",
            "--as",
            "olga",
        ],
    );
    assert!(
        paused.starts_with("Processing is paused (a look; by olga at "),
        "{paused}"
    );
    wait_for("the worker has heard it", SOON, async || {
        said(dir, &["ops", "queues"]).contains("maintenance since ")
    })
    .await;
    let queues = said(dir, &["ops", "queues"]);
    for queue in [
        "orders.fifo",
        "orders-dead-letters.fifo",
        "documents.fifo",
        "webhooks.fifo",
    ] {
        assert!(queues.contains(queue), "{queues}");
    }
    said(dir, &["ops", "maintenance", "off", "--why", "seen"]);
    let state = json_of(dir, &["ops", "maintenance", "show"]);
    assert_eq!(state["processing"], "running");

    let audit = said(dir, &["ops", "audit"]);
    assert!(
        audit.contains("redrive.result") && audit.contains("olga"),
        "{audit}"
    );

    // Elsewhere: by URL and token.
    let url = stack.file.parts["gateway"].url.clone();
    let token = stack.file.tokens["customer"].clone();
    let output = run(dir, &["ops", "queues", "--url", &url, "--token", &token]);
    let refused = String::from_utf8(output.stderr).unwrap();
    assert!(refused.contains("insufficient_scope"), "{refused}");
    assert_eq!(
        stack.stop(Signal::SIGINT).await,
        Some(0),
        "{}",
        stack.said()
    );
}
