//! Products are read all day: copies are as new as what was heard, and outlive the catalog.
#![expect(clippy::expect_used, reason = "a story stops at the first surprise")]

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use steelyard_testkit::wait_for;
use steelyard_tests::{Client, PATIENCE, Part, System};

/// A read of a product: its price, and what `Cache-Status` says.
async fn read(client: &Client) -> (Value, String) {
    let answer = client.call(Method::GET, "/v1/products/TEA").send().await;
    let answer = answer.expect("a gateway answers");
    assert_eq!(answer.status(), StatusCode::OK);
    let status = answer.headers()["cache-status"].to_str().expect("text");
    let status = status.to_owned();
    let body: Value = answer.json().await.expect("JSON");
    (body["prices"][0]["amount"].clone(), status)
}

async fn two_gateways_that_believe_copies_for_an_hour() -> System {
    let mut system = System::start().await;
    system.believe_copies_for("1h");
    system.down(Part::Gateway).await;
    system.up(Part::Gateway).await;
    system.up(Part::SecondGateway).await;
    system
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_price_is_shown_by_every_gateway_though_they_believe_their_copies_for_an_hour() {
    let system = two_gateways_that_believe_copies_for_an_hour().await;
    let office = system.client("office", "catalog:write");
    office.stock(&[("TEA", 10)]).await;
    let shop = system.balanced("shop", "storefront");
    for price in ["1.50", "2.50"] {
        for _ in 0..4 {
            read(shop.client()).await;
        }
        let product = json!({"name": "Tea", "prices": [{"currency": "GBP", "amount": price}]});
        let put = office.call(Method::PUT, "/v1/products/TEA").json(&product);
        let put = put.send().await.expect("the gateway answers");
        assert_eq!(put.status(), StatusCode::OK);
        wait_for("both gateways show the new price", PATIENCE, async || {
            // In turn, so each is asked.
            let (one, _) = read(shop.client()).await;
            let (other, _) = read(shop.client()).await;
            one == price && other == price
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_product_shows_its_variants_as_they_are_though_copies_are_believed_for_an_hour() {
    let system = two_gateways_that_believe_copies_for_an_hour().await;
    let office = system.client("office", "catalog:write");
    let shop = system.balanced("shop", "storefront");
    let put = async |sku: &str, body: Value| {
        let path = format!("/v1/products/{sku}");
        let put = office.call(Method::PUT, &path).json(&body).send().await;
        let status = put.expect("the gateway answers").status();
        assert!(status.is_success(), "{status}");
    };
    let variant = |of: &str, price: &str| {
        json!({"name": "A shirt", "variant_of": of, "options": {"size": "M"},
            "prices": [{"currency": "GBP", "amount": price}]})
    };
    // What both gateways show, asked in turn.
    let shown = async |path: &str, pointer: &str| {
        let (_, one) = shop.client().read(path).await;
        let (_, other) = shop.client().read(path).await;
        [one, other].map(|product| product.pointer(pointer).cloned().unwrap_or_default())
    };
    let becomes = async |path: &str, pointer: &str, wanted: Value| {
        let what = format!("{path} shows {wanted}");
        wait_for(&what, PATIENCE, async || {
            let shown = shown(path, pointer).await;
            shown.iter().all(|shown| *shown == wanted)
        })
        .await;
    };
    let (shirt, price) = ("/v1/products/SHIRT", "/variants/0/prices/0/amount");
    for sku in ["SHIRT", "OTHER"] {
        put(sku, json!({"name": "A shirt", "prices": []})).await;
    }
    put("S-M", variant("SHIRT", "1.50")).await;
    becomes(shirt, price, json!("1.50")).await;
    put("S-M", variant("SHIRT", "2.50")).await;
    becomes(shirt, price, json!("2.50")).await;
    let booking = json!({"adjust": 7, "reference": "r"});
    let booking = office
        .call(Method::POST, "/v1/products/S-M/stock-adjustments")
        .json(&booking);
    let booked = booking.send().await.expect("the gateway answers");
    assert_eq!(booked.status(), StatusCode::OK);
    becomes(shirt, "/variants/0/available", json!(7)).await;
    // One that moves is shown where it is, and no longer where it was.
    becomes("/v1/products/OTHER", price, Value::Null).await;
    put("S-M", variant("OTHER", "2.50")).await;
    becomes(shirt, price, Value::Null).await;
    becomes("/v1/products/OTHER", price, json!("2.50")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_search_that_cannot_be_is_refused_with_its_place() {
    let system = System::start().await;
    let shop = system.client("shop", "storefront");
    let long = "x".repeat(10_000);
    for (q, code) in [
        (long.as_str(), "too_long"),
        ("%26+%7C+!", "not_searchable"),
        ("%3C-%3E", "not_searchable"),
        ("tea%00", "invalid_character"),
    ] {
        let (status, body) = shop.read(&format!("/v1/products?q={q}")).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{q:.20}: {body}");
        let fault = &body["errors"][0];
        let said = (&fault["pointer"], &fault["code"]);
        assert_eq!(said, (&json!("query/q"), &json!(code)), "{q:.20}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reads_go_on_while_the_catalog_or_its_database_is_down_and_say_so() {
    let mut system = System::start().await;
    system
        .client("office", "catalog:write")
        .stock(&[("TEA", 10)])
        .await;
    let shop = system.client("shop", "storefront");
    for dependency in ["catalog", "postgres"] {
        let (price, _) = read(&shop).await;
        match dependency {
            "catalog" => system.down(Part::Catalog).await,
            _ => system.take_postgres_away(),
        }
        wait_for("an answer says that it is a copy", PATIENCE, async || {
            let (copy, status) = read(&shop).await;
            assert_eq!(copy, price, "{dependency} is down");
            status.contains("catalog unavailable")
        })
        .await;
        match dependency {
            "catalog" => system.up(Part::Catalog).await,
            _ => system.bring_postgres_back(),
        }
        wait_for("the catalog answers again", PATIENCE, async || {
            !read(&shop).await.1.contains("catalog unavailable")
        })
        .await;
    }
}
