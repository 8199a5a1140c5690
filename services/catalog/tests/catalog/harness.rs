//! A catalog of a test's own.
#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::time::Duration;

use serde_json::{Value, json};
use sqlx::PgPool;
use steelyard_catalog::{Catalog, Config};
use steelyard_domain::internal::{ReserveResponse, ReserveResult, paths};
use steelyard_domain::order::Reason;
use steelyard_runtime::client::Internal;
use steelyard_runtime::config::{Env, Secret};
use steelyard_runtime::http::Listen;
use steelyard_runtime::telemetry::Metrics;
use steelyard_store::PoolOptions;
use steelyard_testkit::{TestDatabase, wait_for};
use tokio_util::sync::{CancellationToken, DropGuard};
use uuid::Uuid;

pub(crate) const SOON: Duration = Duration::from_secs(60);
const TOKEN: &str = "a token for services";

pub(crate) struct Shop {
    pub(crate) client: Internal,
    pub(crate) stranger: Internal,
    pub(crate) pool: PgPool,
    pub(crate) addrs: Listen,
    stop: CancellationToken,
    _stop: DropGuard,
    _database: TestDatabase,
}

/// An answer: status, body, `ETag`.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Value,
    pub(crate) etag: Option<String>,
}

impl Answer {
    pub(crate) async fn to(request: reqwest::RequestBuilder) -> Self {
        let response = request.send().await.unwrap();
        let status = response.status().as_u16();
        let etag = response.headers().get("etag");
        let etag = etag.map(|etag| etag.to_str().unwrap().to_owned());
        let text = response.text().await.unwrap();
        let body = if text.is_empty() {
            Value::Null
        } else {
            serde_json::from_str(&text).unwrap()
        };
        Self { status, body, etag }
    }

    /// Status, problem code, and the place of the first fault.
    pub(crate) fn problem(&self) -> (u16, &str, &str) {
        let text = |pointer: &str| {
            self.body
                .pointer(pointer)
                .and_then(Value::as_str)
                .unwrap_or("")
        };
        (self.status, text("/code"), text("/errors/0/pointer"))
    }
}

impl Shop {
    pub(crate) async fn open() -> Self {
        Self::open_with(&[("IMPORT_BYTES_MAX", "1048576")]).await
    }

    /// A catalog with these settings.
    pub(crate) async fn open_with(settings: &[(&str, &str)]) -> Self {
        let database = steelyard_testkit::postgres().await;
        let url = database.url.clone();
        let shop = Self::start(database, url, settings).await;
        wait_for("the catalog is ready", SOON, async || shop.is_ready().await).await;
        shop
    }

    /// A catalog that may not be ready yet, with its database by way of `url`.
    pub(crate) async fn start(
        database: TestDatabase,
        url: String,
        settings: &[(&str, &str)],
    ) -> Self {
        Self::start_as(database, url, settings, |_| ()).await
    }

    /// The same, with what no setting says.
    pub(crate) async fn start_as(
        database: TestDatabase,
        url: String,
        settings: &[(&str, &str)],
        configure: impl FnOnce(&mut Config),
    ) -> Self {
        let env = Env::of([("DATABASE_URL", url.as_str()), ("SERVICE_TOKEN", TOKEN)])
            .with("LISTEN_ADDR", "127.0.0.1:0")
            .with("ADMIN_ADDR", "127.0.0.1:0");
        let env = settings
            .iter()
            .fold(env, |env, (name, value)| env.with(*name, *value));
        let mut config = Config::from_env(&env).unwrap();
        configure(&mut config);
        let catalog = Catalog::open(&config).await.unwrap();
        let addrs = catalog.addrs();
        let stop = CancellationToken::new();
        tokio::spawn(catalog.run(Metrics::detached(), stop.clone()));
        let client = |token: &str| {
            let base = format!("http://{}", addrs.api).parse().unwrap();
            Internal::new("catalog", base, Secret::new(token), SOON).unwrap()
        };
        let options = PoolOptions {
            application_name: "test",
            ..PoolOptions::new("catalog")
        };
        Self {
            client: client(TOKEN),
            stranger: client("not the token"),
            pool: steelyard_store::connect(&database.url, &options).unwrap(),
            addrs,
            _stop: stop.clone().drop_guard(),
            stop,
            _database: database,
        }
    }

    pub(crate) async fn is_ready(&self) -> bool {
        let probe = reqwest::get(format!("http://{}/readyz", self.addrs.admin)).await;
        probe.is_ok_and(|answer| answer.status().is_success())
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        let path = format!("{}{path}", paths::PRODUCTS);
        Answer::to(self.client.request(reqwest::Method::GET, &path)).await
    }

    pub(crate) async fn put(&self, sku: &str, body: Value) -> Answer {
        let path = format!("{}/{sku}", paths::PRODUCTS);
        Answer::to(self.client.request(reqwest::Method::PUT, &path).json(&body)).await
    }

    /// A `PUT` with headers.
    pub(crate) async fn put_if(&self, sku: &str, headers: &[(&str, &str)], body: Value) -> Answer {
        let path = format!("{}/{sku}", paths::PRODUCTS);
        let mut request = self.client.request(reqwest::Method::PUT, &path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        Answer::to(request.json(&body)).await
    }

    pub(crate) async fn put_category(&self, code: &str, body: Value) -> Answer {
        let path = format!("{}/{code}", paths::CATEGORIES);
        Answer::to(self.client.request(reqwest::Method::PUT, &path).json(&body)).await
    }

    /// Sends a body to the import; `query` begins with `?` or is empty.
    pub(crate) async fn import(
        &self,
        query: &str,
        kind: &str,
        body: impl Into<reqwest::Body>,
    ) -> Answer {
        let path = format!("{}/import{query}", paths::PRODUCTS);
        let request = self.client.request(reqwest::Method::POST, &path);
        Answer::to(request.header("content-type", kind).body(body)).await
    }

    /// The SKUs of a list, in its order; it must be one page.
    pub(crate) async fn skus(&self, query: &str) -> Vec<String> {
        let page = self.get(&format!("?{query}")).await;
        assert_eq!(page.status, 200, "{query}: {}", page.body);
        assert_eq!(page.body["next_cursor"], Value::Null, "{query}");
        skus(&page.body)
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Answer {
        Answer::to(self.client.request(reqwest::Method::POST, path).json(&body)).await
    }

    pub(crate) async fn adjust(&self, sku: &str, body: Value) -> Answer {
        let path = format!("{}/{sku}/stock-adjustments", paths::PRODUCTS);
        self.post(&path, body).await
    }

    /// Products at 2.50 GBP, each with so many units.
    pub(crate) async fn stock(&self, goods: &[(&str, i64)]) {
        for &(sku, units) in goods {
            let mut body = product();
            if units > 0 {
                body["stock"] = json!({"adjust": units, "reference": "first"});
            }
            assert_eq!(self.put(sku, body).await.status, 201);
        }
    }

    pub(crate) async fn reserve(&self, orders: &[Value]) -> Vec<ReserveResult> {
        let body = json!({ "orders": orders });
        let answer: ReserveResponse = self.client.post(paths::RESERVATIONS, &body).await.unwrap();
        answer.results
    }

    pub(crate) async fn settle(&self, path: &str, orders: &[Uuid]) {
        let body = json!({ "order_ids": orders });
        self.client.post::<_, ()>(path, &body).await.unwrap();
    }

    /// On hand and reserved.
    pub(crate) async fn level(&self, sku: &str) -> (i64, i64) {
        sqlx::query_as("SELECT on_hand, reserved FROM stock WHERE sku = $1")
            .bind(sku)
            .fetch_one(&self.pool)
            .await
            .unwrap()
    }

    /// How often Postgres had to break a circle of waits. Stops the catalog first: connections
    /// report their figures when they end.
    pub(crate) async fn deadlocks(&self) -> i64 {
        self.stop.cancel();
        let one = async |sql: &'static str| -> i64 {
            sqlx::query_scalar(sql).fetch_one(&self.pool).await.unwrap()
        };
        wait_for("the catalog's connections end", SOON, async || {
            let others = "SELECT count(*) FROM pg_stat_activity
                          WHERE datname = current_database() AND application_name LIKE 'catalog%'";
            one(others).await == 0
        })
        .await;
        one("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()").await
    }

    /// What orders hold is what the stock says, and what is on hand is what came in less what left.
    pub(crate) async fn assert_books_are_right(&self) {
        let wrong: Vec<(String, i64, i64, i64, i64)> = sqlx::query_as(
            "WITH units AS (
                 SELECT state, key AS sku, value::bigint AS units
                 FROM reservations, jsonb_each_text(reservations.units)
             ), books AS (
                 SELECT sku, on_hand, reserved,
                        (SELECT coalesce(sum(units), 0) FROM units
                         WHERE units.sku = stock.sku AND state = 'held')::bigint AS held,
                        ((SELECT coalesce(sum(adjust), 0) FROM stock_ledger
                          WHERE stock_ledger.sku = stock.sku)
                         - (SELECT coalesce(sum(units), 0) FROM units
                            WHERE units.sku = stock.sku AND state = 'consumed'))::bigint AS left
                 FROM stock
             )
             SELECT sku, on_hand, reserved, held, \"left\" FROM books
             WHERE reserved <> held OR on_hand <> \"left\"",
        )
        .fetch_all(&self.pool)
        .await
        .unwrap();
        assert_eq!(wrong, [], "sku, on hand, reserved, held, should be on hand");
        let nowhere: Vec<String> = sqlx::query_scalar(
            "SELECT sku FROM stock JOIN stock_at USING (sku) GROUP BY sku, stock.on_hand
             HAVING sum(stock_at.on_hand) > stock.on_hand",
        )
        .fetch_all(&self.pool)
        .await
        .unwrap();
        assert_eq!(
            nowhere,
            [] as [String; 0],
            "more lies elsewhere than there is"
        );
    }
}

pub(crate) fn product() -> Value {
    json!({"name": "A lamp", "prices": [{"currency": "GBP", "amount": "2.50"}]})
}

/// The SKUs of a page.
pub(crate) fn skus(page: &Value) -> Vec<String> {
    let data = page["data"].as_array().unwrap().iter();
    data.map(|product| product["sku"].as_str().unwrap().to_owned())
        .collect()
}

pub(crate) fn id(number: u128) -> Uuid {
    Uuid::from_u128(number)
}

/// An order at 2.50 GBP a unit.
pub(crate) fn order(number: u128, lines: &[(&str, i64)]) -> Value {
    let line = |&(sku, quantity): &(&str, i64)| json!({"sku": sku, "quantity": quantity, "unit_price": "2.5"});
    let lines: Vec<_> = lines.iter().map(line).collect();
    json!({"order_id": id(number), "currency": "GBP", "lines": lines})
}

pub(crate) fn is_reserved(result: &ReserveResult) -> bool {
    matches!(result, ReserveResult::Reserved(_))
}

/// Why, and for which line.
pub(crate) fn rejection(result: &ReserveResult) -> Option<(Reason, usize)> {
    match result {
        ReserveResult::Rejected { reason, line, .. } => Some((*reason, *line)),
        _ => None,
    }
}
