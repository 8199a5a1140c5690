//! `kill -9` in the middle of load: nothing acknowledged is lost, nothing deleted comes back.

#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod support;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use aws_sdk_sqs::{
    Client,
    types::{DeleteMessageBatchRequestEntry, SendMessageBatchRequestEntry},
};
use support::{Process, client, create};

/// What the clients know, from the answers they got.
#[derive(Default)]
struct Known {
    sent: BTreeSet<String>,
    /// Deletes asked for, answered or not.
    delete_tried: BTreeSet<String>,
    deleted: BTreeSet<String>,
}

type Shared = Arc<Mutex<Known>>;

const GROUPS: usize = 20;

/// Sends batches of ten until the server is gone.
async fn send_until_gone(client: Client, queue: String, name: String, known: Shared) {
    for batch in 0.. {
        let bodies: Vec<String> = (0..10)
            .map(|at| format!("{name}-{batch:06}-{at}"))
            .collect();
        let entries = bodies.iter().enumerate().map(|(at, body)| {
            let entry = SendMessageBatchRequestEntry::builder()
                .id(at.to_string())
                .message_body(body);
            let entry = if queue.ends_with(".fifo") {
                entry
                    .message_group_id(format!("{name}-{}", batch % GROUPS))
                    .message_deduplication_id(body)
            } else {
                entry
            };
            entry.build().unwrap()
        });
        let request = client
            .send_message_batch()
            .queue_url(&queue)
            .set_entries(Some(entries.collect()));
        let Ok(answer) = request.send().await else {
            return;
        };
        let mut known = known.lock().unwrap();
        for entry in answer.successful() {
            known
                .sent
                .insert(bodies[entry.id().parse::<usize>().unwrap()].clone());
        }
    }
}

/// Receives and deletes every other batch, until the server is gone. The rest stays in flight, for a second at most.
async fn consume_until_gone(client: Client, queue: String, known: Shared) {
    for round in 0.. {
        let receive = client
            .receive_message()
            .queue_url(&queue)
            .max_number_of_messages(10);
        let Ok(answer) = receive
            .visibility_timeout(1)
            .wait_time_seconds(1)
            .send()
            .await
        else {
            return;
        };
        let messages = answer.messages.unwrap_or_default();
        if messages.is_empty() || round % 2 == 1 {
            continue;
        }
        let mut entries = Vec::new();
        for (at, message) in messages.iter().enumerate() {
            known
                .lock()
                .unwrap()
                .delete_tried
                .insert(message.body().unwrap().to_owned());
            let entry = DeleteMessageBatchRequestEntry::builder().id(at.to_string());
            entries.push(
                entry
                    .receipt_handle(message.receipt_handle().unwrap())
                    .build()
                    .unwrap(),
            );
        }
        let delete = client
            .delete_message_batch()
            .queue_url(&queue)
            .set_entries(Some(entries));
        let Ok(answer) = delete.send().await else {
            return;
        };
        let mut known = known.lock().unwrap();
        for entry in answer.successful() {
            known.deleted.insert(
                messages[entry.id().parse::<usize>().unwrap()]
                    .body()
                    .unwrap()
                    .to_owned(),
            );
        }
    }
}

/// Everything that is still in a queue, in the order in which it comes.
async fn drain(client: &Client, queue: &str, expected: &BTreeSet<String>) -> Vec<String> {
    let deadline = Instant::now() + Duration::from_secs(60);
    let mut missing = expected.clone();
    let mut drained = Vec::new();
    loop {
        let receive = client
            .receive_message()
            .queue_url(queue)
            .max_number_of_messages(10)
            .visibility_timeout(30);
        let messages = receive
            .wait_time_seconds(2)
            .send()
            .await
            .unwrap()
            .messages
            .unwrap_or_default();
        if messages.is_empty() && (missing.is_empty() || Instant::now() > deadline) {
            return drained;
        }
        let mut entries = Vec::new();
        for message in messages {
            let body = message.body.unwrap();
            missing.remove(&body);
            drained.push(body);
            let entry = DeleteMessageBatchRequestEntry::builder().id(entries.len().to_string());
            entries.push(
                entry
                    .receipt_handle(message.receipt_handle.unwrap())
                    .build()
                    .unwrap(),
            );
        }
        if !entries.is_empty() {
            let delete = client
                .delete_message_batch()
                .queue_url(queue)
                .set_entries(Some(entries));
            assert!(delete.send().await.unwrap().failed().is_empty());
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_in_the_middle_of_load_loses_nothing_acknowledged_and_brings_nothing_deleted_back() {
    let directory = tempfile::tempdir().unwrap();
    // Small, so that snapshots are taken, and killed, under load too.
    let options = ["--compact-after", "200000"];
    let known: BTreeMap<&str, Shared> = ["orders.fifo", "jobs"]
        .into_iter()
        .map(|name| (name, Shared::default()))
        .collect();

    for round in 0..4 {
        let process = Process::start(directory.path(), &options);
        let mut clients = Vec::new();
        for (name, known) in &known {
            let client = client(&process.url);
            let queue = create(&client, name, &[]).await;
            for sender in 0..2 {
                let name = format!("r{round}s{sender}");
                clients.push(tokio::spawn(send_until_gone(
                    client.clone(),
                    queue.clone(),
                    name,
                    Arc::clone(known),
                )));
            }
            clients.push(tokio::spawn(consume_until_gone(
                client,
                queue,
                Arc::clone(known),
            )));
        }
        // In the middle of load: when enough has been acknowledged in this round.
        let enough = |known: &Shared| {
            let known = known.lock().unwrap();
            let of_round = known
                .sent
                .iter()
                .filter(|body| body.starts_with(&format!("r{round}")))
                .count();
            of_round >= 500 && !known.deleted.is_empty()
        };
        let deadline = Instant::now() + Duration::from_secs(60);
        while !known.values().all(enough) {
            assert!(Instant::now() < deadline, "the load did not get going");
            tokio::task::yield_now().await;
        }
        process.kill();
        for client in clients {
            client.await.unwrap();
        }
    }

    let process = Process::start(directory.path(), &options);
    let client = client(&process.url);
    for (name, known) in &known {
        let queue = create(&client, name, &[]).await;
        let known = std::mem::take(&mut *known.lock().unwrap());
        let expected: BTreeSet<String> = known
            .sent
            .difference(&known.delete_tried)
            .cloned()
            .collect();
        let drained = drain(&client, &queue, &expected).await;
        let seen: BTreeSet<String> = drained.iter().cloned().collect();
        let lost: Vec<_> = expected.difference(&seen).collect();
        let back: Vec<_> = known.deleted.intersection(&seen).collect();
        println!(
            "{name}: {} sent, {} deleted, {} left",
            known.sent.len(),
            known.deleted.len(),
            drained.len()
        );
        assert!(
            lost.is_empty(),
            "{name}: {} acknowledged messages are lost: {lost:?}",
            lost.len()
        );
        assert!(
            back.is_empty(),
            "{name}: {} deleted messages came back: {back:?}",
            back.len()
        );
        if name.ends_with(".fifo") {
            // Bodies of one sender and one round ascend within their group.
            let mut last: BTreeMap<String, &str> = BTreeMap::new();
            for body in &drained {
                let mut parts = body.split('-');
                let (sender, batch) = (
                    parts.next().unwrap(),
                    parts.next().unwrap().parse::<usize>().unwrap(),
                );
                let before = last.insert(format!("{sender}-{}", batch % GROUPS), body);
                assert!(
                    before.is_none_or(|before| before < body.as_str()),
                    "{before:?} came before {body}"
                );
            }
        }
    }
}
