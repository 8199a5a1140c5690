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

#[tokio::test]
async fn a_migration_before_a_deploy_makes_the_schema_and_does_nothing_twice() {
    let database = steelyard_testkit::postgres().await;
    let migrate = async |url: &str| {
        tokio::process::Command::new(env!("CARGO_BIN_EXE_catalog"))
            .arg("migrate")
            .env_clear()
            .env("DATABASE_URL", url)
            .kill_on_drop(true)
            .output()
            .await
            .unwrap()
    };
    for _ in 0..2 {
        let ended = migrate(&database.url).await;
        let said = String::from_utf8_lossy(&ended.stderr);
        assert!(ended.status.success(), "{said}");
    }
    let pool = sqlx::PgPool::connect(&database.url).await.unwrap();
    let applied: i64 = sqlx::query_scalar("SELECT max(version) FROM catalog._sqlx_migrations")
        .fetch_one(&pool)
        .await
        .unwrap();
    assert!(applied > 1, "{applied}");
    // A schema that another release has changed under it ends the deploy.
    sqlx::query("UPDATE catalog._sqlx_migrations SET checksum = '\\x00' WHERE version = 1")
        .execute(&pool)
        .await
        .unwrap();
    for (url, why) in [
        (database.url.as_str(), "cannot be migrated"),
        ("mysql://x", "DATABASE_URL"),
    ] {
        let ended = migrate(url).await;
        let said = String::from_utf8_lossy(&ended.stderr);
        assert!(!ended.status.success() && said.contains(why), "{said}");
    }
}
