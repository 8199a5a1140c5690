//! The fence against a real Postgres.
#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::time::Duration;

use sqlx::PgPool;
use steelyard_sequence::Token;
use steelyard_sequence::fence::raise_fences;
use steelyard_testkit::{TestDatabase, postgres};
use tokio::time::timeout;

async fn prepared() -> (TestDatabase, PgPool) {
    let database = postgres().await;
    let pool = PgPool::connect(&database.url).await.unwrap();
    let table = "CREATE TABLE customers (customer_id text PRIMARY KEY, \
                 fence bigint NOT NULL DEFAULT 0, last_sequence bigint NOT NULL DEFAULT 0)";
    sqlx::query(table).execute(&pool).await.unwrap();
    (database, pool)
}

async fn raise(pool: &PgPool, claims: &[(&str, i64)]) -> Vec<String> {
    let claims: Vec<_> = claims
        .iter()
        .map(|(customer, token)| (*customer, Token::new(*token)))
        .collect();
    let mut tx = pool.begin().await.unwrap();
    let mut stale = raise_fences(&mut tx, &claims).await.unwrap();
    tx.commit().await.unwrap();
    stale.sort();
    stale
}

async fn stored(pool: &PgPool) -> Vec<(String, i64)> {
    sqlx::query_as("SELECT customer_id, fence FROM customers ORDER BY customer_id")
        .fetch_all(pool)
        .await
        .unwrap()
}

#[tokio::test]
async fn a_superseded_holder_is_told_so_and_a_present_one_goes_on() {
    let (_database, pool) = prepared().await;
    assert!(raise(&pool, &[("a", 10), ("b", 10)]).await.is_empty());
    assert!(
        raise(&pool, &[("a", 10)]).await.is_empty(),
        "one lease, many transactions"
    );
    assert!(raise(&pool, &[("a", 20)]).await.is_empty());
    assert_eq!(raise(&pool, &[("a", 10), ("b", 11), ("c", 1)]).await, ["a"]);
    let expected = [
        ("a".to_owned(), 20),
        ("b".to_owned(), 11),
        ("c".to_owned(), 1),
    ];
    assert_eq!(stored(&pool).await, expected);
}

#[tokio::test]
async fn a_customer_named_twice_counts_once_and_none_is_no_error() {
    let (_database, pool) = prepared().await;
    assert!(
        raise(&pool, &[("a", 5), ("a", 7), ("a", 6)])
            .await
            .is_empty()
    );
    assert!(raise(&pool, &[]).await.is_empty());
    assert_eq!(stored(&pool).await, [("a".to_owned(), 7)]);
}

#[tokio::test]
async fn a_stalled_holder_cannot_write_after_it_was_superseded() {
    let (_database, pool) = prepared().await;
    // The old holder has begun, has raised the fence, and stalls before its commit …
    let mut old = pool.begin().await.unwrap();
    assert!(
        raise_fences(&mut old, &[("a", Token::new(1))])
            .await
            .unwrap()
            .is_empty()
    );
    let mut new = pool.begin().await.unwrap();
    {
        let claims = [("a", Token::new(2))];
        let waiting = raise_fences(&mut new, &claims);
        tokio::pin!(waiting);
        // … the new one waits for it, rather than work beside it.
        assert!(
            timeout(Duration::from_millis(200), waiting.as_mut())
                .await
                .is_err()
        );
        old.commit().await.unwrap();
        assert!(waiting.await.unwrap().is_empty());
    }
    new.commit().await.unwrap();
    // Its next transaction is refused.
    assert_eq!(raise(&pool, &[("a", 1)]).await, ["a"]);
}

#[tokio::test]
async fn sets_that_overlap_in_opposite_order_do_not_deadlock() {
    let (_database, pool) = prepared().await;
    let mut tasks = tokio::task::JoinSet::new();
    for round in 0..40_i64 {
        let pool = pool.clone();
        tasks.spawn(async move {
            let mut customers: Vec<String> = (0..30).map(|n| format!("c{n}")).collect();
            if round % 2 == 0 {
                customers.reverse();
            }
            let claims: Vec<_> = customers
                .into_iter()
                .map(|customer| (customer, Token::new(round)))
                .collect();
            let mut tx = pool.begin().await?;
            raise_fences(&mut tx, &claims).await?;
            tx.commit().await
        });
    }
    for result in tasks.join_all().await {
        result.unwrap();
    }
    assert!(stored(&pool).await.iter().all(|(_, fence)| *fence == 39));
}
