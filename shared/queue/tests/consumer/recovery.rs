//! A day without one dependency at full intake, and what its end looks like to the dependency, in virtual time.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::support::{DEAD, QUEUE, until};
use steelyard_queue::testing::FakeQueue;
use steelyard_queue::{
    Consumer, ConsumerOptions, Handle, Handler, Outcome, OutgoingMessage, Set, Tap, Transport,
};
use tokio::time::{Instant, sleep};
use tokio_util::sync::{CancellationToken, DropGuard};

const DAY: Duration = Duration::from_secs(24 * 3_600);
const INTAKE_EVERY: Duration = Duration::from_secs(20);
/// Handled before the outage, so that every instance is at its full speed when it comes.
const WARM: u32 = 6_000;
const CUSTOMERS: u32 = 300;
const INSTANCES: usize = 3;
/// What a set costs a dependency that is well, and each message in it.
const SET_COSTS: Duration = Duration::from_millis(5);
const MESSAGE_COSTS: Duration = Duration::from_micros(50);

/// Something that all instances need, and what it saw of them.
#[derive(Default)]
struct Dependency {
    down: AtomicBool,
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    probes: Vec<Instant>,
    messages_now: usize,
    /// By instance: messages with it at once whenever one of its sets began since the dependency came back.
    begun: BTreeMap<usize, Vec<usize>>,
    effects: BTreeMap<String, Vec<u32>>,
    last_at: Option<Instant>,
}

impl Dependency {
    fn is_down(&self) -> bool {
        self.down.load(Ordering::Relaxed)
    }

    fn seen<T>(&self, look: impl FnOnce(&mut Seen) -> T) -> T {
        look(&mut self.seen.lock().unwrap())
    }
}

struct Instance {
    number: usize,
    name: &'static str,
    dependency: Arc<Dependency>,
    tap: Tap,
    messages_now: Mutex<usize>,
}

impl Handler for Instance {
    async fn handle(&self, set: &Set) -> Vec<Outcome> {
        if self.dependency.is_down() {
            self.tap.close(self.name, "connection refused");
            let wait = Outcome::wait(Duration::from_secs(1), self.name);
            return vec![wait; set.len()];
        }
        let now = {
            let mut now = self.messages_now.lock().unwrap();
            *now += set.len();
            *now
        };
        self.dependency.seen(|seen| {
            seen.begun.entry(self.number).or_default().push(now);
            seen.messages_now += set.len();
        });
        sleep(SET_COSTS + MESSAGE_COSTS * u32::try_from(set.len()).unwrap()).await;
        *self.messages_now.lock().unwrap() -= set.len();
        self.dependency.seen(|seen| {
            seen.messages_now -= set.len();
            seen.last_at = Some(Instant::now());
            for delivery in set.deliveries() {
                let of_group = seen.effects.entry(delivery.sequence_key().to_owned());
                of_group.or_default().push(delivery.body.parse().unwrap());
            }
        });
        vec![Outcome::Done; set.len()]
    }
}

struct Fleet {
    dependency: Arc<Dependency>,
    handles: Vec<Handle>,
    _stop: DropGuard,
}

fn fleet(fake: &FakeQueue, name: &'static str, down: bool) -> Fleet {
    let dependency = Arc::new(Dependency::default());
    dependency.down.store(down, Ordering::Relaxed);
    let stop = CancellationToken::new();
    let handles = (0..INSTANCES).map(|number| {
        let probed = Arc::clone(&dependency);
        let tap = Tap::new().with_probe(name, move || {
            probed.seen(|seen| seen.probes.push(Instant::now()));
            let well = !probed.is_down();
            async move { well }
        });
        let instance = Instance {
            number,
            name,
            dependency: Arc::clone(&dependency),
            tap: tap.clone(),
            messages_now: Mutex::default(),
        };
        let transport: Arc<dyn Transport> = Arc::new(fake.clone());
        let consumer = Consumer::builder(transport, QUEUE, instance)
            .dead_letters(DEAD)
            .tap(tap)
            .options(ConsumerOptions::default())
            .build();
        let handle = consumer.handle();
        tokio::spawn(consumer.run(stop.clone()));
        handle
    });
    Fleet {
        handles: handles.collect(),
        dependency,
        _stop: stop.drop_guard(),
    }
}

fn send(fake: &FakeQueue, n: u32) {
    let customer = format!("customer-{}", n % CUSTOMERS);
    let message = OutgoingMessage::fifo(customer, n.to_string(), n.to_string());
    fake.put(QUEUE, &message).unwrap();
}

/// How long the fleet takes for that many messages when nothing is wrong.
async fn undisturbed(messages: u32) -> Duration {
    let fake = FakeQueue::new(1, &[QUEUE, DEAD]);
    for n in 0..messages {
        send(&fake, n);
    }
    let began = Instant::now();
    let _fleet = fleet(&fake, "none", false);
    until("all is done", || fake.len(QUEUE) == 0).await;
    began.elapsed()
}

async fn a_day_without(name: &'static str) {
    let fake = FakeQueue::new(2, &[QUEUE, DEAD]);
    // Each instance has to find out by itself, and then the message is received once more.
    fake.set_receives_max(QUEUE, u32::try_from(INSTANCES).unwrap() + 1);
    let fleet = fleet(&fake, name, false);
    for n in 0..WARM {
        send(&fake, n);
    }
    until("all is done", || fake.len(QUEUE) == 0).await;
    for handle in &fleet.handles {
        assert!(handle.health().window_messages >= 80, "{name}: not warm");
    }
    fleet.dependency.seen(|seen| seen.begun.clear());
    fleet.dependency.down.store(true, Ordering::Relaxed);
    let began = Instant::now();
    let mut sent = WARM;
    while began.elapsed() < DAY {
        send(&fake, sent);
        sent += 1;
        sleep(INTAKE_EVERY).await;
    }

    let held = fake.held(QUEUE);
    assert_eq!(held.len(), (sent - WARM) as usize, "{name}");
    let most = held.iter().map(|held| held.receive_count).max();
    let once_each = u32::try_from(INSTANCES).unwrap();
    assert!(
        most <= Some(once_each),
        "{name}: {most:?} receives of one message"
    );
    assert!(fake.held(DEAD).is_empty(), "{name}");
    for handle in &fleet.handles {
        let health = handle.health();
        assert_eq!(health.paused_by[0].dependency, name);
        assert_eq!(health.in_hand, 0, "{name}: held through an outage");
    }
    // A probe of each instance every 15 to 30 s.
    let probes = fleet.dependency.seen(|seen| seen.probes.clone());
    let day_secs = usize::try_from(DAY.as_secs()).unwrap();
    let (fewest, most) = (day_secs / 31, day_secs / 14 + 10);
    let range = fewest * INSTANCES..most * INSTANCES;
    assert!(range.contains(&probes.len()), "{name}: {}", probes.len());

    let back_at = Instant::now();
    fleet.dependency.down.store(false, Ordering::Relaxed);
    until("all is done", || fake.len(QUEUE) == 0).await;
    fleet.dependency.seen(|seen| {
        for (customer, numbers) in &seen.effects {
            assert!(numbers.is_sorted(), "{name}: {customer}: {numbers:?}");
        }
        let done: usize = seen.effects.values().map(Vec::len).sum();
        assert_eq!(done, sent as usize, "{name}: something was handled twice");
        for (number, begun) in &seen.begun {
            // Ten messages first, and at most twice as many from set to set.
            for (n, messages) in begun.iter().take(7).enumerate() {
                assert!(*messages <= 10 << n, "{name}: instance {number}: {begun:?}");
            }
        }
        let took = seen.last_at.unwrap() - back_at;
        // Waiting for the probe, then at full speed.
        let limit = Duration::from_secs(31) + undisturbed_at_most();
        assert!(took <= limit, "{name}: {took:?}");
    });
    assert!(fake.held(DEAD).is_empty(), "{name}");
}

/// Twice what the messages cost when each instance has one full set at a time: they have three.
fn undisturbed_at_most() -> Duration {
    let messages = u32::try_from(DAY.as_secs() / INTAKE_EVERY.as_secs()).unwrap();
    (SET_COSTS * messages / 200 + MESSAGE_COSTS * messages) * 2
}

#[tokio::test(start_paused = true)]
async fn a_day_without_postgres_poisons_nothing_and_ends_without_a_stampede() {
    a_day_without("postgres").await;
}

#[tokio::test(start_paused = true)]
async fn a_day_without_redis_poisons_nothing_and_ends_without_a_stampede() {
    a_day_without("redis").await;
}

#[tokio::test(start_paused = true)]
async fn a_day_without_catalog_poisons_nothing_and_ends_without_a_stampede() {
    a_day_without("catalog").await;
}

#[tokio::test(start_paused = true)]
async fn a_day_without_s3_poisons_nothing_and_ends_without_a_stampede() {
    a_day_without("s3").await;
}

#[tokio::test(start_paused = true)]
async fn a_backlog_after_an_outage_drains_as_fast_as_any_other() {
    let messages = 6_000;
    let calm = undisturbed(messages).await;
    let fake = FakeQueue::new(3, &[QUEUE, DEAD]);
    let fleet = fleet(&fake, "postgres", true);
    for n in 0..messages {
        send(&fake, n);
    }
    sleep(Duration::from_secs(3_600)).await;
    fleet.dependency.down.store(false, Ordering::Relaxed);
    let reopened = || fleet.handles.iter().all(|handle| handle.tap().is_flowing());
    until("all taps are open", reopened).await;
    let began = Instant::now();
    until("all is done", || fake.len(QUEUE) == 0).await;
    assert!(
        began.elapsed() <= calm * 3 / 2 + Duration::from_millis(100),
        "{:?} after the outage, {calm:?} without one",
        began.elapsed()
    );
}
