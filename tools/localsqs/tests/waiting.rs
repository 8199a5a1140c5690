//! Long polls, clocks and stopping, on this server's own terms.

#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod support;

use std::time::{Duration, Instant};

use aws_sdk_sqs::{Client, types::QueueAttributeName as Attribute};
use localsqs::{Clock, Config, Server};
use support::{bodies, client, create, receive_now};
use time::macros::datetime;
use tokio::task::JoinHandle;

async fn on_manual_clock() -> (Server, Client) {
    let clock = Clock::manual(datetime!(2026-01-01 00:00 UTC));
    let server = Server::start(Config {
        clock,
        ..Config::default()
    })
    .await
    .unwrap();
    let client = client(&server.url());
    (server, client)
}

/// A receive that waits, on a connection of its own.
fn waiting(server: &Server, queue: &str, seconds: i32) -> JoinHandle<Vec<String>> {
    let request = client(&server.url())
        .receive_message()
        .queue_url(queue)
        .wait_time_seconds(seconds);
    tokio::spawn(async move {
        let messages = request.send().await.unwrap().messages.unwrap_or_default();
        bodies(&messages).into_iter().map(str::to_owned).collect()
    })
}

/// Lets a request come to its wait. Were it late, the test would still hold: what it waits for is there already then.
async fn settle() {
    // The server and the test share one thread, so some turns of it do.
    for _ in 0..200 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_wait_ends_by_the_servers_clock() {
    let (server, client) = on_manual_clock().await;
    let queue = create(&client, "empty", &[]).await;
    let waiting = waiting(&server, &queue, 20);
    settle().await;
    assert!(!waiting.is_finished());
    let started = Instant::now();
    while !waiting.is_finished() {
        server.clock().advance(Duration::from_secs(1));
        tokio::task::yield_now().await;
        assert!(started.elapsed() < Duration::from_secs(10));
    }
    assert!(waiting.await.unwrap().is_empty());
}

#[tokio::test]
async fn a_wait_is_answered_when_a_timeout_a_delay_or_a_return_makes_a_message_visible() {
    let (server, client) = on_manual_clock().await;
    let queue = create(&client, "visible", &[(Attribute::VisibilityTimeout, "5")]).await;
    client
        .send_message()
        .queue_url(&queue)
        .message_body("delayed")
        .delay_seconds(5)
        .send()
        .await
        .unwrap();
    let first = waiting(&server, &queue, 20);
    settle().await;
    server.clock().advance(Duration::from_secs(5));
    assert_eq!(first.await.unwrap(), ["delayed"]);

    let second = waiting(&server, &queue, 20);
    settle().await;
    server.clock().advance(Duration::from_secs(5));
    assert_eq!(second.await.unwrap(), ["delayed"], "its timeout is over");

    server.clock().advance(Duration::from_secs(5));
    let held = receive_now(&client, &queue).await;
    let third = waiting(&server, &queue, 20);
    settle().await;
    let give_back = client
        .change_message_visibility()
        .queue_url(&queue)
        .visibility_timeout(0);
    give_back
        .receipt_handle(held[0].receipt_handle().unwrap())
        .send()
        .await
        .unwrap();
    assert_eq!(third.await.unwrap(), ["delayed"]);
}

#[tokio::test]
async fn a_wait_learns_of_a_timer_that_was_set_after_it_began() {
    let (server, client) = on_manual_clock().await;
    let queue = create(&client, "later", &[]).await;
    let waiting = waiting(&server, &queue, 20);
    settle().await;
    client
        .send_message()
        .queue_url(&queue)
        .message_body("m")
        .delay_seconds(3)
        .send()
        .await
        .unwrap();
    settle().await;
    server.clock().advance(Duration::from_secs(3));
    assert_eq!(waiting.await.unwrap(), ["m"]);
}

#[tokio::test]
async fn every_waiting_receive_gets_its_share_of_a_batch() {
    let (server, client) = on_manual_clock().await;
    let queue = create(&client, "share.fifo", &[]).await;
    let waiting: Vec<_> = (0..5).map(|_| waiting(&server, &queue, 20)).collect();
    settle().await;
    let mut batch = client.send_message_batch().queue_url(&queue);
    for at in 0..5 {
        let entry = aws_sdk_sqs::types::SendMessageBatchRequestEntry::builder().id(at.to_string());
        let entry = entry
            .message_body(at.to_string())
            .message_group_id(at.to_string());
        batch = batch.entries(
            entry
                .message_deduplication_id(at.to_string())
                .build()
                .unwrap(),
        );
    }
    batch.send().await.unwrap();
    let mut received = Vec::new();
    for wait in waiting {
        received.extend(wait.await.unwrap());
    }
    received.sort();
    assert_eq!(received, ["0", "1", "2", "3", "4"]);
}

#[tokio::test]
async fn a_client_that_goes_away_while_it_waits_takes_no_message_with_it() {
    let (server, client) = on_manual_clock().await;
    let queue = create(&client, "away", &[]).await;
    let gone = waiting(&server, &queue, 20);
    settle().await;
    gone.abort();
    assert!(gone.await.unwrap_err().is_cancelled());
    settle().await;
    client
        .send_message()
        .queue_url(&queue)
        .message_body("m")
        .send()
        .await
        .unwrap();
    assert_eq!(bodies(&receive_now(&client, &queue).await), ["m"]);
}

#[tokio::test]
async fn a_stop_answers_the_receives_that_wait() {
    let (server, client) = on_manual_clock().await;
    let queue = create(&client, "stop", &[]).await;
    let waiting = waiting(&server, &queue, 20);
    settle().await;
    server.stop().await;
    assert!(waiting.await.unwrap().is_empty());
}

#[tokio::test]
async fn deleting_a_queue_answers_the_receives_that_wait_on_it() {
    let (server, client) = on_manual_clock().await;
    let queue = create(&client, "deleted", &[]).await;
    let waiting = tokio::spawn(
        support::client(&server.url())
            .receive_message()
            .queue_url(&queue)
            .wait_time_seconds(20)
            .send(),
    );
    settle().await;
    client
        .delete_queue()
        .queue_url(&queue)
        .send()
        .await
        .unwrap();
    assert!(waiting.await.unwrap().is_err());
}

#[tokio::test]
async fn an_hour_of_retries_takes_a_moment() {
    let (server, client) = on_manual_clock().await;
    let queue = create(&client, "hour", &[(Attribute::VisibilityTimeout, "600")]).await;
    client
        .send_message()
        .queue_url(&queue)
        .message_body("m")
        .send()
        .await
        .unwrap();
    let started = Instant::now();
    for _ in 0..6 {
        assert_eq!(receive_now(&client, &queue).await.len(), 1);
        server.clock().advance(Duration::from_secs(600));
    }
    assert!(started.elapsed() < Duration::from_secs(30));
}

#[tokio::test]
async fn the_limit_of_messages_in_flight_is_an_error_on_standard_queues_and_silence_on_fifo() {
    let server = Server::start(Config {
        in_flight_messages_max: 3,
        ..Config::default()
    })
    .await
    .unwrap();
    let client = client(&server.url());
    let standard = create(&client, "limit", &[]).await;
    let fifo = create(&client, "limit.fifo", &[]).await;
    for at in 0..5 {
        client
            .send_message()
            .queue_url(&standard)
            .message_body("m")
            .send()
            .await
            .unwrap();
        let request = client
            .send_message()
            .queue_url(&fifo)
            .message_body("m")
            .message_group_id(at.to_string());
        request
            .message_deduplication_id(at.to_string())
            .send()
            .await
            .unwrap();
    }
    assert_eq!(receive_now(&client, &standard).await.len(), 3);
    let refused = client
        .receive_message()
        .queue_url(&standard)
        .send()
        .await
        .unwrap_err()
        .into_service_error();
    assert!(refused.is_over_limit());
    assert_eq!(receive_now(&client, &fifo).await.len(), 3);
    assert!(receive_now(&client, &fifo).await.is_empty());
}
