//! `cargo stack replay` on a small file of our own making, with what real files bring.

use std::io::Write;
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;
use nix::sys::signal::Signal;
use serde_json::{Value, json};
use sqlx::{Connection as _, PgConnection};
use url::Url;
use uuid::Uuid;

use crate::support::{Running, data_dir, run};

/// 17 rows, 11 invoices, 5 of them orders: Σ net 218.24.
const BOOKS: &str =
    "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country
700001,T1,TEAPOT,2,2011-03-01 09:00:00,19.95,100.0,United Kingdom
700001,T2,\"CUP, BLUE\",6,2011-03-01 09:00:00,2.55,100.0,United Kingdom
700001,T1,TEAPOT,1,2011-03-01 09:00:00,18.50,100.0,United Kingdom
700002,t1,Teapot lid,10,2011-03-01 09:05:00,0.85,,EIRE
C700003,T1,TEAPOT,-1,2011-03-01 09:10:00,19.95,100.0,United Kingdom
700004,T3,,5,2011-03-02 10:00:00,3.333,200.0,Channel Islands
700004,BANK CHARGES,Bank Charges,1,2011-03-02 10:00:00,15,200.0,Channel Islands
700005,T4,?damages,-20,2011-03-02 11:00:00,0,,United Kingdom
700006,T4,SAMPLE,1,2011-03-02 12:00:00,0.0,100.0,United Kingdom
700006,T1,TEAPOT,1,2011-03-02 12:00:00,19.95,100.0,United Kingdom
700007,T2,\"  CUP, BLUE \",100,2011-03-03 08:00:00,0.42,100.0,Unspecified
700008,T5,TRAY,1.5,2011-03-03 09:00:00,9.99,300.0,Spain
700009,T5,TRAY,1,yesterday,9.99,300.0,Spain
700007,T2,\"CUP, BLUE\",50,2011-03-03 08:00:00,0.40,100.0,Unspecified
700010,T6,LAST ONE,1,2011-03-31 23:59:00,42.37,100.0,RSA
700011,T5,TRAY,1,2011-04-01 00:00:00,9.99,300.0,Spain
700011,POST,POSTAGE,1,2011-04-01 00:00:00,-0,300.0,Spain
";

fn orders_of(stack: &Running, token: &str, query: &str) -> reqwest::RequestBuilder {
    reqwest::Client::new()
        .get(stack.url(&format!("/v1/orders?{query}")))
        .bearer_auth(token)
}

fn replay(data: &Path, files: &[&str]) -> (Option<i32>, String) {
    let output = run(data, &[&["replay"], files].concat());
    let said =
        String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap();
    (output.status.code(), said)
}

/// The figure at the end of the table's row.
fn figure<'a>(table: &'a str, label: &str) -> &'a str {
    let line = table
        .lines()
        .find(|line| line.trim_start().starts_with(label));
    line.unwrap_or_else(|| panic!("no {label} in {table}"))
        .split_whitespace()
        .last()
        .unwrap()
}

#[tokio::test]
async fn a_file_is_replayed_once_however_often_it_is_sent_and_balances_to_the_cent() {
    let data = data_dir();
    let mut stack = Running::start(data.path(), &[]).await;
    let plain = data.path().join("books.csv");
    std::fs::write(&plain, BOOKS).unwrap();
    let compressed = data.path().join("books.csv.gz");
    let mut encoder = GzEncoder::new(
        std::fs::File::create(&compressed).unwrap(),
        Compression::fast(),
    );
    encoder.write_all(BOOKS.as_bytes()).unwrap();
    encoder.finish().unwrap();

    let (code, first) = replay(data.path(), &[plain.to_str().unwrap()]);
    assert_eq!(code, Some(0), "{first}");
    for (label, expected) in [
        ("rows read", "17"),
        ("invoices", "11"),
        ("skipped: cancellation", "1"),
        ("skipped: a line with quantity", "1"),
        ("skipped: a line with price", "2"),
        ("skipped: a line that cannot be read", "2"),
        ("sent", "5"),
        ("confirmed", "5"),
        ("unsettled", "0"),
    ] {
        assert_eq!(figure(&first, label), expected, "{label} in {first}");
    }
    let march: Vec<&str> = first
        .lines()
        .find(|line| line.contains("2011-03 "))
        .unwrap()
        .split_whitespace()
        .collect();
    assert_eq!(
        march,
        ["2011-03", "5", "218.24", "218.24", "0.00"],
        "{first}"
    );

    let before = stock(&stack).await;
    let (code, second) = replay(data.path(), &["--invoices", plain.to_str().unwrap()]);
    assert_eq!(code, Some(0), "{second}");
    assert_eq!(invoiced(&second), ["5", "5", "0.00"], "{second}");
    assert!(second.contains("one invoice, to the cent"), "{second}");
    assert!(second.contains("0 goods receipts booked"), "{second}");
    assert_eq!(table(&first), table(&second));
    assert_eq!(stock(&stack).await, before);

    // The same content in another file: other goods receipts, the same orders.
    let (code, third) = replay(data.path(), &[compressed.to_str().unwrap()]);
    assert_eq!(code, Some(0), "{third}");
    assert_eq!(table(&first), table(&third));

    let token = &stack.file.tokens["storefront"];
    let orders: Value = orders_of(&stack, token, "customer_id=100")
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    let references: Vec<&str> = orders["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|order| order["reference"].as_str().unwrap())
        .collect();
    assert_eq!(
        references,
        ["700010", "700007", "700001"],
        "one customer's orders in the file's order, newest first"
    );
    let guest: Value = orders_of(&stack, token, "customer_id=guest-700002")
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    assert_eq!(guest["data"][0]["ship_to"]["country"], "IE");
    stack.stop(Signal::SIGINT).await;
}

#[tokio::test]
async fn books_that_do_not_balance_fail() {
    let data = data_dir();
    let mut stack = Running::start(data.path(), &[]).await;
    // Someone else's order under the same customer and number came first.
    let answer = reqwest::Client::new()
        .post(stack.url("/v1/orders"))
        .bearer_auth(run_token(data.path()))
        .header("idempotency-key", "700002")
        .json(&json!({
            "customer_id": "guest-700002",
            "currency": "GBP",
            "lines": [{ "sku": "TEA-EARL-100", "quantity": 1, "unit_price": "4.95" }],
            "ship_to": { "name": "A", "line1": "B", "city": "C", "country": "GB" },
        }))
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 202, "{}", answer.text().await.unwrap());
    let plain = data.path().join("books.csv");
    std::fs::write(&plain, BOOKS).unwrap();
    let (code, said) = replay(data.path(), &[plain.to_str().unwrap()]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("The books do not balance."), "{said}");
    stack.stop(Signal::SIGINT).await;
}

#[tokio::test]
async fn an_invoice_too_many_or_without_its_order_fails_the_replay() {
    let data = data_dir();
    let mut stack = Running::start(data.path(), &[]).await;
    let plain = data.path().join("books.csv");
    std::fs::write(&plain, BOOKS).unwrap();
    let args = ["--invoices", plain.to_str().unwrap()];
    let (code, said) = replay(data.path(), &args);
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(invoiced(&said), ["5", "5", "0.00"], "{said}");

    // Past the service, which does not do such things.
    let mut database: Url = stack.file.parts["postgres"].url.parse().unwrap();
    database.set_path("steelyard");
    let mut database = PgConnection::connect(database.as_str()).await.unwrap();
    let copy = "INSERT INTO documents.documents
                    (id, issued_on, kind, number, customer_id, order_id, currency, total, stored_at, object_key, sha256, size_bytes)
                SELECT (left(documents.first_id(issued_on)::text, 35) || $1)::uuid, issued_on, kind, $2, customer_id,
                       coalesce($3, order_id), currency, total, stored_at, object_key, sha256, size_bytes
                FROM documents.documents WHERE kind = 'invoice' ORDER BY number LIMIT 1";
    for (digit, number, order) in [
        ("1", "RE-TWICE", None),
        ("2", "RE-STRAY", Some(Uuid::new_v4())),
    ] {
        let copied = sqlx::query(copy).bind(digit).bind(number).bind(order);
        copied.execute(&mut database).await.unwrap();
    }
    let (code, said) = replay(data.path(), &args);
    assert_eq!(code, Some(1), "{said}");
    assert_eq!(invoiced(&said)[..2], ["5", "6"], "{said}");
    assert_eq!(figure(&said, "invoices of other orders"), "1");
    for words in [
        ": 2 invoices: RE-",
        ", RE-TWICE",
        "there is none, and it has RE-STRAY",
    ] {
        assert!(said.contains(words), "no {words:?} in {said}");
    }
    assert!(said.contains("The books do not balance."), "{said}");
    stack.stop(Signal::SIGINT).await;
}

#[test]
fn without_a_stack_and_without_a_url_a_replay_says_so() {
    let data = data_dir();
    let plain = data.path().join("books.csv");
    std::fs::write(&plain, BOOKS).unwrap();
    let (code, said) = replay(data.path(), &[plain.to_str().unwrap()]);
    assert_eq!(code, Some(1));
    assert!(said.contains("no stack runs in "), "{said}");
    let (code, said) = replay(data.path(), &["/no/such/file.csv"]);
    assert_eq!(code, Some(1));
    assert!(said.contains("cannot open /no/such/file.csv"), "{said}");
}

/// Orders, invoices and the difference of March, with tax.
fn invoiced(said: &str) -> [&str; 3] {
    let march = said.lines().rfind(|line| line.contains("2011-03 "));
    let march: Vec<&str> = march.unwrap().split_whitespace().collect();
    [march[1], march[2], march[5]]
}

fn run_token(data: &Path) -> String {
    // As replay mints it: the order id is derived from issuer, customer and key.
    let output = run(
        data,
        &[
            "token",
            "--sub",
            "replay",
            "--scope",
            "storefront orders:price",
        ],
    );
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

fn table(said: &str) -> &str {
    &said[said.find("  rows read").unwrap()..said.find("  Everything is settled").unwrap()]
}

async fn stock(stack: &Running) -> Vec<Value> {
    let mut levels = Vec::new();
    for sku in ["T1", "t1", "T2", "T3", "T6", "BANK%20CHARGES"] {
        // The catalog's own word, not a copy of some seconds ago.
        let answer = reqwest::Client::new()
            .get(stack.url(&format!("/v1/products/{sku}")))
            .header("cache-control", "no-cache")
            .send()
            .await
            .unwrap();
        let product: Value = answer.json().await.unwrap();
        levels.push(product["available"].clone());
    }
    levels
}
