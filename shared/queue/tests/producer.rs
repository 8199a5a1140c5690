//! The producer against the misbehaving queue, in virtual time.

use std::sync::Arc;
use std::time::Duration;

use steelyard_queue::testing::{Call, FakeQueue, Faults};
use steelyard_queue::{OutgoingMessage, Producer, ProducerOptions, SendError};
use tokio::task::JoinSet;
use tokio::time::Instant;

const QUEUE: &str = "orders.fifo";

fn producer(fake: &FakeQueue, options: ProducerOptions) -> Producer {
    Producer::start(Arc::new(fake.clone()), QUEUE, options)
}

fn message(group: usize, n: usize) -> OutgoingMessage {
    OutgoingMessage::fifo(
        format!("g{group}"),
        format!("{group}-{n}"),
        format!("{group}:{n}"),
    )
}

fn sends(fake: &FakeQueue) -> Vec<Vec<String>> {
    fake.calls()
        .into_iter()
        .filter_map(|(_, call)| {
            if let Call::Send(bodies) = call {
                Some(bodies)
            } else {
                None
            }
        })
        .collect()
}

#[tokio::test(start_paused = true)]
async fn an_idle_producer_sends_at_once() {
    let fake = FakeQueue::new(1, &[QUEUE]);
    let producer = producer(&fake, ProducerOptions::default());
    producer.send(message(0, 0)).await.unwrap();
    for n in 1..5 {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let began = Instant::now();
        let sent = producer.send(message(0, n)).await.unwrap();
        assert_eq!(began.elapsed(), Duration::ZERO);
        assert!(sent.sequence_number.is_some());
    }
}

#[tokio::test(start_paused = true)]
async fn concurrent_sends_share_batches_and_each_hears_its_own_result() {
    let fake = FakeQueue::new(2, &[QUEUE]);
    fake.set_faults(Faults {
        latency_max: Duration::from_millis(8),
        ..Faults::default()
    });
    let producer = producer(&fake, ProducerOptions::default());
    let mut tasks = JoinSet::new();
    for group in 0..200 {
        let producer = producer.clone();
        tasks.spawn(async move { (group, producer.send(message(group, 0)).await.unwrap()) });
    }
    let answers = tasks.join_all().await;
    let held = fake.held(QUEUE);
    for (group, sent) in answers {
        let stored = held
            .iter()
            .find(|held| held.message_id == sent.message_id)
            .unwrap();
        assert_eq!(stored.message.body, format!("{group}:0"));
    }
    let calls = sends(&fake);
    assert!(calls.len() <= 24, "{} calls for 200 sends", calls.len());
    assert!(calls.iter().all(|call| call.len() <= 10));
}

#[tokio::test(start_paused = true)]
async fn a_batch_never_exceeds_one_mebibyte_and_a_larger_message_is_told_so() {
    let fake = FakeQueue::new(3, &[QUEUE]);
    let producer = producer(&fake, ProducerOptions::default());
    let mut tasks = JoinSet::new();
    for group in 0..10 {
        let producer = producer.clone();
        let big = OutgoingMessage::fifo(
            format!("g{group}"),
            format!("{group}"),
            "x".repeat(300 * 1024),
        );
        tasks.spawn(async move { producer.send(big).await });
    }
    assert!(tasks.join_all().await.iter().all(Result::is_ok));
    assert!(
        sends(&fake)
            .iter()
            .all(|call| call.iter().map(String::len).sum::<usize>() <= 1024 * 1024)
    );
    let huge = OutgoingMessage::fifo("g", "huge", "x".repeat(1024 * 1024 + 1));
    assert!(matches!(
        producer.send(huge).await,
        Err(SendError::TooLarge { .. })
    ));
}

#[tokio::test(start_paused = true)]
async fn sends_of_one_group_keep_their_order_through_failures() {
    for seed in 0..20 {
        let fake = FakeQueue::new(seed, &[QUEUE]);
        fake.set_faults(Faults {
            call_fails: 100,
            answer_lost: 100,
            entry_fails: 200,
            latency_max: Duration::from_millis(20),
            ..Faults::default()
        });
        let options = ProducerOptions {
            send_timeout: Duration::from_secs(120),
            ..ProducerOptions::default()
        };
        let producer = producer(&fake, options);
        let mut tasks = JoinSet::new();
        for n in 0..30 {
            for group in 0..5 {
                let sending = producer.clone();
                tasks.spawn(async move { sending.send(message(group, n)).await });
                tokio::task::yield_now().await;
            }
        }
        let answers = tasks.join_all().await;
        assert!(answers.iter().all(Result::is_ok), "seed {seed}");
        for group in 0..5 {
            let prefix = format!("{group}:");
            let bodies: Vec<String> = fake
                .bodies(QUEUE)
                .into_iter()
                .filter(|body| body.starts_with(&prefix))
                .collect();
            let expected: Vec<String> = (0..30).map(|n| format!("{group}:{n}")).collect();
            assert_eq!(bodies, expected, "seed {seed}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_entry_that_the_queue_refuses_does_not_spoil_its_batch() {
    let fake = FakeQueue::new(4, &[QUEUE]);
    fake.set_faults(Faults {
        latency_max: Duration::from_millis(5),
        ..Faults::default()
    });
    let producer = producer(&fake, ProducerOptions::default());
    let mut tasks = JoinSet::new();
    for group in 0..30 {
        let producer = producer.clone();
        // Two kinds: refused by itself (a character), and refused with its whole batch (no body).
        let body = match group {
            7 => "bad \u{1} character".to_owned(),
            13 => String::new(),
            _ => format!("{group}:0"),
        };
        let message = OutgoingMessage::fifo(format!("g{group}"), format!("{group}"), body);
        tasks.spawn(async move { (group, producer.send(message).await) });
    }
    for (group, result) in tasks.join_all().await {
        match group {
            7 | 13 => assert!(
                matches!(result, Err(SendError::Refused { .. })),
                "{group}: {result:?}"
            ),
            _ => assert!(result.is_ok(), "{group}: {result:?}"),
        }
    }
    assert_eq!(fake.bodies(QUEUE).len(), 28);
}

#[tokio::test(start_paused = true)]
async fn a_full_producer_says_so_at_once_and_recovers() {
    let fake = FakeQueue::new(5, &[QUEUE]);
    fake.set_outage(true);
    let options = ProducerOptions {
        queued_messages_max: 20,
        ..ProducerOptions::default()
    };
    let producer = producer(&fake, options);
    let mut tasks = JoinSet::new();
    for group in 0..20 {
        let producer = producer.clone();
        tasks.spawn(async move { producer.send(message(group, 0)).await });
    }
    tokio::time::sleep(Duration::from_millis(100)).await;
    let began = Instant::now();
    assert_eq!(
        producer.send(message(99, 0)).await,
        Err(SendError::Overloaded)
    );
    assert_eq!(began.elapsed(), Duration::ZERO);
    fake.set_outage(false);
    assert!(tasks.join_all().await.iter().all(Result::is_ok));
    assert!(producer.send(message(99, 0)).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn an_outage_ends_in_a_timeout_within_the_deadline() {
    let fake = FakeQueue::new(6, &[QUEUE]);
    fake.set_outage(true);
    let producer = producer(&fake, ProducerOptions::default());
    let began = Instant::now();
    let result = producer
        .send_by(message(0, 0), began + Duration::from_secs(3))
        .await;
    assert!(
        matches!(result, Err(SendError::Timeout { .. })),
        "{result:?}"
    );
    assert!(began.elapsed() <= Duration::from_secs(3));
    assert!(!producer.is_ready());
}

#[tokio::test(start_paused = true)]
async fn senders_that_give_up_withdraw_their_messages_and_disturb_nobody() {
    let fake = FakeQueue::new(7, &[QUEUE]);
    fake.set_outage(true);
    let producer = producer(&fake, ProducerOptions::default());
    let mut staying = JoinSet::new();
    let mut leaving = Vec::new();
    for n in 0..10 {
        let sending = producer.clone();
        leaving.push(tokio::spawn(async move {
            sending.send(message(n % 3, n)).await
        }));
        let sending = producer.clone();
        staying.spawn(async move { sending.send(message(n % 3, n + 100)).await });
        tokio::task::yield_now().await;
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    leaving.iter().for_each(tokio::task::JoinHandle::abort);
    tokio::time::sleep(Duration::from_millis(10)).await;
    fake.set_outage(false);
    assert!(staying.join_all().await.iter().all(Result::is_ok));
    let bodies = fake.bodies(QUEUE);
    assert_eq!(bodies.len(), 10, "{bodies:?}");
    assert!(
        bodies
            .iter()
            .all(|body| body.split(':').nth(1).unwrap().len() == 3),
        "{bodies:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn shutdown_flushes_what_was_taken_and_takes_no_more() {
    let fake = FakeQueue::new(8, &[QUEUE]);
    fake.set_faults(Faults {
        latency_max: Duration::from_millis(50),
        ..Faults::default()
    });
    let producer = producer(&fake, ProducerOptions::default());
    let mut tasks = JoinSet::new();
    for group in 0..50 {
        let producer = producer.clone();
        tasks.spawn(async move { producer.send(message(group, 0)).await });
    }
    tokio::task::yield_now().await;
    let report = producer
        .shutdown(Instant::now() + Duration::from_secs(5))
        .await;
    assert_eq!(report.unacknowledged, 0);
    assert!(tasks.join_all().await.iter().all(Result::is_ok));
    assert_eq!(producer.send(message(1, 1)).await, Err(SendError::Closed));
    assert_eq!(fake.bodies(QUEUE).len(), 50);
}

#[tokio::test(start_paused = true)]
async fn shutdown_is_bounded_when_the_queue_is_gone() {
    let fake = FakeQueue::new(9, &[QUEUE]);
    fake.set_outage(true);
    let producer = producer(
        &fake,
        ProducerOptions {
            send_timeout: Duration::from_secs(600),
            ..ProducerOptions::default()
        },
    );
    let sending = tokio::spawn({
        let producer = producer.clone();
        async move { producer.send(message(0, 0)).await }
    });
    tokio::time::sleep(Duration::from_millis(10)).await;
    let began = Instant::now();
    let report = producer.shutdown(began + Duration::from_secs(2)).await;
    assert_eq!(report.unacknowledged, 1);
    assert_eq!(began.elapsed(), Duration::from_secs(2));
    assert_eq!(sending.await.unwrap(), Err(SendError::Closed));
}

#[tokio::test(start_paused = true)]
async fn under_load_a_call_carries_many_messages_and_the_linger_stays_small() {
    for clients in [64, 16, 4, 1] {
        let fake = FakeQueue::new(10, &[QUEUE]);
        fake.set_faults(Faults {
            latency_max: Duration::from_millis(6),
            ..Faults::default()
        });
        let producer = producer(&fake, ProducerOptions::default());
        let began = Instant::now();
        let mut tasks = JoinSet::new();
        for client in 0..clients {
            let producer = producer.clone();
            tasks.spawn(async move {
                for n in 0..100 {
                    producer.send(message(client, n)).await.unwrap();
                }
            });
        }
        tasks.join_all().await;
        let calls_per_1000 = sends(&fake).len() * 1000 / (clients * 100);
        let ms_each = began.elapsed().as_millis() / 100;
        println!("{clients} clients: {calls_per_1000} calls per 1,000 messages, {ms_each} ms each");
        let (calls_max, ms_max) = match clients {
            64 => (150, 12),
            16 => (250, 12),
            _ => (1000, 12),
        };
        assert!(
            calls_per_1000 <= calls_max,
            "{clients} clients: {calls_per_1000} calls"
        );
        assert!(ms_each <= ms_max, "{clients} clients: {ms_each} ms");
    }
}
