//! What survives a restart of a server that keeps its messages: everything but the answers under way.

#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod support;

use std::{fs, path::Path, time::Duration};

use aws_sdk_sqs::{
    Client,
    types::{MessageSystemAttributeName as System, QueueAttributeName as Attribute},
};
use localsqs::{Clock, Config, QueueSpec, Server, StartError, Storage};
use support::{Process, bodies, client, create, receive_now};
use time::macros::datetime;

/// A server on a directory and on a test's clock, which goes on where it stood.
struct Restartable {
    directory: tempfile::TempDir,
    clock: Clock,
    compact_after: u64,
    server: Option<Server>,
}

impl Restartable {
    async fn start(compact_after: u64) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let clock = Clock::manual(datetime!(2026-01-01 00:00 UTC));
        let mut this = Self {
            directory,
            clock,
            compact_after,
            server: None,
        };
        this.restart().await;
        this
    }

    async fn restart(&mut self) {
        if let Some(server) = self.server.take() {
            server.stop().await;
        }
        let config = Config {
            storage: Storage::Durable(self.directory.path().to_owned()),
            clock: self.clock.clone(),
            log_bytes_before_compaction: self.compact_after,
            ..Config::default()
        };
        self.server = Some(Server::start(config).await.unwrap());
    }

    fn client(&self) -> Client {
        client(&self.server.as_ref().unwrap().url())
    }

    /// The queue's URL on the server as it is now: it has another port after each restart.
    async fn url(&self, name: &str) -> String {
        self.client()
            .get_queue_url()
            .queue_name(name)
            .send()
            .await
            .unwrap()
            .queue_url
            .unwrap()
    }
}

async fn send(client: &Client, queue: &str, group: &str, body: &str) {
    let request = client.send_message().queue_url(queue).message_body(body);
    request
        .message_group_id(group)
        .message_deduplication_id(body)
        .send()
        .await
        .unwrap();
}

#[tokio::test]
async fn queues_keep_attributes_tags_and_messages_in_their_order() {
    let mut server = Restartable::start(u64::MAX).await;
    let client = server.client();
    let queue = create(
        &client,
        "kept.fifo",
        &[(Attribute::VisibilityTimeout, "77")],
    )
    .await;
    client
        .tag_queue()
        .queue_url(&queue)
        .tags("team", "orders")
        .send()
        .await
        .unwrap();
    for body in ["a-1", "a-2", "b-1"] {
        send(&client, &queue, &body[..1], body).await;
    }
    server.restart().await;
    let (client, queue) = (server.client(), server.url("kept.fifo").await);
    let attributes = client
        .get_queue_attributes()
        .queue_url(&queue)
        .attribute_names(Attribute::VisibilityTimeout);
    assert_eq!(
        attributes.send().await.unwrap().attributes.unwrap()[&Attribute::VisibilityTimeout],
        "77"
    );
    let tags = client
        .list_queue_tags()
        .queue_url(&queue)
        .send()
        .await
        .unwrap()
        .tags
        .unwrap();
    assert_eq!(tags["team"], "orders");
    assert_eq!(
        bodies(&receive_now(&client, &queue).await),
        ["a-1", "a-2", "b-1"]
    );
}

#[tokio::test]
async fn a_message_in_flight_stays_so_until_its_old_deadline_and_keeps_its_count_and_handle() {
    let mut server = Restartable::start(u64::MAX).await;
    let client = server.client();
    let queue = create(
        &client,
        "flight.fifo",
        &[(Attribute::VisibilityTimeout, "30")],
    )
    .await;
    for body in ["a", "b"] {
        send(&client, &queue, body, body).await;
    }
    let held = receive_now(&client, &queue).await;
    assert_eq!(bodies(&held), ["a", "b"]);
    server.restart().await;
    let (client, queue) = (server.client(), server.url("flight.fifo").await);
    assert!(receive_now(&client, &queue).await.is_empty());
    let delete = client
        .delete_message()
        .queue_url(&queue)
        .receipt_handle(held[0].receipt_handle().unwrap());
    delete.send().await.unwrap();
    server.clock.advance(Duration::from_secs(30));
    let messages = receive_now(&client, &queue).await;
    assert_eq!(bodies(&messages), ["b"]);
    assert_eq!(
        messages[0].attributes().unwrap()[&System::ApproximateReceiveCount],
        "2"
    );
}

#[tokio::test]
async fn repeats_are_recognised_for_five_minutes_over_a_restart_even_of_deleted_messages() {
    let mut server = Restartable::start(u64::MAX).await;
    let client = server.client();
    let queue = create(&client, "repeat.fifo", &[]).await;
    send(&client, &queue, "g", "once").await;
    let messages = receive_now(&client, &queue).await;
    let delete = client
        .delete_message()
        .queue_url(&queue)
        .receipt_handle(messages[0].receipt_handle().unwrap());
    delete.send().await.unwrap();
    server.restart().await;
    let (client, queue) = (server.client(), server.url("repeat.fifo").await);
    send(&client, &queue, "g", "once").await;
    assert!(receive_now(&client, &queue).await.is_empty());
    server.clock.advance(Duration::from_secs(300));
    send(&client, &queue, "g", "once").await;
    assert_eq!(receive_now(&client, &queue).await.len(), 1);
}

#[tokio::test]
async fn dead_letters_purges_delays_and_deleted_queues_survive() {
    let mut server = Restartable::start(u64::MAX).await;
    let client = server.client();
    let dead = create(&client, "dead", &[]).await;
    let policy =
        r#"{"deadLetterTargetArn":"arn:aws:sqs:us-east-1:000000000000:dead","maxReceiveCount":1}"#;
    let attributes = [
        (Attribute::RedrivePolicy, policy),
        (Attribute::VisibilityTimeout, "0"),
    ];
    let queue = create(&client, "source", &attributes).await;
    client
        .send_message()
        .queue_url(&queue)
        .message_body("poison")
        .send()
        .await
        .unwrap();
    assert_eq!(receive_now(&client, &queue).await.len(), 1);
    assert!(
        receive_now(&client, &queue).await.is_empty(),
        "it goes to the dead letters"
    );
    client
        .send_message()
        .queue_url(&queue)
        .message_body("late")
        .delay_seconds(60)
        .send()
        .await
        .unwrap();
    let purged = create(&client, "purged", &[]).await;
    client
        .send_message()
        .queue_url(&purged)
        .message_body("purged")
        .send()
        .await
        .unwrap();
    client
        .purge_queue()
        .queue_url(&purged)
        .send()
        .await
        .unwrap();
    client
        .send_message()
        .queue_url(&purged)
        .message_body("after")
        .send()
        .await
        .unwrap();
    let gone = create(&client, "gone", &[]).await;
    client
        .send_message()
        .queue_url(&gone)
        .message_body("gone")
        .send()
        .await
        .unwrap();
    client.delete_queue().queue_url(&gone).send().await.unwrap();
    assert!(!dead.is_empty());

    server.restart().await;
    let client = server.client();
    assert_eq!(
        bodies(&receive_now(&client, &server.url("dead").await).await),
        ["poison"]
    );
    assert_eq!(
        bodies(&receive_now(&client, &server.url("purged").await).await),
        ["after"]
    );
    let source = server.url("source").await;
    assert!(receive_now(&client, &source).await.is_empty());
    server.clock.advance(Duration::from_secs(60));
    assert_eq!(bodies(&receive_now(&client, &source).await), ["late"]);
    assert!(
        client
            .get_queue_url()
            .queue_name("gone")
            .send()
            .await
            .is_err()
    );
}

fn log_bytes(directory: &Path) -> u64 {
    let files = fs::read_dir(directory).unwrap().map(Result::unwrap);
    files
        .filter(|file| file.file_name().to_string_lossy().starts_with("log-"))
        .map(|file| file.metadata().unwrap().len())
        .sum()
}

#[tokio::test]
async fn the_log_is_compacted_while_in_use_and_the_snapshot_holds_everything() {
    let mut server = Restartable::start(100_000).await;
    let client = server.client();
    let queue = create(&client, "busy.fifo", &[]).await;
    let stays: Vec<String> = (0..5).map(|at| format!("stays-{at}")).collect();
    for body in &stays {
        send(&client, &queue, "stays", body).await;
    }
    let held = receive_now(&client, &queue).await;
    assert_eq!(bodies(&held), stays);
    // Far more than the limit goes through.
    let filling = "x".repeat(10_000);
    for at in 0..60 {
        send(
            &client,
            &queue,
            "passes",
            &format!("{at:02}{filling}")[..128],
        )
        .await;
        let request = client
            .send_message()
            .queue_url(&queue)
            .message_body(&filling);
        request
            .message_group_id("passes")
            .message_deduplication_id(at.to_string())
            .send()
            .await
            .unwrap();
        for message in receive_now(&client, &queue).await {
            let delete = client
                .delete_message()
                .queue_url(&queue)
                .receipt_handle(message.receipt_handle.unwrap());
            delete.send().await.unwrap();
        }
    }
    server.restart().await;
    let directory = server.directory.path();
    let snapshots = fs::read_dir(directory).unwrap().map(Result::unwrap);
    let snapshots = snapshots
        .filter(|file| file.file_name().to_string_lossy().starts_with("snapshot-"))
        .count();
    assert_eq!(snapshots, 1, "the latest only");
    assert!(
        log_bytes(directory) < 400_000,
        "{} bytes of log are left",
        log_bytes(directory)
    );
    let (client, queue) = (server.client(), server.url("busy.fifo").await);
    assert!(
        receive_now(&client, &queue).await.is_empty(),
        "what is in flight is so after a snapshot too"
    );
    send(&client, &queue, "stays", &stays[0]).await;
    server.clock.advance(Duration::from_secs(30));
    assert_eq!(
        bodies(&receive_now(&client, &queue).await),
        stays,
        "and what was sent once is remembered"
    );
}

#[tokio::test]
async fn one_directory_serves_one_server_and_is_free_after_its_stop() {
    let mut server = Restartable::start(u64::MAX).await;
    let config = || Config {
        storage: Storage::Durable(server.directory.path().to_owned()),
        ..Config::default()
    };
    assert!(matches!(
        Server::start(config()).await,
        Err(StartError::InUse { .. })
    ));
    server.server.take().unwrap().stop().await;
    Server::start(config()).await.unwrap().stop().await;
}

#[tokio::test]
async fn a_torn_end_is_cut_off_and_damage_before_it_is_reported() {
    let mut server = Restartable::start(u64::MAX).await;
    let client = server.client();
    let queue = create(&client, "torn", &[]).await;
    for body in ["one", "two", "three"] {
        client
            .send_message()
            .queue_url(&queue)
            .message_body(body)
            .send()
            .await
            .unwrap();
    }
    server.server.take().unwrap().stop().await;
    let log = server.directory.path().join("log-000000000001");
    let whole = fs::read(&log).unwrap();

    let mut torn = whole.clone();
    torn.extend_from_slice(b"half a record");
    fs::write(&log, torn).unwrap();
    server.restart().await;
    assert_eq!(
        receive_now(&server.client(), &server.url("torn").await)
            .await
            .len(),
        3
    );
    server.server.take().unwrap().stop().await;

    let mut damaged = whole.clone();
    damaged[whole.len() / 2] ^= 1;
    fs::write(&log, damaged).unwrap();
    let config = Config {
        storage: Storage::Durable(server.directory.path().to_owned()),
        ..Config::default()
    };
    let error = Server::start(config).await.unwrap_err();
    assert!(matches!(error, StartError::Damaged { .. }), "{error}");
}

#[tokio::test]
async fn the_queues_of_the_configuration_are_there_from_the_start_and_follow_it() {
    let directory = tempfile::tempdir().unwrap();
    let start = async |spec: &str| {
        let queues: Vec<QueueSpec> = vec![spec.parse().unwrap()];
        let storage = Storage::Durable(directory.path().to_owned());
        Server::start(Config {
            storage,
            queues,
            ..Config::default()
        })
        .await
    };
    let server = start("orders.fifo:dlq=dead.fifo,max=3,VisibilityTimeout=60")
        .await
        .unwrap();
    let client = client(&server.url());
    let sources = client.list_dead_letter_source_queues();
    let sources = sources
        .queue_url(format!("{}/000000000000/dead.fifo", server.url()))
        .send()
        .await
        .unwrap();
    assert_eq!(
        sources.queue_urls(),
        [format!("{}/000000000000/orders.fifo", server.url())]
    );
    server.stop().await;
    let server = start("orders.fifo:VisibilityTimeout=61").await.unwrap();
    let client = support::client(&server.url());
    let attributes = client
        .get_queue_attributes()
        .attribute_names(Attribute::All);
    let attributes = attributes
        .queue_url(format!("{}/000000000000/orders.fifo", server.url()))
        .send()
        .await
        .unwrap();
    assert_eq!(
        attributes.attributes.unwrap()[&Attribute::VisibilityTimeout],
        "61"
    );
    server.stop().await;
    let error = start("orders.fifo:VisibilityTimeout=soon")
        .await
        .unwrap_err();
    assert!(matches!(error, StartError::Queue { .. }), "{error}");
}

#[test]
fn the_binary_starts_at_once_and_ends_well_on_sigterm() {
    let directory = tempfile::tempdir().unwrap();
    let process = Process::start(directory.path(), &["--queue", "jobs"]);
    assert!(
        process.started_in < Duration::from_secs(2),
        "{:?}",
        process.started_in
    );
    let address = process.url.strip_prefix("http://").unwrap().to_owned();
    let healthcheck = || {
        std::process::Command::new(env!("CARGO_BIN_EXE_localsqs"))
            .args(["healthcheck", &address])
            .status()
    };
    assert!(healthcheck().unwrap().success());
    assert!(process.terminate());
    assert!(!healthcheck().unwrap().success());
}
