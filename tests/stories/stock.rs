//! P4: stock is sold once; a rejected or cancelled order holds none.

use std::sync::Arc;

use serde_json::json;
use steelyard_domain::order::{OrderStatus, Reason};
use steelyard_tests::{System, order_of};
use tokio::sync::Barrier;
use tokio::task::JoinSet;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_last_units_are_sold_once_and_come_back_with_a_cancellation() {
    let system = System::with_workers(2).await;
    system
        .client("office", "catalog:write")
        .stock(&[("RARE", 10), ("TEA", 1_000)])
        .await;
    let shop = system.client("shop", "storefront");

    let mut taken = Vec::new();
    for n in 0..30 {
        let order = order_of(&format!("customer-{n}"), &[("TEA", 1), ("RARE", 1)]);
        taken.push(shop.place(&format!("rush-{n}"), &order).await);
    }
    let mut confirmed = Vec::new();
    for receipt in taken {
        let order = shop.settled(&receipt).await;
        match order.status {
            OrderStatus::Confirmed => confirmed.push(receipt),
            _ => assert_eq!(order.reason, Some(Reason::OutOfStock)),
        }
    }
    assert_eq!(confirmed.len(), 10);
    assert_eq!(shop.available("RARE").await, 0);
    assert_eq!(
        shop.available("TEA").await,
        990,
        "a rejected order holds nothing of its other lines"
    );

    let owner = system.client(confirmed[0].customer_id.as_str(), "customer");
    owner
        .command(&confirmed[0], "cancel", "c", &json!({}))
        .await;
    owner
        .order_when(&confirmed[0], |order| {
            order.status == OrderStatus::Cancelled
        })
        .await;
    assert_eq!(shop.available("RARE").await, 1);
    let late = shop.place("late", &order_of("late", &[("RARE", 1)])).await;
    assert_eq!(shop.settled(&late).await.status, OrderStatus::Confirmed);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_sixty_four_orders_at_once_as_many_are_confirmed_as_there_are_units() {
    const RUSH: usize = 64;
    const OTHERS: usize = 16;
    let system = System::with_workers(2).await;
    system
        .client("office", "catalog:write")
        .stock(&[("LAST", 40), ("TEA", 1_000), ("MUG", 1_000)])
        .await;
    let shop = system.client("shop", "storefront");

    let all_are_there = Arc::new(Barrier::new(RUSH + OTHERS));
    let mut placing = JoinSet::new();
    for n in 0..RUSH + OTHERS {
        let (shop, all_are_there) = (shop.clone(), Arc::clone(&all_are_there));
        placing.spawn(async move {
            let is_rush = n < RUSH;
            let lines: &[(&str, i64)] = if is_rush {
                &[("TEA", 1), ("LAST", 1)]
            } else {
                &[("MUG", 1)]
            };
            let order = order_of(&format!("customer-{n}"), lines);
            all_are_there.wait().await;
            (is_rush, shop.place(&format!("rush-{n}"), &order).await)
        });
    }
    let (mut confirmed, mut rejected, mut others) = (0, 0, 0);
    for (is_rush, receipt) in placing.join_all().await {
        let order = shop.settled(&receipt).await;
        match (is_rush, order.status) {
            (true, OrderStatus::Confirmed) => confirmed += 1,
            (true, _) => {
                assert_eq!(order.reason, Some(Reason::OutOfStock));
                rejected += 1;
            }
            (false, status) => {
                assert_eq!(status, OrderStatus::Confirmed, "{:?}", order.reason);
                others += 1;
            }
        }
        // Others settle meanwhile.
        let left = shop.available("LAST").await;
        assert!((0..=40).contains(&left), "{left}");
    }
    assert_eq!((confirmed, rejected, others), (40, RUSH - 40, OTHERS));
    assert_eq!(shop.available("LAST").await, 0);
    assert_eq!(
        shop.available("TEA").await,
        960,
        "a rejected order holds nothing of its other lines"
    );
    assert_eq!(shop.available("MUG").await, 984);
    assert_eq!(system.dead_letters().await, 0);
}
