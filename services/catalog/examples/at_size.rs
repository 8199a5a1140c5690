//! What the catalog does at the size of a large shop: import, reads, lists, search, reservations.
//!
//! ```text
//! cargo run --release -p steelyard-catalog --example at_size [products] [seconds for each figure] [URL of a database]
//! ```
//!
//! With the URL of a database that another run has filled and serves still, only the reads: so two builds are compared
//! that have the same schema. Whose Postgres it is, is not known: its CPU time is told as 0.
//!
//! Real Postgres with `fsync`, the catalog and its callers in one process. A tenth of the products have two variants
//! each; there are 400 categories in three levels, 200 brands, and names of a few hundred words. Prints rates, p50 and
//! p99, this process's memory (callers included), and the CPU time of both sides.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a measurement stops at the first surprise and tells on the terminal"
)]

use std::convert::Infallible;
use std::time::{Duration, Instant};

use futures_util::stream;
use rand::RngExt as _;
use serde_json::{Value, json};
use steelyard_catalog::{Catalog, Config};
use steelyard_domain::internal::{ReserveResponse, paths};
use steelyard_domain::product::ImportReport;
use steelyard_localstores::{Durability, Postgres, StoreOptions};
use steelyard_runtime::client::Internal;
use steelyard_runtime::config::{Env, Secret};
use steelyard_runtime::telemetry::Metrics;
use tokio_util::sync::CancellationToken;

/// As the service has it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const TOKEN: &str = "a token for services";
/// An import of a million products takes minutes.
const CALL_MAX: Duration = Duration::from_secs(3_600);
const ADJECTIVES: [&str; 16] = [
    "white", "red", "hanging", "small", "vintage", "folding", "glass", "wooden", "metal",
    "painted", "round", "pocket", "retro", "paper", "ceramic", "knitted",
];
const NOUNS: [&str; 24] = [
    "lantern", "holder", "mug", "bag", "heart", "clock", "bowl", "frame", "candle", "cushion",
    "tray", "box", "hanger", "basket", "bottle", "doorstop", "plate", "card", "ribbon", "drawer",
    "mirror", "teapot", "napkin", "lamp",
];
const LINES: usize = 8;

#[tokio::main]
async fn main() {
    let mut args = std::env::args().skip(1);
    let mut number = |default: u64| args.next().map_or(default, |arg| arg.parse().unwrap());
    let products = usize::try_from(number(100_000)).unwrap();
    let seconds = Duration::from_secs(number(10));
    let filled = args.next();
    let dir = std::env::temp_dir().join(format!("catalog-at-size-{}", std::process::id()));
    let postgres = match &filled {
        Some(_) => None,
        None => {
            let options = StoreOptions::new(Durability::Honest);
            Some(Postgres::start(&dir, &options).await.unwrap())
        }
    };
    let url = match (&filled, &postgres) {
        (Some(url), _) => url.clone(),
        (None, Some(postgres)) => postgres.url("postgres"),
        (None, None) => return,
    };
    let env = Env::of([("DATABASE_URL", url)])
        .with("SERVICE_TOKEN", TOKEN)
        .with("LISTEN_ADDR", "127.0.0.1:0")
        .with("ADMIN_ADDR", "127.0.0.1:0");
    let catalog = Catalog::open(&Config::from_env(&env).unwrap())
        .await
        .unwrap();
    let base = format!("http://{}", catalog.addrs().api).parse().unwrap();
    let client = Internal::new("catalog", base, Secret::new(TOKEN), CALL_MAX).unwrap();
    let stop = CancellationToken::new();
    let running = tokio::spawn(catalog.run(Metrics::detached(), stop.clone()));
    let size = Size {
        client,
        products,
        postgres: postgres.as_ref().map(|postgres| postgres.pid()),
        seconds,
    };
    size.ready().await;
    if filled.is_none() {
        size.tree().await;
        size.import("import").await;
        size.import("the same again").await;
    }
    size.reads().await;
    if filled.is_none() {
        for per_call in [10, 100] {
            size.reservations(per_call).await;
        }
    }
    stop.cancel();
    running.await.unwrap().unwrap();
    if let Some(postgres) = postgres {
        postgres.stop().await.unwrap();
    }
    // As root the data lies with another account's; either way only what this run made goes.
    drop(std::fs::remove_dir_all(&dir));
}

struct Size {
    client: Internal,
    products: usize,
    postgres: Option<u32>,
    seconds: Duration,
}

impl Size {
    /// Until the schema is made, and the first connection.
    async fn ready(&self) {
        while self.client.get::<Value>(paths::PRODUCTS).await.is_err() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// 20 × 20 categories below one.
    async fn tree(&self) {
        let put = async |code: String, parent: Option<String>| {
            let path = format!("{}/{code}", paths::CATEGORIES);
            let body = json!({"name": code, "parent": parent});
            let request = self.client.request(reqwest::Method::PUT, &path).json(&body);
            let answer = self.client.send(request).await.unwrap();
            assert!(answer.status().is_success());
        };
        put("all".into(), None).await;
        for room in 0..20 {
            put(format!("r{room}"), Some("all".into())).await;
            for shelf in 0..20 {
                put(format!("r{room}s{shelf}"), Some(format!("r{room}"))).await;
            }
        }
    }

    async fn import(&self, what: &str) {
        let products = self.products;
        let lines =
            (0..products).map(move |number| Ok::<_, Infallible>(format!("{}\n", product(number))));
        let path = format!("{}/import", paths::PRODUCTS);
        let request = self.client.request(reqwest::Method::POST, &path);
        // A few hundred lines a piece, as a file would be read.
        let pieces = stream::iter(Chunks(lines));
        let request = request
            .header("content-type", "application/x-ndjson")
            .body(reqwest::Body::wrap_stream(pieces));
        let (started, before) = (Instant::now(), cpu_ms(self.postgres));
        let answer = self.client.send(request).await.unwrap();
        let report: ImportReport = answer.json().await.unwrap();
        let took_ms = started.elapsed().as_millis().max(1);
        let after = cpu_ms(self.postgres);
        println!(
            "{what}: {} created, {} unchanged, {} failed in {took_ms} ms = {} products/s; CPU ms: this process {}, Postgres {}; RSS {} MiB",
            report.created,
            report.unchanged,
            report.failed,
            products as u128 * 1_000 / took_ms,
            after[0] - before[0],
            after[1] - before[1],
            rss_mib(),
        );
        assert_eq!(report.failed, 0, "{:?}", report.errors.first());
    }

    async fn reads(&self) {
        let products = self.products;
        let any = move || format!("/P{}", rand::rng().random_range(0..products));
        self.measure("one product", any).await;
        let word = || ADJECTIVES[rand::rng().random_range(0..ADJECTIVES.len())];
        let noun = || NOUNS[rand::rng().random_range(0..NOUNS.len())];
        let shelf = || {
            let mut random = rand::rng();
            format!(
                "r{}s{}",
                random.random_range(0..20),
                random.random_range(0..20)
            )
        };
        self.measure("page 1 of all", || "?limit=20".into()).await;
        for (what, filter) in [
            ("all", String::new()),
            ("a shelf", format!("category={}", shelf())),
        ] {
            let late = self.walk(&filter, 1_000).await;
            self.measure(&format!("page 1,000 of {what}, or its last"), move || {
                late.clone()
            })
            .await;
        }
        self.measure("page 1 of a shelf", || format!("?category={}", shelf()))
            .await;
        self.measure("page 1 of a room of 20 shelves", || {
            format!("?category=r{}", rand::rng().random_range(0..20))
        })
        .await;
        self.measure("page 1 of the tree of 421", || "?category=all".into())
            .await;
        self.measure("a brand", || {
            format!("?attributes=brand:B{}", rand::rng().random_range(0..200))
        })
        .await;
        self.measure("a brand on a shelf", || {
            format!(
                "?category={}&attributes=brand:B{}",
                shelf(),
                rand::rng().random_range(0..200)
            )
        })
        .await;
        self.measure("a price range", || {
            "?currency=GBP&price_min=5&price_max=7".into()
        })
        .await;
        self.measure("a price range that few have", || {
            "?currency=GBP&price_min=0.01&price_max=0.02".into()
        })
        .await;
        self.measure("no more than a price", || {
            format!(
                "?currency=GBP&price_max={}",
                rand::rng().random_range(10..50)
            )
        })
        .await;
        self.measure("no less than a price", || {
            format!(
                "?currency=GBP&price_min={}",
                rand::rng().random_range(50..90)
            )
        })
        .await;
        self.measure("a brand, for staff", || {
            let brand = rand::rng().random_range(0..200);
            format!("?include=all&attributes=brand:B{brand}")
        })
        .await;
        self.measure("a price range on a shelf", || {
            format!("?category={}&currency=GBP&price_min=5&price_max=7", shelf())
        })
        .await;
        self.measure("a price range of a brand", || {
            let brand = rand::rng().random_range(0..200);
            format!("?attributes=brand:B{brand}&currency=GBP&price_min=5&price_max=7")
        })
        .await;
        self.measure("a brand in one colour", || {
            let mut random = rand::rng();
            let (brand, colour) = (random.random_range(0..200), random.random_range(0..4));
            format!("?attributes=brand:B{brand},colour:{}", ADJECTIVES[colour])
        })
        .await;
        self.measure("a brand in a room of 20 shelves", || {
            let mut random = rand::rng();
            let (brand, room) = (random.random_range(0..200), random.random_range(0..20));
            format!("?category=r{room}&attributes=brand:B{brand}")
        })
        .await;
        self.measure("facets of a shelf", || {
            format!("?category={}&facets=true&limit=1", shelf())
        })
        .await;
        self.measure("search, one word", || format!("?q={}", noun()))
            .await;
        self.measure("search, two words", || format!("?q={}+{}", word(), noun()))
            .await;
        self.measure("search, three words", || {
            format!("?q={}+{}+{}", word(), word(), noun())
        })
        .await;
        self.measure("search, two words that no product has both of", || {
            format!("?q={}+{}", noun(), noun())
        })
        .await;
        self.measure("search, a word of all descriptions", || {
            "?q=sentence".into()
        })
        .await;
        self.measure("search, one word on a shelf", || {
            format!("?q={}&category={}", noun(), shelf())
        })
        .await;
        self.measure("search, page 20 of one word", {
            let mut late = Vec::new();
            for noun in ["mug", "clock", "lamp"] {
                late.push(self.walk(&format!("q={noun}"), 20).await);
            }
            move || late[rand::rng().random_range(0..late.len())].clone()
        })
        .await;
        self.measure("search, the beginning of a word", || {
            format!("?q={}", &noun()[..3])
        })
        .await;
        self.measure("search, misspelt", || {
            let noun = noun();
            format!("?q={}{}{}", &noun[1..2], &noun[..1], &noun[2..])
        })
        .await;
        self.measure("search, a number", || {
            format!("?q=number+{}", rand::rng().random_range(0..products))
        })
        .await;
        self.measure("search, a SKU", move || {
            format!("?q=p{}", rand::rng().random_range(0..products))
        })
        .await;
    }

    /// The path of a late page.
    async fn walk(&self, filter: &str, pages: usize) -> String {
        let mut path = format!("?{filter}");
        for _ in 1..pages {
            let request = self
                .client
                .request(reqwest::Method::GET, &format!("{}{path}", paths::PRODUCTS));
            let page: Value = self
                .client
                .send(request)
                .await
                .unwrap()
                .json()
                .await
                .unwrap();
            let Some(cursor) = page["next_cursor"].as_str() else {
                break;
            };
            path = format!("?{filter}&cursor={cursor}");
        }
        path
    }

    async fn measure(&self, what: &str, path: impl Fn() -> String) {
        let started = Instant::now();
        let before = cpu_ms(self.postgres);
        let mut calls = Vec::new();
        while started.elapsed() < self.seconds / 4 {
            let path = format!("{}{}", paths::PRODUCTS, path());
            let called = Instant::now();
            let request = self.client.request(reqwest::Method::GET, &path);
            let answer = self.client.send(request).await.unwrap();
            assert_eq!(answer.status(), 200, "{path}");
            answer.bytes().await.unwrap();
            calls.push(called.elapsed());
        }
        let after = cpu_ms(self.postgres);
        let count = calls.len() as u128;
        calls.sort_unstable();
        let at = |percent: usize| calls[(calls.len() - 1) * percent / 100];
        println!(
            "{what}: p50 {:?} p99 {:?}; CPU µs a call: this process {}, Postgres {}",
            at(50),
            at(99),
            (after[0] - before[0]) * 1_000 / count,
            (after[1] - before[1]) * 1_000 / count,
        );
    }

    async fn reservations(&self, per_call: usize) {
        for callers in [1, 4, 16] {
            let before = cpu_ms(self.postgres);
            let started = Instant::now();
            let mut tasks = tokio::task::JoinSet::new();
            for _ in 0..callers {
                let (client, products, seconds) =
                    (self.client.clone(), self.products, self.seconds);
                tasks.spawn(async move {
                    let mut calls = 0_u128;
                    while started.elapsed() < seconds {
                        let orders: Vec<_> = (0..per_call).map(|_| order(products)).collect();
                        let body = json!({"orders": orders});
                        let answer: ReserveResponse =
                            client.post(paths::RESERVATIONS, &body).await.unwrap();
                        assert_eq!(answer.results.len(), per_call);
                        calls += 1;
                    }
                    calls
                });
            }
            let calls: u128 = tasks.join_all().await.into_iter().sum();
            let took_ms = started.elapsed().as_millis().max(1);
            let after = cpu_ms(self.postgres);
            let orders = calls * per_call as u128;
            println!(
                "{callers} callers, {per_call} orders a call: {} calls/s, {} orders/s; CPU µs/order: this process {}, Postgres {}",
                calls * 1_000 / took_ms,
                orders * 1_000 / took_ms,
                (after[0] - before[0]) * 1_000 / orders,
                (after[1] - before[1]) * 1_000 / orders,
            );
        }
    }
}

/// Pieces of some 64 KiB.
struct Chunks<I>(I);

impl<I: Iterator<Item = Result<String, Infallible>>> Iterator for Chunks<I> {
    type Item = Result<String, Infallible>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut piece = String::new();
        while piece.len() < 64 * 1024 {
            match self.0.next() {
                Some(Ok(line)) => piece.push_str(&line),
                _ => break,
            }
        }
        (!piece.is_empty()).then_some(Ok(piece))
    }
}

fn product(number: usize) -> Value {
    // Spread without a generator's state, each property for itself: the same product each time.
    let spread = |seed: u64, of: usize| {
        let mut mixed = (number as u64) ^ seed.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        for _ in 0..2 {
            mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        }
        usize::try_from(mixed >> 33).unwrap_or_default() % of
    };
    let name = format!(
        "{} {} {} number {number}",
        ADJECTIVES[spread(1, ADJECTIVES.len())],
        ADJECTIVES[spread(2, ADJECTIVES.len())],
        NOUNS[spread(3, NOUNS.len())],
    );
    let cents = 50 + spread(4, 10_000);
    let mut product = json!({
        "sku": format!("P{number}"), "name": name,
        "description": "A thing that a shop sells, described in a sentence or two as shops do.",
        "category": format!("r{}s{}", spread(5, 20), spread(6, 20)),
        "attributes": {"brand": format!("B{}", spread(7, 200)), "colour": ADJECTIVES[spread(8, 4)]},
        "prices": [{"currency": "GBP", "amount": format!("{}.{:02}", cents / 100, cents % 100)},
                   {"currency": "EUR", "amount": format!("{}.{:02}", cents / 90, cents % 90)}],
        "stock": {"adjust": 1_000_000, "reference": "opening"},
    });
    // Two of ten are variants of the tenth's first.
    if matches!(number % 10, 8 | 9) {
        product["variant_of"] = json!(format!("P{}", number / 10 * 10));
        product["options"] = json!({"size": (number % 10).to_string()});
    }
    product
}

fn order(products: usize) -> Value {
    let mut random = rand::rng();
    let lines: Vec<Value> = (0..LINES)
        .map(|_| {
            // The product of two even chances: a few products are in many orders.
            let number = random.random_range(0..products) * random.random_range(0..products) / products;
            json!({"sku": format!("P{number}"), "quantity": random.random_range(1..10), "unit_price": "2.55"})
        })
        .collect();
    json!({"order_id": uuid::Uuid::new_v4(), "currency": "GBP", "prices_authoritative": true, "lines": lines})
}

fn rss_mib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let kib = line.and_then(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok());
    kib.unwrap_or(0) / 1_024
}

/// CPU time of this process and of Postgres with its backends, in ms; 0 where there is no `/proc`.
fn cpu_ms(postgres: Option<u32>) -> [u128; 2] {
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
        } else if pid.is_some() && pid == postgres {
            sums[1] += (ticks + field(13) + field(14)) * 10;
        } else if postgres.is_some_and(|postgres| field(1) == u128::from(postgres)) {
            sums[1] += ticks * 10;
        }
    }
    sums
}
