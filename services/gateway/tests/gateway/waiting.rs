//! `Prefer: wait` and event streams.

use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use steelyard_domain::id::OrderId;
use steelyard_domain::order::OrderStatus;
use steelyard_gateway::Limits;
use steelyard_status::{Publisher, Redis, StatusChange};
use steelyard_testkit::TestRedis;

use crate::support::{Canned, Gateway, PATIENCE, Peer, QUEUE, Setting, order, problem};

async fn start(limits: Limits) -> (Gateway, Peer, TestRedis) {
    let redis = steelyard_testkit::redis().await;
    let orders = Peer::start().await;
    let setting = Setting {
        orders: orders.url.clone(),
        redis: redis.url.clone(),
        limits,
        ..Setting::default()
    };
    (setting.start().await, orders, redis)
}

fn stored(id: OrderId, status: &str, version: i64) -> Canned {
    let entry = |version: i64, status: &str| {
        json!({
            "version": version, "at": "2026-11-22T10:00:00Z", "command_id": id,
            "command": if version == 1 { "order.place" } else { "order.pay" },
            "requested_by": "shop", "status": status
        })
    };
    let history: Vec<_> = (1..=version)
        .map(|v| entry(v, if v == version { status } else { "confirmed" }))
        .collect();
    Canned::json(&json!({
        "id": id, "customer_id": "17850", "status": status, "version": version,
        "accepted_at": "2026-11-22T09:59:59Z", "history": history
    }))
}

fn settle(orders: &Peer, id: OrderId, status: &str, version: i64) {
    orders.say(
        &format!("/internal/orders/{id}"),
        stored(id, status, version),
    );
    let path = format!("/internal/orders/{id}?customer_id=17850");
    orders.say(&path, stored(id, status, version));
}

fn change(id: OrderId, status: OrderStatus, version: i64) -> StatusChange {
    StatusChange {
        order_id: id,
        customer_id: "17850".parse().unwrap(),
        status,
        version,
    }
}

/// The order's id, as soon as it is in the queue.
async fn queued(gateway: &Gateway) -> OrderId {
    steelyard_testkit::wait_for("the order is queued", PATIENCE, async || {
        gateway.queue.len(QUEUE) > 0
    })
    .await;
    gateway.commands()[0].order_id
}

#[tokio::test]
async fn who_waits_gets_the_settled_order_as_soon_as_it_settles() {
    let (gateway, orders, redis) = start(Limits::default()).await;
    let waiting = tokio::spawn(
        gateway
            .place("k", &order())
            .header("prefer", "wait=20")
            .send(),
    );
    let id = queued(&gateway).await;
    settle(&orders, id, "confirmed", 1);
    let publisher = Publisher::new(Redis::new(&redis.url).unwrap());
    publisher
        .publish(&[change(id, OrderStatus::Confirmed, 1)])
        .await
        .unwrap();
    let answer = tokio::time::timeout(PATIENCE, waiting)
        .await
        .unwrap()
        .unwrap()
        .unwrap();
    assert_eq!(answer.status(), StatusCode::CREATED);
    assert_eq!(answer.headers()["preference-applied"], "wait=20");
    assert_eq!(answer.headers()["location"], format!("/v1/orders/{id}"));
    assert_eq!(answer.json::<Value>().await.unwrap()["status"], "confirmed");
}

#[tokio::test]
async fn who_waits_gets_the_order_without_redis_too() {
    let orders = Peer::start().await;
    let gateway = Setting {
        orders: orders.url.clone(),
        ..Setting::default()
    }
    .start()
    .await;
    let waiting = tokio::spawn(
        gateway
            .place("k", &order())
            .header("prefer", "wait=20")
            .send(),
    );
    settle(&orders, queued(&gateway).await, "rejected", 1);
    let answer = tokio::time::timeout(PATIENCE, waiting)
        .await
        .unwrap()
        .unwrap()
        .unwrap();
    assert_eq!(answer.status(), StatusCode::CREATED);
    assert_eq!(answer.json::<Value>().await.unwrap()["status"], "rejected");
}

#[tokio::test]
async fn who_waits_in_vain_gets_the_202_in_time() {
    let gateway = Gateway::start().await;
    let started = Instant::now();
    let answer = gateway
        .place("k", &order())
        .header("prefer", "wait=1")
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), StatusCode::ACCEPTED);
    assert_eq!(answer.headers()["preference-applied"], "wait=1");
    assert!(started.elapsed() >= Duration::from_secs(1), "it waited");
    assert!(
        started.elapsed() < Duration::from_secs(5),
        "and no longer than asked"
    );
}

/// The next event of a stream: its id and its data.
async fn event(
    stream: &mut (impl futures_util::Stream<Item = reqwest::Result<bytes::Bytes>> + Unpin),
    buffer: &mut String,
) -> (String, Value) {
    loop {
        if let Some((event, rest)) = buffer.split_once("\n\n") {
            let event = event.to_owned();
            *buffer = rest.to_owned();
            let field = |name: &str| {
                event
                    .lines()
                    .find_map(|line| line.strip_prefix(name))
                    .map(|text| text.trim().to_owned())
            };
            if let Some(data) = field("data:") {
                assert_eq!(field("event:").unwrap(), "status");
                return (field("id:").unwrap(), serde_json::from_str(&data).unwrap());
            }
            continue;
        }
        let chunk = tokio::time::timeout(PATIENCE, stream.next())
            .await
            .unwrap()
            .unwrap()
            .unwrap();
        buffer.push_str(std::str::from_utf8(&chunk).unwrap());
    }
}

#[tokio::test]
async fn a_stream_tells_each_change_once_and_goes_on_where_it_was() {
    let (gateway, orders, redis) = start(Limits::default()).await;
    let publisher = Publisher::new(Redis::new(&redis.url).unwrap());
    gateway.place("k", &order()).send().await.unwrap();
    let id = queued(&gateway).await;
    settle(&orders, id, "confirmed", 1);
    let path = format!("/v1/orders/{id}/events");
    let answer = gateway
        .by("17850", "customer", Method::GET, &path)
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(answer.headers()["content-type"], "text/event-stream");
    let (mut stream, mut buffer) = (answer.bytes_stream(), String::new());
    let (first, data) = event(&mut stream, &mut buffer).await;
    assert_eq!((first.as_str(), &data["status"]), ("0", &json!("accepted")));
    let (second, data) = event(&mut stream, &mut buffer).await;
    assert_eq!(
        (second.as_str(), &data["status"], &data["command"]),
        ("1", &json!("confirmed"), &json!("order.place"))
    );

    settle(&orders, id, "completed", 3);
    publisher
        .publish(&[change(id, OrderStatus::Completed, 3)])
        .await
        .unwrap();
    for version in ["2", "3"] {
        assert_eq!(event(&mut stream, &mut buffer).await.0, version);
    }

    let again = gateway
        .by("17850", "customer", Method::GET, &path)
        .header("last-event-id", "2");
    let mut stream = again.send().await.unwrap().bytes_stream();
    let (resumed, data) = event(&mut stream, &mut String::new()).await;
    assert_eq!(
        (resumed.as_str(), &data["status"]),
        ("3", &json!("completed"))
    );

    // A stop ends the streams, so that it need not wait for them.
    gateway.stop.cancel();
    let rest = tokio::time::timeout(PATIENCE, stream.next()).await.unwrap();
    assert!(rest.is_none_or(|chunk| chunk.is_err()), "the stream ends");
}

#[tokio::test]
async fn streams_are_bounded_and_only_for_those_who_may_see_the_order() {
    let limits = Limits {
        event_streams_max: 1,
        ..Limits::default()
    };
    let (gateway, orders, _redis) = start(limits).await;
    let id: OrderId = "83da7b84-a1ef-80a2-a6a4-f82d31aa9bb5".parse().unwrap();
    settle(&orders, id, "confirmed", 1);
    let path = format!("/v1/orders/{id}/events");
    let stranger = gateway
        .by("alice", "customer", Method::GET, &path)
        .send()
        .await
        .unwrap();
    assert_eq!(stranger.status(), StatusCode::NOT_FOUND);
    let open = gateway
        .by("17850", "customer", Method::GET, &path)
        .send()
        .await
        .unwrap();
    assert_eq!(open.status(), StatusCode::OK);
    let refused = gateway
        .by("17850", "customer", Method::GET, &path)
        .send()
        .await
        .unwrap();
    assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(problem(refused).await["code"], "too_many_streams");
    drop(open);
    steelyard_testkit::wait_for("there is room again", PATIENCE, async || {
        let next = gateway
            .by("17850", "customer", Method::GET, &path)
            .send()
            .await
            .unwrap();
        next.status() == StatusCode::OK
    })
    .await;
}
