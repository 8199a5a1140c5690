//! Schemathesis, from PyPI, reads our own OpenAPI document and tries what it finds: no answer may
//! be a 5xx. It is left out, with a word, where there is no Python or no package index.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::json;

use crate::support::{Canned, Peer, Setting};

/// The version that the options below were written for.
const PACKAGE: &str = "schemathesis==4.32.5";
const RUN_S_MAX: &str = "45";
/// Above the longest wait that `Prefer` can ask for.
const REQUEST_S_MAX: &str = "25";

fn run(command: &mut Command) -> Result<Output, String> {
    let output = command
        .output()
        .map_err(|error| format!("{command:?}: {error}"))?;
    if output.status.success() {
        return Ok(output);
    }
    let (said, complained) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    Err(format!("{command:?} failed:\n{said}\n{complained}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_schemathesis_thinks_of_is_answered_by_a_5xx() {
    let install = || {
        let target = Path::new(env!("CARGO_TARGET_TMPDIR"));
        steelyard_testkit::python(target, "schemathesis-venv", &[PACKAGE])
    };
    let environment = match tokio::task::spawn_blocking(install).await.unwrap() {
        Ok(environment) => environment,
        Err(why) => {
            eprintln!("left out, schemathesis cannot be installed: {why}");
            return;
        }
    };
    let redis = steelyard_testkit::redis().await;
    // Peers that are up and know nothing: a 503 would be theirs, anything else ours.
    let (orders, catalog) = (Peer::start().await, Peer::start().await);
    let documents = Peer::start().await;
    let none = Canned::json(&json!({"data": [], "next_cursor": null}));
    orders.say("/internal/orders", none.clone());
    documents.say("/internal/documents", none);
    let setting = Setting {
        orders: orders.url.clone(),
        catalog: catalog.url.clone(),
        documents: documents.url.clone(),
        redis: redis.url.clone(),
        ..Setting::default()
    };
    let gateway = setting.start().await;
    gateway.ready().await;
    let scope = "storefront orders:price orders:manage payments catalog:write";
    let token = gateway.token("fuzz", scope);
    let document = format!("{}/openapi.json", gateway.url);
    let fuzzing = tokio::task::spawn_blocking(move || {
        let mut schemathesis = Command::new(environment.join("bin/st"));
        schemathesis
            .args(["run", &document, "--checks", "not_a_server_error"])
            .args(["--max-time", RUN_S_MAX, "--request-timeout", REQUEST_S_MAX])
            // A stream has no end to wait for, and newline-delimited JSON it cannot write.
            .args(["--exclude-path-regex", "/(events|import)$"])
            .args([
                // More share CPython's parser, which does not bear it (python/cpython#106905).
                "--workers",
                "1",
                "--seed",
                "20261122",
                "--generation-database",
                "none",
            ])
            .args(["--warnings", "off", "--no-color", "--max-failures", "5"])
            .args(["-H", &format!("Authorization: Bearer {token}")])
            .current_dir(env!("CARGO_TARGET_TMPDIR"));
        run(&mut schemathesis)
    });
    match fuzzing.await.unwrap() {
        Ok(output) => println!("{}", String::from_utf8_lossy(&output.stdout)),
        Err(found) => panic!("{found}"),
    }
    assert!(
        !gateway.commands().is_empty(),
        "not one order was good enough to be accepted"
    );
}
