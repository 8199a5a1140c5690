//! Bulk import.
#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::harness::{Answer, Shop, order};

async fn import(shop: &Shop, body: impl Into<reqwest::Body>) -> Answer {
    shop.import("", "application/x-ndjson", body).await
}

fn line(sku: &str, name: &str, units: i64) -> String {
    let mut line =
        json!({"sku": sku, "name": name, "prices": [{"currency": "GBP", "amount": "1.5"}]});
    if units != 0 {
        line["stock"] = json!({"adjust": units, "reference": format!("import of {sku}")});
    }
    line.to_string()
}

fn counts(answer: &Answer) -> Vec<i64> {
    assert_eq!(answer.status, 200, "{}", answer.body);
    let names = [
        "lines",
        "created",
        "updated",
        "unchanged",
        "stock_booked",
        "failed",
    ];
    names.map(|name| answer.body[name].as_i64().unwrap()).into()
}

#[tokio::test]
async fn bad_lines_are_reported_and_stop_no_other() {
    let shop = Shop::open().await;
    shop.stock(&[("held", 5)]).await;
    shop.reserve(&[order(1, &[("held", 5)])]).await;
    let body = [
        "\u{feff}".as_bytes(),
        line("a", "A", 3).as_bytes(),
        b"\r\n\n  \n", // 1–3, two of them blank
        b"{\"sku\": \"b\", \"name\": \"\xff\", \"prices\": []}\n", // 4
        b"{\"sku\": \n", // 5
        b"{\"name\": \"no sku\", \"prices\": []}\n", // 6
        br#"{"sku": "c", "name": "C", "prices": [{"currency": "GBP", "amount": "-1"}]}"#,
        b"\n", // 7
        line("held", "Held", -1).as_bytes(),
        b"\n", // 8
        "x".repeat(100_000).as_bytes(),
        b"\n", // 9
        br#"{"sku": "d", "name": "D", "prices": [], "tags": []}"#,
        b"\n", // 10
        line("new", "New", -1).as_bytes(),
        b"\n",                        // 11
        line("z", "Z", 0).as_bytes(), // 12, without a line feed
    ]
    .concat();
    let answer = import(&shop, body.clone()).await;
    assert_eq!(counts(&answer), [10, 2, 0, 0, 1, 8]);
    let mut errors: Vec<(i64, String, String)> = answer.body["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|error| {
            let text = |name: &str| error["errors"][0][name].as_str().unwrap().to_owned();
            (
                error["line"].as_i64().unwrap(),
                text("code"),
                text("pointer"),
            )
        })
        .collect();
    errors.sort();
    let expected = [
        (4, "invalid_utf8", ""),
        (5, "malformed_json", "/sku"),
        (6, "required", "/sku"),
        (7, "invalid_value", "/prices/0/amount"),
        (8, "stock_reserved", "/stock/adjust"),
        (9, "too_long", ""),
        (10, "unknown_field", "/tags"),
        (11, "stock_reserved", "/stock/adjust"),
    ];
    let found: Vec<_> = errors
        .iter()
        .map(|(line, code, at)| (*line, code.as_str(), at.as_str()))
        .collect();
    assert_eq!(found, expected);
    assert_eq!(
        shop.get("/held").await.body["name"],
        "A lamp",
        "a refused line changes nothing"
    );
    assert_eq!(shop.get("/a").await.body["available"], 3);

    let again = import(&shop, body).await;
    assert_eq!(
        counts(&again),
        [10, 0, 0, 2, 0, 8],
        "sent again it changes nothing"
    );
}

#[tokio::test]
async fn many_lines_are_saved_in_their_order_also_those_of_one_sku() {
    let shop = Shop::open().await;
    let mut body = String::new();
    for number in 0..1_700 {
        writeln!(body, "{}", line(&format!("sku {number}"), "First", 1)).unwrap();
    }
    writeln!(body, "{}", line("sku 3", "Second", 0)).unwrap();
    writeln!(body, "{}", line("sku 3", "Third", 0)).unwrap();
    assert_eq!(
        counts(&import(&shop, body).await),
        [1_702, 1_700, 2, 0, 1_700, 0]
    );
    let product = shop.get("/sku%203").await.body;
    assert_eq!(
        (&product["name"], &product["version"]),
        (&json!("Third"), &json!(3))
    );
    assert_eq!(product["available"], 1);
    shop.assert_books_are_right().await;
}

#[tokio::test]
async fn a_hundred_thousand_bad_lines_make_a_bounded_answer() {
    let shop = Shop::open().await;
    let answer = import(&shop, "[]\n".repeat(100_000)).await;
    assert_eq!(counts(&answer)[5], 100_000);
    assert_eq!(answer.body["errors"].as_array().unwrap().len(), 1_000);
    let field = format!("{{\"{}\": 1}}\n", "ä".repeat(30_000));
    let answer = import(&shop, field.repeat(15)).await;
    assert_eq!(counts(&answer)[5], 15);
    assert!(
        answer.body.to_string().len() < 15 * 2_000,
        "faults do not repeat whole lines"
    );
}

#[tokio::test]
async fn an_import_that_is_too_large_or_of_another_kind_is_refused() {
    let shop = Shop::open().await;
    let too_large = format!("{}\n{}", line("a", "A", 0), " ".repeat(1 << 20));
    let answer = import(&shop, too_large).await;
    assert_eq!(answer.problem(), (413, "body_too_large", ""));

    let text = shop.import("", "text/plain", "sku,name").await;
    assert_eq!(text.problem(), (415, "unsupported_media_type", ""));
    assert_eq!(counts(&import(&shop, "").await), [0; 6]);
    assert_eq!(
        shop.get("?include=all").await.body["next_cursor"],
        Value::Null
    );
}
