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

/// A shop whose events go to a queue; it ends with the server of that queue.
async fn shop() -> (Shop, SqsTransport, localsqs::Server) {
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
    (shop, transport, sqs)
}

/// What an event says of its first product: the version or what is left.
fn named(event: &Value) -> (&str, &str, i64) {
    let one = &event["products"][0];
    let what = one["version"].as_i64().or(one["available"].as_i64());
    (
        event["type"].as_str().unwrap(),
        one["sku"].as_str().unwrap(),
        what.unwrap(),
    )
}

#[tokio::test]
async fn changes_and_low_stock_are_told_after_the_transaction_and_nothing_else_is() {
    let (shop, transport, _sqs) = shop().await;
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
    let named: Vec<_> = told.iter().map(named).collect();
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
async fn bookings_that_come_with_a_product_tell_of_low_stock_once_for_each_time_it_gets_low() {
    let (shop, transport, _sqs) = shop().await;
    let with = |adjust: i64, reference: &str| {
        let mut body = product();
        body["low_at"] = json!(3);
        body["stock"] = json!({"adjust": adjust, "reference": reference});
        body
    };
    let put = async |adjust: i64, reference: &str| {
        let answer = shop.put("a", with(adjust, reference)).await;
        assert!(answer.status < 300, "{}", answer.body);
    };
    // New with little is not low: nothing was sold.
    put(2, "r1").await;
    put(8, "r2").await;
    shop.reserve(&[order(1, &[("a", 1)])]).await;
    put(-6, "r3").await;
    put(-6, "r3").await;
    put(-1, "r4").await;
    put(8, "r5").await;
    let mut refused = with(-20, "r6");
    refused["name"] = json!("Another lamp");
    assert_eq!(shop.put("a", refused).await.status, 409);
    put(-7, "r7").await;
    let told = events(&transport, 3).await;
    let told: Vec<_> = told.iter().map(named).collect();
    let expected = [
        ("product.changed", "a", 1),
        ("stock.low", "a", 3),
        ("stock.low", "a", 3),
    ];
    assert_eq!(told, expected);

    // One call of many lines tells of all together; of no more than there are, and of those without a limit nothing.
    let line = |sku: &str, adjust: i64, reference: &str, low_at: Option<i64>| {
        let mut line = with(adjust, reference);
        line["sku"] = json!(sku);
        line["low_at"] = json!(low_at);
        line.to_string()
    };
    let import = async |lines: &[String]| {
        let report = shop.import("", "application/x-ndjson", lines.join("\n"));
        assert_eq!(report.await.body["failed"], 0);
    };
    let opening = ["b", "c", "d"].map(|sku| line(sku, 10, "r1", Some(3)));
    import(&opening).await;
    assert_eq!(events(&transport, 1).await[0]["type"], "product.changed");
    let less = [
        line("b", -7, "r2", Some(3)),
        line("c", -6, "r2", Some(3)),
        line("d", -7, "r2", None),
        line("c", -2, "r3", Some(3)),
        line("c", -1, "r4", Some(3)),
    ];
    import(&less).await;
    // Lines about one SKU are sets of their own; `d` has no limit any more.
    let told = events(&transport, 3).await;
    let mut told: Vec<_> = told.iter().map(named).collect();
    told.sort_unstable();
    let expected = [
        ("product.changed", "d", 2),
        ("stock.low", "b", 3),
        ("stock.low", "c", 2),
    ];
    assert_eq!(told, expected);
    shop.assert_books_are_right().await;
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
