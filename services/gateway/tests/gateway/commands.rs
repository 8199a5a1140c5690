//! Cancel, pay, ship, return: in the order's own sequence, whoever asks.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use steelyard_domain::command::{Command, CommandKind};
use steelyard_domain::order::Reason;

use crate::support::{Canned, Gateway, Peer, QUEUE, Setting, problem};

const ID: &str = "83da7b84-a1ef-80a2-a6a4-f82d31aa9bb5";

/// A gateway whose orders service knows one order of customer 17850.
async fn with_order() -> (Gateway, Peer) {
    let orders = Peer::start().await;
    let stored = json!({"id": ID, "customer_id": "17850", "status": "confirmed"});
    orders.say(&format!("/internal/orders/{ID}"), Canned::json(&stored));
    let gateway = Setting {
        orders: orders.url.clone(),
        ..Setting::default()
    }
    .start()
    .await;
    (gateway, orders)
}

async fn send(
    gateway: &Gateway,
    sub: &str,
    scope: &str,
    what: &str,
    body: Option<Value>,
) -> reqwest::Response {
    let request = gateway
        .by(sub, scope, Method::POST, &format!("/v1/orders/{ID}/{what}"))
        .header("idempotency-key", format!("{what}-1"));
    let request = match body {
        Some(body) => request.json(&body),
        None => request,
    };
    request.send().await.unwrap()
}

#[tokio::test]
async fn commands_travel_in_the_group_of_the_orders_customer() {
    let (gateway, _orders) = with_order().await;
    for (sub, scope, what, body) in [
        ("17850", "customer", "cancel", None),
        (
            "psp",
            "payments",
            "payments",
            Some(json!({"payment_reference": "ch_1"})),
        ),
        (
            "depot",
            "orders:manage",
            "shipments",
            Some(json!({"tracking_number": "T1"})),
        ),
        (
            "depot",
            "orders:manage",
            "returns",
            Some(json!({"restock": true, "note": "as new"})),
        ),
    ] {
        let answer = send(&gateway, sub, scope, what, body).await;
        assert_eq!(answer.status(), StatusCode::ACCEPTED, "{what}");
        assert_eq!(answer.headers()["location"], format!("/v1/orders/{ID}"));
        let receipt: Value = answer.json().await.unwrap();
        insta::assert_json_snapshot!(what, receipt, { ".accepted_at" => "[time]" });
    }
    let commands = gateway.commands();
    let kinds: Vec<_> = commands
        .iter()
        .map(|command| command.command.kind())
        .collect();
    assert_eq!(
        kinds,
        [
            CommandKind::Cancel,
            CommandKind::Pay,
            CommandKind::Ship,
            CommandKind::Return
        ]
    );
    assert!(
        commands
            .iter()
            .all(|command| command.customer_id.as_str() == "17850")
    );
    assert!(
        gateway
            .queue
            .held(QUEUE)
            .iter()
            .all(|held| held.message.group_id.as_deref() == Some("17850"))
    );
}

#[tokio::test]
async fn who_cancels_is_the_reason() {
    let (gateway, _orders) = with_order().await;
    send(&gateway, "17850", "customer", "cancel", None).await;
    let by_shop = gateway
        .by(
            "office",
            "orders:manage",
            Method::POST,
            &format!("/v1/orders/{ID}/cancel"),
        )
        .header("idempotency-key", "other");
    by_shop.send().await.unwrap();
    let reasons: Vec<_> = gateway
        .commands()
        .into_iter()
        .map(|command| match command.command {
            Command::Cancel(cancel) => cancel.reason,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(reasons, [Reason::CustomerRequest, Reason::ShopRequest]);
}

#[tokio::test]
async fn another_customers_order_is_not_there() {
    let (gateway, _orders) = with_order().await;
    let answer = send(&gateway, "alice", "customer", "cancel", None).await;
    assert_eq!(answer.status(), StatusCode::NOT_FOUND);
    // A scope that opens another route does not open this one.
    let answer = send(&gateway, "alice", "customer payments", "cancel", None).await;
    assert_eq!(answer.status(), StatusCode::NOT_FOUND);
    let named = Some(json!({"customer_id": "17850"}));
    let answer = send(&gateway, "alice", "customer", "cancel", named).await;
    assert_eq!(answer.status(), StatusCode::FORBIDDEN);
    let named = Some(json!({"customer_id": "13047"}));
    let answer = send(&gateway, "depot", "orders:manage", "shipments", named).await;
    assert_eq!(answer.status(), StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(
        problem(answer).await["errors"][0]["pointer"],
        "/customer_id"
    );
    assert!(gateway.commands().is_empty());
}

#[tokio::test]
async fn while_nobody_can_tell_the_owner_a_customer_is_believed_and_others_name_one() {
    let gateway = Gateway::start().await;
    let answer = send(&gateway, "17850", "customer", "cancel", None).await;
    assert_eq!(answer.status(), StatusCode::ACCEPTED);
    let answer = send(&gateway, "psp", "payments", "payments", None).await;
    assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(answer.headers().contains_key("retry-after"));
    let named = Some(json!({"customer_id": "17850"}));
    let answer = send(&gateway, "psp", "payments", "payments", named).await;
    assert_eq!(answer.status(), StatusCode::ACCEPTED);
    assert!(
        gateway
            .commands()
            .iter()
            .all(|command| command.customer_id.as_str() == "17850")
    );
    assert_eq!(gateway.commands().len(), 2);
}

#[tokio::test]
async fn a_command_about_no_order_is_refused_when_that_is_known() {
    let redis = steelyard_testkit::redis().await;
    let orders = Peer::start().await;
    let setting = Setting {
        orders: orders.url.clone(),
        redis: redis.url.clone(),
        ..Setting::default()
    };
    let gateway = setting.start().await;
    for (scope, what) in [("customer", "cancel"), ("payments", "payments")] {
        let answer = send(&gateway, "17850", scope, what, None).await;
        assert_eq!(answer.status(), StatusCode::NOT_FOUND, "{what}");
    }
    assert!(gateway.commands().is_empty());
}
