//! What is told of changes.
#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::time::Duration;

use serde_json::{Value, json};
use steelyard_queue::{ReceiveRequest, SqsConfig, SqsTransport, Transport as _};
use steelyard_testkit::wait_for;

use crate::harness::{SOON, Shop, order, product};

const QUEUE: &str = "catalog-events.fifo";

/// Events until there are so many.
async fn events(transport: &SqsTransport, count: usize) -> Vec<Value> {
    let url = transport.queue_url(QUEUE).await.unwrap();
    let mut events = Vec::new();
    wait_for("the events are in the queue", SOON, async || {
        let request = ReceiveRequest {
            messages_max: 10,
            wait: Duration::from_secs(1),
            visibility: Duration::from_secs(60),
            attempt_id: None,
        };
        let received = transport.receive(&url, request).await.unwrap();
        let receipts: Vec<_> = received.iter().map(|m| m.receipt_handle.clone()).collect();
        if !receipts.is_empty() {
            transport.delete_batch(&url, &receipts).await.unwrap();
        }
        events.extend(
            received
                .iter()
                .map(|m| serde_json::from_str::<Value>(&m.body).unwrap()),
        );
        events.len() >= count
    })
    .await;
    events
}

#[tokio::test]
async fn changes_and_low_stock_are_told_after_the_transaction_and_nothing_else_is() {
    let config = localsqs::Config {
        queues: vec![QUEUE.parse().unwrap()],
        ..localsqs::Config::default()
    };
    let sqs = steelyard_testkit::sqs_with(config).await;
    let transport = SqsTransport::connect(SqsConfig::local(sqs.url())).await;
    let database = steelyard_testkit::postgres().await;
    let url = database.url.clone();
    let settings = [("CATALOG_EVENTS_QUEUE", QUEUE)];
    let local = |config: &mut steelyard_catalog::Config| config.sqs = SqsConfig::local(sqs.url());
    let shop = Shop::start_as(database, url, &settings, local).await;
    wait_for("the catalog is ready", SOON, async || shop.is_ready().await).await;

    let mut body = product();
    body["low_at"] = json!(3);
    body["stock"] = json!({"adjust": 10, "reference": "r"});
    shop.put("a", body.clone()).await;
    shop.put("a", body.clone()).await;
    body["name"] = json!("Another lamp");
    shop.put("a", body).await;
    shop.reserve(&[order(1, &[("a", 6)]), order(2, &[("a", 9)])])
        .await;
    shop.reserve(&[order(3, &[("a", 1)])]).await;
    shop.reserve(&[order(4, &[("a", 1)])]).await;
    shop.adjust("a", json!({"adjust": 3, "reference": "more"}))
        .await;
    shop.adjust("a", json!({"adjust": -2, "reference": "less"}))
        .await;
    let told = events(&transport, 4).await;
    let named: Vec<_> = told
        .iter()
        .map(|event| {
            let one = &event["products"][0];
            let what = one["version"].as_i64().or(one["available"].as_i64());
            (
                event["type"].as_str().unwrap(),
                one["sku"].as_str().unwrap(),
                what.unwrap(),
            )
        })
        .collect();
    let expected = [
        ("product.changed", "a", 1),
        ("product.changed", "a", 2),
        ("stock.low", "a", 3),
        ("stock.low", "a", 3),
    ];
    assert_eq!(named, expected);

    let lines: Vec<String> = (0..700)
        .map(|n| json!({"sku": format!("s{n}"), "name": "N", "prices": []}).to_string())
        .collect();
    shop.import("", "application/x-ndjson", lines.join("\n"))
        .await;
    let told = events(&transport, 2).await;
    let counts: Vec<_> = told
        .iter()
        .map(|e| e["products"].as_array().unwrap().len())
        .collect();
    assert_eq!(counts, [500, 200], "an import tells of many at once");
    shop.put("none", json!({"name": "", "prices": []})).await;
    wait_for("the outbox is empty", SOON, async || {
        let left: i64 = sqlx::query_scalar("SELECT count(*) FROM outbox")
            .fetch_one(&shop.pool)
            .await
            .unwrap();
        left == 0
    })
    .await;
}

#[tokio::test]
async fn without_a_queue_nothing_is_kept_for_one() {
    let shop = Shop::open().await;
    shop.stock(&[("a", 1)]).await;
    let kept: i64 = sqlx::query_scalar("SELECT count(*) FROM outbox")
        .fetch_one(&shop.pool)
        .await
        .unwrap();
    assert_eq!(kept, 0);
}
