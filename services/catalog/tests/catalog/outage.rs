//! Postgres away (promise P7: an outage is told from a mistake).

use serde_json::json;
use steelyard_domain::internal::paths::RESERVATIONS;
use steelyard_testkit::wait_for;

use crate::harness::{Answer, SOON, Shop, is_reserved, order};

#[tokio::test]
async fn the_catalog_starts_without_postgres_and_outlives_its_absence() {
    let database = steelyard_testkit::postgres().await;
    let proxy = steelyard_testkit::proxy(database.address());
    proxy.refuse();
    let url = database.url_via(proxy.address());
    let shop = Shop::start(database, url, &[]).await;
    let away = shop.post(RESERVATIONS, json!({"orders": []})).await;
    assert_eq!(away.problem(), (503, "database_away", ""));
    assert!(!shop.is_ready().await);
    for _ in 0..20 {
        let import = shop
            .client
            .request(reqwest::Method::POST, "/internal/products/import");
        let import = import.header("content-type", "application/x-ndjson");
        let refused = Answer::to(import.body("{}\n".repeat(1_000_000))).await;
        assert_eq!(
            refused.problem(),
            (503, "database_away", ""),
            "it is told, not cut off"
        );
    }

    proxy.restore();
    wait_for("the catalog is ready", SOON, async || shop.is_ready().await).await;
    shop.stock(&[("a", 5)]).await;
    assert!(is_reserved(
        &shop.reserve(&[order(1, &[("a", 1)])]).await[0]
    ));

    proxy.refuse();
    let away = shop
        .post(RESERVATIONS, json!({"orders": [order(2, &[("a", 1)])]}))
        .await;
    assert_eq!(away.problem(), (503, "database_away", ""));
    wait_for("it says that it is not ready", SOON, async || {
        !shop.is_ready().await
    })
    .await;

    proxy.restore();
    wait_for("the catalog is ready again", SOON, async || {
        shop.is_ready().await
    })
    .await;
    let both = [order(1, &[("a", 1)]), order(2, &[("a", 1)])];
    assert!(shop.reserve(&both).await.iter().all(is_reserved));
    assert_eq!(shop.level("a").await, (5, 2));
    shop.assert_books_are_right().await;
}
