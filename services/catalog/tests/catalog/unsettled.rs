//! Reservations whose order never settles.
#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use axum::extract::State;
use axum::routing::post;
use axum::{Json, Router};
use serde_json::{Value, json};
use steelyard_domain::internal::paths::{ORDERS_KNOWN, RELEASE, UNSETTLED};
use steelyard_testkit::wait_for;
use uuid::Uuid;

use crate::harness::{Answer, SOON, Shop, id, order};

type Statuses = Arc<Mutex<HashMap<Uuid, &'static str>>>;

/// An orders service that knows these orders.
async fn orders(statuses: Statuses) -> String {
    let known = async |State(statuses): State<Statuses>, Json(asked): Json<Value>| {
        let statuses = statuses.lock().unwrap();
        let ids = asked["order_ids"].as_array().unwrap().clone();
        let known = ids.iter().filter_map(|id| {
            let id: Uuid = id.as_str()?.parse().ok()?;
            Some(json!({"id": id, "status": statuses.get(&id)?}))
        });
        Json(json!({"orders": known.collect::<Vec<_>>()}))
    };
    let routes = Router::new()
        .route(ORDERS_KNOWN, post(known))
        .with_state(statuses);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, routes).await.unwrap() });
    url
}

#[tokio::test]
async fn a_reservation_whose_order_does_not_stand_is_found_reported_and_not_let_go() {
    let statuses = Statuses::default();
    statuses.lock().unwrap().extend([
        (id(1), "confirmed"),
        (id(2), "cancelled"),
        (id(3), "rejected"),
        (id(4), "completed"),
    ]);
    let url = orders(Arc::clone(&statuses)).await;
    let settings = [
        ("ORDERS_URL", url.as_str()),
        ("RECONCILE_EVERY", "20ms"),
        ("RECONCILE_AGE", "0s"),
    ];
    let shop = Shop::open_with(&settings).await;
    shop.stock(&[("a", 100)]).await;
    let all: Vec<_> = (1..=5).map(|number| order(number, &[("a", 2)])).collect();
    shop.reserve(&all).await;
    let found = async || {
        let request = shop.client.request(reqwest::Method::GET, UNSETTLED);
        let page = Answer::to(request).await.body;
        let data = page["data"].as_array().unwrap().clone();
        let mut found: Vec<_> = data
            .iter()
            .map(|one| {
                let id: Uuid = one["order_id"].as_str().unwrap().parse().unwrap();
                assert_eq!(one["units"], json!({"a": 2}));
                (id, one["trouble"].as_str().unwrap().to_owned())
            })
            .collect();
        found.sort();
        found
    };
    let trouble = |number: u128, trouble: &str| (id(number), trouble.to_owned());
    let expected = vec![
        trouble(2, "order_cancelled"),
        trouble(3, "order_rejected"),
        trouble(4, "order_completed"),
        trouble(5, "order_unknown"),
    ];
    wait_for("the four are found", SOON, async || {
        found().await == expected
    })
    .await;
    assert_eq!(
        shop.level("a").await,
        (100, 10),
        "nothing is let go by itself"
    );

    // The order settles after all; another is released by hand.
    statuses.lock().unwrap().insert(id(5), "confirmed");
    shop.settle(RELEASE, &[id(2)]).await;
    wait_for("two are left", SOON, async || {
        found().await == expected[1..3]
    })
    .await;
    let request = shop
        .client
        .request(reqwest::Method::GET, &format!("{UNSETTLED}?limit=1"));
    let page = Answer::to(request).await.body;
    let cursor = page["next_cursor"].as_str().unwrap();
    let request = shop.client.request(
        reqwest::Method::GET,
        &format!("{UNSETTLED}?limit=1&cursor={cursor}"),
    );
    assert_eq!(Answer::to(request).await.body["next_cursor"], Value::Null);
    shop.assert_books_are_right().await;
}
