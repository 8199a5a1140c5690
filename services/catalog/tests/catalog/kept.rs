//! What is kept beside products, so that large shops are read as fast as small ones: lists, and a sample for searches.
#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::fmt::Write as _;

use serde_json::json;
use steelyard_testkit::wait_for;

use crate::harness::{SOON, Shop, skus};

/// Most have their name from others, too, and some begin with a capital or with no ASCII: names alone put nothing in order.
fn name(number: usize) -> String {
    match number % 11 {
        0 => "Thing".to_owned(),
        1 => "\u{e4}rmel".to_owned(),
        2 => "\u{c4}rmel".to_owned(),
        _ => format!("thing {:03}", number / 7),
    }
}

fn sku(number: usize) -> String {
    format!("s{number:04}")
}

pub(crate) fn line(number: usize, category: &str, labels: &[(&str, &str)], price: &str) -> String {
    let attributes: serde_json::Map<_, _> = labels
        .iter()
        .map(|&(name, value)| (name.to_owned(), value.into()))
        .collect();
    json!({
        "sku": sku(number), "name": name(number), "category": category,
        "attributes": attributes, "prices": [{"currency": "GBP", "amount": price}],
    })
    .to_string()
}

pub(crate) async fn import(shop: &Shop, lines: impl Iterator<Item = String>) {
    let mut body = String::new();
    lines.for_each(|line| writeln!(body, "{line}").unwrap());
    let report = shop.import("", "application/x-ndjson", body).await.body;
    assert_eq!(report["failed"], 0, "{report}");
}

/// All SKUs of a list, page by page.
pub(crate) async fn all_pages(shop: &Shop, query: &str) -> Vec<String> {
    let (mut found, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = shop.get(&format!("?{query}{cursor}")).await;
        assert_eq!(page.status, 200, "{query}: {}", page.body);
        found.extend(skus(&page.body));
        match page.body["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return found,
        }
    }
}

#[tokio::test]
async fn what_lists_have_in_common_is_found_wherever_it_lies() {
    let shop = Shop::open().await;
    // The first thousand have one colour or the other, those after them both; the last have a finish that few have.
    let labels = |number: usize| {
        let mut labels = vec![];
        if number >= 1_000 || number.is_multiple_of(2) {
            labels.push(("inside", "red"));
        }
        if number >= 1_000 || !number.is_multiple_of(2) {
            labels.push(("outside", "red"));
        }
        if number % 500 == 499 {
            labels.push(("finish", "matt"));
        }
        labels
    };
    // A tree of more categories than are asked together, some of them below one of its own; some products are in none of these.
    let is_in_all = |number: usize| number % 9 != 8;
    let is_in_few = |number: usize| is_in_all(number) && number % 240 < 40;
    let category = |number: usize| {
        if is_in_all(number) {
            format!("c{}", number % 240)
        } else {
            "elsewhere".to_owned()
        }
    };
    let cents = |number: usize| 100 + number * 7 % 1_000;
    let price = |number: usize| format!("{}.{:02}", cents(number) / 100, cents(number) % 100);
    let lines = (0..2_200).map(|number| {
        let category = category(number);
        line(number, &category, &labels(number), &price(number))
    });
    import(&shop, lines).await;
    shop.put_category("all", json!({"name": "All"})).await;
    shop.put_category("few", json!({"name": "Few", "parent": "all"}))
        .await;
    for code in 0..240 {
        let parent = json!({"name": "C", "parent": if code < 40 { "few" } else { "all" }});
        shop.put_category(&format!("c{code}"), parent).await;
    }
    let has = |number: usize, label: (&str, &str)| labels(number).contains(&label);
    let both = |n: usize| has(n, ("inside", "red")) && has(n, ("outside", "red"));
    let cheap = |n: usize| (250..=260).contains(&cents(n));
    let matt = |n: usize| has(n, ("finish", "matt"));
    let lists: [(&str, &dyn Fn(usize) -> bool); 13] = [
        ("attributes=inside:red,outside:red", &both),
        ("attributes=inside:red,finish:matt", &|n| {
            has(n, ("inside", "red")) && matt(n)
        }),
        ("category=all", &is_in_all),
        ("category=few", &is_in_few),
        ("category=c3&attributes=finish:matt", &|n| {
            category(n) == "c3" && matt(n)
        }),
        ("category=c39&attributes=finish:matt", &|n| {
            category(n) == "c39" && matt(n)
        }),
        ("currency=GBP&price_min=2.5&price_max=2.6", &cheap),
        ("category=all&attributes=inside:red,outside:red", &|n| {
            is_in_all(n) && both(n)
        }),
        ("category=all&attributes=finish:matt", &|n| {
            is_in_all(n) && matt(n)
        }),
        ("category=few&attributes=inside:red,outside:red", &|n| {
            is_in_few(n) && both(n)
        }),
        (
            "category=all&currency=GBP&price_min=2.5&price_max=2.6",
            &|n| is_in_all(n) && cheap(n),
        ),
        (
            "category=all&attributes=inside:red,outside:red&currency=GBP&price_min=2.5&price_max=2.6",
            &|n| is_in_all(n) && both(n) && cheap(n),
        ),
        (
            "attributes=finish:matt%7Cglossy&currency=GBP&price_min=1",
            &matt,
        ),
    ];
    for (query, is_in) in lists {
        let mut expected: Vec<_> = (0..2_200).filter(|n| is_in(*n)).collect();
        // By the code points of their names, and by SKU where these are the same.
        expected.sort_by_key(|n| (name(*n), *n));
        let expected: Vec<_> = expected.into_iter().map(sku).collect();
        for limit in [37, 100] {
            let found = all_pages(&shop, &format!("{query}&limit={limit}")).await;
            assert_eq!(found, expected, "{query}, {limit}");
        }
        for limit in [1, 7] {
            let first = shop.get(&format!("?{query}&limit={limit}")).await.body;
            let expected: Vec<_> = expected.iter().take(limit).cloned().collect();
            assert_eq!(skus(&first), expected, "{query}, {limit}");
        }
    }
}

/// Labels and words as lists and the sample must have them, less what they have and the other way round.
pub(crate) async fn differences(shop: &Shop) -> Vec<String> {
    sqlx::query_scalar(
        "WITH right_lists AS (
             SELECT label, name, sku FROM products, unnest(facets) AS label
             WHERE variant_of IS NULL AND status = 'active' AND label NOT LIKE '$%=%'
         ), right_sample AS (
             SELECT sku, shown, doc FROM search_docs
             WHERE active AND left(md5(sku), 1) IN ('0', '1', '2', '3')
         )
         SELECT 'missing in lists: ' || line::text FROM
             (SELECT * FROM right_lists EXCEPT SELECT label, name, sku FROM listed) AS line
         UNION ALL
         SELECT 'left over in lists: ' || line::text FROM
             (SELECT label, name, sku FROM listed EXCEPT SELECT * FROM right_lists) AS line
         UNION ALL
         SELECT 'missing in the sample: ' || line::text FROM
             (SELECT * FROM right_sample EXCEPT SELECT sku, shown, doc FROM search_sample) AS line
         UNION ALL
         SELECT 'wrong labels of ' || docs.sku || ': ' || docs.labels::text
         FROM search_docs AS docs JOIN products ON products.sku = docs.shown
         JOIN products AS own ON own.sku = docs.sku AND coalesce(own.variant_of, own.sku) = docs.shown
         WHERE docs.labels <> ARRAY(SELECT label FROM unnest(products.facets) AS label WHERE label NOT LIKE '$%=%')
             || ('$category=' || coalesce(products.category, ''))
         UNION ALL
         SELECT 'left over in the sample: ' || line::text FROM
             (SELECT sku, shown, doc FROM search_sample EXCEPT SELECT * FROM right_sample) AS line",
    )
    .fetch_all(&shop.pool)
    .await
    .unwrap()
}

/// How many rows the lists and the sample have.
pub(crate) async fn kept(shop: &Shop) -> (i64, i64) {
    sqlx::query_as("SELECT (SELECT count(*) FROM listed), (SELECT count(*) FROM search_sample)")
        .fetch_one(&shop.pool)
        .await
        .unwrap()
}

#[tokio::test]
async fn lists_and_sample_are_right_whatever_a_release_before_this_one_writes() {
    let shop = Shop::open().await;
    let labels = [("brand", "Acme"), ("colour", "red")];
    import(
        &shop,
        (0..200).map(|number| line(number, "c", &labels, "2.50")),
    )
    .await;
    let (lists, sample) = kept(&shop).await;
    assert_eq!(lists, 600, "two attributes and a price step each");
    assert!((1..200).contains(&sample), "{sample}");
    assert_eq!(differences(&shop).await, [] as [String; 0]);
    // Statements of releases that know neither the lists nor the sample.
    for statement in [
        "INSERT INTO products (sku, name, tax_category, status, prices)
             SELECT 'new' || number, 'New', 'standard', 'active', '[]' FROM generate_series(1, 50) AS number",
        "INSERT INTO stock (sku) SELECT sku FROM products WHERE sku LIKE 'new%'",
        "INSERT INTO products (sku, name, tax_category, status, prices, labels, facets)
             SELECT 'old' || number, 'Old', 'standard', 'active', '[]', '{brand=Bolt}', '{brand=Bolt,$GBP:9}'
             FROM generate_series(1, 50) AS number
             ON CONFLICT (sku) DO NOTHING",
        "INSERT INTO search_docs (sku, shown, active, doc)
             SELECT 'old' || number, 'old' || number, true, 'old' FROM generate_series(1, 50) AS number
             ON CONFLICT (sku) DO UPDATE SET doc = excluded.doc",
        "INSERT INTO search_docs (sku, shown, active, doc)
             SELECT 'old' || number, 's0001', true, 'older' FROM generate_series(20, 70) AS number
             ON CONFLICT (sku) DO UPDATE SET shown = excluded.shown, doc = excluded.doc",
        "UPDATE search_docs SET active = false WHERE sku < 's0100'",
        "UPDATE search_docs SET active = true WHERE sku < 's0050'",
        "DELETE FROM search_docs WHERE sku BETWEEN 's0150' AND 's0160'",
        "UPDATE products SET name = 'Another ' || sku, version = version + 1 WHERE sku < 's0120'",
        "UPDATE products SET status = 'archived', version = version + 1 WHERE sku BETWEEN 's0030' AND 's0080'",
        "UPDATE products SET status = 'active' WHERE sku BETWEEN 's0030' AND 's0040'",
        "UPDATE products SET facets = '{brand=Bolt,$EUR:7,$EUR=1.23}' WHERE sku BETWEEN 's0100' AND 's0110'",
        "UPDATE products SET category = 'd' WHERE sku IN ('s0001', 's0105')",
        "UPDATE products SET variant_of = 's0000', version = version + 1 WHERE sku BETWEEN 's0120' AND 's0125'",
        "DELETE FROM products WHERE sku LIKE 'old%'",
    ] {
        sqlx::query(statement).execute(&shop.pool).await.unwrap();
        assert_eq!(
            differences(&shop).await,
            [] as [String; 0],
            "after {statement}"
        );
    }
    // And the words and labels that they did not make are made for them.
    wait_for("what was written is indexed", SOON, async || {
        let stale = "SELECT count(*) FROM products WHERE indexed_version IS DISTINCT FROM version";
        let stale: i64 = sqlx::query_scalar(stale)
            .fetch_one(&shop.pool)
            .await
            .unwrap();
        stale == 0
    })
    .await;
    assert_eq!(differences(&shop).await, [] as [String; 0]);
    assert_eq!(all_pages(&shop, "q=new&limit=100").await.len(), 50);
    // What a variant is found by is its product's, here and from now on.
    let statement =
        "UPDATE products SET category = 'e', facets = '{brand=Bolt}' WHERE sku = 's0000'";
    sqlx::query(statement).execute(&shop.pool).await.unwrap();
    let variants = "SELECT count(*) FROM search_docs
                    WHERE shown = 's0000' AND sku <> shown AND labels = '{brand=Bolt,$category=e}'";
    let variants: i64 = sqlx::query_scalar(variants)
        .fetch_one(&shop.pool)
        .await
        .unwrap();
    assert_eq!(variants, 6);
    assert_eq!(differences(&shop).await, [] as [String; 0]);
}
