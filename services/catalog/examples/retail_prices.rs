//! Whether prices by date reproduce what a real shop charged: every line of its invoices, quoted at its own moment. And
//! whether its goods, odd as some of their names and codes are, are found.
//!
//! ```text
//! cargo run -p steelyard-catalog --example retail_prices -- invoices.csv…
//! ```
//!
//! Files as `cargo stack replay` reads them, not compressed: `InvoiceNo,StockCode,Description,Quantity,InvoiceDate,
//! UnitPrice,CustomerID,Country`. Of each SKU, a run of lines with one price becomes a dated price; the catalog imports
//! them, is searched, and quotes each line. Prints what searches find, how many lines are reproduced, and why the others are
//! not. Fails when a search misses what it must find.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a measurement stops at the first surprise and tells on the terminal"
)]

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use serde_json::{Value, json};
use steelyard_catalog::{Catalog, Config};
use steelyard_domain::internal::{RESERVE_ORDERS_MAX, ReserveResponse, ReserveResult, paths};
use steelyard_domain::ops::paths::QUOTES;
use steelyard_domain::product::{ImportReport, PRICES_MAX, Product, ProductPage};
use steelyard_localstores::{Durability, Postgres, StoreOptions};
use steelyard_runtime::client::Internal;
use steelyard_runtime::config::{Env, Secret};
use steelyard_runtime::telemetry::Metrics;
use tokio_util::sync::CancellationToken;

const TOKEN: &str = "a token for services";

/// What is searched for, and the SKUs that must be among the first twenty, if the files have them; the first of them at
/// the top, if it is the code that was typed.
const SEARCHES: [(&str, &[&str]); 16] = [
    ("lantern", &["71053", "22464", "40016"]),
    // Misspelt.
    ("lantren", &["71053", "22464", "40016"]),
    ("hangign haert t-light", &["85123A", "21733"]),
    ("vintge bilboard", &["21071", "21068"]),
    // Not typed to the end.
    ("victorian glass t-li", &["22178"]),
    ("children's spac", &["22972"]),
    ("poppys play", &["22745", "22748"]),
    // Codes, whole, begun, and in either case; the shop has both 85123A and 85123a.
    ("85123a", &["85123A", "85123a"]),
    ("8512", &["85123A", "85123a"]),
    ("gift_0001", &["gift_0001_20", "gift_0001_50"]),
    // Codes that are no goods.
    ("POST", &["POST"]),
    ("postage", &["POST", "DOT"]),
    ("M", &["M", "m"]),
    ("bank charges", &["BANK CHARGES"]),
    ("amazon fee", &["AMAZONFEE"]),
    ("love/hate & \"mug\"", &["21068"]),
];

/// A line of an invoice.
struct Line {
    sku: String,
    name: String,
    at: String,
    price: String,
}

/// What was charged for a SKU, moment by moment, each price with its lines.
type Charged = BTreeMap<String, BTreeMap<String, usize>>;

#[tokio::main]
async fn main() {
    let mut lines = Vec::new();
    let mut unpriceable = 0;
    for file in std::env::args().skip(1) {
        let mut reader = csv::Reader::from_path(file).unwrap();
        for record in reader.records() {
            let record = record.unwrap();
            let field = |index: usize| record.get(index).unwrap_or_default().trim().to_owned();
            let price = field(5);
            // A price below zero is a correction of the books, and no price.
            if field(1).is_empty() || price.starts_with('-') {
                unpriceable += 1;
                continue;
            }
            lines.push(Line {
                sku: field(1),
                name: field(2),
                at: moment(&field(4)),
                price: plain(&price),
            });
        }
    }
    let mut charged: HashMap<&str, Charged> = HashMap::new();
    let mut names: BTreeMap<&str, &str> = BTreeMap::new();
    for line in &lines {
        let moments = charged.entry(&line.sku).or_default();
        let prices = moments.entry(line.at.clone()).or_default();
        *prices.entry(line.price.clone()).or_default() += 1;
        let name = names.entry(&line.sku).or_default();
        if name.is_empty() {
            *name = &line.name;
        }
    }
    let products: Vec<String> = names
        .iter()
        .map(|(sku, name)| product(sku, name, &charged[sku]).to_string())
        .collect();

    let dir = std::env::temp_dir().join(format!("retail-prices-{}", std::process::id()));
    let options = StoreOptions::new(Durability::Throwaway);
    let postgres = Postgres::start(&dir, &options).await.unwrap();
    let env = Env::of([("DATABASE_URL", postgres.url("postgres"))])
        .with("SERVICE_TOKEN", TOKEN)
        .with("LISTEN_ADDR", "127.0.0.1:0")
        .with("ADMIN_ADDR", "127.0.0.1:0");
    let catalog = Catalog::open(&Config::from_env(&env).unwrap())
        .await
        .unwrap();
    let base = format!("http://{}", catalog.addrs().api).parse().unwrap();
    let client = Internal::new(
        "catalog",
        base,
        Secret::new(TOKEN),
        Duration::from_secs(600),
    )
    .unwrap();
    let stop = CancellationToken::new();
    let running = tokio::spawn(catalog.run(Metrics::detached(), stop.clone()));
    let report = import(&client, products.join("\n")).await;
    println!(
        "{} SKUs: {} imported, {} refused {:?}",
        products.len(),
        report.created,
        report.failed,
        report.errors.iter().take(5).collect::<Vec<_>>()
    );

    let mut missed: Vec<String> = Vec::new();
    for (q, expected) in SEARCHES {
        let found = search(&client, q).await;
        let shown: Vec<String> = found
            .iter()
            .take(5)
            .map(|(sku, name)| format!("{sku} {name}"))
            .collect();
        println!(
            "{q:?}: {} on the first page: {}",
            found.len(),
            shown.join("; ")
        );
        let known = expected.iter().filter(|sku| names.contains_key(**sku));
        for sku in known {
            if !found.iter().any(|(found, _)| found == sku) {
                missed.push(format!("{q:?} does not find {sku} {}", names[sku]));
            }
            let first = found.first().map_or("nothing", |(sku, _)| sku.as_str());
            if sku.eq_ignore_ascii_case(q) && !first.eq_ignore_ascii_case(q) {
                missed.push(format!("{q:?} finds {first} before the code itself"));
            }
        }
    }
    assert!(missed.is_empty(), "{missed:#?}");

    let mut reproduced = 0;
    let mut why: BTreeMap<&str, usize> = BTreeMap::new();
    for part in lines.chunks(RESERVE_ORDERS_MAX) {
        let orders: Vec<Value> = part.iter().map(order).collect();
        let answer: ReserveResponse = client
            .post(QUOTES, &json!({"orders": orders}))
            .await
            .unwrap();
        for (line, result) in part.iter().zip(answer.results) {
            if matches!(result, ReserveResult::Reserved(_)) {
                reproduced += 1;
                continue;
            }
            let moments = &charged[line.sku.as_str()];
            let reason = if moments[&line.at].len() > 1 {
                "the SKU had two prices within one minute"
            } else if runs(moments).len() > PRICES_MAX {
                "the SKU had more prices than a product may have: it is no good with a price"
            } else {
                "another reason"
            };
            *why.entry(reason).or_default() += 1;
        }
    }
    println!(
        "{} lines: {reproduced} reproduced; differ: {why:?}; corrections without a price: {unpriceable}",
        lines.len()
    );
    stop.cancel();
    running.await.unwrap().unwrap();
    postgres.stop().await.unwrap();
    drop(std::fs::remove_dir_all(&dir));
}

async fn import(client: &Internal, body: String) -> ImportReport {
    let path = format!("{}/import", paths::PRODUCTS);
    loop {
        let request = client
            .request(reqwest::Method::POST, &path)
            .body(body.clone());
        let request = request.header("content-type", "application/x-ndjson");
        let answer = client.send(request).await.unwrap();
        if answer.status() != 503 {
            return answer.json().await.unwrap();
        }
        // The schema is being made.
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// The first page of what is found: SKUs and names.
async fn search(client: &Internal, q: &str) -> Vec<(String, String)> {
    let query = url::form_urlencoded::Serializer::new(String::new())
        .append_pair("q", q)
        .finish();
    let path = format!("{}?{query}", paths::PRODUCTS);
    let answer = client
        .send(client.request(reqwest::Method::GET, &path))
        .await
        .unwrap();
    let page: ProductPage = answer.json().await.unwrap();
    let shown = |product: Product| (product.sku.as_str().to_owned(), product.name);
    page.data.into_iter().map(shown).collect()
}

/// `2.50` and `2.5` are one price.
fn plain(price: &str) -> String {
    if price.contains('.') {
        price.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        price.to_owned()
    }
}

/// `2010-12-01 08:26:00` or `12/1/2010 8:26` as RFC 3339.
fn moment(text: &str) -> String {
    if !text.contains('/') {
        let text = text.replace(' ', "T");
        return if text.matches(':').count() == 1 {
            format!("{text}:00Z")
        } else {
            format!("{text}Z")
        };
    }
    let (date, time) = text.split_once(' ').unwrap();
    let date: Vec<u32> = date.split('/').map(|part| part.parse().unwrap()).collect();
    let (hour, minute) = time.split_once(':').unwrap();
    format!(
        "{}-{:02}-{:02}T{hour:0>2}:{minute}:00Z",
        date[2], date[0], date[1]
    )
}

/// From when on which price: of several at one moment, the one of most lines.
fn runs(charged: &Charged) -> Vec<(&str, &str)> {
    let mut runs: Vec<(&str, &str)> = Vec::new();
    for (at, prices) in charged {
        let last = runs.last().map(|(_, price)| *price);
        let (price, _) = prices
            .iter()
            .max_by_key(|(price, lines)| (**lines, Some(price.as_str()) == last))
            .unwrap();
        if last != Some(price.as_str()) {
            runs.push((at, price));
        }
    }
    runs
}

fn product(sku: &str, name: &str, charged: &Charged) -> Value {
    let runs = runs(charged);
    let mut prices = Vec::new();
    for (i, (from, price)) in runs.iter().enumerate().take(PRICES_MAX) {
        let mut entry = json!({"currency": "GBP", "amount": price, "valid_from": from});
        if let Some((until, _)) = runs.get(i + 1) {
            entry["valid_until"] = json!(until);
        }
        prices.push(entry);
    }
    let name = if name.is_empty() { sku } else { name };
    json!({"sku": sku, "name": name, "prices": prices, "stock": {"adjust": 1_000_000_000, "reference": "opening"}})
}

fn order(line: &Line) -> Value {
    json!({
        "order_id": uuid::Uuid::new_v4(), "currency": "GBP", "at": line.at,
        "lines": [{"sku": line.sku, "quantity": 1, "unit_price": line.price}],
    })
}
