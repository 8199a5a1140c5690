//! Products and stock bookings.

use serde_json::{Value, json};
use steelyard_domain::internal::paths::{PRODUCTS, RELEASE};

use crate::harness::{Answer, Shop, id, order, product};

#[tokio::test]
async fn a_product_is_made_replaced_and_left_alone_when_nothing_changes() {
    let shop = Shop::open().await;
    let body = json!({
        "name": "A lamp", "description": "Two\nlines", "category": "lamps",
        "prices": [{"currency": "GBP", "amount": "2.50"}, {"currency": "EUR", "amount": "3"}],
        "stock": {"adjust": 7, "reference": "r1"},
    });
    let made = shop.put("BANK%20CHARGES", body.clone()).await;
    assert_eq!(made.status, 201);
    let expected = json!({
        "sku": "BANK CHARGES", "name": "A lamp", "description": "Two\nlines", "category": "lamps",
        "prices": [{"currency": "EUR", "amount": "3"}, {"currency": "GBP", "amount": "2.50"}],
        "tax_category": "standard", "status": "active", "available": 7, "version": 1,
        "updated_at": made.body["updated_at"],
    });
    assert_eq!(made.body, expected);

    let mut same = body.clone();
    same["prices"].as_array_mut().unwrap().reverse();
    let again = shop.put("BANK%20CHARGES", same).await;
    assert_eq!(
        (again.status, &again.body),
        (200, &expected),
        "nor is the stock booked twice"
    );

    let mut other = body;
    other["status"] = json!("archived");
    other["stock"] = Value::Null;
    let changed = shop.put("BANK%20CHARGES", other).await;
    assert_eq!(changed.body["version"], 2);
    assert_eq!(
        shop.get("/BANK%20CHARGES").await.problem(),
        (404, "not_found", "")
    );
    assert_eq!(
        shop.get("/BANK%20CHARGES?include=all").await.body,
        changed.body
    );
}

#[tokio::test]
async fn an_etag_changes_with_the_product_and_with_its_stock() {
    let shop = Shop::open().await;
    shop.stock(&[("a", 7)]).await;
    let etag = shop.get("/a").await.etag.unwrap();
    let conditional = async |tag: String| {
        let request = shop
            .client
            .request(reqwest::Method::GET, &format!("{PRODUCTS}/a"));
        Answer::to(request.header("if-none-match", tag)).await
    };
    for tag in [etag.clone(), format!("\"x\", W/{etag}"), "*".to_owned()] {
        let answer = conditional(tag).await;
        assert_eq!((answer.status, answer.body), (304, Value::Null));
        assert_eq!(answer.etag.as_ref(), Some(&etag));
    }
    shop.reserve(&[order(1, &[("a", 1)])]).await;
    let answer = conditional(etag.clone()).await;
    assert_eq!((answer.status, &answer.body["available"]), (200, &json!(6)));
    let etag = answer.etag.unwrap();
    let mut renamed = product();
    renamed["name"] = json!("Another lamp");
    shop.put("a", renamed).await;
    assert_eq!(conditional(etag).await.status, 200);
}

#[tokio::test]
async fn a_list_is_read_page_by_page_each_product_once() {
    let shop = Shop::open().await;
    for (sku, name, category, status) in [
        ("1", "Red lamp", "lamps", "active"),
        ("2", "Blue lamp", "lamps", "active"),
        ("3", "Blue lamp", "lamps", "active"),
        ("4", "Green lamp", "lamps", "draft"),
        ("50%", "Red cup", "cups", "active"),
        ("50x", "Cup_holder", "cups", "active"),
    ] {
        let body = json!({"name": name, "category": category, "status": status, "prices": []});
        assert_eq!(shop.put(&sku.replace('%', "%25"), body).await.status, 201);
    }
    let skus = |page: &Value| -> Vec<String> {
        let data = page["data"].as_array().unwrap().iter();
        data.map(|product| product["sku"].as_str().unwrap().to_owned())
            .collect()
    };
    let mut seen = Vec::new();
    let mut path = "?limit=2".to_owned();
    loop {
        let page = shop.get(&path).await.body;
        assert!(skus(&page).len() <= 2);
        seen.extend(skus(&page));
        let Some(cursor) = page["next_cursor"].as_str() else {
            break;
        };
        path = format!("?limit=2&cursor={cursor}");
    }
    assert_eq!(seen, ["2", "3", "50x", "50%", "1"], "by name, then SKU");

    for (query, expected) in [
        ("category=lamps", vec!["2", "3", "1"]),
        ("category=lamps&include=all", vec!["2", "3", "4", "1"]),
        ("q=BLUE", vec!["2", "3"]),
        ("q=50%25", vec!["50%"]),
        ("q=cup+hol", vec!["50x"]),
        ("q=%20", vec!["2", "3", "50x", "50%", "1"]),
        ("q=none", vec![]),
        ("category=none", vec![]),
    ] {
        assert_eq!(
            skus(&shop.get(&format!("?{query}")).await.body),
            expected,
            "{query}"
        );
    }
    let cursor = shop.get("?limit=1&category=lamps").await.body["next_cursor"].clone();
    let cursor = cursor.as_str().unwrap();
    let page = shop.get(&format!("?category=lamps&cursor={cursor}")).await;
    assert_eq!(skus(&page.body), ["3", "1"]);
    for (query, place) in [
        (format!("cursor={cursor}"), "query/cursor"),
        (format!("category=lamps&cursor={cursor}x"), "query/cursor"),
        ("limit=0".into(), "query/limit"),
        ("limit=101".into(), "query/limit"),
        ("limit=x".into(), "query/limit"),
        ("q=%00".into(), "query/q"),
        ("q=%5C".into(), "query/q"),
        (format!("q={}", "x".repeat(10_000)), "query/q"),
        ("colour=red".into(), "query/colour"),
    ] {
        let answer = shop.get(&format!("?{query}")).await;
        let (status, _, pointer) = answer.problem();
        assert_eq!((status, pointer), (400, place), "{query}: {}", answer.body);
    }
}

#[tokio::test]
async fn stock_is_booked_once_per_reference_and_never_below_what_orders_hold() {
    let shop = Shop::open().await;
    shop.stock(&[("a", 10)]).await;
    shop.reserve(&[order(1, &[("a", 4)])]).await;
    let level = |on_hand: i64, booked: bool| json!({"sku": "a", "on_hand": on_hand, "reserved": 4, "available": on_hand - 4, "booked": booked});
    let book = async |adjust: i64, reference: &str| {
        shop.adjust(
            "a",
            json!({"adjust": adjust, "reference": reference, "reason": "count"}),
        )
        .await
    };
    assert_eq!(book(5, "r1").await.body, level(15, true));
    assert_eq!(book(6, "r1").await.body, level(15, false));
    assert_eq!(
        book(-12, "r2").await.problem(),
        (409, "stock_reserved", "/adjust")
    );
    assert_eq!(
        book(-11, "r2").await.body,
        level(4, true),
        "a refused reference is free"
    );
    assert_eq!(
        book(0, "r3").await.problem(),
        (422, "validation_failed", "/adjust")
    );
    let unknown = shop
        .adjust("b", json!({"adjust": 1, "reference": "r"}))
        .await;
    assert_eq!(unknown.problem(), (404, "not_found", ""));

    let mut body = product();
    body["name"] = json!("Renamed");
    body["stock"] = json!({"adjust": -1, "reference": "r4"});
    assert_eq!(
        shop.put("a", body.clone()).await.problem(),
        (409, "stock_reserved", "/stock/adjust")
    );
    body["stock"] = json!({"adjust": -1, "reference": "r4", "location": "north"});
    shop.settle(RELEASE, &[id(1)]).await;
    assert_eq!(
        shop.put("a", body).await.problem(),
        (409, "stock_elsewhere", "/stock/location")
    );
    assert_eq!(
        shop.get("/a").await.body["name"],
        "A lamp",
        "neither is done"
    );
    shop.assert_books_are_right().await;
}

#[tokio::test]
async fn a_body_that_cannot_be_used_is_refused_with_its_place() {
    let shop = Shop::open().await;
    for (sku, body, place) in [
        ("a", json!({"name": "", "prices": []}), "/name"),
        (
            "a",
            json!({"name": "x", "prices": [], "colour": "red"}),
            "/colour",
        ),
        ("a", json!({"name": "x", "prices": [], "sku": "b"}), "/sku"),
        (
            "a",
            json!({"name": "x", "prices": [{"currency": "GBP", "amount": "1.23456"}]}),
            "/prices/0/amount",
        ),
        (
            "a",
            json!({"name": "x", "prices": [{"currency": "gbp", "amount": "1"}]}),
            "/prices/0/currency",
        ),
        (
            "a",
            json!({"name": "x", "prices": [], "stock": {"adjust": 0, "reference": "r"}}),
            "/stock/adjust",
        ),
        ("%20a", json!({"name": "x", "prices": []}), "path/sku"),
    ] {
        let answer = shop.put(sku, body).await;
        let (status, code, pointer) = answer.problem();
        assert_eq!(
            (status, code, pointer),
            (422, "validation_failed", place),
            "{}",
            answer.body
        );
    }
    assert_eq!(shop.get("?include=all").await.body["data"], json!([]));
}
