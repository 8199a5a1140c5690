//! Inbox and outbox against real Postgres.
#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::collections::HashSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sqlx::PgPool;
use steelyard_store::inbox::{self, Message, Seen};
use steelyard_store::outbox::{
    self, Delivery, Event, NewEvent, Relay, RelayOptions, Sink, SinkAway,
};
use steelyard_store::{Backoff, PoolOptions, connect, migrate, migrator};
use steelyard_testkit::{TestDatabase, wait_for};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

const SOON: Duration = Duration::from_secs(20);

async fn database() -> (TestDatabase, PgPool) {
    let database = steelyard_testkit::postgres().await;
    let pool = connect(&database.url, &PoolOptions::new("shop")).unwrap();
    let migrations = migrator([(1, "inbox", inbox::DDL), (2, "outbox", outbox::DDL)]);
    migrate(&pool, "shop", &migrations).await.unwrap();
    (database, pool)
}

fn message(id: u128, asks: u8) -> Message {
    Message {
        id: Uuid::from_u128(id),
        fingerprint: [asks; 32],
    }
}

async fn record(pool: &PgPool, messages: &[Message]) -> Vec<Seen> {
    let mut transaction = pool.begin().await.unwrap();
    let seen = inbox::record(&mut transaction, messages).await.unwrap();
    transaction.commit().await.unwrap();
    seen
}

#[tokio::test]
async fn a_message_is_new_once_and_another_body_under_its_id_is_a_conflict() {
    let (_database, pool) = database().await;
    let first = record(
        &pool,
        &[message(1, 1), message(2, 1), message(1, 1), message(2, 9)],
    )
    .await;
    assert_eq!(
        first,
        [Seen::New, Seen::New, Seen::Duplicate, Seen::Conflict]
    );
    let again = record(&pool, &[message(3, 1), message(2, 1), message(1, 9)]).await;
    assert_eq!(again, [Seen::New, Seen::Duplicate, Seen::Conflict]);
    assert_eq!(record(&pool, &[]).await, []);
}

#[tokio::test]
async fn of_many_who_record_the_same_messages_at_once_just_one_finds_them_new() {
    let (_database, pool) = database().await;
    let mut tasks = tokio::task::JoinSet::new();
    for task in 0..8_usize {
        let pool = pool.clone();
        tasks.spawn(async move {
            // Each in another order: no two may wait for each other in a circle.
            let mut messages: Vec<_> = (0..50).map(|id| message(id, 1)).collect();
            messages.rotate_left(task * 6);
            let seen = record(&pool, &messages).await;
            seen.into_iter().filter(|seen| *seen == Seen::New).count()
        });
    }
    assert_eq!(tasks.join_all().await.into_iter().sum::<usize>(), 50);
}

/// Remembers what it was given; fails as it is told.
#[derive(Clone, Default)]
struct Receiver(Arc<Mutex<Inner>>);

#[derive(Default)]
struct Inner {
    got: Vec<(String, String)>,
    refuse: HashSet<String>,
    away: bool,
    calls_while_away: u32,
}

impl Receiver {
    fn with<T>(&self, look: impl FnOnce(&mut Inner) -> T) -> T {
        look(&mut self.0.lock().unwrap())
    }
}

impl Sink for Receiver {
    async fn deliver(&self, events: &[Event]) -> Result<Vec<Delivery>, SinkAway> {
        self.with(|inner| {
            if inner.away {
                inner.calls_while_away += 1;
                return Err(SinkAway("the test says so".into()));
            }
            let keys: HashSet<_> = events.iter().map(|event| &event.key).collect();
            assert_eq!(keys.len(), events.len(), "two events of one key in a wave");
            let deliver = |event: &Event| {
                if inner.refuse.contains(&event.payload) {
                    return Delivery::Failed("refused".into());
                }
                inner.got.push((event.key.clone(), event.payload.clone()));
                Delivery::Sent
            };
            Ok(events.iter().map(deliver).collect())
        })
    }
}

fn event(key: usize, position: usize) -> NewEvent {
    NewEvent {
        event_id: Uuid::new_v4(),
        key: format!("customer-{key}"),
        topic: "order.confirmed".into(),
        payload: format!("{key}/{position}"),
        traceparent: None,
    }
}

async fn append(pool: &PgPool, events: &[NewEvent]) {
    let mut transaction = pool.begin().await.unwrap();
    outbox::append(&mut transaction, events).await.unwrap();
    transaction.commit().await.unwrap();
}

async fn is_empty(pool: &PgPool) -> bool {
    let left: i64 = sqlx::query_scalar("SELECT count(*) FROM outbox")
        .fetch_one(pool)
        .await
        .unwrap();
    left == 0
}

fn options() -> RelayOptions {
    let quick = Backoff {
        first: Duration::from_millis(5),
        longest: Duration::from_millis(20),
    };
    RelayOptions {
        batch_rows_max: 7,
        poll_every: Duration::from_millis(20),
        away: quick,
        refused: quick,
        ..RelayOptions::default()
    }
}

struct Running {
    stop: CancellationToken,
    tasks: tokio::task::JoinSet<()>,
}

impl Running {
    async fn end(mut self) {
        self.stop.cancel();
        while let Some(ended) = self.tasks.join_next().await {
            ended.unwrap();
        }
    }
}

fn start(pool: &PgPool, receiver: &Receiver, relays: usize) -> Running {
    let stop = CancellationToken::new();
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..relays {
        let relay = Relay::new(pool.clone(), receiver.clone(), options());
        let stop = stop.clone();
        tasks.spawn(async move { relay.run(stop).await });
    }
    Running { stop, tasks }
}

fn positions(got: &[(String, String)], key: usize) -> Vec<String> {
    let key = format!("customer-{key}");
    let of_key = got.iter().filter(|(k, _)| *k == key);
    of_key.map(|(_, payload)| payload.clone()).collect()
}

#[tokio::test]
async fn three_relays_deliver_every_message_and_each_keys_in_order() {
    let (_database, pool) = database().await;
    let receiver = Receiver::default();
    let running = start(&pool, &receiver, 3);
    for position in 0..30 {
        let events: Vec<_> = (0..5).map(|key| event(key, position)).collect();
        append(&pool, &events).await;
    }
    wait_for("all left", SOON, async || is_empty(&pool).await).await;
    running.end().await;
    receiver.with(|inner| {
        assert_eq!(inner.got.len(), 150, "each once");
        for key in 0..5 {
            let expected: Vec<_> = (0..30)
                .map(|position| format!("{key}/{position}"))
                .collect();
            assert_eq!(positions(&inner.got, key), expected);
        }
    });
}

#[tokio::test]
async fn a_refused_message_holds_back_its_own_key_and_no_other() {
    let (_database, pool) = database().await;
    let receiver = Receiver::default();
    receiver.with(|inner| inner.refuse.insert("0/0".into()));
    let events: Vec<_> = (0..20)
        .flat_map(|position| [event(0, position), event(1, position)])
        .collect();
    append(&pool, &events).await;
    let running = start(&pool, &receiver, 1);
    wait_for("the other key is through", SOON, async || {
        receiver.with(|inner| positions(&inner.got, 1).len() == 20)
    })
    .await;
    receiver.with(|inner| {
        assert_eq!(positions(&inner.got, 0), [""; 0]);
        inner.refuse.clear();
    });
    wait_for("all left", SOON, async || is_empty(&pool).await).await;
    running.end().await;
    let expected: Vec<_> = (0..20).map(|position| format!("0/{position}")).collect();
    receiver.with(|inner| assert_eq!(positions(&inner.got, 0), expected));
}

#[tokio::test]
async fn nothing_is_lost_while_the_receiver_or_the_database_is_away() {
    let (database, pool) = database().await;
    let proxy = steelyard_testkit::proxy(database.address());
    let url = database.url_via(proxy.address());
    let through_proxy = connect(&url, &PoolOptions::new("shop")).unwrap();
    let receiver = Receiver::default();
    receiver.with(|inner| inner.away = true);
    append(&pool, &[event(0, 0), event(0, 1)]).await;

    let running = start(&through_proxy, &receiver, 1);
    wait_for("it tried", SOON, async || {
        receiver.with(|inner| inner.calls_while_away > 2)
    })
    .await;
    proxy.refuse();
    receiver.with(|inner| inner.away = false);
    append(&pool, &[event(0, 2)]).await;
    proxy.restore();
    wait_for("all left", SOON, async || is_empty(&pool).await).await;
    running.end().await;
    receiver.with(|inner| assert_eq!(positions(&inner.got, 0), ["0/0", "0/1", "0/2"]));
}

#[tokio::test]
async fn a_transaction_that_is_rolled_back_sends_and_records_nothing() {
    let (_database, pool) = database().await;
    let mut transaction = pool.begin().await.unwrap();
    outbox::append(&mut transaction, &[event(0, 0)])
        .await
        .unwrap();
    inbox::record(&mut transaction, &[message(1, 1)])
        .await
        .unwrap();
    transaction.rollback().await.unwrap();
    assert!(is_empty(&pool).await);
    assert_eq!(record(&pool, &[message(1, 2)]).await, [Seen::New]);
}
