//! Pricing and reserving.

use serde_json::{Value, json};
use steelyard_domain::internal::{ReserveResult, paths};
use steelyard_domain::ops::paths::QUOTES;
use steelyard_domain::order::Reason;

use crate::harness::{Shop, id, is_reserved, order, product, rejection};

#[tokio::test]
async fn an_order_holds_all_its_lines_priced_or_nothing() {
    let shop = Shop::open().await;
    shop.stock(&[("a", 10), ("b", 1)]).await;
    let results = shop
        .reserve(&[
            order(1, &[("a", 2), ("b", 1), ("a", 3)]),
            order(2, &[("a", 1), ("b", 1)]),
            order(3, &[("a", 5)]),
            order(4, &[("a", 1)]),
        ])
        .await;
    let ReserveResult::Reserved(lines) = &results[0] else {
        panic!("{results:?}")
    };
    let priced = serde_json::to_value(&lines[2]).unwrap();
    let expected = json!({"name": "A lamp", "unit_price": "2.50", "tax_category": "standard"});
    assert_eq!((lines.len(), priced), (3, expected));
    assert_eq!(rejection(&results[1]), Some((Reason::OutOfStock, 1)));
    assert!(
        is_reserved(&results[2]),
        "the refused order before it took nothing"
    );
    assert_eq!(rejection(&results[3]), Some((Reason::OutOfStock, 0)));
    assert_eq!(shop.level("a").await, (10, 10));
    assert_eq!(shop.level("b").await, (1, 1));
    shop.assert_books_are_right().await;
}

#[tokio::test]
async fn the_same_order_again_is_answered_as_before_and_holds_no_more() {
    let shop = Shop::open().await;
    shop.stock(&[("a", 10)]).await;
    let first = shop
        .reserve(&[order(1, &[("a", 2)]), order(1, &[("a", 2)])])
        .await;
    assert_eq!(first[0], first[1], "twice in one call");

    // The price changes; the order was promised the old one.
    let mut dearer = product();
    dearer["prices"][0]["amount"] = json!("9.99");
    assert_eq!(shop.put("a", dearer).await.status, 200);
    let again = shop
        .reserve(&[order(2, &[("a", 1)]), order(1, &[("a", 2)])])
        .await;
    assert_eq!(rejection(&again[0]), Some((Reason::PriceChanged, 0)));
    assert_eq!(again[1], first[0]);
    assert_eq!(shop.level("a").await, (10, 2));
}

#[tokio::test]
async fn a_rejection_is_not_remembered_and_tells_both_prices() {
    let shop = Shop::open().await;
    shop.stock(&[("a", 0)]).await;
    let results = shop.reserve(&[order(1, &[("a", 1)])]).await;
    assert_eq!(rejection(&results[0]), Some((Reason::OutOfStock, 0)));
    let booked = shop
        .adjust("a", json!({"adjust": 1, "reference": "r"}))
        .await;
    assert_eq!(booked.status, 200);
    assert!(is_reserved(
        &shop.reserve(&[order(1, &[("a", 1)])]).await[0]
    ));

    let mut shown = order(2, &[("a", 1)]);
    shown["lines"][0]["unit_price"] = json!("3");
    let results = shop.reserve(&[shown]).await;
    let ReserveResult::Rejected { detail, .. } = &results[0] else {
        panic!("{results:?}")
    };
    assert_eq!(detail, "a costs 2.50 GBP, not 3");
}

#[tokio::test]
async fn authoritative_orders_take_unknown_goods_by_name_and_known_ones_from_stock() {
    let shop = Shop::open().await;
    shop.stock(&[("a", 3)]).await;
    let authoritative = |number: u128, lines: Value| json!({"order_id": id(number), "currency": "EUR", "prices_authoritative": true, "lines": lines});
    let post = json!({"sku": "POST", "quantity": 1, "unit_price": "18", "name": "POSTAGE"});
    let results = shop
        .reserve(&[
            authoritative(
                1,
                json!([post, {"sku": "a", "quantity": 2, "unit_price": "0.01"}]),
            ),
            authoritative(
                2,
                json!([{"sku": "POST", "quantity": 1, "unit_price": "18"}]),
            ),
            authoritative(
                3,
                json!([post, {"sku": "a", "quantity": 2, "unit_price": "0.01"}]),
            ),
        ])
        .await;
    let ReserveResult::Reserved(lines) = &results[0] else {
        panic!("{results:?}")
    };
    assert_eq!(
        (lines[0].name.as_str(), lines[0].tax_category.as_str()),
        ("POSTAGE", "standard")
    );
    assert_eq!(
        (lines[1].name.as_str(), lines[1].unit_price.to_string()),
        ("A lamp", "0.01".into())
    );
    assert_eq!(rejection(&results[1]), Some((Reason::UnknownSku, 0)));
    assert_eq!(rejection(&results[2]), Some((Reason::OutOfStock, 1)));
    assert_eq!(shop.level("a").await, (3, 2));
    shop.assert_books_are_right().await;
}

#[tokio::test]
async fn a_call_that_makes_no_sense_is_refused_with_its_place() {
    let shop = Shop::open().await;
    let refused = |answer: crate::harness::Answer| {
        let (status, code, place) = answer.problem();
        (status, code.to_owned(), place.to_owned())
    };
    let of =
        |lines: Value| json!({"orders": [{"order_id": id(1), "currency": "GBP", "lines": lines}]});
    let line = |quantity: Value, name: &str| json!([{"sku": "a", "quantity": quantity, "unit_price": "1", "name": name}]);
    let many: Vec<_> = (0..501).map(|number| order(number, &[("a", 1)])).collect();
    for (body, place) in [
        (of(line(json!(-1), "x")), "/orders/0/lines/0/quantity"),
        (of(line(json!(0), "x")), "/orders/0/lines/0/quantity"),
        (of(line(json!(1.5), "x")), "/orders/0/lines/0/quantity"),
        (of(line(json!(1), "a\0b")), "/orders/0/lines/0/name"),
        (of(json!([])), "/orders/0/lines"),
        (json!({"orders": many}), "/orders"),
    ] {
        let answer = refused(shop.post(paths::RESERVATIONS, body).await);
        assert_eq!(answer, (422, "validation_failed".into(), place.into()));
    }
    assert!(shop.reserve(&[]).await.is_empty());
    let stranger = shop
        .stranger
        .request(reqwest::Method::POST, paths::RESERVATIONS);
    let stranger = crate::harness::Answer::to(stranger.json(&json!({"orders": []}))).await;
    assert_eq!(stranger.problem(), (401, "service_token_required", ""));
}

#[tokio::test]
async fn a_quote_says_what_a_reservation_would_and_leaves_no_trace() {
    let shop = Shop::open().await;
    shop.stock(&[("a", 10), ("b", 1)]).await;
    shop.reserve(&[order(1, &[("a", 2)])]).await;
    let orders = [
        order(1, &[("a", 2)]),
        order(2, &[("a", 8), ("b", 1)]),
        order(3, &[("b", 1)]),
    ];
    let before: (i64, i64) = shop.level("a").await;
    let answer = shop.post(QUOTES, json!({"orders": orders})).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    let quoted: Vec<ReserveResult> =
        serde_json::from_value(answer.body["results"].clone()).unwrap();
    assert!(is_reserved(&quoted[0]) && is_reserved(&quoted[1]));
    assert_eq!(rejection(&quoted[2]), Some((Reason::OutOfStock, 0)));
    assert_eq!(shop.level("a").await, before);
    assert_eq!(shop.level("b").await, (1, 0));
    shop.assert_books_are_right().await;
    // Had the quote held anything, this would be refused.
    assert!(is_reserved(
        &shop.reserve(&[order(4, &[("b", 1)])]).await[0]
    ));
}
