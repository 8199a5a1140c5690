//! A storefront that orders by a name which leads to one region or the other, and retries until it is answered.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, bail};
use parking_lot::Mutex;
use reqwest::StatusCode;
use serde_json::{Value, json};
use steelyard_tokens::{Claims, Keys};
use tokio::sync::Notify;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};
use tokio_util::sync::CancellationToken;

const SKU: &str = "DRILL-TEA";
const STOCK: u64 = 10_000_000;
/// As the health check of Route 53: so many failures in a row turn the name.
const FAILURES_MAX: u32 = 3;
const REQUEST_MAX: Duration = Duration::from_secs(5);
/// Between tries of one order.
const PAUSE: Duration = Duration::from_millis(200);
/// Orders that wait for their answer at once.
const IN_FLIGHT_MAX: usize = 512;
/// Longer than any drill.
const TOKEN_MAX: Duration = Duration::from_secs(4 * 3_600);
const SETTLE_MAX: Duration = Duration::from_secs(300);

/// The API's name: where it leads, and its health check. Cheap to clone.
#[derive(Clone)]
pub(super) struct Name {
    inner: Arc<Inner>,
}

struct Inner {
    first: String,
    second: String,
    is_turned: AtomicBool,
    turned: Notify,
}

impl Name {
    pub(super) fn new(first: String, second: String) -> Self {
        Self {
            inner: Arc::new(Inner {
                first,
                second,
                is_turned: AtomicBool::new(false),
                turned: Notify::new(),
            }),
        }
    }

    fn leads_to(&self) -> (&str, bool) {
        let is_turned = self.inner.is_turned.load(Ordering::Acquire);
        let inner = &self.inner;
        (
            if is_turned {
                &inner.second
            } else {
                &inner.first
            },
            is_turned,
        )
    }

    /// Asks the first region's health until it fails three times in a row, and turns the name then, once.
    pub(super) async fn watch(self, health: String, every: Duration, over: CancellationToken) {
        let http = reqwest::Client::new();
        let mut ticks = interval(every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let watching = async {
            let mut failures = 0;
            while failures < FAILURES_MAX {
                ticks.tick().await;
                let answer = http.get(&health).timeout(every).send().await;
                let is_well = answer.is_ok_and(|answer| answer.status().is_success());
                failures = if is_well { 0 } else { failures + 1 };
            }
            self.inner.is_turned.store(true, Ordering::Release);
            self.inner.turned.notify_waiters();
        };
        over.run_until_cancelled(watching).await;
    }

    /// Waits until the name leads to the second region.
    pub(super) async fn turned(&self) {
        loop {
            let turned = self.inner.turned.notified();
            if self.leads_to().1 {
                return;
            }
            turned.await;
        }
    }
}

/// An order that was answered with 202.
#[derive(Debug, Clone)]
pub(super) struct Accepted {
    pub(super) id: String,
    pub(super) at: Instant,
    /// By the second region.
    pub(super) by_second: bool,
}

/// The storefront. Cheap to clone.
#[derive(Clone)]
pub(super) struct Shop {
    http: reqwest::Client,
    name: Name,
    token: Arc<str>,
    accepted: Arc<Mutex<Vec<Accepted>>>,
    arrived: Arc<Notify>,
}

impl Shop {
    pub(super) fn open(keys: &Keys, name: Name) -> anyhow::Result<Self> {
        let claims = Claims::new("drill", "storefront catalog:write", TOKEN_MAX);
        let token = keys.mint(&claims).context("cannot make a token")?;
        let http = reqwest::Client::builder().timeout(REQUEST_MAX).build()?;
        Ok(Self {
            http,
            name,
            token: token.into(),
            accepted: Arc::default(),
            arrived: Arc::default(),
        })
    }

    /// One product, and enough of it.
    pub(super) async fn stock(&self) -> anyhow::Result<()> {
        let product = json!({
            "sku": SKU, "name": "Tea", "prices": [{"currency": "GBP", "amount": "1.00"}],
            "stock": {"adjust": STOCK, "reference": "drill"},
        });
        let (base, _) = self.name.leads_to();
        let answer = self
            .http
            .post(format!("{base}/v1/products/import"))
            .bearer_auth(&self.token)
            .header("content-type", "application/x-ndjson")
            .body(format!("{product}\n"))
            .send()
            .await?;
        let report = answer.text().await?;
        if !report.contains("\"failed\":0") {
            bail!("the product was not taken: {report}");
        }
        Ok(())
    }

    /// Orders once, under one key, until somebody accepts it.
    async fn order(&self, number: u64) {
        // Thirty customers: some have several orders on the way.
        let customer = format!("drill-{}", number % 30);
        let body = json!({
            "customer_id": customer, "currency": "GBP",
            "lines": [{"sku": SKU, "quantity": 1, "unit_price": "1.00"}],
            "ship_to": {"name": "A", "line1": "1 High Street", "city": "London", "postcode": "N1", "country": "GB"},
        });
        loop {
            let (base, by_second) = self.name.leads_to();
            let call = self
                .http
                .post(format!("{base}/v1/orders"))
                .bearer_auth(&self.token)
                .header("idempotency-key", format!("order-{number}"))
                .json(&body);
            if let Ok(answer) = call.send().await
                && answer.status() == StatusCode::ACCEPTED
                && let Ok(receipt) = answer.json::<Value>().await
                && let Some(id) = receipt["id"].as_str()
            {
                self.accepted.lock().push(Accepted {
                    id: id.to_owned(),
                    at: Instant::now(),
                    by_second,
                });
                self.arrived.notify_waiters();
                return;
            }
            sleep(PAUSE).await;
        }
    }

    fn first_of_second(&self) -> Option<Accepted> {
        let accepted = self.accepted.lock();
        accepted.iter().find(|order| order.by_second).cloned()
    }

    /// Waits for the first order that the second region accepts.
    pub(super) async fn accepted_by_second(&self) {
        loop {
            let arrived = self.arrived.notified();
            if self.first_of_second().is_some() {
                return;
            }
            arrived.await;
        }
    }

    /// Waits until an order that the second region accepted is settled; false if that takes too long.
    pub(super) async fn settled_by_second(&self) -> anyhow::Result<bool> {
        let first = self.first_of_second().context("none was accepted")?;
        let deadline = Instant::now() + SETTLE_MAX;
        while Instant::now() < deadline {
            if self
                .status(&first.id)
                .await
                .is_some_and(|status| is_settled(&status))
            {
                return Ok(true);
            }
            sleep(PAUSE).await;
        }
        Ok(false)
    }

    /// An order's status as the present region knows it; `None` when it does not know it, or does not answer.
    pub(super) async fn status(&self, id: &str) -> Option<String> {
        let (base, _) = self.name.leads_to();
        let call = self
            .http
            .get(format!("{base}/v1/orders/{id}"))
            .bearer_auth(&self.token);
        let answer = call.send().await.ok()?;
        let order: Value = answer.json().await.ok()?;
        order["status"].as_str().map(str::to_owned)
    }
}

pub(super) fn is_settled(status: &str) -> bool {
    matches!(status, "confirmed" | "rejected" | "cancelled" | "completed")
}

/// Orders that keep coming.
pub(super) struct Traffic {
    shop: Shop,
    running: JoinHandle<()>,
}

impl Traffic {
    /// Orders `rate` times a second until `over`; whoever waits for an answer then still waits for it.
    pub(super) fn start(shop: &Shop, rate: u32, over: CancellationToken) -> Self {
        let ordering = shop.clone();
        let running = tokio::spawn(async move {
            let numbers = AtomicU64::new(1);
            let mut ticks = interval(Duration::from_secs(1) / rate.max(1));
            ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
            let mut orders = JoinSet::new();
            while over.run_until_cancelled(ticks.tick()).await.is_some() {
                while orders.try_join_next().is_some() {}
                if orders.len() < IN_FLIGHT_MAX {
                    let (shop, number) =
                        (ordering.clone(), numbers.fetch_add(1, Ordering::Relaxed));
                    orders.spawn(async move { shop.order(number).await });
                }
            }
            while orders.join_next().await.is_some() {}
        });
        Self {
            shop: shop.clone(),
            running,
        }
    }

    /// Waits for the last answers, and gives all orders that were accepted.
    pub(super) async fn end(self) -> Vec<Accepted> {
        // It neither panics nor is it aborted.
        drop(self.running.await);
        self.shop.accepted.lock().clone()
    }
}
