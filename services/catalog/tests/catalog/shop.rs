//! A shop's catalog: variants, categories, languages, prices by list and time, stock by place, who changed what.

use serde_json::{Value, json};
use steelyard_domain::internal::paths::{CATEGORIES, CONSUME, RESTOCK};
use steelyard_domain::order::Reason;

use crate::harness::{Answer, Shop, id, is_reserved, order, product, rejection};

#[tokio::test]
async fn a_product_is_shown_with_its_variants_and_each_is_ordered_by_its_own_sku() {
    let shop = Shop::open().await;
    let shirt = json!({"name": "A shirt", "prices": [], "attributes": {"brand": "Acme"}});
    assert_eq!(shop.put("SHIRT", shirt.clone()).await.status, 201);
    let variant = |size: &str| {
        let mut body = product();
        body["variant_of"] = json!("SHIRT");
        body["options"] = json!({"size": size});
        body["stock"] = json!({"adjust": 3, "reference": "r"});
        body
    };
    for size in ["M", "L"] {
        assert_eq!(
            shop.put(&format!("SHIRT-{size}"), variant(size))
                .await
                .status,
            201
        );
    }
    let shown = shop.get("/SHIRT").await.body;
    let variants = shown["variants"].as_array().unwrap();
    let options: Vec<_> = variants.iter().map(|one| &one["options"]["size"]).collect();
    assert_eq!(options, ["L", "M"]);
    assert_eq!(variants[0]["prices"][0]["amount"], "2.50");
    assert_eq!(variants[0]["available"], 3);
    assert_eq!(shop.get("/SHIRT-M").await.body["variant_of"], "SHIRT");
    assert_eq!(shop.skus("").await, ["SHIRT"], "a list shows it once");
    assert!(is_reserved(
        &shop.reserve(&[order(1, &[("SHIRT-M", 2)])]).await[0]
    ));
    assert_eq!(shop.get("/SHIRT").await.body["variants"][1]["available"], 1);

    let of = |of: &str, options: Value| {
        let mut body = product();
        body["variant_of"] = json!(of);
        body["options"] = options;
        body
    };
    for (sku, body, place, code) in [
        (
            "X",
            of("NONE", json!({"size": "M"})),
            "/variant_of",
            "unknown",
        ),
        (
            "X",
            of("SHIRT-M", json!({"size": "S"})),
            "/variant_of",
            "is_a_variant",
        ),
        (
            "SHIRT",
            of("OTHER", json!({"size": "S"})),
            "/variant_of",
            "has_variants",
        ),
        (
            "X",
            of("SHIRT", json!({"size": "M"})),
            "/options",
            "duplicate",
        ),
        (
            "X",
            of("SHIRT", json!({"colour": "red"})),
            "/options",
            "mismatch",
        ),
        ("X", of("SHIRT", json!({})), "/options", "required"),
    ] {
        if sku == "SHIRT" {
            assert_eq!(shop.put("OTHER", product()).await.status, 201);
        }
        let refused = shop.put(sku, body).await;
        assert_eq!(
            refused.problem(),
            (422, "validation_failed", place),
            "{code}"
        );
        assert_eq!(refused.body["errors"][0]["code"], code);
    }
    // The same again is no duplicate of itself.
    assert_eq!(shop.put("SHIRT-M", variant("M")).await.status, 200);
}

#[tokio::test]
async fn categories_are_a_tree_without_circles() {
    let shop = Shop::open().await;
    let named = |name: &str, parent: Option<&str>| json!({"name": name, "parent": parent});
    assert_eq!(
        shop.put_category("home", named("Home", None)).await.status,
        201
    );
    for (code, parent) in [("lamps", "home"), ("desk-lamps", "lamps")] {
        let made = shop.put_category(code, named(code, Some(parent))).await;
        assert_eq!(made.status, 201, "{}", made.body);
    }
    for (code, parent, fault) in [
        ("home", "home", "cycle"),
        ("home", "desk-lamps", "cycle"),
        ("home", "none", "unknown"),
    ] {
        let refused = shop.put_category(code, named("Home", Some(parent))).await;
        assert_eq!(refused.problem(), (422, "validation_failed", "/parent"));
        assert_eq!(refused.body["errors"][0]["code"], fault);
    }
    for n in 0..13 {
        let parent = if n == 0 {
            "desk-lamps".to_owned()
        } else {
            format!("c{}", n - 1)
        };
        let made = shop
            .put_category(&format!("c{n}"), named("C", Some(&parent)))
            .await;
        assert_eq!(made.status, 201, "{n}: {}", made.body);
    }
    let deep = shop.put_category("c13", named("C", Some("c12"))).await;
    assert_eq!(deep.body["errors"][0]["code"], "too_deep");

    let mut lamp = product();
    lamp["category"] = json!("desk-lamps");
    shop.put("L1", lamp.clone()).await;
    lamp["category"] = json!("new-ones");
    shop.put("L2", lamp).await;
    assert_eq!(shop.skus("category=home").await, ["L1"]);
    assert_eq!(shop.skus("category=desk-lamps").await, ["L1"]);
    assert_eq!(shop.skus("category=c0").await, [] as [&str; 0]);

    let translated = json!({"name": "Lamps", "parent": "home", "translations": {"de": "Lampen"}});
    let changed = shop.put_category("lamps", translated).await;
    assert_eq!((changed.status, &changed.body["version"]), (200, &json!(2)));
    let list = async |query: &str| {
        let path = format!("{CATEGORIES}{query}");
        Answer::to(shop.client.request(reqwest::Method::GET, &path))
            .await
            .body
    };
    let below = list("?parent=home&lang=de-CH").await;
    assert_eq!(below["data"][0]["name"], "Lampen");
    let first = list("?limit=1").await;
    assert_eq!(first["data"][0]["code"], "c0");
    let cursor = first["next_cursor"].as_str().unwrap();
    assert_eq!(
        list(&format!("?limit=1&cursor={cursor}")).await["data"][0]["code"],
        "c1"
    );
    let all = list("").await["data"].as_array().unwrap().clone();
    assert!(
        all.iter().any(|category| category["code"] == "new-ones"),
        "what a product names is made"
    );
}

#[tokio::test]
async fn the_price_that_applies_goes_by_list_and_time_in_what_is_shown_and_what_is_charged() {
    let shop = Shop::open().await;
    let body = json!({"name": "A lamp", "prices": [
        {"currency": "GBP", "amount": "2.50"},
        {"currency": "GBP", "amount": "2", "valid_from": "2001-01-01T00:00:00Z", "valid_until": "2001-02-01T01:00:00+01:00"},
        {"currency": "GBP", "amount": "3", "list": "country:IE"},
        {"currency": "GBP", "amount": "1.5", "list": "group:trade"},
    ], "stock": {"adjust": 100, "reference": "r"}});
    assert_eq!(shop.put("a", body.clone()).await.status, 201);
    let shown = async |query: &str| {
        let prices = shop.get(&format!("/a{query}")).await.body["prices"].clone();
        assert_eq!(prices.as_array().unwrap().len(), 1, "{prices}");
        prices[0]["amount"].as_str().unwrap().to_owned()
    };
    assert_eq!(shown("").await, "2.50");
    assert_eq!(shown("?country=IE").await, "3");
    assert_eq!(shown("?country=IE&groups=staff,trade").await, "1.5");
    let all = shop.get("/a?include=all").await.body;
    assert_eq!(all["prices"].as_array().unwrap().len(), 4);

    let asked = |number: u128, at: &str, country: &str, shown: &str| {
        let mut asked = order(number, &[("a", 1)]);
        asked["at"] = json!(at);
        asked["country"] = json!(country);
        asked["lines"][0]["unit_price"] = json!(shown);
        asked
    };
    let results = shop
        .reserve(&[
            asked(1, "2000-12-31T23:59:59Z", "GB", "2.5"),
            asked(2, "2001-01-01T00:00:00Z", "GB", "2"),
            asked(3, "2001-01-31T23:59:59Z", "GB", "2.5"),
            asked(4, "2001-02-01T00:00:00Z", "GB", "2.5"),
            asked(5, "2001-01-15T00:00:00Z", "IE", "3"),
        ])
        .await;
    let rejected: Vec<_> = results.iter().map(rejection).collect();
    assert_eq!(
        rejected,
        [None, None, Some((Reason::PriceChanged, 0)), None, None]
    );

    let mut same = body.clone();
    same["prices"][1]["valid_until"] = json!("2001-02-01T00:00:00Z");
    assert_eq!(
        shop.put("a", same).await.body["version"],
        1,
        "the same moment in another zone"
    );
    let mut overlapping = body;
    overlapping["prices"][0]["valid_from"] = json!("2001-01-15T00:00:00Z");
    let refused = shop.put("a", overlapping).await;
    assert_eq!(
        refused.problem(),
        (422, "validation_failed", "/prices/0/valid_from")
    );
    assert_eq!(refused.body["errors"][0]["code"], "overlapping");
}

#[tokio::test]
async fn words_are_in_the_language_asked_for_or_the_next_one_that_there_is() {
    let shop = Shop::open().await;
    let mut body = product();
    body["description"] = json!("Bright");
    body["translations"] = json!({
        "de": {"name": "Eine Leuchte", "description": "Hell"}, "de-CH": {"name": "Eine Lampe"},
    });
    assert_eq!(shop.put("a", body).await.status, 201);
    for (lang, name, description, language) in [
        ("", "A lamp", "Bright", Value::Null),
        ("?lang=fr", "A lamp", "Bright", Value::Null),
        ("?lang=de-AT", "Eine Leuchte", "Hell", json!("de")),
        ("?lang=de-CH", "Eine Lampe", "Hell", json!("de-CH")),
    ] {
        let shown = shop.get(&format!("/a{lang}")).await.body;
        assert_eq!(
            (&shown["name"], &shown["description"], &shown["language"]),
            (&json!(name), &json!(description), &language),
            "{lang}"
        );
    }
    assert_eq!(
        shop.get("?lang=de").await.body["data"][0]["name"],
        "Eine Leuchte"
    );
    assert_eq!(
        shop.get("/a?lang=german").await.problem(),
        (400, "invalid_query", "query/lang")
    );
}

#[tokio::test]
async fn of_two_who_change_the_same_version_one_is_refused() {
    let shop = Shop::open().await;
    let named =
        |name: &str| json!({"name": name, "prices": [], "stock": {"adjust": 1, "reference": name}});
    let made = shop
        .put_if("a", &[("if-none-match", "*")], named("First"))
        .await;
    assert_eq!(made.status, 201);
    let again = shop
        .put_if("a", &[("if-none-match", "*")], named("Other"))
        .await;
    assert_eq!(again.problem(), (412, "precondition_failed", ""));

    let read = shop.get("/a").await.etag.unwrap();
    shop.adjust("a", json!({"adjust": 5, "reference": "count"}))
        .await;
    let one = shop
        .put_if("a", &[("if-match", &read)], named("Second"))
        .await;
    assert_eq!(
        one.status, 200,
        "stock that moved is no change of the product: {}",
        one.body
    );
    let two = shop
        .put_if("a", &[("if-match", &read)], named("Third"))
        .await;
    assert_eq!(two.problem(), (412, "precondition_failed", ""));
    let source = shop.get("/a/source").await;
    assert_eq!(source.body["name"], "Second");
    let third = shop
        .put_if("a", &[("if-match", &source.etag.unwrap())], named("Third"))
        .await;
    assert_eq!(third.status, 200);
    let none = shop.put_if("b", &[("if-match", "*")], named("New")).await;
    assert_eq!(none.problem(), (412, "precondition_failed", ""));
    assert_eq!(
        shop.get("/b?include=all").await.status,
        404,
        "nothing is half-written"
    );
    assert_eq!(
        shop.get("/a").await.body["available"],
        8,
        "nor is stock booked by who was refused"
    );
    let foreign = shop
        .put_if("a", &[("if-match", "\"x\"")], named("Fourth"))
        .await;
    assert_eq!(foreign.status, 412);
    shop.assert_books_are_right().await;
}

#[tokio::test]
async fn stock_lies_in_places_and_every_booking_is_in_the_ledger() {
    let shop = Shop::open().await;
    shop.stock(&[("a", 5)]).await;
    let book = async |adjust: i64, reference: &str, location: &str| {
        let body = json!({"adjust": adjust, "reference": reference, "reason": "count", "location": location});
        shop.adjust("a", body).await
    };
    assert_eq!(book(7, "r1", "north").await.body["on_hand"], 12);
    assert_eq!(book(2, "r2", "south").await.status, 200);
    assert_eq!(
        book(-8, "r3", "north").await.problem(),
        (409, "stock_elsewhere", "/location")
    );
    assert_eq!(
        book(-6, "r3", "main").await.problem(),
        (409, "stock_elsewhere", "/location")
    );
    assert_eq!(book(-1, "r3", "north").await.status, 200);
    let places = async || {
        let stock = shop.get("/a/stock").await.body;
        let places = stock["locations"].as_array().unwrap().clone();
        places
            .iter()
            .map(|at| {
                (
                    at["location"].as_str().unwrap().to_owned(),
                    at["on_hand"].as_i64().unwrap(),
                )
            })
            .collect::<Vec<_>>()
    };
    let at = |main: i64, north: i64, south: i64| {
        [("main", main), ("north", north), ("south", south)]
            .into_iter()
            .filter(|(location, units)| *location == "main" || *units > 0)
            .map(|(location, units)| (location.to_owned(), units))
            .collect::<Vec<_>>()
    };
    assert_eq!(places().await, at(5, 6, 2));

    // Shipped from the main place first, then from the others; what comes back lies there.
    shop.reserve(&[order(1, &[("a", 12)])]).await;
    assert_eq!(
        book(-2, "r4", "north").await.problem(),
        (409, "stock_reserved", "/adjust")
    );
    shop.settle(CONSUME, &[id(1)]).await;
    assert_eq!(places().await, at(0, 0, 1));
    shop.assert_books_are_right().await;
    shop.settle(RESTOCK, &[id(1)]).await;
    assert_eq!(places().await, at(12, 0, 1));
    shop.assert_books_are_right().await;

    let first = shop.get("/a/stock?limit=2").await.body;
    let references = |page: &Value| {
        let bookings = page["bookings"].as_array().unwrap().clone();
        bookings
            .iter()
            .map(|b| b["reference"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(references(&first), ["r3", "r2"]);
    let cursor = first["next_cursor"].as_str().unwrap();
    let rest = shop
        .get(&format!("/a/stock?limit=2&cursor={cursor}"))
        .await
        .body;
    assert_eq!(references(&rest), ["r1", "first"]);
    assert_eq!(
        (&rest["next_cursor"], &rest["bookings"][0]["reason"]),
        (&Value::Null, &json!("count"))
    );
    assert_eq!(rest["bookings"][0]["booked_by"], "service");
}

#[tokio::test]
async fn it_is_known_who_changed_what_and_what_it_was_before() {
    let shop = Shop::open().await;
    let by = |name: &'static str| [("x-on-behalf-of", name)];
    shop.put_if("a", &by("anna"), product()).await;
    let mut dearer = product();
    dearer["prices"][0]["amount"] = json!("9");
    shop.put_if("a", &by("J%C3%BCrgen"), dearer.clone()).await;
    shop.put_if("a", &by("nobody"), dearer).await;
    let changes = shop.get("/a/changes").await.body;
    let told: Vec<_> = changes["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|change| {
            (
                change["version"].as_i64().unwrap(),
                change["by"].as_str().unwrap(),
            )
        })
        .collect();
    assert_eq!(
        told,
        [(2, "Jürgen"), (1, "anna")],
        "what changes nothing is no change"
    );
    assert_eq!(changes["data"][0]["before"]["prices"][0]["amount"], "2.50");
    assert_eq!(changes["data"][1]["before"], Value::Null);
    assert_eq!(shop.get("/none/changes").await.status, 404);
    for statement in [
        "UPDATE changes SET by = 'x'",
        "DELETE FROM changes",
        "TRUNCATE changes",
    ] {
        let refused = sqlx::query(statement).execute(&shop.pool).await;
        assert!(
            refused.unwrap_err().to_string().contains("append-only"),
            "{statement}"
        );
    }
}
