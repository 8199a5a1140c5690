//! A scripted handler that records what it did, and a consumer around it on the fake queue.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use steelyard_queue::testing::{Call, FakeQueue};
use steelyard_queue::{
    Consumer, ConsumerOptions, Delivery, Handle, Handler, Outcome, OutgoingMessage, Set,
    StopReport, Tap, Transport,
};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

pub(crate) const QUEUE: &str = "orders.fifo";
pub(crate) const DEAD: &str = "orders-dead.fifo";

/// What a script says to a delivery.
pub(crate) enum Act {
    Say(Outcome),
    After(Duration, Outcome),
    Panic,
    Hang,
    /// Wait for the delivery to be cancelled, then answer.
    UntilLost(Outcome),
}

type Busy = Arc<Mutex<HashMap<String, usize>>>;
type Script = Box<dyn Fn(&Delivery) -> Act + Send + Sync>;

#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) body: String,
    pub(crate) attempt: u32,
    pub(crate) receive_count: u32,
}

#[derive(Default)]
pub(crate) struct Log {
    pub(crate) seen: Vec<Seen>,
    /// First effect of each body, in order, by group.
    pub(crate) effects: BTreeMap<String, Vec<String>>,
    pub(crate) sets: Vec<usize>,
    pub(crate) lost: usize,
}

pub(crate) struct Scripted {
    script: Script,
    pub(crate) log: Arc<Mutex<Log>>,
    busy: Busy,
}

impl Handler for Scripted {
    async fn handle(&self, set: &Set) -> Vec<Outcome> {
        {
            self.log.lock().unwrap().sets.push(set.len());
            let mut all = self.busy.lock().unwrap();
            for group in set.groups() {
                let busy = all.entry(group[0].sequence_key().to_owned()).or_default();
                *busy += 1;
                assert_eq!(*busy, 1, "a group is in two sets at once");
            }
        }
        let _leave = Leave {
            busy: Arc::clone(&self.busy),
            set: set.clone(),
        };
        let mut outcomes = Vec::new();
        for group in set.groups() {
            let mut stopped = false;
            for delivery in group {
                if stopped {
                    outcomes.push(Outcome::wait(Duration::ZERO, "behind"));
                    continue;
                }
                self.log.lock().unwrap().seen.push(Seen {
                    body: delivery.body.clone(),
                    attempt: delivery.attempt(),
                    receive_count: delivery.receive_count,
                });
                let outcome = match (self.script)(delivery) {
                    Act::Say(outcome) => outcome,
                    Act::After(pause, outcome) => {
                        tokio::time::sleep(pause).await;
                        outcome
                    }
                    Act::Panic => panic!("scripted"),
                    Act::Hang => std::future::pending().await,
                    Act::UntilLost(outcome) => {
                        delivery.lost().cancelled().await;
                        self.log.lock().unwrap().lost += 1;
                        outcome
                    }
                };
                if outcome == Outcome::Done {
                    let mut log = self.log.lock().unwrap();
                    let effects = log
                        .effects
                        .entry(delivery.sequence_key().to_owned())
                        .or_default();
                    // What an inbox does: a duplicate has no second effect.
                    if !effects.contains(&delivery.body) {
                        effects.push(delivery.body.clone());
                    }
                } else {
                    stopped = !matches!(outcome, Outcome::Park { .. });
                }
                outcomes.push(outcome);
            }
        }
        outcomes
    }
}

struct Leave {
    busy: Busy,
    set: Set,
}

impl Drop for Leave {
    fn drop(&mut self) {
        // Poisoned when a scripted assertion failed, which has been said already.
        let Ok(mut all) = self.busy.lock() else {
            return;
        };
        for group in self.set.groups() {
            if let Some(busy) = all.get_mut(group[0].sequence_key()) {
                *busy -= 1;
            }
        }
    }
}

/// A consumer that runs.
pub(crate) struct Rig {
    pub(crate) fake: FakeQueue,
    pub(crate) log: Arc<Mutex<Log>>,
    pub(crate) stop: CancellationToken,
    pub(crate) handle: Handle,
    running: JoinHandle<StopReport>,
}

pub(crate) fn fake(seed: u64) -> FakeQueue {
    FakeQueue::new(seed, &[QUEUE, DEAD, "jobs", "jobs-dead"])
}

pub(crate) fn start(
    fake: &FakeQueue,
    options: ConsumerOptions,
    script: impl Fn(&Delivery) -> Act + Send + Sync + 'static,
) -> Rig {
    start_on(
        Arc::new(fake.clone()),
        fake,
        QUEUE,
        options,
        Tap::new(),
        Arc::default(),
        script,
    )
}

pub(crate) fn start_on(
    transport: Arc<dyn Transport>,
    fake: &FakeQueue,
    queue: &str,
    options: ConsumerOptions,
    tap: Tap,
    log: Arc<Mutex<Log>>,
    script: impl Fn(&Delivery) -> Act + Send + Sync + 'static,
) -> Rig {
    let handler = Scripted {
        script: Box::new(script),
        log: Arc::clone(&log),
        busy: Busy::default(),
    };
    let dead = if queue == QUEUE { DEAD } else { "jobs-dead" };
    let consumer = Consumer::builder(transport, queue, handler)
        .dead_letters(dead)
        .tap(tap)
        .options(options)
        .build();
    let stop = CancellationToken::new();
    let handle = consumer.handle();
    let running = tokio::spawn(consumer.run(stop.clone()));
    Rig {
        fake: fake.clone(),
        log,
        stop,
        handle,
        running,
    }
}

impl Rig {
    /// Ends it as `kill -9` would.
    pub(crate) fn crash(self) {
        self.running.abort();
    }

    pub(crate) async fn stop(self) -> StopReport {
        self.stop.cancel();
        self.running.await.unwrap()
    }

    pub(crate) fn seen(&self) -> Vec<String> {
        self.log
            .lock()
            .unwrap()
            .seen
            .iter()
            .map(|seen| seen.body.clone())
            .collect()
    }

    pub(crate) fn effects(&self, group: &str) -> Vec<String> {
        self.log
            .lock()
            .unwrap()
            .effects
            .get(group)
            .cloned()
            .unwrap_or_default()
    }

    /// Waits, in virtual time, until the queue is empty.
    pub(crate) async fn drained(&self, queue: &str) {
        let fake = self.fake.clone();
        until(&format!("{queue} is empty"), move || fake.len(queue) == 0).await;
    }
}

/// Waits for a condition, an hour of virtual time at most.
pub(crate) async fn until(what: &str, condition: impl Fn() -> bool) {
    let began = Instant::now();
    while !condition() {
        let waited = began.elapsed();
        assert!(
            waited < Duration::from_secs(3_600),
            "waited an hour until {what}"
        );
        // Virtual time is free, looking is not.
        let pause = if waited < Duration::from_secs(1) {
            5
        } else {
            100
        };
        tokio::time::sleep(Duration::from_millis(pause)).await;
    }
}

pub(crate) fn put(fake: &FakeQueue, group: &str, bodies: &[&str]) {
    for body in bodies {
        fake.put(
            QUEUE,
            &OutgoingMessage::fifo(group, format!("{group}/{body}"), *body),
        )
        .unwrap();
    }
}

/// Visibility changes to zero, by receipt handle, in order.
pub(crate) fn handed_back(fake: &FakeQueue) -> Vec<String> {
    fake.calls()
        .into_iter()
        .filter_map(|(_, call)| {
            if let Call::ChangeVisibility(changes) = call {
                Some(changes)
            } else {
                None
            }
        })
        .flatten()
        .filter(|(_, visibility)| visibility.is_zero())
        .map(|(receipt, _)| receipt)
        .collect()
}

pub(crate) fn receives(fake: &FakeQueue) -> usize {
    fake.calls()
        .iter()
        .filter(|(_, call)| matches!(call, Call::Receive(_)))
        .count()
}
