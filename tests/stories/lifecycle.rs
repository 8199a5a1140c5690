//! An order's whole life, as the storefront sees it.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use steelyard_domain::order::{
    FulfillmentStatus, Order, OrderStatus, PaymentStatus, Reason, Refusal,
};
use steelyard_tests::{System, order_of};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_waiting_shopper_gets_the_settled_order_and_the_rest_of_its_life_follows() {
    let system = System::start().await;
    system
        .client("office", "catalog:write")
        .stock(&[("TEA", 100)])
        .await;
    let alice = system.client("alice", "customer");

    let call = alice
        .call(Method::POST, "/v1/orders")
        .header("idempotency-key", "1")
        .header("prefer", "wait=20")
        .json(&order_of("alice", &[("TEA", 3)]));
    let answer = call.send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::CREATED);
    let order: Order = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
    assert_eq!(order.status, OrderStatus::Confirmed);
    let amounts = [order.subtotal, order.tax_total, order.total].map(|amount| amount.to_string());
    assert_eq!(
        amounts,
        ["3.00", "0.60", "3.60"],
        "three pounds and the UK's 20 %"
    );

    let receipt = alice.place("1", &order_of("alice", &[("TEA", 3)])).await;
    assert_eq!(receipt.id, order.id);
    system
        .client("psp", "payments")
        .command(
            &receipt,
            "payments",
            "p",
            &json!({"payment_reference": "pi_1"}),
        )
        .await;
    system
        .client("warehouse", "orders:manage")
        .command(
            &receipt,
            "shipments",
            "s",
            &json!({"tracking_number": "GB1"}),
        )
        .await;
    let done = alice
        .order_when(&receipt, |order| order.status == OrderStatus::Completed)
        .await;
    assert_eq!(
        (done.payment_status, done.fulfillment_status),
        (PaymentStatus::Paid, FulfillmentStatus::Shipped)
    );

    alice.command(&receipt, "cancel", "c", &json!({})).await;
    let kept = alice
        .order_when(&receipt, |order| order.version > done.version)
        .await;
    assert_eq!(kept.status, OrderStatus::Completed);
    assert_eq!(
        kept.history.last().unwrap().refused,
        Some(Refusal::AlreadyShipped)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_price_that_the_shopper_was_not_shown_is_never_charged() {
    let system = System::start().await;
    system
        .client("office", "catalog:write")
        .stock(&[("TEA", 100)])
        .await;
    let alice = system.client("alice", "customer");
    let mut order = order_of("alice", &[("TEA", 3)]);
    order["lines"][0]["unit_price"] = json!("0.01");
    let receipt = alice.place("cheap", &order).await;
    let order = alice.settled(&receipt).await;
    assert_eq!(
        (order.status, order.reason),
        (OrderStatus::Rejected, Some(Reason::PriceChanged))
    );

    let unknown = alice
        .place("unknown", &order_of("alice", &[("NOTHING", 1)]))
        .await;
    assert_eq!(
        alice.settled(&unknown).await.reason,
        Some(Reason::UnknownSku)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_pages_through_a_customers_orders_newest_first() {
    let system = System::start().await;
    system
        .client("office", "catalog:write")
        .stock(&[("TEA", 100)])
        .await;
    let alice = system.client("alice", "customer");
    let mut placed = Vec::new();
    for n in 0..7 {
        let receipt = alice
            .place(&n.to_string(), &order_of("alice", &[("TEA", 1)]))
            .await;
        alice.settled(&receipt).await;
        placed.push(receipt.id.to_string());
    }
    system
        .client("shop", "storefront")
        .place("x", &order_of("bob", &[("TEA", 1)]))
        .await;

    let mut listed = Vec::new();
    let mut path = "/v1/orders?limit=3&status=confirmed".to_owned();
    loop {
        let answer = alice.call(Method::GET, &path).send().await.unwrap();
        let page: Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
        listed.extend(
            page["data"]
                .as_array()
                .unwrap()
                .iter()
                .map(|order| order["id"].as_str().unwrap().to_owned()),
        );
        match page["next_cursor"].as_str() {
            Some(cursor) => path = format!("/v1/orders?limit=3&status=confirmed&cursor={cursor}"),
            None => break,
        }
    }
    placed.reverse();
    assert_eq!(listed, placed);
}
