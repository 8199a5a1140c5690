//! What the gateway can ask.
#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod stand;

use serde_json::Value;
use stand::commands::{body_of, cancel, order_id, place, place_of};
use stand::{Stand, only, stand as prepared, started};
use steelyard_domain::api::{Page, Problem};
use steelyard_domain::order::Order;

/// Nine orders: three customers, three each, the first of `b` cancelled.
async fn some_orders() -> Stand {
    let stand = started().await;
    for key in ["1", "2", "3"] {
        for who in ["a", "b", "c"] {
            let mut body = body_of(who, &[("holder", 1, "2.55")]);
            body.reference = Some(format!("ref-{key}"));
            stand.send(&[place_of(who, key, &body)]).await;
        }
    }
    let first = order_id("b", "1");
    stand.send(&[cancel("b", first, "c")]).await;
    stand.drained().await;
    stand
}

async fn page(stand: &Stand, query: &str) -> Page<Order> {
    let (status, body) = stand.get(&format!("/internal/orders?{query}")).await;
    assert_eq!(status, 200, "{query}: {body}");
    serde_json::from_str(&body).unwrap()
}

#[tokio::test]
async fn lists_run_newest_first_and_every_order_is_on_one_page() {
    let stand = some_orders().await;
    for (filter, count) in [
        ("", 9),
        ("customer_id=b", 3),
        ("status=confirmed", 8),
        ("status=cancelled&customer_id=b", 1),
        ("status=rejected", 0),
        ("reference=ref-2", 3),
        ("reference=ref-2&customer_id=c&status=confirmed", 1),
        ("customer_id=nobody", 0),
    ] {
        let mut found: Vec<Order> = Vec::new();
        let mut cursor = String::new();
        loop {
            let page = page(&stand, &format!("{filter}&limit=2{cursor}")).await;
            assert!(page.data.len() <= 2);
            found.extend(page.data);
            match page.next_cursor {
                Some(next) => cursor = format!("&cursor={next}"),
                None => break,
            }
        }
        assert_eq!(found.len(), count, "{filter}");
        assert!(found.is_sorted_by(|a, b| (a.accepted_at, a.id) > (b.accepted_at, b.id)));
    }
    assert_eq!(page(&stand, "limit=100").await.data.len(), 9);
}

#[tokio::test]
async fn an_order_is_shown_to_its_customer_and_to_those_who_name_none() {
    let stand = started().await;
    stand.send(&[place("a", "1")]).await;
    let id = order_id("a", "1");
    stand.settled(id).await;
    let (status, body) = stand
        .get(&format!("/internal/orders/{id}?customer_id=a"))
        .await;
    assert_eq!(status, 200);
    // The view as it is public: money in strings, nothing of the store's own.
    let shown: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(shown["total"], "22.43");
    assert_eq!(shown["lines"][0]["unit_price"], "2.55");
    let again: Order = serde_json::from_str(&body).unwrap();
    assert_eq!(
        serde_json::to_string(&again).unwrap(),
        body,
        "byte for byte"
    );

    let other = id.0.simple();
    for path in [
        format!("/internal/orders/{id}?customer_id=b"),
        format!("/internal/orders/{}", order_id("a", "2")),
        format!("/internal/orders/{other}"),
        "/internal/orders/1".to_owned(),
        "/internal/orders/%00".to_owned(),
    ] {
        let (status, body) = stand.get(&path).await;
        assert_eq!(status, 404, "{path}");
        let problem: Problem = serde_json::from_str(&body).unwrap();
        assert_eq!(problem.code, "not_found");
    }
}

#[tokio::test]
async fn a_query_that_cannot_be_used_is_refused_with_its_place() {
    let stand = some_orders().await;
    let next = page(&stand, "customer_id=a&limit=1")
        .await
        .next_cursor
        .unwrap();
    for (query, place, code) in [
        ("limit=0".to_owned(), "query/limit", "out_of_range"),
        ("limit=101".to_owned(), "query/limit", "out_of_range"),
        ("limit=many".to_owned(), "query/limit", "invalid_value"),
        ("status=lost".to_owned(), "query/status", "invalid_value"),
        (
            "customer_id=".to_owned(),
            "query/customer_id",
            "invalid_value",
        ),
        ("colour=red".to_owned(), "query/colour", "unknown_field"),
        ("cursor=AAAA".to_owned(), "query/cursor", "invalid_cursor"),
        (
            format!("customer_id=b&cursor={next}"),
            "query/cursor",
            "invalid_cursor",
        ),
        (
            format!("customer_id=a&cursor={next}x"),
            "query/cursor",
            "invalid_cursor",
        ),
    ] {
        let (status, body) = stand.get(&format!("/internal/orders?{query}")).await;
        assert_eq!(status, 400, "{query}: {body}");
        let problem: Problem = serde_json::from_str(&body).unwrap();
        assert_eq!(problem.errors[0].pointer, place, "{query}");
        assert_eq!(problem.errors[0].code, code, "{query}");
    }
}

#[tokio::test]
async fn only_services_are_answered_and_only_where_the_role_is() {
    let mut stand = prepared().await;
    stand.start().await;
    let url = stand.url("/internal/orders");
    let answer = stand.http.get(&url).send().await.unwrap();
    assert_eq!(answer.status(), 401);
    let wrong = stand
        .http
        .get(&url)
        .bearer_auth("another token")
        .send()
        .await
        .unwrap();
    assert_eq!(wrong.status(), 401);
    stand.stop().await;

    stand.configure(only("worker,relay"));
    stand.start().await;
    assert_eq!(stand.get("/internal/orders").await.0, 404);
}
