//! A deploy: every instance is replaced, one after another, while the shop goes on.
#![expect(clippy::expect_used, reason = "a story stops at the first surprise")]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use reqwest::{Method, StatusCode};
use steelyard_domain::api::Receipt;
use steelyard_domain::order::OrderStatus;
use steelyard_testkit::wait_for;
use steelyard_tests::{Balanced, PATIENCE, Part, System, order_of};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};

const CUSTOMERS: usize = 6;
/// Of each customer; one more reads. Unoptimized, an order costs all services together tens of
/// milliseconds of CPU: more load than this, and a busy machine has none left for a restart.
const ORDER_EVERY: Duration = Duration::from_millis(500);
/// Orders that are taken between two replacements, at least.
const ORDERS_BETWEEN: u64 = 15;
/// More receives of one message than this, and the queue itself would call it dead.
const RECEIVES_MAX: u32 = 10;

struct Load {
    balanced: Arc<Balanced>,
    on: AtomicBool,
    taken: AtomicU64,
}

impl Load {
    /// Places one customer's orders, one after the other, each of which must be taken.
    async fn order(self: Arc<Self>, customer: usize) -> Vec<Receipt> {
        let mut receipts: Vec<Receipt> = Vec::new();
        // Each in a time of its own: all at once, they would leave gaps in which to stop unseen.
        let own_time = Duration::from_millis(37) * u32::try_from(customer).expect("few customers");
        let mut ticks = interval(ORDER_EVERY + own_time);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while self.on.load(Ordering::Relaxed) {
            ticks.tick().await;
            let order = order_of(&format!("customer-{customer}"), &[("TEA", 1)]);
            let key = format!("{customer}-{}", receipts.len());
            receipts.push(self.balanced.client().place(&key, &order).await);
            self.taken.fetch_add(1, Ordering::Relaxed);
        }
        receipts
    }

    /// Reads what can be read without a moment's lack: a product, from the last good copy if need be.
    async fn read(self: Arc<Self>) -> Vec<Receipt> {
        let mut ticks = interval(ORDER_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while self.on.load(Ordering::Relaxed) {
            ticks.tick().await;
            let product = self.balanced.client().call(Method::GET, "/v1/products/TEA");
            let answer = product.send().await.expect("a gateway answers");
            let status = answer.status();
            let body = answer.text().await.expect("a body");
            assert_eq!(status, StatusCode::OK, "{body}");
        }
        Vec::new()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rolling_deploy_under_load_fails_no_request_and_keeps_every_order_in_sequence() {
    let mut system = System::with_workers_and_receives(3, RECEIVES_MAX).await;
    system.announce_stops("5s");
    // From here on both announce their stops.
    system.down(Part::Gateway).await;
    system.up(Part::Gateway).await;
    system.up(Part::SecondGateway).await;
    system
        .client("office", "catalog:write")
        .stock(&[("TEA", 1_000_000)])
        .await;
    let shop = Arc::new(system.balanced("shop", "storefront"));
    // Both gateways have seen the product once.
    for _ in 0..2 {
        assert_eq!(shop.client().available("TEA").await, 1_000_000);
    }

    let load = Arc::new(Load {
        balanced: Arc::clone(&shop),
        on: AtomicBool::new(true),
        taken: AtomicU64::new(0),
    });
    let mut customers = JoinSet::new();
    for customer in 0..CUSTOMERS {
        customers.spawn(Arc::clone(&load).order(customer));
    }
    customers.spawn(Arc::clone(&load).read());

    for part in [
        Part::Gateway,
        Part::SecondGateway,
        Part::Orders(1),
        Part::Orders(2),
        Part::Orders(3),
        Part::Catalog,
    ] {
        let before = load.taken.load(Ordering::Relaxed);
        wait_for("the shop goes on", PATIENCE, async || {
            load.taken.load(Ordering::Relaxed) >= before + ORDERS_BETWEEN
        })
        .await;
        system.down(part).await;
        system.up(part).await;
    }
    load.on.store(false, Ordering::Relaxed);

    let mut total = 0;
    while let Some(receipts) = customers.join_next().await {
        // A request that failed has panicked its customer's task.
        for (receipt, expected) in receipts.expect("no request failed").iter().zip(1..) {
            let order = shop.client().settled(receipt).await;
            assert_eq!(
                (order.status, order.sequence),
                (OrderStatus::Confirmed, expected)
            );
            total += 1;
        }
    }
    assert!(total >= ORDERS_BETWEEN * 6, "{total} orders");
    wait_for("the queue is empty", PATIENCE, async || {
        system.backlog().await == 0
    })
    .await;
    assert_eq!(system.dead_letters().await, 0);
    let sold = i64::try_from(total).unwrap();
    assert_eq!(shop.client().available("TEA").await, 1_000_000 - sold);
}
