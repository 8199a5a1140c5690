//! Many calls at once (promise P4).

use std::sync::Arc;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::json;
use steelyard_domain::internal::ReserveResult;
use steelyard_domain::internal::paths::{CONSUME, RELEASE, RESERVATIONS, RESTOCK};
use steelyard_testkit::wait_for;
use tokio::task::JoinSet;

use crate::harness::{SOON, Shop, id, is_reserved, order};

#[tokio::test(flavor = "multi_thread")]
async fn sixty_four_at_once_sell_exactly_what_there_is() {
    let shop = Arc::new(Shop::open().await);
    shop.stock(&[("last", 100), ("other", 1_000)]).await;
    let mut tasks = JoinSet::new();
    for task in 0..64_u128 {
        let shop = Arc::clone(&shop);
        tasks.spawn(async move {
            let mut sold = 0;
            for round in 0..3 {
                let orders = [order(task * 10 + round, &[("other", 1), ("last", 1)])];
                sold += shop
                    .reserve(&orders)
                    .await
                    .iter()
                    .filter(|r| is_reserved(r))
                    .count();
            }
            sold
        });
    }
    assert_eq!(tasks.join_all().await.into_iter().sum::<usize>(), 100);
    assert_eq!(shop.level("last").await, (100, 100));
    assert_eq!(shop.level("other").await, (1_000, 100));
    shop.assert_books_are_right().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn orders_whose_goods_cross_never_wait_in_a_circle() {
    let shop = Arc::new(Shop::open().await);
    shop.stock(&[("a", 10_000), ("b", 10_000), ("c", 10_000)])
        .await;
    let mut tasks = JoinSet::new();
    for task in 0..16_u128 {
        let shop = Arc::clone(&shop);
        tasks.spawn(async move {
            for round in 0..10 {
                let number = task * 100 + round * 2;
                let mut lines = [("a", 1), ("b", 1), ("c", 1)];
                lines.rotate_left(usize::try_from(task % 3).unwrap());
                let orders = [
                    order(number + 1, &lines),
                    order(number, &[("c", 1), ("a", 1)]),
                ];
                assert!(shop.reserve(&orders).await.iter().all(is_reserved));
                shop.settle(RELEASE, &[id(1_000_000 + round), id(number + 1)])
                    .await;
            }
        });
    }
    tasks.join_all().await;
    shop.assert_books_are_right().await;
    assert_eq!(shop.deadlocks().await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_order_in_many_calls_at_once_is_reserved_once() {
    let shop = Arc::new(Shop::open().await);
    shop.stock(&[("a", 1_000), ("b", 1_000)]).await;
    for round in 0..10 {
        let mut tasks = JoinSet::new();
        for task in 0..12_u128 {
            let shop = Arc::clone(&shop);
            tasks.spawn(async move {
                // Also in calls that hold another stock, and none: `unknown` goods lock nothing.
                let mut named = order(round * 10 + 2, &[("unknown", 1)]);
                named["prices_authoritative"] = json!(true);
                named["lines"][0]["name"] = json!("a name");
                let mut orders = vec![order(round * 10 + 1, &[("a", 1), ("b", 2)]), named];
                if task % 2 == 0 {
                    orders.reverse();
                }
                let mut results = shop.reserve(&orders).await;
                if task % 2 == 0 {
                    results.reverse();
                }
                results
            });
        }
        let answers = tasks.join_all().await;
        assert!(answers[0].iter().all(is_reserved));
        assert!(answers.iter().all(|answer| *answer == answers[0]));
    }
    assert_eq!(shop.level("a").await, (1_000, 10));
    assert_eq!(shop.level("b").await, (1_000, 20));
    shop.assert_books_are_right().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_and_a_reserve_at_once_leave_nothing_held() {
    let shop = Arc::new(Shop::open().await);
    shop.stock(&[("a", 1_000)]).await;
    for number in 0..40 {
        let reserving = {
            let shop = Arc::clone(&shop);
            tokio::spawn(async move { shop.reserve(&[order(number, &[("a", 1)])]).await })
        };
        shop.settle(RELEASE, &[id(number)]).await;
        let result = reserving.await.unwrap().remove(0);
        assert!(is_reserved(&result) || result == ReserveResult::Released);
    }
    assert_eq!(shop.level("a").await, (1_000, 0));
    shop.assert_books_are_right().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn after_anything_at_once_the_books_are_right() {
    let shop = Arc::new(Shop::open().await);
    let skus = ["a", "b", "c", "d", "e"];
    shop.stock(&skus.map(|sku| (sku, 30))).await;
    let mut tasks = JoinSet::new();
    for seed in 0..8 {
        let shop = Arc::clone(&shop);
        tasks.spawn(async move {
            let mut random = StdRng::seed_from_u64(seed);
            for round in 0..60 {
                let some = |random: &mut StdRng| {
                    let count = random.random_range(1..6);
                    (0..count)
                        .map(|_| random.random_range(0..80_u128))
                        .collect::<Vec<_>>()
                };
                match random.random_range(0..10) {
                    0..5 => {
                        let mut orders = Vec::new();
                        for number in some(&mut random) {
                            let count = random.random_range(1..4);
                            let lines: Vec<_> = (0..count)
                                .map(|_| {
                                    let sku = skus[random.random_range(0..skus.len())];
                                    (sku, random.random_range(1..5))
                                })
                                .collect();
                            orders.push(order(number, &lines));
                        }
                        shop.reserve(&orders).await;
                    }
                    5 => {
                        let sku = skus[random.random_range(0..skus.len())];
                        let adjust = [-20, -3, 4, 9][random.random_range(0..4)];
                        let reference = format!("{seed}-{}", round % 40);
                        let body = json!({"adjust": adjust, "reference": reference});
                        let answer = shop.adjust(sku, body).await;
                        assert!(matches!(answer.status, 200 | 409), "{}", answer.body);
                    }
                    step => {
                        let path = [RELEASE, RELEASE, CONSUME, RESTOCK][step - 6];
                        let ids: Vec<_> = some(&mut random).into_iter().map(id).collect();
                        shop.settle(path, &ids).await;
                    }
                }
            }
        });
    }
    tasks.join_all().await;
    shop.assert_books_are_right().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_popular_sku_holds_up_neither_the_rest_nor_those_who_read() {
    let shop = Arc::new(Shop::open_with(&[("DATABASE_CONNECTIONS_MAX", "4")]).await);
    shop.stock(&[("hot", 1_000), ("a", 10), ("b", 10)]).await;
    // Somebody else has the popular goods: whoever wants them waits.
    let mut other = shop.pool.begin().await.unwrap();
    sqlx::query("SELECT FROM stock WHERE sku = 'hot' FOR UPDATE")
        .execute(&mut *other)
        .await
        .unwrap();
    let mut waiting = JoinSet::new();
    for number in 0..64 {
        let shop = Arc::clone(&shop);
        waiting.spawn(async move {
            let results = shop.reserve(&[order(number, &[("hot", 1)])]).await;
            is_reserved(&results[0])
        });
    }
    let locked = async || -> i64 {
        sqlx::query_scalar(
            "SELECT count(*) FROM pg_stat_activity
             WHERE datname = current_database() AND application_name = 'catalog'
               AND wait_event_type = 'Lock'",
        )
        .fetch_one(&shop.pool)
        .await
        .unwrap()
    };
    wait_for("a transaction waits for the goods", SOON, async || {
        locked().await > 0
    })
    .await;
    for number in 100..110 {
        let orders = [order(number, &[("a", 1), ("b", 1)])];
        assert!(is_reserved(&shop.reserve(&orders).await[0]));
        assert_eq!(shop.get("/hot").await.body["available"], 1_000);
    }
    assert_eq!(locked().await, 1, "64 calls wait in one connection");
    other.rollback().await.unwrap();
    assert!(
        waiting
            .join_all()
            .await
            .into_iter()
            .all(|reserved| reserved)
    );
    assert_eq!(shop.level("hot").await, (1_000, 64));
    shop.assert_books_are_right().await;
}

#[tokio::test]
async fn a_call_that_cannot_be_served_is_refused_alone() {
    let shop = Arc::new(Shop::open().await);
    shop.stock(&[("a", 100), ("bad", 100)]).await;
    // Whatever touches these goods fails, and by no outage.
    for statement in [
        "CREATE FUNCTION bad() RETURNS trigger LANGUAGE plpgsql AS
         $$ BEGIN RAISE EXCEPTION 'bad goods'; END $$",
        "CREATE TRIGGER bad BEFORE UPDATE ON stock FOR EACH ROW WHEN (OLD.sku = 'bad')
         EXECUTE FUNCTION bad()",
    ] {
        sqlx::query(statement).execute(&shop.pool).await.unwrap();
    }
    let mut held = shop.pool.begin().await.unwrap();
    sqlx::query("SELECT FROM stock FOR UPDATE")
        .execute(&mut *held)
        .await
        .unwrap();
    // They gather while the goods cannot be had, and go together.
    let mut calls = JoinSet::new();
    for number in 0..12 {
        let shop = Arc::clone(&shop);
        let sku = if number % 4 == 0 { "bad" } else { "a" };
        calls.spawn(async move {
            let body = json!({"orders": [order(number, &[(sku, 1)])]});
            let answer = shop.post(RESERVATIONS, body).await;
            (sku, answer.status)
        });
    }
    wait_for("all calls are in", SOON, async || {
        let waiting: i64 = sqlx::query_scalar(
            "SELECT count(*) FROM pg_stat_activity
             WHERE datname = current_database() AND wait_event_type = 'Lock'",
        )
        .fetch_one(&shop.pool)
        .await
        .unwrap();
        waiting > 0
    })
    .await;
    held.rollback().await.unwrap();
    for (sku, status) in calls.join_all().await {
        assert_eq!(status, if sku == "bad" { 500 } else { 200 });
    }
    assert_eq!(shop.level("a").await, (100, 9));
}
