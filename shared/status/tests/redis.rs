//! Against a real Redis, and against none.
#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use steelyard_domain::api::Receipt;
use steelyard_domain::id::OrderId;
use steelyard_domain::order::OrderStatus;
use steelyard_status::{
    CALL_MAX, Error, Publisher, ReceiptReader, ReceiptWriter, Redis, StatusChange, Subscription,
    Watch, WatchEvent,
};
use steelyard_testkit::{wait_for, wait_for_ok};
use time::OffsetDateTime;
use tokio_util::sync::CancellationToken;

const PATIENCE: Duration = Duration::from_secs(20);

fn order(n: u128) -> OrderId {
    OrderId(uuid::Uuid::from_u128(n))
}

fn receipt(n: u128, reference: &str) -> Receipt {
    Receipt {
        id: order(n),
        customer_id: "17850".parse().unwrap(),
        reference: Some(reference.to_owned()),
        status: OrderStatus::Accepted,
        accepted_at: OffsetDateTime::UNIX_EPOCH,
    }
}

fn json(receipt: &Receipt) -> Arc<[u8]> {
    serde_json::to_vec(receipt).unwrap().into()
}

fn change(n: u128, version: i64) -> StatusChange {
    StatusChange {
        order_id: order(n),
        customer_id: "17850".parse().unwrap(),
        status: OrderStatus::Confirmed,
        version,
    }
}

#[tokio::test]
async fn a_receipt_is_found_and_the_first_one_stands() {
    let server = steelyard_testkit::redis().await;
    let redis = Redis::new(&server.url).unwrap();
    let (writer, task) = ReceiptWriter::start(redis.clone());
    for n in 0..1_200 {
        writer.put(order(n), json(&receipt(n, "first")));
    }
    writer.put(order(7), json(&receipt(7, "second")));
    drop(writer);
    tokio::time::timeout(PATIENCE, task).await.unwrap().unwrap();

    let reader = ReceiptReader::new(redis);
    assert_eq!(
        reader.get(order(7)).await.unwrap(),
        Some(receipt(7, "first"))
    );
    assert_eq!(
        reader.get(order(1_199)).await.unwrap(),
        Some(receipt(1_199, "first"))
    );
    assert_eq!(reader.get(order(1_200)).await.unwrap(), None);
}

#[tokio::test]
async fn a_redis_that_was_away_and_has_lost_its_memory_gets_the_latest_receipts_again() {
    let mut server = steelyard_testkit::redis().await;
    let redis = Redis::new(&server.url).unwrap();
    let reader = ReceiptReader::new(redis.clone());
    let (writer, task) = ReceiptWriter::start(redis);
    let found = async |n: u128| {
        reader
            .get(order(n))
            .await
            .is_ok_and(|found| found.is_some())
    };
    writer.put(order(1), json(&receipt(1, "before")));
    wait_for("the first is written", PATIENCE, async || found(1).await).await;
    server.kill().await;
    for n in 2..700 {
        writer.put(order(n), json(&receipt(n, "meanwhile")));
    }
    server.start_again().await;
    for n in [1, 2, 699] {
        wait_for("all are there", PATIENCE, async || found(n).await).await;
    }
    drop(writer);
    tokio::time::timeout(PATIENCE, task).await.unwrap().unwrap();
}

#[tokio::test]
async fn without_redis_every_call_says_so_quickly() {
    let mut server = steelyard_testkit::redis().await;
    server.kill().await;
    let redis = Redis::new(&server.url).unwrap();
    let started = Instant::now();
    let error = ReceiptReader::new(redis.clone())
        .get(order(1))
        .await
        .unwrap_err();
    assert!(
        matches!(error, Error::Unavailable(_) | Error::TimedOut),
        "{error}"
    );
    let error = Publisher::new(redis.clone())
        .publish(&[change(1, 1)])
        .await
        .unwrap_err();
    assert!(
        matches!(error, Error::Unavailable(_) | Error::TimedOut),
        "{error}"
    );
    assert!(started.elapsed() < CALL_MAX * 3);

    // The writer takes what it can and never makes the caller wait.
    let (writer, task) = ReceiptWriter::start(redis);
    let started = Instant::now();
    for n in 0..20_000 {
        writer.put(order(n), json(&receipt(n, "r")));
    }
    assert!(started.elapsed() < Duration::from_secs(5));
    task.abort();
}

#[tokio::test]
async fn a_silent_redis_is_given_up_in_time() {
    let mut server = steelyard_testkit::redis().await;
    server.stall();
    let redis = Redis::new(&server.url).unwrap();
    let started = Instant::now();
    ReceiptReader::new(redis).get(order(1)).await.unwrap_err();
    assert!(started.elapsed() < CALL_MAX * 2, "{:?}", started.elapsed());
    server.resume();
}

#[tokio::test]
async fn a_waiter_hears_of_its_own_order_and_of_an_outage() {
    let mut server = steelyard_testkit::redis().await;
    let redis = Redis::new(&server.url).unwrap();
    let stop = CancellationToken::new();
    let watch = Watch::start(redis.clone(), stop.clone());
    let mut mine = watch.subscribe(order(1)).unwrap();
    let publisher = Publisher::new(redis);

    // Once the connection stands, everyone is told to ask.
    assert_eq!(next(&mut mine).await, Some(WatchEvent::MayHaveMissed));
    publisher
        .publish(&[change(2, 1), change(1, 3)])
        .await
        .unwrap();
    assert_eq!(
        next(&mut mine).await,
        Some(WatchEvent::Changed(change(1, 3)))
    );

    server.kill().await;
    server.start_again().await;
    assert_eq!(next(&mut mine).await, Some(WatchEvent::MayHaveMissed));
    // Its own connection may still be the one that broke; the next call has a new one.
    wait_for_ok("the publisher is connected again", PATIENCE, async || {
        publisher.publish(&[change(1, 4)]).await
    })
    .await;
    assert_eq!(
        next(&mut mine).await,
        Some(WatchEvent::Changed(change(1, 4)))
    );

    stop.cancel();
    assert_eq!(next(&mut mine).await, None);
}

#[tokio::test]
async fn receipts_and_changes_go_through_a_cluster() {
    let cluster = steelyard_testkit::redis_cluster().await;
    let redis = Redis::new(&cluster.url).unwrap();
    let (writer, task) = ReceiptWriter::start(redis.clone());
    for n in 0..600 {
        writer.put(order(n), json(&receipt(n, "r")));
    }
    drop(writer);
    tokio::time::timeout(PATIENCE, task).await.unwrap().unwrap();
    let reader = ReceiptReader::new(redis.clone());
    for n in [0, 1, 2, 300, 599] {
        assert_eq!(reader.get(order(n)).await.unwrap(), Some(receipt(n, "r")));
    }

    // What is published on one node is heard on the others.
    let stop = CancellationToken::new();
    let watch = Watch::start(redis.clone(), stop.clone());
    let mut mine = watch.subscribe(order(1)).unwrap();
    assert_eq!(next(&mut mine).await, Some(WatchEvent::MayHaveMissed));
    let publisher = Publisher::new(redis);
    for version in 1..10 {
        publisher.publish(&[change(1, version)]).await.unwrap();
        assert_eq!(
            next(&mut mine).await,
            Some(WatchEvent::Changed(change(1, version)))
        );
    }
    stop.cancel();
}

async fn next(subscription: &mut Subscription) -> Option<WatchEvent> {
    tokio::time::timeout(PATIENCE, subscription.next())
        .await
        .unwrap()
}
