//! Orders read: from the service that knows, else from the receipt, else 503, and 404 only for
//! what both say is not there.

use std::sync::Arc;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::{
    Canned, Gateway, NO_REDIS, NOWHERE, PATIENCE, Peer, SERVICE_TOKEN, Setting, order, problem,
};

const ID: &str = "83da7b84-a1ef-80a2-a6a4-f82d31aa9bb5";

async fn placed(gateway: &Gateway) -> String {
    let answer = gateway.place("536365", &order()).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::ACCEPTED);
    let receipt: Value = answer.json().await.unwrap();
    receipt["id"].as_str().unwrap().to_owned()
}

async fn read(gateway: &Gateway, sub: &str, scope: &str, id: &str) -> reqwest::Response {
    gateway
        .by(sub, scope, Method::GET, &format!("/v1/orders/{id}"))
        .send()
        .await
        .unwrap()
}

/// Waits until the receipt has been written.
async fn receipt_is_there(gateway: &Gateway, id: &str) {
    steelyard_testkit::wait_for("the receipt is there", PATIENCE, async || {
        read(gateway, "17850", "customer", id).await.status() == StatusCode::OK
    })
    .await;
}

#[tokio::test]
async fn an_order_comes_from_the_orders_service_as_it_is() {
    let orders = Peer::start().await;
    let stored = json!({"id": ID, "customer_id": "17850", "status": "confirmed", "odd": 1});
    orders.say(&format!("/internal/orders/{ID}"), Canned::json(&stored));
    orders.say(
        &format!("/internal/orders/{ID}?customer_id=17850"),
        Canned::json(&stored),
    );
    let gateway = Setting {
        orders: orders.url.clone(),
        ..Setting::default()
    }
    .start()
    .await;
    for (sub, scope) in [
        ("shop", "storefront"),
        ("office", "orders:manage"),
        ("17850", "customer"),
    ] {
        let answer = gateway
            .by(sub, scope, Method::GET, &format!("/v1/orders/{ID}"))
            .header("x-request-id", "mine")
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status(), StatusCode::OK, "{scope}");
        assert_eq!(answer.json::<Value>().await.unwrap(), stored);
    }
    let seen = orders.seen();
    assert!(
        seen.iter()
            .all(|seen| seen.headers["x-request-id"] == "mine")
    );
    assert!(
        seen.iter()
            .all(|seen| seen.headers["authorization"] == format!("Bearer {SERVICE_TOKEN}"))
    );
    assert!(
        seen.iter()
            .all(|seen| seen.headers.contains_key("traceparent"))
    );
}

#[tokio::test]
async fn before_the_worker_has_it_the_receipt_answers() {
    let redis = steelyard_testkit::redis().await;
    let orders = Peer::start().await;
    let setting = Setting {
        orders: orders.url.clone(),
        redis: redis.url.clone(),
        ..Setting::default()
    };
    let writer = setting.start().await;
    let id = placed(&writer).await;
    let gateway = Setting {
        orders: orders.url.clone(),
        redis: redis.url.clone(),
        issuer: Some(Arc::clone(&writer.issuer)),
        ..Setting::default()
    };
    let gateway = gateway.start().await;
    receipt_is_there(&gateway, &id).await;
    let answer = read(&gateway, "shop", "storefront", &id).await;
    assert!(
        !answer.headers().contains_key("cache-status"),
        "it is no copy: nothing is newer"
    );
    let body: Value = answer.json().await.unwrap();
    insta::assert_json_snapshot!(body, { ".accepted_at" => "[time]" });

    // Another customer's order is as good as none.
    let answer = read(&gateway, "alice", "customer", &id).await;
    assert_eq!(answer.status(), StatusCode::NOT_FOUND);
    let other = problem(answer).await;
    let none = problem(read(&gateway, "alice", "customer", ID).await).await;
    assert_eq!(
        (&other["code"], &other["detail"]),
        (&none["code"], &none["detail"])
    );
}

#[tokio::test]
async fn while_orders_is_down_the_receipt_answers_and_says_so() {
    let redis = steelyard_testkit::redis().await;
    let with_redis = || Setting {
        redis: redis.url.clone(),
        ..Setting::default()
    };
    let writer = with_redis().start().await;
    let id = placed(&writer).await;
    let issuer = Some(Arc::clone(&writer.issuer));
    let gateway = Setting {
        issuer,
        ..with_redis()
    }
    .start()
    .await;
    receipt_is_there(&gateway, &id).await;
    let answer = read(&gateway, "17850", "customer", &id).await;
    assert_eq!(
        answer.headers()["cache-status"],
        "steelyard; hit; detail=\"orders unavailable\""
    );
    let body: Value = answer.json().await.unwrap();
    assert_eq!(body["status"], "accepted");
    assert_eq!(
        read(&gateway, "alice", "customer", &id).await.status(),
        StatusCode::NOT_FOUND
    );
}

#[tokio::test]
async fn what_cannot_be_known_is_503_and_never_404() {
    let redis = steelyard_testkit::redis().await;
    let orders = Peer::start().await;
    let failing = Peer::start().await;
    failing.say(
        &format!("/internal/orders/{ID}"),
        Canned::problem(503, "database_away"),
    );
    let cases = [
        ("both down", NOWHERE, NO_REDIS, 503),
        ("orders down", NOWHERE, redis.url.as_str(), 503),
        (
            "orders failing",
            failing.url.as_str(),
            redis.url.as_str(),
            503,
        ),
        ("receipts down", orders.url.as_str(), NO_REDIS, 503),
        ("both there", orders.url.as_str(), redis.url.as_str(), 404),
    ];
    for (what, orders, redis, status) in cases {
        let setting = Setting {
            orders: orders.into(),
            redis: redis.into(),
            ..Setting::default()
        };
        let gateway = setting.start().await;
        let answer = read(&gateway, "shop", "storefront", ID).await;
        assert_eq!(answer.status(), status, "{what}");
        assert_eq!(
            answer.headers().contains_key("retry-after"),
            status == 503,
            "{what}"
        );
        problem(answer).await;
    }
}

#[tokio::test]
async fn a_list_is_the_callers_own_unless_the_role_sees_all() {
    let orders = Peer::start().await;
    let page = json!({"data": [], "next_cursor": null});
    for query in [
        "?customer_id=17850&limit=5",
        "?status=confirmed&reference=a%26b&cursor=x%3D",
        "",
    ] {
        orders.say(&format!("/internal/orders{query}"), Canned::json(&page));
    }
    let gateway = Setting {
        orders: orders.url.clone(),
        ..Setting::default()
    }
    .start()
    .await;
    let list = async |sub: &str, scope: &str, query: &str| {
        let request = gateway.by(sub, scope, Method::GET, &format!("/v1/orders{query}"));
        request.send().await.unwrap()
    };
    for (sub, scope, query) in [
        ("17850", "customer", "?limit=5"),
        ("17850", "customer", "?limit=5&customer_id=17850"),
        ("shop", "storefront", "?customer_id=17850&limit=5"),
        (
            "office",
            "orders:manage",
            "?status=confirmed&reference=a%26b&cursor=x%3D",
        ),
        ("office", "orders:manage", ""),
    ] {
        let answer = list(sub, scope, query).await;
        assert_eq!(
            answer.status(),
            StatusCode::OK,
            "{scope} {query}: {:?}",
            orders.seen().last()
        );
        assert_eq!(answer.json::<Value>().await.unwrap(), page);
    }
}

#[tokio::test]
async fn a_refusal_of_the_orders_service_is_passed_on_and_an_outage_is_503() {
    let orders = Peer::start().await;
    orders.say(
        "/internal/orders?cursor=forged",
        Canned::problem(400, "invalid_cursor"),
    );
    orders.say(
        "/internal/orders?limit=1",
        Canned::problem(401, "service_token_required"),
    );
    orders.say("/internal/orders?limit=2", Canned::problem(500, "internal"));
    let gateway = Setting {
        orders: orders.url.clone(),
        ..Setting::default()
    }
    .start()
    .await;
    for (query, status, code) in [
        ("cursor=forged", 400, "invalid_cursor"),
        ("limit=1", 503, "orders_unavailable"),
        ("limit=2", 503, "orders_unavailable"),
    ] {
        let request = gateway.by(
            "o",
            "orders:manage",
            Method::GET,
            &format!("/v1/orders?{query}"),
        );
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), status, "{query}");
        let body = problem(answer).await;
        assert_eq!(body["code"], code);
        assert_ne!(body["request_id"], "peer", "the names are this request's");
    }
}

#[tokio::test]
async fn who_asks_right_after_the_202_is_answered_even_without_redis() {
    let orders = Peer::start().await;
    for orders in [orders.url.as_str(), NOWHERE] {
        let gateway = Setting {
            orders: orders.into(),
            ..Setting::default()
        }
        .start()
        .await;
        let id = placed(&gateway).await;
        let answer = read(&gateway, "17850", "customer", &id).await;
        assert_eq!(answer.status(), StatusCode::OK);
        assert_eq!(answer.json::<Value>().await.unwrap()["status"], "accepted");
        assert_eq!(
            read(&gateway, "alice", "customer", &id).await.status(),
            StatusCode::NOT_FOUND
        );
    }
}
