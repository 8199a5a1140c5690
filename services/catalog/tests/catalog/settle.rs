//! Releasing, consuming, restocking.

use steelyard_domain::internal::ReserveResult;
use steelyard_domain::internal::paths::{CONSUME, RELEASE, RESTOCK};

use crate::harness::{Shop, id, is_reserved, order};

#[tokio::test]
async fn a_release_gives_back_once_and_is_final() {
    let shop = Shop::open().await;
    shop.stock(&[("a", 5), ("b", 5)]).await;
    shop.reserve(&[order(1, &[("a", 2), ("b", 1)]), order(2, &[("a", 3)])])
        .await;
    shop.settle(RELEASE, &[id(1), id(1)]).await;
    shop.settle(RELEASE, &[id(1)]).await;
    assert_eq!(shop.level("a").await, (5, 3));
    assert_eq!(shop.level("b").await, (5, 0));
    let results = shop.reserve(&[order(1, &[("a", 2)])]).await;
    assert_eq!(results, [ReserveResult::Released]);
    shop.assert_books_are_right().await;
}

#[tokio::test]
async fn an_order_that_was_released_before_it_came_is_never_reserved() {
    let shop = Shop::open().await;
    shop.stock(&[("a", 5)]).await;
    shop.settle(RELEASE, &[id(1)]).await;
    let results = shop
        .reserve(&[order(1, &[("a", 2)]), order(2, &[("a", 5)])])
        .await;
    assert_eq!(results[0], ReserveResult::Released);
    assert!(is_reserved(&results[1]));
    for path in [CONSUME, RESTOCK, RELEASE] {
        shop.settle(path, &[id(1)]).await;
    }
    assert_eq!(shop.level("a").await, (5, 5));
}

#[tokio::test]
async fn goods_leave_once_and_come_back_once() {
    let shop = Shop::open().await;
    shop.stock(&[("a", 5)]).await;
    shop.reserve(&[order(1, &[("a", 2)]), order(2, &[("a", 1)])])
        .await;
    shop.settle(RESTOCK, &[id(1), id(9)]).await;
    assert_eq!(
        shop.level("a").await,
        (5, 3),
        "what did not leave cannot come back"
    );
    shop.settle(CONSUME, &[id(1), id(9)]).await;
    shop.settle(CONSUME, &[id(1)]).await;
    assert_eq!(shop.level("a").await, (3, 1));
    shop.settle(RELEASE, &[id(1)]).await;
    assert_eq!(
        shop.level("a").await,
        (3, 1),
        "what left cannot be released"
    );
    assert!(
        is_reserved(&shop.reserve(&[order(1, &[("a", 2)])]).await[0]),
        "as answered before"
    );
    shop.settle(RESTOCK, &[id(1)]).await;
    shop.settle(RESTOCK, &[id(1)]).await;
    assert_eq!(shop.level("a").await, (5, 1));
    shop.settle(CONSUME, &[id(1)]).await;
    assert_eq!(shop.level("a").await, (5, 1));
    // An order the catalog was not asked to reserve has nothing to consume, and may still come.
    assert!(is_reserved(
        &shop.reserve(&[order(9, &[("a", 1)])]).await[0]
    ));
    shop.assert_books_are_right().await;
}
