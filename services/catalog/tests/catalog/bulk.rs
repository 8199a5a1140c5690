//! Import in either form, broken off and resumed; export.
#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::convert::Infallible;
use std::fmt::Write as _;
use std::io::Error;

use futures_util::{StreamExt as _, stream};
use serde_json::{Value, json};
use steelyard_domain::internal::paths::PRODUCTS;
use steelyard_testkit::wait_for;

use crate::harness::{Answer, SOON, Shop, order};

const NDJSON: &str = "application/x-ndjson";
const CSV: &str = "text/csv; charset=utf-8";

fn count(answer: &Answer, name: &str) -> i64 {
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer.body[name].as_i64().unwrap()
}

async fn export(shop: &Shop, kind: &str) -> (String, String) {
    let request = shop
        .client
        .request(reqwest::Method::GET, &format!("{PRODUCTS}/export"));
    let answer = request.header("accept", kind).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    let said = answer.headers()["content-type"]
        .to_str()
        .unwrap()
        .to_owned();
    (said, answer.text().await.unwrap())
}

#[tokio::test]
async fn a_csv_says_by_its_header_what_stands_where() {
    let shop = Shop::open().await;
    let csv = "\u{feff}price:GBP,stock_reference,name,sku,stock,name:de,attribute:brand,category,price:EUR:country:IE\r\n\
               2.50,opening,\"A lamp, red\",L1,7,Eine Lampe,Acme,lamps,3\r\n\
               \r\n\
               1,opening,\"Two\nlines\",L2,,,,,\r\n\
               0.99,opening,A cup,C1,5,,,cups,\r\n\
               x,opening,A cup,C2,5,,,cups,\r\n\
               1,opening,A cup,C3,5,,cups\r\n";
    let answer = shop.import("", CSV, csv).await;
    assert_eq!(
        (count(&answer, "created"), count(&answer, "failed")),
        (2, 3)
    );
    let errors: Vec<_> = answer.body["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|error| {
            let fault = &error["errors"][0];
            (
                error["line"].as_i64().unwrap(),
                fault["pointer"].as_str().unwrap(),
                fault["code"].as_str().unwrap(),
            )
        })
        .collect();
    assert_eq!(
        errors,
        [
            (4, "/name", "invalid_character"),
            (7, "/prices/0/amount", "invalid_value"),
            (8, "", "wrong_field_count"),
        ]
    );
    let lamp = shop.get("/L1?lang=de&country=IE").await.body;
    assert_eq!(
        (&lamp["name"], &lamp["category"]),
        (&json!("Eine Lampe"), &json!("lamps"))
    );
    assert_eq!(
        (&lamp["available"], &lamp["attributes"]["brand"]),
        (&json!(7), &json!("Acme"))
    );
    assert_eq!(lamp["prices"].as_array().unwrap().len(), 2);
    let again = shop.import("", CSV, csv).await;
    assert_eq!(
        (count(&again, "unchanged"), count(&again, "stock_booked")),
        (2, 0)
    );

    for (header, place) in [
        ("sku,colour", "column/colour"),
        ("sku,price:GBP", "column/name"),
        ("sku,name,sku", "column/sku"),
    ] {
        let refused = shop.import("", CSV, format!("{header}\na,b,c\n")).await;
        assert_eq!(refused.problem(), (422, "validation_failed", place));
    }
    assert_eq!(count(&shop.import("", CSV, "").await, "lines"), 0);
}

/// So many bytes, each piece made as it is sent.
fn endless(pieces: usize, first: &'static str, last: &'static str) -> reqwest::Body {
    let piece = bytes::Bytes::from(vec![b'x'; 1 << 20]);
    let middle = (0..pieces).map(move |_| piece.clone());
    let all = std::iter::once(first.into())
        .chain(middle)
        .chain([last.into()]);
    reqwest::Body::wrap_stream(stream::iter(all.map(Ok::<_, Infallible>)))
}

#[tokio::test]
async fn a_line_of_any_length_is_refused_and_the_next_ones_are_read() {
    // Beyond every buffer on its way. How little of it is kept, src/import/read.rs shows.
    let shop = Shop::open().await;
    let shop_csv = Shop::open_with(&[]).await;
    let line = "\n{\"sku\": \"a\", \"name\": \"A\", \"prices\": []}\n";
    let answer = shop_csv
        .import("", NDJSON, endless(40, "{\"sku\": \"", line))
        .await;
    assert_eq!(
        (count(&answer, "created"), count(&answer, "failed")),
        (1, 1)
    );
    assert_eq!(answer.body["errors"][0]["errors"][0]["code"], "too_long");
    let csv = endless(40, "sku,name\nlong,", "\nb,B\n");
    let answer = shop_csv.import("", CSV, csv).await;
    assert_eq!(
        (count(&answer, "created"), count(&answer, "failed")),
        (1, 1)
    );
    assert_eq!(answer.body["errors"][0]["line"], 2);
    let refused = shop.import("", NDJSON, endless(3, "", line)).await;
    assert_eq!(refused.problem(), (413, "body_too_large", ""));
}

fn lines(numbers: std::ops::Range<usize>) -> String {
    numbers.fold(String::new(), |mut lines, number| {
        let line = json!({
            "sku": format!("s{number}"), "name": format!("Name {number}"), "prices": [],
            "stock": {"adjust": 1, "reference": "opening"},
        });
        writeln!(lines, "{line}").unwrap();
        lines
    })
}

#[tokio::test]
async fn a_named_import_that_broke_off_goes_on_where_it_was() {
    let shop = Shop::open_with(&[]).await;
    let head = format!("{}not JSON\n", lines(0..1_200));
    let whole = format!("{head}{}", lines(1_200..1_700));
    let (cut, broken) = tokio::sync::oneshot::channel::<()>();
    let broken = async {
        drop(broken.await);
        Err(Error::other("cut"))
    };
    let body = stream::iter([Ok(head)]).chain(stream::once(broken));
    let request = shop.client.request(
        reqwest::Method::POST,
        &format!("{PRODUCTS}/import?name=spring.ndjson"),
    );
    let request = request.header("content-type", NDJSON);
    let sending = tokio::spawn(request.body(reqwest::Body::wrap_stream(body)).send());
    let progress = async || shop.get("/imports/spring.ndjson").await;
    let saved = async || progress().await.body["report"]["created"].as_i64();
    wait_for("whole sets are saved", SOON, async || {
        saved().await >= Some(1_000)
    })
    .await;
    drop(cut);
    drop(sending.await.unwrap());
    assert_eq!(progress().await.body["is_finished"], false);

    // What stands is not written again: it would count as unchanged.
    // What was under way when it broke off may still be: then it is refused, and asked for again.
    let mut resumed = None;
    wait_for("it goes on", SOON, async || {
        let answer = shop
            .import("?name=spring.ndjson", NDJSON, whole.clone())
            .await;
        let is_refused = answer.status == 409;
        resumed = Some(answer);
        !is_refused
    })
    .await;
    let resumed = resumed.unwrap();
    assert_eq!(
        (count(&resumed, "created"), count(&resumed, "unchanged")),
        (1_700, 0)
    );
    assert_eq!(
        (count(&resumed, "lines"), count(&resumed, "failed")),
        (1_701, 1)
    );
    assert_eq!(resumed.body["errors"].as_array().unwrap().len(), 1);
    assert_eq!(progress().await.body["is_finished"], true);
    let again = shop
        .import("?name=spring.ndjson", NDJSON, whole.clone())
        .await;
    assert_eq!(
        again.body, resumed.body,
        "sent again when it is done, it is answered the same"
    );

    let differs = shop
        .import("?name=spring.ndjson", NDJSON, lines(1..1_700))
        .await;
    assert_eq!(differs.problem(), (409, "import_differs", ""));
    let shorter = shop
        .import("?name=spring.ndjson", NDJSON, lines(0..10))
        .await;
    assert_eq!(shorter.problem(), (409, "import_differs", ""));
    let unnamed = shop.import("?name=a/b", NDJSON, lines(0..1)).await;
    assert_eq!(unnamed.problem(), (400, "invalid_query", "query/name"));
    assert_eq!(shop.get("/imports/none").await.status, 404);
    shop.assert_books_are_right().await;
}

#[tokio::test]
async fn what_is_exported_is_what_an_import_of_it_leaves_unchanged() {
    let shop = Shop::open_with(&[]).await;
    let mut body = lines(0..1_100);
    for line in [
        json!({"sku": "Z", "name": "Quotes \"and\", commas", "description": "Two\nlines", "status": "draft",
            "category": "c", "tax_category": "reduced", "low_at": 3, "attributes": {"brand": "Ä"},
            "translations": {"de": {"name": "Ein Z"}}, "prices": [
                {"currency": "GBP", "amount": "2.50"},
                {"currency": "GBP", "amount": "2", "list": "group:trade", "valid_from": "2026-01-01T00:00:00Z"}]}),
        json!({"sku": "A-M", "name": "A", "prices": [], "variant_of": "Z", "options": {"size": "M"}}),
    ] {
        writeln!(body, "{line}").unwrap();
    }
    assert_eq!(
        count(&shop.import("", NDJSON, body).await, "created"),
        1_102
    );
    for kind in [NDJSON, "text/csv"] {
        let (said, text) = export(&shop, kind).await;
        assert!(said.starts_with(kind), "{said}");
        let again = shop.import("", kind, text.clone()).await;
        assert_eq!(
            (count(&again, "lines"), count(&again, "unchanged")),
            (1_102, 1_102),
            "{}",
            again.body
        );
        // Products come before their variants, so that it fills an empty shop, too.
        let other = Shop::open_with(&[]).await;
        let filled = other.import("", kind, text.clone()).await;
        assert_eq!(
            (count(&filled, "created"), count(&filled, "failed")),
            (1_102, 0),
            "{}",
            filled.body
        );
        assert_eq!(export(&other, kind).await.1, text);
    }
    let request = shop
        .client
        .request(reqwest::Method::GET, &format!("{PRODUCTS}/export"));
    let refused = Answer::to(request.header("accept", "text/html")).await;
    assert_eq!(refused.problem(), (406, "not_acceptable", ""));
}

#[tokio::test]
async fn lines_about_variants_fit_or_are_refused_each_for_itself() {
    let shop = Shop::open().await;
    shop.stock(&[("held", 5)]).await;
    shop.reserve(&[order(1, &[("held", 5)])]).await;
    let variant = |sku: &str, of: &str, size: &str| json!({"sku": sku, "name": "V", "prices": [], "variant_of": of, "options": {"size": size}});
    let mut refused_parent: Value = json!({"sku": "P2", "name": "P", "prices": []});
    refused_parent["stock"] = json!({"adjust": -1, "reference": "r"});
    let all = [
        json!({"sku": "P", "name": "P", "prices": []}),
        variant("P-S", "P", "S"),
        variant("P-M", "P", "M"),
        variant("P-X", "P", "M"),   // 4: as P-M
        variant("Q", "NONE", "M"),  // 5
        refused_parent,             // 6
        variant("P2-M", "P2", "M"), // 7: of what is refused
        variant("P-Y", "P-S", "M"), // 8
    ];
    let body: Vec<String> = all.iter().map(Value::to_string).collect();
    let answer = shop.import("", NDJSON, body.join("\n")).await;
    assert_eq!(
        (count(&answer, "created"), count(&answer, "failed")),
        (3, 5),
        "{}",
        answer.body
    );
    let lines: Vec<_> = answer.body["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|e| e["line"].as_i64().unwrap())
        .collect();
    assert_eq!(lines, [4, 5, 6, 7, 8]);
    // Two that change places are no duplicates of each other.
    let swapped = [variant("P-S", "P", "M"), variant("P-M", "P", "S")];
    let body: Vec<String> = swapped.iter().map(Value::to_string).collect();
    assert_eq!(
        count(&shop.import("", NDJSON, body.join("\n")).await, "updated"),
        2
    );
}
