//! How many orders a second the catalog prices and reserves, and how fast it imports.
//!
//! ```text
//! cargo run --release -p steelyard-catalog --example reserve_rate [seconds] [orders per call]
//! ```
//!
//! Real Postgres with `fsync`, the catalog and its callers in one process, 4,000 products of which
//! few sell much, 8 lines an order. Prints the rate, the calls' p50 and p99, and the CPU time per
//! order of this process (callers included) and of Postgres.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a measurement stops at the first surprise and tells on the terminal"
)]

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use rand::RngExt as _;
use serde_json::{Value, json};
use steelyard_catalog::{Catalog, Config};
use steelyard_domain::internal::{ReserveResponse, ReserveResult, paths};
use steelyard_domain::product::ImportReport;
use steelyard_localstores::{Durability, Postgres, StoreOptions};
use steelyard_runtime::client::Internal;
use steelyard_runtime::config::{Env, Secret};
use steelyard_runtime::telemetry::Metrics;
use tokio_util::sync::CancellationToken;

const TOKEN: &str = "a token for services";
const PRODUCTS: usize = 4_000;
const LINES: usize = 8;

#[tokio::main]
async fn main() {
    let mut args = std::env::args()
        .skip(1)
        .map(|arg| arg.parse::<u64>().unwrap());
    let seconds = Duration::from_secs(args.next().unwrap_or(10));
    let per_call = usize::try_from(args.next().unwrap_or(100)).unwrap();

    let dir = std::env::temp_dir().join(format!("reserve-rate-{}", std::process::id()));
    let postgres = Postgres::start(&dir, &StoreOptions::new(Durability::Honest))
        .await
        .unwrap();
    let env = Env::of([("DATABASE_URL", postgres.url("postgres"))])
        .with("SERVICE_TOKEN", TOKEN)
        .with("LISTEN_ADDR", "127.0.0.1:0")
        .with("ADMIN_ADDR", "127.0.0.1:0");
    let catalog = Catalog::open(&Config::from_env(&env).unwrap())
        .await
        .unwrap();
    let base = format!("http://{}", catalog.addrs().api).parse().unwrap();
    let client =
        Internal::new("catalog", base, Secret::new(TOKEN), Duration::from_secs(60)).unwrap();
    let stop = CancellationToken::new();
    let running = tokio::spawn(catalog.run(Metrics::detached(), stop.clone()));

    import(&client).await;
    for callers in [1, 2, 4] {
        measure(&client, callers, seconds, per_call, postgres.pid()).await;
    }
    stop.cancel();
    running.await.unwrap().unwrap();
    postgres.stop().await.unwrap();
    // As root the data lies with another account's; either way only what this run made goes.
    drop(std::fs::remove_dir_all(&dir));
}

async fn import(client: &Internal) {
    let mut body = String::new();
    for number in 0..PRODUCTS {
        let product = json!({
            "sku": format!("SKU-{number}"), "name": format!("Product number {number}"),
            "prices": [{"currency": "GBP", "amount": "2.55"}],
            "stock": {"adjust": 1_000_000_000, "reference": "opening"},
        });
        writeln!(body, "{product}").unwrap();
    }
    let path = format!("{}/import", paths::PRODUCTS);
    loop {
        let request = client
            .request(reqwest::Method::POST, &path)
            .body(body.clone());
        let started = Instant::now();
        let sent = client
            .send(request.header("content-type", "application/x-ndjson"))
            .await;
        let answer = sent.unwrap();
        if answer.status() == 503 {
            // The schema is being made.
            tokio::time::sleep(Duration::from_millis(20)).await;
            continue;
        }
        let report: ImportReport = answer.json().await.unwrap();
        let took_ms = started.elapsed().as_millis();
        println!("import: {} products in {took_ms} ms", report.created);
        return;
    }
}

async fn measure(
    client: &Internal,
    callers: usize,
    seconds: Duration,
    per_call: usize,
    postgres: u32,
) {
    let before = cpu_ms(postgres);
    let started = Instant::now();
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..callers {
        let client = client.clone();
        tasks.spawn(async move {
            let mut calls = Vec::new();
            while started.elapsed() < seconds {
                let body = json!({"orders": (0..per_call).map(|_| order()).collect::<Vec<_>>()});
                let called = Instant::now();
                let answer: ReserveResponse =
                    client.post(paths::RESERVATIONS, &body).await.unwrap();
                calls.push(called.elapsed());
                let reserved =
                    |result: &ReserveResult| matches!(result, ReserveResult::Reserved(_));
                assert!(answer.results.iter().all(reserved));
            }
            calls
        });
    }
    let mut calls: Vec<Duration> = tasks.join_all().await.into_iter().flatten().collect();
    let took_ms = started.elapsed().as_millis().max(1);
    calls.sort_unstable();
    let orders = (calls.len() * per_call) as u128;
    let at = |percent: usize| calls[(calls.len() - 1) * percent / 100];
    let after = cpu_ms(postgres);
    let cpu_us = |of: usize| (after[of] - before[of]) * 1_000 / orders;
    println!(
        "{callers} callers, {per_call} orders a call: {} orders/s, call p50 {:?} p99 {:?}, \
         CPU µs/order: this process {}, Postgres {}",
        orders * 1_000 / took_ms,
        at(50),
        at(99),
        cpu_us(0),
        cpu_us(1),
    );
}

fn order() -> Value {
    let mut random = rand::rng();
    let lines: Vec<Value> = (0..LINES)
        .map(|_| {
            // The product of two even chances: a few products are in many orders.
            let number =
                random.random_range(0..PRODUCTS) * random.random_range(0..PRODUCTS) / PRODUCTS;
            let quantity = random.random_range(1..10);
            json!({"sku": format!("SKU-{number}"), "quantity": quantity, "unit_price": "2.55"})
        })
        .collect();
    json!({"order_id": uuid::Uuid::new_v4(), "currency": "GBP", "lines": lines})
}

/// CPU time of this process and of Postgres with its backends, in ms; 0 where there is no `/proc`.
fn cpu_ms(postgres: u32) -> [u128; 2] {
    let mut sums = [0, 0];
    for entry in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
        let stat = std::fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
        let pid = entry.file_name().to_string_lossy().parse::<u32>().ok();
        // Behind the name, which may hold blanks: state, parent, … user and system time in ticks
        // of 10 ms, then those of children that ended.
        let fields: Vec<&str> = stat
            .rsplit(')')
            .next()
            .unwrap_or("")
            .split_whitespace()
            .collect();
        let field = |index: usize| {
            fields
                .get(index)
                .and_then(|f| f.parse::<u128>().ok())
                .unwrap_or(0)
        };
        let ticks = field(11) + field(12);
        if pid == Some(std::process::id()) {
            sums[0] = ticks * 10;
        } else if pid == Some(postgres) {
            sums[1] += (ticks + field(13) + field(14)) * 10;
        } else if field(1) == u128::from(postgres) {
            sums[1] += ticks * 10;
        }
    }
    sums
}
