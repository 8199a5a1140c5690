//! Looking into dead letters and redriving them: on the misbehaving queue in virtual time, and on a real SQS server.
#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use localsqs::{Config, QueueSpec, Server};
use steelyard_queue::testing::FakeQueue;
use steelyard_queue::{
    DeadLetters, DeadLettersOptions, Held, OutgoingMessage, Producer, ProducerOptions,
    ReceiveRequest, Redrive, RedriveOutcome, Replacement, SqsConfig, SqsTransport, Transport,
};

const ORIGIN: &str = "orders.fifo";
const DEAD: &str = "orders-dead-letters.fifo";

fn message(group: &str, n: usize) -> OutgoingMessage {
    OutgoingMessage::fifo(group, format!("{group}-{n}"), format!("{group}{n}"))
        .with_attribute("traceparent", "00-1")
}

async fn put(transport: &dyn Transport, queue: &str, messages: &[OutgoingMessage]) {
    let url = transport.queue_url(queue).await.unwrap();
    for one in messages {
        let sent = transport.send_batch(&url, std::slice::from_ref(one)).await;
        assert!(sent.unwrap().iter().all(Result::is_ok));
    }
}

fn letters_of(transport: Arc<dyn Transport>) -> DeadLetters {
    DeadLetters::new(transport, DEAD, DeadLettersOptions::default())
}

fn origin(transport: Arc<dyn Transport>) -> Producer {
    let options = ProducerOptions {
        send_timeout: Duration::from_secs(2),
        ..ProducerOptions::default()
    };
    Producer::start(transport, ORIGIN, options)
}

/// Bodies by group, in order.
fn by_group(held: &Held<'_>) -> BTreeMap<String, Vec<String>> {
    let mut groups: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for letter in held.letters() {
        let received = letter.received();
        let group = groups
            .entry(received.group_id.clone().unwrap())
            .or_default();
        group.push(received.body.clone());
    }
    groups
}

fn numbered(group: &str, n: std::ops::RangeInclusive<usize>) -> Vec<String> {
    n.map(|n| format!("{group}{n}")).collect()
}

fn ids(held: &Held<'_>, bodies: &[&str]) -> HashSet<String> {
    let meant = |body: &str| bodies.contains(&body);
    let letters = held.letters().iter();
    letters
        .filter(|letter| meant(&letter.received().body))
        .map(|letter| letter.id().to_owned())
        .collect()
}

fn outcomes(done: &[Redrive]) -> Vec<&RedriveOutcome> {
    done.iter().map(|one| &one.outcome).collect()
}

async fn local() -> (Server, Arc<dyn Transport>) {
    let config = Config {
        queues: [ORIGIN, DEAD].map(QueueSpec::new).to_vec(),
        ..Config::default()
    };
    let server = Server::start(config).await.unwrap();
    let transport = SqsTransport::connect(SqsConfig::local(server.url())).await;
    (server, Arc::new(transport))
}

/// Whatever is in a queue, taken out in order.
async fn taken(transport: &dyn Transport, queue: &str) -> Vec<String> {
    let url = transport.queue_url(queue).await.unwrap();
    let mut bodies = Vec::new();
    loop {
        let request = ReceiveRequest {
            messages_max: 10,
            wait: Duration::ZERO,
            visibility: Duration::from_secs(60),
            attempt_id: None,
        };
        let received = transport.receive(&url, request).await.unwrap();
        if received.is_empty() {
            return bodies;
        }
        let receipts: Vec<String> = received.iter().map(|m| m.receipt_handle.clone()).collect();
        transport.delete_batch(&url, &receipts).await.unwrap();
        bodies.extend(received.into_iter().map(|m| m.body));
    }
}

/// Seven of two groups: the second is cut short by the first full answer. Then what does not fit.
async fn a_look(transport: Arc<dyn Transport>) {
    for group in ["a", "b"] {
        let seven: Vec<_> = (1..=7).map(|n| message(group, n)).collect();
        put(transport.as_ref(), DEAD, &seven).await;
    }
    let letters = letters_of(Arc::clone(&transport));
    for _ in 0..3 {
        let held = letters.hold().await.unwrap();
        let expected = ["a", "b"].map(|group| (group.to_owned(), numbered(group, 1..=7)));
        assert_eq!(by_group(&held), BTreeMap::from(expected));
        assert!(held.is_complete());
        held.put_back().await;
        let depths = letters.depths().await.unwrap();
        assert_eq!(
            (depths.visible, depths.in_flight),
            (14, 0),
            "all is put back"
        );
    }
    let more: Vec<_> = (8..=15).map(|n| message("b", n)).collect();
    put(transport.as_ref(), DEAD, &more).await;
    let held = letters.hold().await.unwrap();
    assert_eq!(
        by_group(&held)["b"],
        numbered("b", 1..=10),
        "the ten oldest, always"
    );
    assert!(!held.is_complete(), "five more stand behind them");
    held.put_back().await;

    let mut bodies = taken(transport.as_ref(), DEAD).await;
    bodies.sort_by_key(|body| body[..1].to_owned());
    let expected = [numbered("a", 1..=7), numbered("b", 1..=15)].concat();
    assert_eq!(bodies, expected, "each group as it was");
}

#[tokio::test(start_paused = true)]
async fn a_look_brings_ten_of_each_group_and_leaves_everything_as_it_was() {
    a_look(Arc::new(FakeQueue::new(1, &[ORIGIN, DEAD]))).await;
}

#[tokio::test]
async fn the_same_on_a_real_server() {
    let (_server, transport) = local().await;
    a_look(transport).await;
}

#[tokio::test]
async fn what_is_redriven_goes_back_in_order_and_what_stood_behind_comes_into_reach() {
    let (_server, transport) = local().await;
    let all: Vec<_> = (1..=12).map(|n| message("a", n)).collect();
    put(transport.as_ref(), DEAD, &all).await;
    put(transport.as_ref(), DEAD, &[message("b", 1)]).await;
    let (letters, origin) = (
        letters_of(Arc::clone(&transport)),
        origin(Arc::clone(&transport)),
    );

    let mut held = letters.hold().await.unwrap();
    let chosen = ids(&held, &["a9", "a1", "b1"]);
    let done = held.redrive(&chosen, &origin, "olga", |_| None).await;
    assert_eq!(outcomes(&done), [&RedriveOutcome::Moved; 3]);
    held.put_back().await;
    let mut bodies = taken(transport.as_ref(), ORIGIN).await;
    bodies.sort_by_key(|body| body[..1].to_owned());
    assert_eq!(bodies, ["a1", "a9", "b1"]);

    let mut held = letters.hold().await.unwrap();
    let left = [numbered("a", 2..=8), numbered("a", 10..=12)].concat();
    assert_eq!(
        by_group(&held),
        BTreeMap::from([("a".to_owned(), left.clone())])
    );
    let everything = held.letters().iter().map(|l| l.id().to_owned()).collect();
    held.redrive(&everything, &origin, "olga", |_| None).await;
    held.put_back().await;
    assert_eq!(taken(transport.as_ref(), ORIGIN).await, left);
    assert_eq!(taken(transport.as_ref(), DEAD).await, Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn a_redriven_message_keeps_its_attributes_and_is_not_swallowed_as_a_duplicate() {
    let fake = FakeQueue::new(2, &[ORIGIN, DEAD]);
    // As in life: the message was in its queue a moment ago, under the same deduplication id.
    fake.put(ORIGIN, &message("a", 1)).unwrap();
    taken(&fake, ORIGIN).await;
    fake.put(DEAD, &message("a", 1)).unwrap();
    let letters = letters_of(Arc::new(fake.clone()));
    let origin = origin(Arc::new(fake.clone()));
    let mut held = letters.hold().await.unwrap();
    let all = ids(&held, &["a1"]);
    let new = Replacement {
        body: "better".to_owned(),
        group_id: Some("a".to_owned()),
        tag: "t".to_owned(),
    };
    held.redrive(&all, &origin, "olga", |_| Some(new.clone()))
        .await;
    held.put_back().await;
    let sent = &fake.held(ORIGIN)[0].message;
    assert_eq!(
        (sent.body.as_str(), sent.group_id.as_deref()),
        ("better", Some("a"))
    );
    assert_eq!(sent.attributes["traceparent"].as_text(), Some("00-1"));
    assert!(
        sent.attributes["redriven"]
            .as_text()
            .unwrap()
            .contains("\"by\":\"olga\"")
    );
    assert_eq!(fake.len(DEAD), 0);
}

#[tokio::test(start_paused = true)]
async fn a_letter_that_was_sent_and_could_not_be_deleted_stays_and_its_repetition_is_swallowed() {
    let fake = FakeQueue::new(3, &[ORIGIN, DEAD]);
    fake.put(DEAD, &message("a", 1)).unwrap();
    let letters = letters_of(Arc::new(fake.clone()));
    let origin = origin(Arc::new(fake.clone()));
    let mut held = letters.hold().await.unwrap();
    let all = ids(&held, &["a1"]);
    // Its visibility ran out: as a crash between send and delete would leave it.
    fake.take_away(DEAD, "a1", "a");
    let done = held.redrive(&all, &origin, "olga", |_| None).await;
    assert!(
        matches!(done[0].outcome, RedriveOutcome::Copied(_)),
        "{done:?}"
    );
    held.put_back().await;
    assert_eq!(
        (fake.len(ORIGIN), fake.len(DEAD)),
        (1, 1),
        "in both, lost in none"
    );

    let mut held = letters.hold().await.unwrap();
    let done = held.redrive(&all, &origin, "olga", |_| None).await;
    assert_eq!(outcomes(&done), [&RedriveOutcome::Moved]);
    held.put_back().await;
    assert_eq!(
        (fake.len(ORIGIN), fake.len(DEAD)),
        (1, 0),
        "once in its queue"
    );
}

#[tokio::test(start_paused = true)]
async fn nothing_is_deleted_that_its_queue_did_not_acknowledge_and_nothing_overtakes_it() {
    // The queue that they came from is not there.
    let fake = FakeQueue::new(4, &[DEAD]);
    for n in 1..=3 {
        fake.put(DEAD, &message("a", n)).unwrap();
    }
    let letters = letters_of(Arc::new(fake.clone()));
    let origin = origin(Arc::new(fake.clone()));
    let mut held = letters.hold().await.unwrap();
    let all = ids(&held, &["a1", "a2", "a3"]);
    let done = held.redrive(&all, &origin, "olga", |_| None).await;
    assert!(
        matches!(done[0].outcome, RedriveOutcome::Failed(_)),
        "{done:?}"
    );
    assert_eq!(outcomes(&done)[1..], [&RedriveOutcome::Behind; 2]);
    held.put_back().await;
    assert_eq!(fake.bodies(DEAD), numbered("a", 1..=3));
    assert!(fake.held(DEAD).iter().all(|held| held.visible));
}

#[tokio::test(start_paused = true)]
async fn a_look_that_breaks_off_gives_everything_back_after_its_timeout() {
    let fake = FakeQueue::new(5, &[DEAD]);
    fake.put(DEAD, &message("a", 1)).unwrap();
    let letters = letters_of(Arc::new(fake.clone()));
    drop(letters.hold().await.unwrap());
    let other = letters_of(Arc::new(fake.clone()));
    let held = other.hold().await.unwrap();
    assert!(
        held.letters().is_empty() && !held.is_complete(),
        "and says so meanwhile"
    );
    drop(held);
    tokio::time::advance(DeadLettersOptions::default().visibility).await;
    let held = other.hold().await.unwrap();
    assert_eq!(held.letters().len(), 1);
}
