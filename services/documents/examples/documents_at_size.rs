//! What lists, searches and rendering take at the size of a large shop.
//!
//! ```text
//! cargo run --release -p steelyard-documents --example documents_at_size [documents] [months] [seconds for each figure]
//! ```
//!
//! Real Postgres with `fsync`, the service and one caller in one process: 1,600,000 documents in 40 months unless told
//! otherwise, up to this month, of 40,000 customers, with some twenty words each. Prints what an invoice takes to render; then p50 and p99 of
//! each question, and the CPU time of both sides.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a measurement stops at the first surprise and tells on the terminal"
)]

mod common {
    pub(crate) mod cpu;
    pub(crate) mod family;
}

use std::time::{Duration, Instant};

use common::cpu::cpu_ms;
use common::family::family_cpu_ms;
use rand::RngExt as _;
use serde_json::Value;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use steelyard_documents::{Config, Deps, run};
use steelyard_domain::internal::paths;
use steelyard_localstores::{Durability, Postgres, StoreOptions};
use steelyard_paper::{Press, Theme, sample};
use steelyard_runtime::client::Internal;
use steelyard_runtime::config::{Env, Secret};
use steelyard_runtime::telemetry::Metrics;
use time::OffsetDateTime;
use tokio_util::sync::CancellationToken;

/// As the service has it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const TOKEN: &str = "a token for services";
const CUSTOMERS: u64 = 40_000;

#[tokio::main]
async fn main() {
    let mut args = std::env::args()
        .skip(1)
        .map(|arg| arg.parse::<u64>().unwrap());
    let documents = args.next().unwrap_or(1_600_000);
    let months = args.next().unwrap_or(40);
    let seconds = Duration::from_secs(args.next().unwrap_or(5));
    for lines in [8, 1_000] {
        render(lines, seconds);
    }

    let dir = std::env::temp_dir().join(format!("documents-at-size-{}", std::process::id()));
    let postgres = Postgres::start(&dir, &StoreOptions::new(Durability::Honest))
        .await
        .unwrap();
    let env = Env::of([("DATABASE_URL", postgres.url("postgres"))])
        .with("SERVICE_TOKEN", TOKEN)
        .with("DOCUMENTS_BUCKET", "none")
        .with("AWS_REGION", "us-east-1")
        .with("LISTEN_ADDR", "127.0.0.1:0")
        .with("ADMIN_ADDR", "127.0.0.1:0");
    let config = Config::from_env(&env).unwrap();
    let deps = Deps::connect(&config, Metrics::detached()).await.unwrap();
    let base = format!("http://{}", deps.addrs().api).parse().unwrap();
    let call_max = Duration::from_secs(60);
    let client = Internal::new("documents", base, Secret::new(TOKEN), call_max).unwrap();
    let stop = CancellationToken::new();
    let running = tokio::spawn(run(deps, stop.clone()));
    let size = Size {
        client,
        documents,
        months,
        postgres: postgres.pid(),
        seconds,
    };
    size.fill(&postgres.url("postgres")).await;
    size.lists().await;
    size.searches().await;
    stop.cancel();
    running.await.unwrap().unwrap();
    postgres.stop().await.unwrap();
    // As root the data lies with another account's; either way only what this run made goes.
    drop(std::fs::remove_dir_all(&dir));
}

/// Invoices of so many lines, one after the other on one thread.
fn render(lines: usize, seconds: Duration) {
    let press = Press::new(Theme::plain()).unwrap();
    let invoice = sample::invoice(lines);
    // The first reads what is read once: fonts, above all.
    let pages = press.invoice(&invoice, "de").unwrap().pages;
    let (began, before, mut made) = (Instant::now(), own_cpu_ms(), 0_u32);
    while began.elapsed() < seconds || made < 10 {
        press.invoice(&invoice, "de").unwrap();
        made += 1;
    }
    let cpu = Duration::from_millis(own_cpu_ms() - before);
    println!(
        "an invoice of {lines} lines on {pages} pages: {:?}, CPU {:?}; {made} of them",
        began.elapsed() / made,
        cpu / made,
    );
}

struct Size {
    client: Internal,
    documents: u64,
    months: u64,
    postgres: u32,
    seconds: Duration,
}

impl Size {
    /// Rows first and indexes then: so ten million take minutes.
    async fn fill(&self, url: &str) {
        while self.client.get::<Value>(paths::DOCUMENTS).await.is_err() {
            // The schema is being made.
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let began = Instant::now();
        let mut connection = PgConnection::connect(url).await.unwrap();
        let mut work = async |statement: String| {
            sqlx::raw_sql(AssertSqlSafe(statement))
                .execute(&mut connection)
                .await
                .unwrap();
        };
        work(SESSION.to_owned()).await;
        work(TAKE_INDEXES_AWAY.to_owned()).await;
        let monthly = self.documents / self.months;
        for month in 0..self.months {
            work(filled(month, self.months, monthly)).await;
        }
        work(BRING_INDEXES_BACK.to_owned()).await;
        // As a database is that has run for a while.
        work("VACUUM (ANALYZE) documents".to_owned()).await;
        println!(
            "{} documents in {} months, filled in {} s",
            monthly * self.months,
            self.months,
            began.elapsed().as_secs()
        );
    }

    async fn lists(&self) {
        let customer = || rand::rng().random_range(0..CUSTOMERS);
        self.measure("a customer's page 1", || {
            format!("customer_id=c{}", customer())
        })
        .await;
        let until = OffsetDateTime::now_utc().date() - time::Duration::days(365);
        let from = until - time::Duration::days(90);
        self.measure("a customer's invoices of a quarter", || {
            let customer = customer();
            format!("customer_id=c{customer}&kind=invoice&from={from}&to={until}")
        })
        .await;
        let late = self.walk("customer_id=c7&limit=5", 5).await;
        self.measure("a customer's page 5 of 5 entries, or its last", || {
            late.clone()
        })
        .await;
        self.measure("page 1 of all", String::new).await;
        let late = self.walk("limit=100", 1_000).await;
        self.measure("page 1,000 of all, 100 entries", || late.clone())
            .await;
        self.measure("page 1 of a kind that one in fifty is", || {
            "kind=credit_note".into()
        })
        .await;
        self.measure("a kind that there is not", || "kind=delivery_note".into())
            .await;
        let number = || rand::rng().random_range(0..self.documents);
        self.measure("a number", || format!("number=RE-{}", number()))
            .await;
    }

    async fn searches(&self) {
        let any = |of: u64| rand::rng().random_range(0..of);
        self.measure("search, a number", || {
            format!("q=RE-{}", any(self.documents))
        })
        .await;
        self.measure("search, a buyer's name", || {
            format!("q=family{}", any(5_000))
        })
        .await;
        self.measure("search, first name and name", || {
            format!("q=given{}+family{}", any(200), any(5_000))
        })
        .await;
        self.measure("search, a town", || format!("q=town{}", any(300)))
            .await;
        self.measure("search, a SKU", || format!("q=sku{}", any(20_000)))
            .await;
        self.measure("search, a common word", || format!("q=good{}", any(40)))
            .await;
        self.measure("search, an unfinished name", || {
            format!("q=family{}", 10 + any(89))
        })
        .await;
        self.measure("search, two common words and a town", || {
            format!("q=good{}+good{}+town{}", any(40), any(40), any(300))
        })
        .await;
        self.measure("search, a word that there is not", || "q=zinnia".into())
            .await;
        self.measure("search of a customer", || {
            format!("customer_id=c{}&q=good{}", any(CUSTOMERS), any(40))
        })
        .await;
        self.measure("amounts that many have", || {
            "currency=GBP&total_min=10&total_max=200".into()
        })
        .await;
        self.measure("amounts that few have", || {
            let amount = any(50_000);
            format!("currency=GBP&total_min={amount}.00&total_max={amount}.02")
        })
        .await;
    }

    /// The query of a late page.
    async fn walk(&self, query: &str, pages: usize) -> String {
        let mut late = query.to_owned();
        for _ in 1..pages {
            let path = format!("{}?{late}", paths::DOCUMENTS);
            let page: Value = self.client.get(&path).await.unwrap();
            let Some(cursor) = page["next_cursor"].as_str() else {
                break;
            };
            late = format!("{query}&cursor={cursor}");
        }
        late
    }

    async fn measure(&self, what: &str, query: impl Fn() -> String) {
        let began = Instant::now();
        let before = [own_cpu_ms(), family_cpu_ms(self.postgres)];
        let (mut calls, mut found) = (Vec::new(), 0);
        while began.elapsed() < self.seconds {
            let path = format!("{}?{}", paths::DOCUMENTS, query());
            let called = Instant::now();
            let page: Value = self.client.get(&path).await.unwrap();
            calls.push(called.elapsed());
            found += page["data"].as_array().unwrap().len();
        }
        let after = [own_cpu_ms(), family_cpu_ms(self.postgres)];
        let count = calls.len();
        calls.sort_unstable();
        let at = |percent: usize| calls[(count - 1) * percent / 100];
        let cpu = |side: usize| (after[side] - before[side]) * 1_000 / count as u64;
        println!(
            "{what}: p50 {:?} p99 {:?}; {} entries on average; CPU µs a call: this process {}, Postgres {}",
            at(50),
            at(99),
            found / count,
            cpu(0),
            cpu(1),
        );
    }
}

const SESSION: &str =
    "SET search_path = documents; SET maintenance_work_mem = '512MB'; SET synchronous_commit = off";
const TAKE_INDEXES_AWAY: &str = "
    CREATE TEMP TABLE later AS
        SELECT indexname, replace(indexdef, ' ON ONLY ', ' ON ') AS made FROM pg_indexes
        WHERE schemaname = 'documents' AND tablename = 'documents' AND indexname <> 'documents_pkey';
    DO $$ DECLARE name text; BEGIN
        FOR name IN SELECT indexname FROM later LOOP EXECUTE format('DROP INDEX %I', name); END LOOP;
    END $$";
const BRING_INDEXES_BACK: &str = "
    DO $$ DECLARE statement text; BEGIN
        FOR statement IN SELECT made FROM later LOOP EXECUTE statement; END LOOP;
    END $$";

/// A month's rows. Spread without chance: the same each time.
fn filled(month: u64, months: u64, monthly: u64) -> String {
    let first = month * monthly;
    let ago = months - 1 - month;
    let begins =
        format!("(date_trunc('month', current_date) - make_interval(months => {ago}))::date");
    format!(
        "SELECT month_partition({begins});
         INSERT INTO documents (id, issued_on, kind, number, customer_id, order_id, currency, total, language, words,
                                stored_at, object_key, sha256, size_bytes, pages)
         SELECT (left(first_id(day)::text, 14) || '7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid, day,
                CASE n % 50 WHEN 0 THEN 'credit_note' ELSE 'invoice' END, 'RE-' || n, 'c' || h % {CUSTOMERS},
                md5(n::text)::uuid, CASE n % 3 WHEN 0 THEN 'EUR' ELSE 'GBP' END, h % 5000000 / 100.0, 'en',
                array_to_tsvector(
                    ARRAY['re', n::text, 'given' || h % 200, 'family' || h % 5000, 'town' || h / 7 % 300]
                    || ARRAY(SELECT 'good' || (h / 11 + i * i) % 40 FROM generate_series(1, 10) i)
                    || ARRAY(SELECT 'sku' || (h / 13 + i * 977) % 20000 FROM generate_series(1, 8) i)),
                now(), 'invoice/' || n, decode(md5(n::text) || md5(n::text), 'hex'), 50000, 1
         FROM (SELECT n, {begins} + ((n - {first}) * 28 / {monthly})::int AS day, abs(hashint8(n)::bigint) AS h
               FROM generate_series({first}::bigint, {first} + {monthly} - 1) n) rows"
    )
}

fn own_cpu_ms() -> u64 {
    cpu_ms(std::process::id())
}
