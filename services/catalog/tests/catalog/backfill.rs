//! Lists and sample as a migration finds them, and as several writers at once leave them.
#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::sync::Arc;

use serde_json::json;
use steelyard_store::{Database, PoolOptions, migrator, outbox};
use steelyard_testkit::wait_for;
use tokio::task::JoinSet;

use crate::harness::{SOON, Shop};
use crate::kept::{all_pages, differences, import, kept, line};

/// The schema of release 8, as it was released.
const RELEASE_8: [(i64, &str, &str); 8] = [
    (
        1,
        "catalog",
        include_str!("../../migrations/0001_catalog.sql"),
    ),
    (2, "shop", include_str!("../../migrations/0002_shop.sql")),
    (
        3,
        "imports",
        include_str!("../../migrations/0003_imports.sql"),
    ),
    (
        4,
        "search",
        include_str!("../../migrations/0004_search.sql"),
    ),
    (
        5,
        "unsettled",
        include_str!("../../migrations/0005_unsettled.sql"),
    ),
    (6, "outbox", outbox::DDL),
    (7, "media", include_str!("../../migrations/0007_media.sql")),
    (
        8,
        "listed",
        include_str!("../../migrations/0008_listed.sql"),
    ),
];

/// What release 8 wrote: 600 products, a third of them for sale, each with a variant that may be for sale or not, and the
/// words of all of them.
const ROWS_OF_RELEASE_8: [&str; 5] = [
    "INSERT INTO products (sku, name, tax_category, status, prices, attributes, labels, facets, indexed_version)
     SELECT 'p' || number, 'Thing ' || number % 7, 'standard',
            (ARRAY['active', 'draft', 'archived'])[1 + number % 3],
            '[{\"currency\": \"GBP\", \"amount\": \"2.50\"}]', jsonb_build_object('brand', 'B' || number % 5),
            ARRAY['brand=B' || number % 5, '$GBP:77', '$GBP=2.50'],
            ARRAY['brand=B' || number % 5, 'size=M', '$GBP:77', '$GBP=2.50'], 1
     FROM generate_series(1, 600) AS number",
    "INSERT INTO products (sku, name, tax_category, status, prices, variant_of, options, labels, facets, indexed_version)
     SELECT 'v' || number, 'Thing', 'standard', (ARRAY['active', 'draft', 'archived'])[1 + number % 2], '[]',
            'p' || number, '{\"size\": \"M\"}', '{size=M}', '{size=M}', 1
     FROM generate_series(1, 600) AS number",
    "INSERT INTO stock (sku) SELECT sku FROM products",
    "INSERT INTO search_docs (sku, shown, active, doc)
     SELECT sku, coalesce(variant_of, sku), status = 'active', setweight(to_tsvector('simple', name), 'A')
     FROM products",
    "INSERT INTO search_words (word) VALUES ('thing')",
];

#[tokio::test]
async fn what_the_release_before_wrote_is_in_lists_and_sample_once_it_is_migrated() {
    let database = steelyard_testkit::postgres().await;
    let options = PoolOptions {
        application_name: "release-8",
        ..PoolOptions::new("catalog")
    };
    let before = Database::new(&database.url, &options, migrator(RELEASE_8)).unwrap();
    before.migrate_within(SOON).await.unwrap();
    for statement in ROWS_OF_RELEASE_8 {
        sqlx::query(statement).execute(before.pool()).await.unwrap();
    }
    let listed: i64 = sqlx::query_scalar("SELECT count(*) FROM listed")
        .fetch_one(before.pool())
        .await
        .unwrap();
    assert_eq!(listed, 400, "an attribute and an option of each");
    before.pool().close().await;

    let url = database.url.clone();
    let shop = Shop::start(database, url, &[]).await;
    wait_for("the catalog is ready", SOON, async || shop.is_ready().await).await;
    assert_eq!(differences(&shop).await, [] as [String; 0]);
    let (lists, sample) = kept(&shop).await;
    assert_eq!(lists, 600, "a price step more of each");
    // Of 200 products and 300 variants.
    assert!((60..200).contains(&sample), "{sample}");
    for query in [
        "currency=GBP&price_min=2.5&price_max=2.5",
        "attributes=size:M&currency=GBP&price_max=3&price_min=2",
        "q=thing",
    ] {
        let found = all_pages(&shop, &format!("{query}&limit=100")).await;
        assert_eq!(found.len(), 200, "{query}");
    }
}

/// Runs `second` while `first` is not committed, so that it waits for it, and then both to their end.
async fn at_once(shop: &Shop, first: &'static str, second: &'static str) {
    let mut transaction = shop.pool.begin().await.unwrap();
    sqlx::query(first).execute(&mut *transaction).await.unwrap();
    let pool = shop.pool.clone();
    let waiting = tokio::spawn(async move { sqlx::query(second).execute(&pool).await });
    wait_for("the second waits for the first", SOON, async || {
        let waits = "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database()
                                    AND application_name = 'test' AND wait_event_type = 'Lock')";
        let waits: bool = sqlx::query_scalar(waits)
            .fetch_one(&shop.pool)
            .await
            .unwrap();
        waits
    })
    .await;
    transaction.commit().await.unwrap();
    waiting.await.unwrap().unwrap();
}

#[tokio::test]
async fn lists_and_sample_are_right_when_two_write_the_same_products_at_once() {
    let shop = Shop::open().await;
    let lines = (0..200).map(|number| line(number, "c", &[("brand", "Acme")], "2.50"));
    import(&shop, lines).await;
    for (first, second) in [
        (
            "UPDATE products SET name = 'First ' || sku WHERE sku < 's0060'",
            "UPDATE products SET name = 'Second ' || sku WHERE sku BETWEEN 's0030' AND 's0090'",
        ),
        (
            "UPDATE products SET status = 'archived' WHERE sku < 's0060'",
            "UPDATE products SET facets = '{brand=Bolt,$GBP:7}' WHERE sku < 's0090'",
        ),
        (
            "UPDATE products SET status = 'active' WHERE sku < 's0060'",
            "UPDATE products SET name = 'Third ' || sku WHERE status = 'archived' OR sku < 's0090'",
        ),
        (
            "INSERT INTO products (sku, name, tax_category, status, prices, facets, indexed_version)
             SELECT 'x' || number, 'X', 'standard', 'active', '[]', '{brand=X}', 1 FROM generate_series(1, 90) AS number",
            "INSERT INTO products (sku, name, tax_category, status, prices, facets, indexed_version)
             SELECT 'x' || number, 'Y', 'standard', 'active', '[]', '{brand=Y}', 1 FROM generate_series(1, 90) AS number
             ON CONFLICT (sku) DO UPDATE SET name = excluded.name, facets = excluded.facets",
        ),
        (
            "DELETE FROM products WHERE sku BETWEEN 'x1' AND 'x5'",
            "UPDATE products SET name = 'Z', facets = '{brand=Z}' WHERE sku LIKE 'x%'",
        ),
        (
            "UPDATE search_docs SET active = false WHERE sku < 's0060'",
            "UPDATE search_docs SET doc = 'other' WHERE sku BETWEEN 's0030' AND 's0090'",
        ),
        (
            "UPDATE search_docs SET doc = 'one' WHERE sku < 's0060'",
            "UPDATE search_docs SET active = true, shown = 's0100' WHERE sku < 's0090'",
        ),
        (
            "INSERT INTO search_docs (sku, shown, active, doc)
             SELECT 'x' || number, 'x', true, 'first' FROM generate_series(1, 90) AS number",
            "INSERT INTO search_docs (sku, shown, active, doc)
             SELECT 'x' || number, 'x', number % 2 = 0, 'second' FROM generate_series(1, 120) AS number
             ON CONFLICT (sku) DO UPDATE SET active = excluded.active, doc = excluded.doc",
        ),
        (
            "DELETE FROM search_docs WHERE sku LIKE 'x%'",
            "UPDATE search_docs SET active = true, doc = 'third' WHERE sku LIKE 'x%' OR sku < 's0030'",
        ),
    ] {
        at_once(&shop, first, second).await;
        let wrong = differences(&shop).await;
        assert_eq!(wrong, [] as [String; 0], "{first} … {second}");
    }
}

/// Imports lines, again when every race was lost.
async fn sent(shop: &Shop, lines: &str) {
    for _ in 0..100 {
        let report = shop
            .import("", "application/x-ndjson", lines.to_owned())
            .await;
        if report.status == 200 {
            assert_eq!(report.body["failed"], 0, "{}", report.body);
            return;
        }
        assert_eq!(report.status, 503, "{}", report.body);
    }
    panic!("every race was lost, over and over");
}

#[tokio::test(flavor = "multi_thread")]
async fn imports_of_the_same_products_at_once_leave_lists_and_sample_right() {
    let shop = Arc::new(Shop::open().await);
    let parents = (0..4).map(|number| line(number, "c", &[], "1"));
    import(&shop, parents).await;
    let mut writers = JoinSet::new();
    for writer in 0..3_usize {
        let shop = Arc::clone(&shop);
        writers.spawn(async move {
            for round in 0..4_usize {
                let of = writer + round;
                let product = |number: usize| {
                    let mut product = json!({
                        "sku": format!("p{number:03}"), "name": format!("Thing {}", (number + of) % 3),
                        "attributes": {"brand": format!("B{}", (number + of) % 4)},
                        "status": if (number + of).is_multiple_of(5) { "archived" } else { "active" },
                        "prices": [{"currency": "GBP", "amount": (1 + of).to_string()}],
                    });
                    // Some are variants of one product, then of another.
                    if number.is_multiple_of(4) {
                        product["variant_of"] = json!(format!("s000{}", (number / 4 + of) % 4));
                        product["options"] = json!({"size": number.to_string()});
                    }
                    product.to_string()
                };
                let mut lines: Vec<String> = (0..120).map(product).collect();
                if writer % 2 == 1 {
                    lines.reverse();
                }
                sent(&shop, &lines.join("\n")).await;
            }
        });
    }
    writers.join_all().await;
    assert_eq!(differences(&shop).await, [] as [String; 0]);
    let (lists, sample) = kept(&shop).await;
    assert!(lists > 100 && sample > 10, "{lists}, {sample}");
    wait_for("nothing is stale", SOON, async || {
        let stale = "SELECT NOT EXISTS (SELECT FROM products WHERE indexed_version IS DISTINCT FROM version)";
        let fresh: bool = sqlx::query_scalar(stale).fetch_one(&shop.pool).await.unwrap();
        fresh
    })
    .await;
    assert_eq!(differences(&shop).await, [] as [String; 0]);
}
