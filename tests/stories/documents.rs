//! What was ordered is invoiced, and its customer has the paper.

use reqwest::{Method, StatusCode, header};
use serde_json::json;
use steelyard_testkit::{pdf_texts, wait_for};
use steelyard_tests::{PATIENCE, Part, System, order_of};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_customer_fetches_the_invoice_of_an_order_and_nobody_else_does() {
    let mut system = System::start().await;
    system.up(Part::Documents).await;
    let office = system.client("office", "catalog:write");
    office.stock(&[("TEA", 100)]).await;
    let alice = system.client("alice", "customer");
    let receipt = alice.place("1", &order_of("alice", &[("TEA", 3)])).await;
    let order = alice.settled(&receipt).await;

    let list = format!("/v1/documents?order_id={}", receipt.id);
    let mut listed = json!(null);
    wait_for("the invoice is listed and stored", PATIENCE, async || {
        let (status, page) = alice.read(&list).await;
        listed = page["data"][0].clone();
        status == StatusCode::OK && listed["state"] == "stored"
    })
    .await;
    assert_eq!(listed["kind"], "invoice");
    let amount = json!(order.total.to_string());
    assert_eq!(
        (&listed["total"], &listed["currency"]),
        (&amount, &json!("GBP"))
    );
    let id = listed["id"].as_str().unwrap();
    let number = listed["number"].as_str().unwrap();
    for search in [format!("q={number}"), "q=ada+love".to_owned()] {
        let (_, found) = alice.read(&format!("/v1/documents?{search}")).await;
        assert_eq!(found["data"][0]["id"], id, "{search}: {found}");
    }

    let content = format!("/v1/documents/{id}/content");
    let answer = alice.call(Method::GET, &content).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::FOUND);
    assert_eq!(answer.headers()[header::CACHE_CONTROL], "no-store");
    let url = answer.headers()[header::LOCATION].to_str().unwrap();
    let file = alice.fetch(url).await;
    assert_eq!(file.status(), StatusCode::OK);
    let disposition = file.headers()[header::CONTENT_DISPOSITION]
        .to_str()
        .unwrap();
    assert!(
        disposition.starts_with(&format!("attachment; filename=\"{number}.pdf\"")),
        "{disposition}"
    );
    let file = file.bytes().await.unwrap();
    assert!(file.starts_with(b"%PDF-"));
    let total = format!(
        "<ram:GrandTotalAmount>{}</ram:GrandTotalAmount>",
        order.total
    );
    assert!(
        pdf_texts(&file).iter().any(|data| data.contains(&total)),
        "the invoice's own data say what the order came to"
    );

    // Another customer learns nothing, not even that there is such a document; who serves all customers may see it.
    let bob = system.client("bob", "customer");
    for path in [format!("/v1/documents/{id}"), content.clone()] {
        let (status, problem) = bob.read(&path).await;
        assert_eq!(status, StatusCode::NOT_FOUND, "{problem}");
    }
    let (_, none) = bob.read(&list).await;
    assert_eq!(none["data"], json!([]));
    let staff = system.client("support", "orders:manage");
    assert_eq!(staff.read(&list).await.1["data"][0]["id"], id);
    let answer = staff.call(Method::GET, &content).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::FOUND);

    let mut database = system.database("documents").await;
    let audit: Vec<(String, String)> = sqlx::query_as(
        "SELECT issued_to, customer_id FROM content_audit WHERE document_id = $1::uuid ORDER BY id",
    )
    .bind(id)
    .fetch_all(&mut database)
    .await
    .unwrap();
    let expected = [("alice", "alice"), ("support", "alice")];
    assert_eq!(
        audit,
        expected.map(|(to, of)| (to.to_owned(), of.to_owned()))
    );
}
