//! Storefronts under load: they place orders, ask for things about them, and retry as good clients do.

mod door;
mod visitor;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use serde_json::json;
use steelyard_tokens::{Claims, Keys};
use tokio::sync::Semaphore;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

pub use self::door::{Call, Door, Good};
use self::visitor::Visitor;
use crate::journal::{Entry, Journal, Receipt};
use crate::shop::{self, Product, Shop};

/// Visitors at once. Further ones wait outside: the bound of an otherwise open loop.
const VISITORS_MAX: usize = 3_000;
/// Visitors come in this rhythm.
const TICK: Duration = Duration::from_millis(20);
/// Visitors of more than this time are not made up for.
const LATE_MAX: Duration = Duration::from_secs(1);
/// Between two goods receipts of scarce products.
const RECEIPT_EVERY: Duration = Duration::from_millis(700);

/// How many visitors are due, by the clock: a tick that comes late brings those of the ticks that were missed.
struct Due {
    per_s: u32,
    last: Instant,
    /// Of a visitor, in millionths.
    rest_e6: u64,
}

impl Due {
    fn new(per_s: u32) -> Self {
        Self {
            per_s,
            last: Instant::now(),
            rest_e6: 0,
        }
    }

    /// Those since the last look, of one second at most; none while they are held.
    fn at(&mut self, now: Instant, held: bool) -> u64 {
        let passed = (now - std::mem::replace(&mut self.last, now)).min(LATE_MAX);
        if held {
            return 0;
        }
        let passed_us = u64::try_from(passed.as_micros()).unwrap_or(0);
        self.rest_e6 += passed_us * u64::from(self.per_s);
        let due = self.rest_e6 / 1_000_000;
        self.rest_e6 %= 1_000_000;
        due
    }
}

/// Who may do what: one token for each.
#[derive(Debug)]
pub struct Tokens {
    /// One per customer.
    pub(crate) customers: Vec<String>,
    pub(crate) storefront: String,
    pub(crate) payments: String,
    pub(crate) warehouse: String,
    /// Writes the catalog.
    pub catalog: String,
}

impl Tokens {
    /// Tokens that outlast a run of this length.
    ///
    /// # Errors
    /// When the key cannot sign.
    pub fn mint(keys: &Keys, shop: Shop, lasts: Duration) -> anyhow::Result<Self> {
        let mint = |sub: &str, scope: &str| {
            keys.mint(&Claims::new(sub, scope, lasts))
                .context("cannot make a token")
        };
        let customers = shop
            .customers()
            .map(|customer| mint(&shop::customer_id(customer), "customer"));
        Ok(Self {
            customers: customers.collect::<anyhow::Result<_>>()?,
            storefront: mint("storefront", "storefront")?,
            payments: mint("payments", "payments")?,
            warehouse: mint("warehouse", "orders:manage")?,
            catalog: mint("catalog", "catalog:write")?,
        })
    }

    /// Sees every customer's orders.
    #[must_use]
    pub fn reader(&self) -> &str {
        &self.storefront
    }
}

/// Everybody who uses the shop.
#[derive(Debug)]
pub struct Load {
    pub(crate) shop: Shop,
    pub(crate) products: Vec<Product>,
    pub(crate) tokens: Arc<Tokens>,
    pub(crate) door: Door,
    pub(crate) journal: Arc<Journal>,
    /// While true nobody new comes in: the backlog is long enough.
    hold: AtomicBool,
}

impl Load {
    /// The users of this shop, in front of these gateways.
    #[must_use]
    pub fn new(shop: Shop, tokens: Arc<Tokens>, door: Door, journal: Arc<Journal>) -> Self {
        Self {
            shop,
            products: shop.products(),
            tokens,
            door,
            journal,
            hold: AtomicBool::new(false),
        }
    }

    /// Puts the products on the shelves.
    ///
    /// # Errors
    /// When the catalog refuses one.
    pub async fn open(&self) -> anyhow::Result<()> {
        let call = Call {
            body: Some(shop::import(&self.products)),
            kind: "application/x-ndjson",
            retries_not_found: false,
            ..Call::get("/v1/products/import".to_owned(), &self.tokens.catalog)
        };
        let report = self
            .door
            .call(&call)
            .await
            .context("nothing was imported")?;
        let expected = self.products.len() as u64;
        anyhow::ensure!(
            report.body["stock_booked"].as_u64() == Some(expected),
            "the catalog did not take all products: {}",
            report.body
        );
        Ok(())
    }

    /// Lets nobody in, or everybody again.
    pub fn hold(&self, hold: bool) {
        self.hold.store(hold, Ordering::Relaxed);
    }

    /// Lets visitors in for so long and waits until the last has left; tells how many came.
    ///
    /// `stop` ends it early: nobody comes in any more.
    pub async fn run(
        self: &Arc<Self>,
        per_s: u32,
        lasts: Duration,
        stop: &CancellationToken,
    ) -> u64 {
        let ends = Instant::now() + lasts;
        let inside = TaskTracker::new();
        inside.spawn(Arc::clone(self).receive_goods(ends, stop.clone()));
        let places = Arc::new(Semaphore::new(VISITORS_MAX));
        let mut tick = interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let mut number = 0_u64;
        let come = async {
            let mut due = Due::new(per_s);
            loop {
                tick.tick().await;
                let now = Instant::now();
                if now >= ends {
                    return;
                }
                let held = self.hold.load(Ordering::Relaxed);
                for _ in 0..due.at(now, held) {
                    let Ok(place) = Arc::clone(&places).acquire_owned().await else {
                        return;
                    };
                    let visitor = Visitor::new(Arc::clone(self), number);
                    inside.spawn(async move {
                        visitor.visit().await;
                        drop(place);
                    });
                    number += 1;
                }
            }
        };
        stop.run_until_cancelled(come).await;
        inside.close();
        inside.wait().await;
        number
    }

    /// A stock booking, made once however often it is sent.
    pub(crate) fn booking(&self, product: &Product, reference: &str, units: i64) -> Call<'_> {
        let path = format!("/v1/products/{}/stock-adjustments", product.sku);
        let body = json!({ "adjust": units, "reference": reference });
        let key = format!("{}-{reference}", product.sku);
        Call::post(path, &self.tokens.catalog, key, &body)
    }

    /// Sends a request of the record once more, as it was; answers the id that it is answered with.
    pub async fn repeat(self: &Arc<Self>, entry: &Entry) -> Option<Uuid> {
        let visitor = Visitor::new(Arc::clone(self), entry.visit);
        visitor.repeat(entry.asked, entry.order_id).await
    }

    /// Scarce products come in now and then.
    async fn receive_goods(self: Arc<Self>, ends: Instant, stop: CancellationToken) {
        let scarce: Vec<usize> = (0..self.products.len())
            .filter(|index| self.products[*index].sku.starts_with("SCARCE"))
            .collect();
        let mut next = Instant::now();
        for number in 0_usize.. {
            next += RECEIPT_EVERY;
            if next >= ends || stop.run_until_cancelled(sleep_until(next)).await.is_none() {
                return;
            }
            let index = scarce[number % scarce.len()];
            let units = 1 + i64::try_from(number % 17).unwrap_or(0);
            let call = self.booking(&self.products[index], &format!("receipt-{number}"), units);
            self.journal.receipt(Receipt {
                product: u16::try_from(index).unwrap_or(u16::MAX),
                units,
                booked: self.door.call(&call).await.is_some(),
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn visitors_come_by_the_clock_and_not_all_at_once_after_a_stall() {
        let mut due = Due::new(300);
        let begin = due.last;
        let at = |ms| begin + Duration::from_millis(ms);
        let came: u64 = (1..=50).map(|tick| due.at(at(tick * 20), false)).sum();
        assert_eq!(came, 300);
        assert_eq!(due.at(at(1_100), false), 30);
        assert_eq!(due.at(at(9_000), false), 300);
        assert_eq!(due.at(at(9_900), true), 0);
        assert_eq!(due.at(at(10_000), false), 30);
    }
}
