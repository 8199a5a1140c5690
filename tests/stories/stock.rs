//! P4: stock is sold once; a rejected or cancelled order holds none.

use serde_json::json;
use steelyard_domain::order::{OrderStatus, Reason};
use steelyard_tests::{System, order_of};

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
