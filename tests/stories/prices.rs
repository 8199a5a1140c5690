//! P5: what a shopper is shown is what they are charged, whoever they are.

use reqwest::Method;
use serde_json::{Value, json};
use steelyard_domain::order::{OrderStatus, Reason};
use steelyard_tests::{System, order_of};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_country_is_shown_its_own_price_and_its_orders_are_charged_that() {
    let system = System::with_workers(1).await;
    let office = system.client("office", "catalog:write");
    let csv = "name,price:GBP,sku,price:GBP:country:IE,stock,stock_reference,name:de\n\
               A lantern,1.00,LANTERN,1.20,10,opening,Eine Laterne\n";
    let import = office
        .call(Method::POST, "/v1/products/import")
        .header("content-type", "text/csv")
        .body(csv);
    let report = import.send().await.expect("an answer").text().await;
    let report = report.expect("a report");
    assert!(report.contains("\"created\":1"), "{report}");

    let shop = system.client("shop", "storefront");
    let shown = async |query: &str| -> Value {
        let call = shop.call(Method::GET, &format!("/v1/products{query}"));
        let text = call.send().await.expect("an answer").text().await;
        serde_json::from_str(&text.expect("a body")).expect("JSON")
    };
    let irish = shown("/LANTERN?country=IE&lang=de").await;
    assert_eq!(irish["prices"][0]["amount"], "1.20");
    assert_eq!(irish["name"], "Eine Laterne");
    assert_eq!(shown("?q=latrene").await["data"][0]["sku"], "LANTERN");

    let order = |country: &str, price: &str| {
        let mut order = order_of("ada", &[("LANTERN", 1)]);
        order["ship_to"]["country"] = json!(country);
        order["lines"][0]["unit_price"] = json!(price);
        order
    };
    for (key, country, price, charged) in [
        ("1", "GB", "1.00", true),
        ("2", "IE", "1.20", true),
        ("3", "IE", "1.00", false),
        ("4", "GB", "1.20", false),
    ] {
        let receipt = shop.place(key, &order(country, price)).await;
        let settled = shop.settled(&receipt).await;
        if charged {
            assert_eq!(settled.status, OrderStatus::Confirmed, "{country} {price}");
            assert_eq!(settled.lines[0].unit_price.to_string(), price);
        } else {
            assert_eq!(
                settled.reason,
                Some(Reason::PriceChanged),
                "{country} {price}"
            );
        }
    }
    assert_eq!(shop.available("LANTERN").await, 8);
}
