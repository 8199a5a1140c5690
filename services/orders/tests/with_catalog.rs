//! The two services together, each with its own schema: the contract between them as it is.
#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod stand;

use serde_json::{Value, json};
use stand::commands::{body_of, cancel, order_id, place_of, send_back, ship};
use stand::{SOON, Stand, TOKEN, stand as prepared};
use steelyard_catalog::Catalog;
use steelyard_domain::order::{OrderStatus, Reason};
use steelyard_runtime::config::Env;
use steelyard_runtime::telemetry::Metrics;
use steelyard_testkit::wait_for;
use tokio_util::sync::CancellationToken;

async fn with_catalog() -> (Stand, String) {
    let mut stand = prepared().await;
    let env = Env::of([("DATABASE_URL", stand.database.url.as_str())])
        .with("SERVICE_TOKEN", TOKEN)
        .with("LISTEN_ADDR", "127.0.0.1:0")
        .with("ADMIN_ADDR", "127.0.0.1:0");
    let config = steelyard_catalog::Config::from_env(&env).unwrap();
    let catalog = Catalog::open(&config).await.unwrap();
    let base = format!("http://{}", catalog.addrs().api);
    tokio::spawn(async move {
        catalog
            .run(Metrics::detached(), CancellationToken::new())
            .await
            .unwrap();
    });
    stand.configure(|config| config.catalog_url = base.parse().unwrap());
    for (sku, price, stock) in [("holder", "2.55", 10), ("lantern", "3.39", 1)] {
        put(&stand, &base, sku, price, stock).await;
    }
    stand.start().await;
    (stand, base)
}

async fn put(stand: &Stand, base: &str, sku: &str, price: &str, stock: i64) {
    let url = format!("{base}/internal/products/{sku}");
    let product = json!({
        "name": format!("The {sku}"), "tax_category": "standard", "status": "active",
        "prices": [{"currency": "GBP", "amount": price}],
    });
    wait_for("the product is there", SOON, async || {
        let put = stand
            .http
            .put(&url)
            .bearer_auth(TOKEN)
            .json(&product)
            .send()
            .await;
        put.is_ok_and(|answer| answer.status().is_success())
    })
    .await;
    let booked = json!({"adjust": stock, "reference": "first", "reason": "received"});
    let url = format!("{url}/stock-adjustments");
    let answer = stand
        .http
        .post(url)
        .bearer_auth(TOKEN)
        .json(&booked)
        .send()
        .await
        .unwrap();
    assert!(
        answer.status().is_success(),
        "{}",
        answer.text().await.unwrap()
    );
}

async fn available(stand: &Stand, base: &str, sku: &str) -> i64 {
    let url = format!("{base}/internal/products/{sku}");
    let answer = stand.http.get(url).bearer_auth(TOKEN).send().await.unwrap();
    let product: Value = answer.json().await.unwrap();
    product["available"].as_i64().unwrap()
}

#[tokio::test]
async fn stock_follows_an_orders_life() {
    let (stand, base) = with_catalog().await;
    let lines = [("holder", 4, "2.55"), ("lantern", 1, "3.39")];
    let both = |who: &str| place_of(who, "1", &body_of(who, &lines));
    stand.send(&[both("a")]).await;
    let order = stand.settled(order_id("a", "1")).await;
    assert_eq!(order.status, OrderStatus::Confirmed);
    // 4 × 2.55 + 3.39 = 13.59, and 20 % of it is 2.718.
    assert_eq!(order.total.to_string(), "16.31");
    assert_eq!(order.lines[0].name, "The holder");
    assert_eq!(available(&stand, &base, "holder").await, 6);

    // All or nothing: the holders that are there are not held for want of a lantern.
    stand.send(&[both("b")]).await;
    let order = stand.settled(order_id("b", "1")).await;
    assert_eq!(order.reason, Some(Reason::OutOfStock));
    assert_eq!(available(&stand, &base, "holder").await, 6);

    let dear = body_of("c", &[("holder", 1, "2.54")]);
    stand.send(&[place_of("c", "1", &dear)]).await;
    let order = stand.settled(order_id("c", "1")).await;
    assert_eq!(order.reason, Some(Reason::PriceChanged));

    let id = order_id("a", "1");
    stand
        .send(&[ship("a", id, "s"), send_back("a", id, "r", true)])
        .await;
    stand.once(id, |order| order.history.len() == 3).await;
    assert_eq!(available(&stand, &base, "holder").await, 10);

    stand.send(&[both("d")]).await;
    let id = order_id("d", "1");
    assert_eq!(stand.settled(id).await.status, OrderStatus::Confirmed);
    stand.send(&[cancel("d", id, "c")]).await;
    stand
        .once(id, |order| order.status == OrderStatus::Cancelled)
        .await;
    assert_eq!(available(&stand, &base, "lantern").await, 1);
}
