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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_price_is_shown_by_every_gateway_though_they_believe_their_copies_for_an_hour() {
    let mut system = System::start().await;
    system.believe_copies_for("1h");
    system.down(Part::Gateway).await;
    system.up(Part::Gateway).await;
    system.up(Part::SecondGateway).await;
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
