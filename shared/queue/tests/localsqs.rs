//! Producer and consumer through the AWS SDK against a real SQS server.
#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use localsqs::{Config, QueueSpec, Server};
use steelyard_queue::{
    AttributeValue, Consumer, ConsumerOptions, Handle, Handler, Outcome, OutgoingMessage, Parked,
    Producer, ProducerOptions, ReceiveRequest, SendError, Set, SqsConfig, SqsTransport, StopReport,
    Transport, TransportError, VisibilityChange,
};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

const QUEUE: &str = "orders.fifo";
const DEAD: &str = "orders-dead.fifo";
const SOON: Duration = Duration::from_secs(30);

async fn server() -> (Server, Arc<SqsTransport>) {
    let queues = [QUEUE, DEAD, "jobs"].map(QueueSpec::new).to_vec();
    let server = Server::start(Config {
        queues,
        ..Config::default()
    })
    .await
    .unwrap();
    let transport = SqsTransport::connect(SqsConfig::local(server.url())).await;
    (server, Arc::new(transport))
}

/// Notes bodies by group; a body may ask for something else than `Done` the first time.
#[derive(Default)]
struct Notes {
    seen: Mutex<BTreeMap<String, Vec<String>>>,
    sets: Mutex<Vec<usize>>,
}

struct Noting(Arc<Notes>);

impl Handler for Noting {
    async fn handle(&self, set: &Set) -> Vec<Outcome> {
        self.0.sets.lock().unwrap().push(set.len());
        let mut outcomes = Vec::with_capacity(set.len());
        for group in set.groups() {
            let mut behind = false;
            for delivery in group {
                outcomes.push(match delivery.body.as_str() {
                    _ if behind => Outcome::wait(Duration::ZERO, "behind"),
                    "park" => Outcome::park("as told"),
                    "retry" if delivery.attempt() == 1 => {
                        behind = true;
                        Outcome::retry(Duration::from_secs(1), "as told")
                    }
                    "slow" => {
                        sleep(Duration::from_secs(4)).await;
                        Outcome::Done
                    }
                    _ => Outcome::Done,
                });
                if outcomes.last() == Some(&Outcome::Done) {
                    let mut seen = self.0.seen.lock().unwrap();
                    seen.entry(delivery.sequence_key().to_owned())
                        .or_default()
                        .push(delivery.body.clone());
                }
            }
        }
        outcomes
    }
}

struct Rig {
    notes: Arc<Notes>,
    stop: CancellationToken,
    handle: Handle,
    running: JoinHandle<StopReport>,
}

fn consume(transport: &Arc<SqsTransport>, options: ConsumerOptions) -> Rig {
    let notes = Arc::new(Notes::default());
    let consumer = Consumer::builder(
        Arc::clone(transport) as Arc<dyn Transport>,
        QUEUE,
        Noting(Arc::clone(&notes)),
    )
    .dead_letters(DEAD)
    .options(options)
    .build();
    let stop = CancellationToken::new();
    Rig {
        notes,
        handle: consumer.handle(),
        running: tokio::spawn(consumer.run(stop.clone())),
        stop,
    }
}

impl Rig {
    async fn stop(self) -> StopReport {
        self.stop.cancel();
        timeout(SOON, self.running).await.unwrap().unwrap()
    }

    async fn seen(&self, messages: usize) {
        let deadline = Instant::now() + SOON;
        loop {
            let seen: usize = self.notes.seen.lock().unwrap().values().map(Vec::len).sum();
            if seen >= messages {
                return;
            }
            assert!(Instant::now() < deadline, "{seen} of {messages} handled");
            sleep(Duration::from_millis(10)).await;
        }
    }
}

fn quick() -> ConsumerOptions {
    ConsumerOptions {
        stop_polls_max: Duration::from_millis(100),
        ..ConsumerOptions::default()
    }
}

fn producer(transport: &Arc<SqsTransport>) -> Producer {
    Producer::start(
        Arc::clone(transport) as Arc<dyn Transport>,
        QUEUE,
        ProducerOptions::default(),
    )
}

async fn send(producer: &Producer, group: &str, body: &str) {
    producer
        .send(OutgoingMessage::fifo(
            group,
            format!("{group}/{body}"),
            body,
        ))
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_sent_is_handled_once_in_order_and_gone() {
    let (_server, transport) = server().await;
    let producer = producer(&transport);
    let rig = consume(&transport, quick());
    let mut tasks = JoinSet::new();
    for group in 0..40 {
        let producer = producer.clone();
        tasks.spawn(async move {
            for n in 0..25 {
                send(&producer, &format!("g{group}"), &format!("{n}")).await;
            }
        });
    }
    tasks.join_all().await;
    rig.seen(1_000).await;
    let expected: Vec<String> = (0..25).map(|n| n.to_string()).collect();
    assert!(
        rig.notes
            .seen
            .lock()
            .unwrap()
            .values()
            .all(|bodies| *bodies == expected)
    );
    let report = rig.stop().await;
    assert_eq!((report.done, report.unsettled), (1_000, 0));
    let url = transport.queue_url(QUEUE).await.unwrap();
    let depths = transport.depths(&url).await.unwrap();
    assert_eq!((depths.visible, depths.in_flight), (0, 0));
}

#[tokio::test]
async fn a_retry_keeps_its_group_behind_it_and_a_parked_message_carries_its_reason() {
    let (_server, transport) = server().await;
    let producer = producer(&transport);
    let odd = OutgoingMessage::fifo("a", "odd", "park").with_attribute("channel", "web");
    producer.send(odd).await.unwrap();
    for body in ["retry", "1", "2"] {
        send(&producer, "a", body).await;
    }
    let rig = consume(&transport, quick());
    rig.seen(3).await;
    assert_eq!(rig.notes.seen.lock().unwrap()["a"], ["retry", "1", "2"]);
    let report = rig.stop().await;
    assert_eq!((report.done, report.parked), (3, 1));
    let url = transport.queue_url(DEAD).await.unwrap();
    let request = ReceiveRequest {
        messages_max: 10,
        wait: Duration::from_secs(1),
        visibility: Duration::from_secs(30),
        attempt_id: None,
    };
    let letters = transport.receive(&url, request).await.unwrap();
    assert_eq!(letters.len(), 1);
    assert_eq!(
        (letters[0].body.as_str(), letters[0].group_id.as_deref()),
        ("park", Some("a"))
    );
    assert_eq!(
        letters[0].attributes["channel"],
        AttributeValue::text("web")
    );
    assert_eq!(
        Parked::from_attributes(&letters[0].attributes)
            .unwrap()
            .reason,
        "as told"
    );
}

#[tokio::test]
async fn a_heartbeat_keeps_a_message_that_takes_longer_than_the_visibility() {
    let (_server, transport) = server().await;
    send(&producer(&transport), "a", "slow").await;
    let options = ConsumerOptions {
        visibility: Duration::from_secs(1),
        ..quick()
    };
    let (one, other) = (
        consume(&transport, options.clone()),
        consume(&transport, options),
    );
    let handled = || one.notes.sets.lock().unwrap().len() + other.notes.sets.lock().unwrap().len();
    let deadline = Instant::now() + SOON;
    while one.notes.seen.lock().unwrap().len() + other.notes.seen.lock().unwrap().len() == 0 {
        assert!(Instant::now() < deadline);
        sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(handled(), 1, "the other consumer was given it as well");
    assert_eq!(one.stop().await.done + other.stop().await.done, 1);
}

#[tokio::test]
async fn a_poll_that_a_stop_abandons_keeps_nothing_from_the_next_instance() {
    let (_server, transport) = server().await;
    let old = consume(&transport, quick());
    let deadline = Instant::now() + SOON;
    while old.handle.health().polls_open == 0 {
        assert!(Instant::now() < deadline);
        sleep(Duration::from_millis(10)).await;
    }
    sleep(Duration::from_millis(200)).await;
    let report = old.stop().await;
    assert!(report.took < Duration::from_secs(1), "{report:?}");
    let new = consume(&transport, quick());
    let began = Instant::now();
    send(&producer(&transport), "a", "1").await;
    new.seen(1).await;
    assert!(
        began.elapsed() < Duration::from_secs(5),
        "{:?}",
        began.elapsed()
    );
    new.stop().await;
}

#[tokio::test]
async fn an_entry_is_refused_by_itself_and_a_lost_receipt_is_told_as_such() {
    let (_server, transport) = server().await;
    let producer = producer(&transport);
    let refused = producer
        .send(OutgoingMessage::fifo("a", "1", "bad \u{1}"))
        .await;
    assert!(
        matches!(refused, Err(SendError::Refused { .. })),
        "{refused:?}"
    );
    let empty = producer.send(OutgoingMessage::fifo("a", "2", "")).await;
    assert!(matches!(empty, Err(SendError::Refused { .. })), "{empty:?}");
    send(&producer, "a", "good").await;

    let url = transport.queue_url(QUEUE).await.unwrap();
    let request = || ReceiveRequest {
        messages_max: 10,
        wait: Duration::from_secs(5),
        visibility: Duration::from_secs(1),
        attempt_id: None,
    };
    let first = transport.receive(&url, request()).await.unwrap();
    let second = transport.receive(&url, request()).await.unwrap();
    assert_eq!(
        (second[0].receive_count, &second[0].message_id),
        (2, &first[0].message_id)
    );
    let stale = [first[0].receipt_handle.clone()];
    let deleted = transport.delete_batch(&url, &stale).await.unwrap();
    assert!(
        deleted[0]
            .as_ref()
            .is_err_and(steelyard_queue::EntryError::is_lost_lease),
        "{deleted:?}"
    );
    let change = VisibilityChange {
        receipt_handle: stale[0].clone(),
        visibility: Duration::from_secs(5),
    };
    let changed = transport
        .change_visibility_batch(&url, &[change])
        .await
        .unwrap();
    assert!(
        changed[0]
            .as_ref()
            .is_err_and(steelyard_queue::EntryError::is_lost_lease),
        "{changed:?}"
    );
}

#[tokio::test]
async fn a_server_that_is_gone_is_unreachable_within_the_deadline_and_readiness_follows_it() {
    let (server, transport) = server().await;
    let url = server.url();
    server.stop().await;
    let producer = producer(&transport);
    let began = Instant::now();
    let result = producer
        .send_by(
            OutgoingMessage::fifo("a", "1", "x"),
            began + Duration::from_secs(2),
        )
        .await;
    assert!(
        matches!(result, Err(SendError::Timeout { .. })),
        "{result:?}"
    );
    assert!(began.elapsed() <= Duration::from_millis(2_500));
    assert!(!producer.is_ready());
    assert!(matches!(
        transport.queue_url(QUEUE).await,
        Err(TransportError::Unreachable(_) | TransportError::Timeout(_))
    ));

    let listen = url.trim_start_matches("http://").parse().unwrap();
    let queues = vec![QueueSpec::new(QUEUE)];
    let _back = Server::start(Config {
        listen,
        queues,
        ..Config::default()
    })
    .await
    .unwrap();
    send(&producer, "a", "x").await;
    assert!(producer.is_ready());
}

#[tokio::test]
async fn a_queue_that_does_not_exist_is_told_as_such() {
    let (_server, transport) = server().await;
    let error = transport.queue_url("nowhere.fifo").await.unwrap_err();
    assert!(matches!(error, TransportError::NoSuchQueue(_)), "{error:?}");
}
