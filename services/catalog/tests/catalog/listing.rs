//! Lists: filters, facets, pages.

use std::fmt::Write as _;

use serde_json::{Value, json};
use steelyard_testkit::wait_for;

use crate::harness::{SOON, Shop, product, skus};

async fn shop() -> Shop {
    let shop = Shop::open().await;
    for (sku, category, brand, colour, price) in [
        ("a", "lamps", "Acme", "red", "2.50"),
        ("b", "lamps", "Acme", "blue", "3.00"),
        ("c", "cups", "Acme", "red", "0.99"),
        ("d", "cups", "Be, Co", "red", "250"),
    ] {
        let body = json!({
            "name": sku, "category": category, "attributes": {"brand": brand, "colour": colour},
            "prices": [{"currency": "GBP", "amount": price}],
        });
        assert_eq!(shop.put(sku, body).await.status, 201);
    }
    shop
}

#[tokio::test]
async fn a_list_is_filtered_by_category_attributes_and_price_together() {
    let shop = shop().await;
    for (query, expected) in [
        ("attributes=brand:Acme", vec!["a", "b", "c"]),
        ("attributes=brand:Acme,colour:red", vec!["a", "c"]),
        ("attributes=colour:red%7Cblue", vec!["a", "b", "c", "d"]),
        ("attributes=brand:Be%252C%20Co", vec!["d"]),
        ("attributes=brand:None", vec![]),
        ("category=lamps&attributes=colour:red", vec!["a"]),
        ("currency=GBP&price_min=2.5&price_max=3", vec!["a", "b"]),
        ("currency=GBP&price_min=2.51", vec!["b", "d"]),
        ("currency=GBP&price_max=2.4999", vec!["c"]),
        ("currency=EUR&price_min=0", vec![]),
        (
            "currency=GBP&price_max=3&attributes=colour:red&category=cups",
            vec!["c"],
        ),
    ] {
        assert_eq!(shop.skus(query).await, expected, "{query}");
    }
    for (query, place) in [
        ("price_min=1", "query/currency"),
        ("currency=GBP&price_min=-1", "query/price_min"),
        ("currency=GBP&price_min=2&price_max=1", "query/price_max"),
        ("currency=pounds&price_min=2", "query/currency"),
        ("attributes=brand", "query/attributes"),
        ("country=gb", "query/country"),
        ("groups=A", "query/groups"),
    ] {
        let refused = shop.get(&format!("?{query}")).await;
        assert_eq!(refused.problem(), (400, "invalid_query", place), "{query}");
    }
}

#[tokio::test]
async fn a_list_by_one_attribute_follows_every_change_and_is_paged_by_name() {
    let shop = shop().await;
    let acme = "attributes=brand:Acme";
    let product = |name: &str, brand: &str, status: &str| json!({"name": name, "attributes": {"brand": brand}, "prices": [], "status": status});
    shop.put("a", product("x", "Acme", "active")).await;
    assert_eq!(shop.skus(acme).await, ["b", "c", "a"], "renamed");
    shop.put("b", product("b", "Bolt", "active")).await;
    shop.put("d", product("d", "Acme", "active")).await;
    assert_eq!(shop.skus(acme).await, ["c", "d", "a"], "of another brand");
    shop.put("c", product("c", "Acme", "archived")).await;
    assert_eq!(shop.skus(acme).await, ["d", "a"], "archived");
    shop.put("c", product("c", "Acme", "active")).await;
    let both = "attributes=brand:Bolt%7CAcme";
    assert_eq!(shop.skus(both).await, ["b", "c", "d", "a"], "two values");
    let (mut found, mut cursor) = (Vec::new(), String::new());
    for _ in 0..4 {
        let page = shop.get(&format!("?limit=1&{both}{cursor}")).await.body;
        found.extend(skus(&page));
        cursor = match page["next_cursor"].as_str() {
            Some(next) => format!("&cursor={next}"),
            None => break,
        };
    }
    assert_eq!(found, ["b", "c", "d", "a"], "page by page");
}

#[tokio::test]
async fn facets_count_the_products_of_all_pages() {
    let shop = shop().await;
    let page = shop
        .get("?limit=1&facets=true&attributes=brand:Acme")
        .await
        .body;
    assert_eq!(page["data"].as_array().unwrap().len(), 1);
    let counts = |list: &Value| {
        let list = list.as_array().unwrap().clone();
        list.iter()
            .map(|one| format!("{}: {}", one["value"].as_str().unwrap(), one["products"]))
            .collect::<Vec<_>>()
    };
    let facets = &page["facets"];
    assert_eq!(
        (&facets["products"], &facets["is_exact"]),
        (&json!(3), &json!(true))
    );
    assert_eq!(counts(&facets["categories"]), ["lamps: 2", "cups: 1"]);
    assert_eq!(
        counts(&facets["attributes"]["colour"]),
        ["red: 2", "blue: 1"]
    );
    let searched = shop.get("?q=red&facets=true").await.body;
    assert_eq!(
        counts(&searched["facets"]["categories"]),
        ["cups: 2", "lamps: 1"]
    );
    assert_eq!(shop.get("").await.body["facets"], Value::Null);
}

#[tokio::test]
async fn a_product_is_found_by_what_its_variants_have() {
    let shop = Shop::open().await;
    shop.put("SHIRT", json!({"name": "A shirt", "prices": []}))
        .await;
    for (size, price) in [("M", "5"), ("L", "50")] {
        let body = json!({"name": "A shirt", "variant_of": "SHIRT", "options": {"size": size},
            "prices": [{"currency": "GBP", "amount": price}]});
        assert_eq!(shop.put(&format!("S{size}"), body).await.status, 201);
    }
    for (query, expected) in [
        ("attributes=size:M", vec!["SHIRT"]),
        ("attributes=size:S", vec![]),
        ("currency=GBP&price_min=50&price_max=50", vec!["SHIRT"]),
        ("currency=GBP&price_min=6&price_max=49", vec![]),
        ("q=sl", vec!["SHIRT"]),
    ] {
        assert_eq!(shop.skus(query).await, expected, "{query}");
    }
    // A variant that moves to another product takes its labels along; so does one that is no longer for sale.
    shop.put("OTHER", product()).await;
    let moved =
        json!({"name": "A shirt", "variant_of": "OTHER", "options": {"size": "L"}, "prices": []});
    shop.put("SL", moved).await;
    assert_eq!(shop.skus("attributes=size:L").await, ["OTHER"]);
    let archived = json!({"name": "A shirt", "variant_of": "SHIRT", "options": {"size": "M"}, "prices": [],
        "status": "archived"});
    shop.put("SM", archived).await;
    assert_eq!(shop.skus("attributes=size:M").await, [] as [&str; 0]);
}

#[tokio::test]
async fn pages_of_a_tree_of_categories_hold_each_product_once_and_in_order() {
    let shop = Shop::open().await;
    shop.put_category("all", json!({"name": "All"})).await;
    let mut body = String::new();
    for number in 0..120 {
        let name = format!("{:03}", number * 37 % 120);
        let line = json!({"sku": format!("s{number}"), "name": name, "prices": [], "category": format!("c{}", number % 7)});
        writeln!(body, "{line}").unwrap();
    }
    shop.import("", "application/x-ndjson", body).await;
    for number in 0..7 {
        let made = json!({"name": "C", "parent": "all"});
        shop.put_category(&format!("c{number}"), made).await;
    }
    let mut names = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = shop
            .get(&format!("?category=all&limit=11{cursor}"))
            .await
            .body;
        let data = page["data"].as_array().unwrap();
        names.extend(
            data.iter()
                .map(|product| product["name"].as_str().unwrap().to_owned()),
        );
        let Some(next) = page["next_cursor"].as_str() else {
            break;
        };
        cursor = format!("&cursor={next}");
    }
    let expected: Vec<_> = (0..120).map(|number| format!("{number:03}")).collect();
    assert_eq!(names, expected);
    assert_eq!(
        skus(&shop.get("?category=c3&limit=100").await.body).len(),
        17
    );
}

#[tokio::test]
async fn what_an_older_release_wrote_is_found_soon_and_a_price_that_turns_is_listed_soon() {
    let shop = Shop::open().await;
    shop.stock(&[("a", 1)]).await;
    // As a release that knows no labels and no search would.
    sqlx::query("UPDATE products SET name = 'A lantern', version = version + 1")
        .execute(&shop.pool)
        .await
        .unwrap();
    wait_for("it is found by its new name", SOON, async || {
        shop.skus("q=lantern").await == ["a"]
    })
    .await;
    assert_eq!(
        shop.skus("currency=GBP&price_min=2.5&price_max=2.5").await,
        ["a"]
    );
    // The price ended, and nobody wrote the product since.
    sqlx::query(
        "UPDATE products SET due_at = now(),
                prices = '[{\"currency\": \"GBP\", \"amount\": \"7\"}]'",
    )
    .execute(&shop.pool)
    .await
    .unwrap();
    wait_for("it is listed by its new price", SOON, async || {
        shop.skus("currency=GBP&price_min=7&price_max=7").await == ["a"]
    })
    .await;
}
