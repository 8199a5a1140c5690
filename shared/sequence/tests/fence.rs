//! The fence against a real Postgres.
#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::time::Duration;

use sqlx::{PgConnection, PgPool};
use steelyard_sequence::Token;
use steelyard_sequence::fence::{Claim, move_fences};
use steelyard_testkit::{TestDatabase, postgres, wait_for};
use tokio::time::timeout;

/// Long enough for a machine that builds beside the tests.
const SOON: Duration = Duration::from_secs(60);

async fn prepared() -> (TestDatabase, PgPool) {
    let database = postgres().await;
    let pool = PgPool::connect(&database.url).await.unwrap();
    let table = "CREATE TABLE customers (customer_id text PRIMARY KEY, \
                 fence bigint NOT NULL, last_sequence bigint NOT NULL DEFAULT 0)";
    sqlx::query(table).execute(&pool).await.unwrap();
    (database, pool)
}

/// Version and last number of a customer's row.
async fn read(pool: &PgPool, customer: &str) -> Option<(i64, i64)> {
    sqlx::query_as("SELECT xmin::text::bigint, last_sequence FROM customers WHERE customer_id = $1")
        .bind(customer)
        .fetch_optional(pool)
        .await
        .unwrap()
}

/// A claim as one makes it who has just read, and takes the next number.
async fn claim<'a>(pool: &PgPool, customer: &'a str, token: i64) -> Claim<'a> {
    let row = read(pool, customer).await;
    Claim {
        customer,
        token: Token::new(token),
        seen: row.map(|(version, _)| version),
        last_sequence: row.map_or(0, |(_, last)| last) + 1,
    }
}

async fn moved(connection: &mut PgConnection, claims: &[Claim<'_>]) -> Vec<usize> {
    move_fences(connection, claims).await.unwrap()
}

/// In a transaction of its own, as the worker does: all or nothing.
async fn write(pool: &PgPool, claims: &[Claim<'_>]) -> Vec<usize> {
    let mut transaction = pool.begin().await.unwrap();
    let stale = moved(&mut transaction, claims).await;
    if stale.is_empty() {
        transaction.commit().await.unwrap();
    } else {
        transaction.rollback().await.unwrap();
    }
    stale
}

async fn stored(pool: &PgPool) -> Vec<(String, i64, i64)> {
    sqlx::query_as("SELECT customer_id, fence, last_sequence FROM customers ORDER BY customer_id")
        .fetch_all(pool)
        .await
        .unwrap()
}

fn row(customer: &str, fence: i64, last: i64) -> (String, i64, i64) {
    (customer.to_owned(), fence, last)
}

#[tokio::test]
async fn one_lease_has_many_transactions_and_a_superseded_holder_has_none() {
    let (_database, pool) = prepared().await;
    for _ in 0..3 {
        let claims = [claim(&pool, "a", 10).await, claim(&pool, "b", 10).await];
        assert!(write(&pool, &claims).await.is_empty());
    }
    assert!(
        write(&pool, &[claim(&pool, "a", 20).await])
            .await
            .is_empty()
    );
    // Although it has just read.
    let claims = [
        claim(&pool, "b", 11).await,
        claim(&pool, "a", 10).await,
        claim(&pool, "c", 1).await,
    ];
    assert_eq!(write(&pool, &claims).await, [1]);
    assert!(write(&pool, &[claims[0], claims[2]]).await.is_empty());
    assert!(write(&pool, &[]).await.is_empty());
    assert_eq!(
        stored(&pool).await,
        [row("a", 20, 4), row("b", 11, 4), row("c", 1, 1)]
    );
}

#[tokio::test]
async fn what_was_decided_on_another_state_is_refused_whoever_changed_it() {
    let (_database, pool) = prepared().await;
    // The first row of a customer, made by another meanwhile.
    let late = claim(&pool, "a", 30).await;
    assert!(
        write(&pool, &[claim(&pool, "a", 20).await])
            .await
            .is_empty()
    );
    assert_eq!(write(&pool, &[late]).await, [0]);
    // A superseded holder came in between; its token is smaller than ours.
    let late = claim(&pool, "a", 30).await;
    assert!(
        write(&pool, &[claim(&pool, "a", 25).await])
            .await
            .is_empty()
    );
    assert_eq!(write(&pool, &[late]).await, [0]);
    // The same token: another holder's, or a commit of our own that we never heard of.
    let late = claim(&pool, "a", 30).await;
    assert!(
        write(&pool, &[claim(&pool, "a", 30).await])
            .await
            .is_empty()
    );
    assert_eq!(write(&pool, &[late]).await, [0]);
    // Somebody mended the row by hand.
    let late = claim(&pool, "a", 30).await;
    sqlx::query("UPDATE customers SET last_sequence = 9")
        .execute(&pool)
        .await
        .unwrap();
    assert_eq!(write(&pool, &[late]).await, [0]);
    assert!(
        write(&pool, &[claim(&pool, "a", 30).await])
            .await
            .is_empty()
    );
    assert_eq!(stored(&pool).await, [row("a", 30, 10)]);
}

#[tokio::test]
async fn who_comes_while_another_commits_waits_for_it_and_is_refused() {
    let (_database, pool) = prepared().await;
    assert!(write(&pool, &[claim(&pool, "a", 1).await]).await.is_empty());
    // With a larger token, and with the same one, as after a commit whose answer was lost.
    for token in [2, 2] {
        let (first, second) = (
            claim(&pool, "a", token).await,
            claim(&pool, "a", token).await,
        );
        let mut slow = pool.begin().await.unwrap();
        assert!(moved(&mut slow, &[first]).await.is_empty());
        let mut quick = pool.begin().await.unwrap();
        {
            let claims = [second];
            let waiting = move_fences(&mut quick, &claims);
            tokio::pin!(waiting);
            let waits = timeout(Duration::from_millis(200), waiting.as_mut()).await;
            assert!(waits.is_err(), "it did not wait: {waits:?}");
            slow.commit().await.unwrap();
            assert_eq!(waiting.await.unwrap(), [0]);
        }
        quick.rollback().await.unwrap();
    }
    // And goes on if the other's transaction comes to nothing.
    let (first, second) = (claim(&pool, "a", 3).await, claim(&pool, "a", 4).await);
    let mut slow = pool.begin().await.unwrap();
    assert!(moved(&mut slow, &[first]).await.is_empty());
    slow.rollback().await.unwrap();
    assert!(write(&pool, &[second]).await.is_empty());
    assert_eq!(stored(&pool).await, [row("a", 4, 4)]);
}

#[tokio::test]
async fn sets_that_overlap_in_opposite_order_do_not_deadlock() {
    let (_database, pool) = prepared().await;
    let rounds = (0..10).map(async |round| {
        let mut customers: Vec<String> = (0..10).map(|n| format!("c{n}")).collect();
        if round % 2 == 0 {
            customers.reverse();
        }
        // Until it was its turn: others are quicker, and then it reads again.
        wait_for("nobody came in between", SOON, async || {
            let mut claims = Vec::new();
            for customer in &customers {
                claims.push(claim(&pool, customer, 1).await);
            }
            write(&pool, &claims).await.is_empty()
        })
        .await;
    });
    futures_util::future::join_all(rounds).await;
    let rows = stored(&pool).await;
    assert_eq!(rows.len(), 10);
    assert!(rows.iter().all(|(_, _, last)| *last == 10), "{rows:?}");
}
