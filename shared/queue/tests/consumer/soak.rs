//! Everything goes wrong at once, from seeds, in virtual time. `SEED=n cargo test -p steelyard-queue --test consumer
//! soak` repeats one.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::support::{Act, DEAD, Log, QUEUE, Rig, start_on};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use steelyard_queue::testing::{FakeQueue, Faults};
use steelyard_queue::{ConsumerOptions, Outcome, OutgoingMessage, Parked, Tap};
use tokio::time::{Instant, sleep};

const SEEDS: Range<u64> = 1_000..1_050;
const GROUPS: u32 = 6;
const MESSAGES_EACH: u32 = 12;
const INSTANCES: usize = 3;
/// Chaos for this long, then a calm in which all must settle.
const CHAOS: Duration = Duration::from_secs(60);
const CALM_MAX: Duration = Duration::from_secs(1_800);
/// What cuts, crashes, hangs and hand-backs of a minute come to for the unluckiest message, with room.
const RECEIVES_MAX: u32 = 60;

fn seeds() -> Vec<u64> {
    match std::env::var("SEED") {
        Ok(seed) => vec![seed.parse().unwrap()],
        Err(_) => SEEDS.collect(),
    }
}

/// Every fifth message can never be handled.
fn is_bad(n: u32) -> bool {
    n % 5 == 3
}

fn body(n: u32) -> String {
    if is_bad(n) {
        format!("bad-{n}")
    } else {
        n.to_string()
    }
}

struct World {
    seed: u64,
    fake: FakeQueue,
    log: Arc<Mutex<Log>>,
    tap: Tap,
    dice: Arc<Mutex<StdRng>>,
    calm: Arc<AtomicBool>,
}

impl World {
    fn new(seed: u64) -> Self {
        let fake = FakeQueue::new(seed, &[QUEUE, DEAD]);
        fake.set_faults(Faults::nasty());
        Self {
            seed,
            fake,
            log: Arc::default(),
            tap: Tap::new(),
            dice: Arc::new(Mutex::new(StdRng::seed_from_u64(!seed))),
            calm: Arc::default(),
        }
    }

    fn roll(&self, range: Range<u32>) -> u32 {
        self.dice.lock().unwrap().random_range(range)
    }

    /// An instance whose handler does whatever handlers do.
    fn instance(&self) -> Rig {
        let options = ConsumerOptions {
            visibility: Duration::from_secs(2),
            visibility_held_max: Duration::from_secs(20),
            poll_wait: Duration::from_secs(1),
            set_messages_max: 20,
            stop_polls_max: Duration::from_secs(2),
            stop_drain_max: Duration::from_secs(4),
            // Innocent messages are received often here, and retried by the dice.
            attempts_max: None,
            ..ConsumerOptions::default()
        };
        let (dice, calm) = (Arc::clone(&self.dice), Arc::clone(&self.calm));
        let tap = self.tap.clone();
        let script = move |delivery: &steelyard_queue::Delivery| {
            if delivery.body.starts_with("bad") {
                return Act::Say(Outcome::park("bad"));
            }
            if calm.load(Ordering::Relaxed) {
                return Act::Say(Outcome::Done);
            }
            match dice.lock().unwrap().random_range(0..100) {
                0..4 => Act::Say(Outcome::retry(Duration::from_millis(300), "dice")),
                4..7 => Act::Say(Outcome::wait(Duration::from_secs(90), "long")),
                7..10 => Act::After(Duration::from_secs(3), Outcome::Done),
                10..13 => Act::Panic,
                13 => Act::Hang,
                14 => Act::UntilLost(Outcome::wait(Duration::ZERO, "lost")),
                15 => Act::Say(Outcome::isolate("dice")),
                16 => {
                    tap.close("postgres", "dice");
                    Act::Say(Outcome::wait(Duration::from_secs(1), "postgres"))
                }
                _ => Act::After(Duration::from_millis(2), Outcome::Done),
            }
        };
        start_on(
            Arc::new(self.fake.clone()),
            &self.fake,
            QUEUE,
            options,
            self.tap.clone(),
            Arc::clone(&self.log),
            script,
        )
    }

    /// Sends everything while instances come and go, in good order and otherwise.
    async fn chaos(&self, rigs: &mut [Rig]) {
        let began = Instant::now();
        let mut sent = 0;
        while began.elapsed() < CHAOS || sent < MESSAGES_EACH {
            if sent < MESSAGES_EACH {
                for group in 0..GROUPS {
                    let (group, body) = (format!("g{group}"), body(sent));
                    let message = OutgoingMessage::fifo(&group, format!("{group}/{body}"), body);
                    self.fake.put(QUEUE, &message).unwrap();
                }
                sent += 1;
            }
            sleep(Duration::from_millis(u64::from(self.roll(500..4_000)))).await;
            let at = self.roll(0..u32::try_from(INSTANCES).unwrap()) as usize;
            match self.roll(0..6) {
                0 => {
                    let old = std::mem::replace(&mut rigs[at], self.instance());
                    old.crash();
                }
                1 => {
                    let old = std::mem::replace(&mut rigs[at], self.instance());
                    let report = old.stop().await;
                    assert!(
                        report.took <= Duration::from_secs(15),
                        "seed {}: {report:?}",
                        self.seed
                    );
                }
                _ => {}
            }
            self.note_receives();
        }
    }

    fn note_receives(&self) {
        let most = self.fake.held(QUEUE).iter().map(|m| m.receive_count).max();
        assert!(
            most <= Some(RECEIVES_MAX),
            "seed {}: a message was received {most:?} times",
            self.seed
        );
    }

    async fn calm(&self) {
        self.calm.store(true, Ordering::Relaxed);
        self.fake.set_faults(Faults::default());
        let began = Instant::now();
        while self.fake.len(QUEUE) > 0 {
            assert!(
                began.elapsed() < CALM_MAX,
                "seed {}: {} messages never settle",
                self.seed,
                self.fake.len(QUEUE)
            );
            self.note_receives();
            sleep(Duration::from_millis(200)).await;
        }
    }

    fn check(&self) {
        let seed = self.seed;
        let numbers = 0..MESSAGES_EACH;
        let good: Vec<String> = numbers.clone().filter(|n| !is_bad(*n)).map(body).collect();
        let bad: BTreeSet<String> = numbers.filter(|n| is_bad(*n)).map(body).collect();
        let mut dead: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for held in self.fake.held(DEAD) {
            let parked = Parked::from_attributes(&held.message.attributes);
            assert_eq!(parked.map(|parked| parked.reason).as_deref(), Some("bad"));
            let group = held.message.group_id.unwrap();
            let new = dead.entry(group).or_default().insert(held.message.body);
            assert!(new, "seed {seed}: parked twice");
        }
        let log = self.log.lock().unwrap();
        for group in 0..GROUPS {
            let group = format!("g{group}");
            assert_eq!(log.effects.get(&group), Some(&good), "seed {seed}");
            assert_eq!(dead.get(&group), Some(&bad), "seed {seed}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn whatever_goes_wrong_nothing_is_lost_or_overtaken_and_only_the_bad_is_parked() {
    for seed in seeds() {
        let world = World::new(seed);
        let mut rigs: Vec<Rig> = (0..INSTANCES).map(|_| world.instance()).collect();
        world.chaos(&mut rigs).await;
        world.calm().await;
        world.check();
        for rig in rigs {
            let report = rig.stop().await;
            assert_eq!(report.unsettled, 0, "seed {seed}: {report:?}");
        }
    }
}
