//! P2: the same key is the same order, once and for ever; another body under it is told apart.

use serde_json::json;
use steelyard_domain::order::OrderStatus;
use steelyard_tests::{Part, System, order_of};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_key_is_one_order_whatever_is_restarted_in_between() {
    let mut system = System::start().await;
    system
        .client("office", "catalog:write")
        .stock(&[("TEA", 100)])
        .await;
    let shop = system.client("shop", "storefront");
    let order = order_of("alice", &[("TEA", 2)]);

    let first = shop.place("basket-1", &order).await;
    let settled = shop.settled(&first).await;
    for part in [Part::Gateway, Part::Orders(1), Part::Catalog] {
        system.down(part).await;
        system.up(part).await;
    }
    for _ in 0..3 {
        assert_eq!(shop.place("basket-1", &order).await.id, first.id);
    }
    // A later order of the same customer settles after all retries before it.
    let later = shop
        .place("basket-2", &order_of("alice", &[("TEA", 1)]))
        .await;
    assert_eq!(shop.settled(&later).await.sequence, 2);
    assert_eq!(shop.order(&first).await.unwrap(), settled);
    assert_eq!(shop.available("TEA").await, 97);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_body_under_a_used_key_is_recorded_and_changes_nothing() {
    let system = System::start().await;
    system
        .client("office", "catalog:write")
        .stock(&[("TEA", 100)])
        .await;
    let shop = system.client("shop", "storefront");

    let first = shop
        .place("basket-1", &order_of("alice", &[("TEA", 2)]))
        .await;
    let other = shop
        .place("basket-1", &order_of("alice", &[("TEA", 50)]))
        .await;
    assert_eq!(first.id, other.id);
    let order = shop
        .order_when(&first, |order| !order.conflicts.is_empty())
        .await;
    assert_eq!(order.status, OrderStatus::Confirmed);
    assert_eq!(order.lines[0].quantity, 2);
    assert_eq!(order.conflicts.len(), 1);
    assert_eq!(shop.available("TEA").await, 98);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_customers_may_use_the_same_key() {
    let system = System::start().await;
    system
        .client("office", "catalog:write")
        .stock(&[("TEA", 100)])
        .await;
    let (alice, bob) = (
        system.client("alice", "customer"),
        system.client("bob", "customer"),
    );
    let one = alice.place("1", &order_of("alice", &[("TEA", 1)])).await;
    let other = bob.place("1", &order_of("bob", &[("TEA", 1)])).await;
    assert_ne!(one.id, other.id);
    assert_eq!(alice.settled(&one).await.sequence, 1);
    assert_eq!(bob.settled(&other).await.sequence, 1);
    assert!(bob.order(&one).await.is_none(), "another customer's order");
    let answer = bob
        .post(&format!("/v1/orders/{}/cancel", one.id), "x", &json!({}))
        .await;
    // Whether the door or the worker says no, the order stays.
    drop(answer);
    let last = alice.place("2", &order_of("alice", &[("TEA", 1)])).await;
    alice.settled(&last).await;
    assert_eq!(
        alice.order(&one).await.unwrap().status,
        OrderStatus::Confirmed
    );
}
