//! How much the handler is given at once, in virtual time.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::support::{DEAD, QUEUE, until};
use steelyard_queue::testing::FakeQueue;
use steelyard_queue::{
    Consumer, ConsumerOptions, Handle, Handler, Outcome, OutgoingMessage, Set, Transport,
};
use tokio::time::sleep;
use tokio_util::sync::{CancellationToken, DropGuard};

/// A handler on something that copes with so many messages at once, and chokes on more.
struct Choking {
    copes_with: usize,
    panics: bool,
    now: AtomicUsize,
    /// Messages at once whenever a set began.
    begun: Begun,
}

type Begun = Arc<Mutex<Vec<usize>>>;

impl Handler for Choking {
    async fn handle(&self, set: &Set) -> Vec<Outcome> {
        let now = self.now.fetch_add(set.len(), Ordering::Relaxed) + set.len();
        let chokes = now > self.copes_with;
        self.begun.lock().unwrap().push(now);
        sleep(if chokes && !self.panics {
            Duration::from_secs(4)
        } else {
            Duration::from_millis(50)
        })
        .await;
        self.now.fetch_sub(set.len(), Ordering::Relaxed);
        assert!(!(chokes && self.panics), "more than it copes with");
        vec![Outcome::Done; set.len()]
    }
}

struct Rig {
    handle: Handle,
    begun: Begun,
    _stop: DropGuard,
}

fn consume(fake: &FakeQueue, copes_with: usize, panics: bool) -> Rig {
    let begun = Begun::default();
    let choking = Choking {
        copes_with,
        panics,
        now: AtomicUsize::new(0),
        begun: Arc::clone(&begun),
    };
    let transport: Arc<dyn Transport> = Arc::new(fake.clone());
    let consumer = Consumer::builder(transport, QUEUE, choking)
        .dead_letters(DEAD)
        .options(ConsumerOptions::default())
        .build();
    let stop = CancellationToken::new();
    let handle = consumer.handle();
    tokio::spawn(consumer.run(stop.clone()));
    Rig {
        handle,
        begun,
        _stop: stop.drop_guard(),
    }
}

fn backlog(messages: u32) -> FakeQueue {
    let fake = FakeQueue::new(1, &[QUEUE, DEAD]);
    for n in 0..messages {
        let (group, id) = (format!("g{n}"), n.to_string());
        fake.put(QUEUE, &OutgoingMessage::fifo(group, &id, &id))
            .unwrap();
    }
    fake
}

/// The windows, looked at every 50 ms until the queue is empty.
async fn windows(fake: &FakeQueue, handle: &Handle) -> Vec<usize> {
    let mut windows = Vec::new();
    while fake.len(QUEUE) > 0 {
        sleep(Duration::from_millis(50)).await;
        windows.push(handle.health().window_messages);
    }
    windows
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_keeps_up_is_given_all_that_is_allowed() {
    let fake = backlog(8_000);
    let rig = consume(&fake, usize::MAX, false);
    let windows = windows(&fake, &rig.handle).await;
    assert!(windows.iter().all(|window| (10..=600).contains(window)));
    let full = windows.iter().position(|window| *window == 600);
    assert!(full.is_some_and(|looks| looks <= 12), "{windows:?}");
    assert_eq!(windows.last(), Some(&600), "it was cut for no reason");
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_slows_down_is_given_what_it_copes_with() {
    let fake = backlog(8_000);
    let rig = consume(&fake, 150, false);
    let windows = windows(&fake, &rig.handle).await;
    // It feels its way up by steps and is halved when that was too much: between 75 and 160.
    let settled = &windows[windows.len() / 4..];
    assert!(
        settled.iter().all(|window| (70..=200).contains(window)),
        "{settled:?}"
    );
    let begun = rig.begun.lock().unwrap();
    let choked = begun.iter().filter(|messages| **messages > 150).count();
    assert!(choked * 5 <= begun.len(), "{begun:?}");
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_fails_under_too_much_is_given_less_and_nothing_is_parked() {
    let fake = backlog(2_000);
    let rig = consume(&fake, 60, true);
    until("all is done", || fake.len(QUEUE) == 0).await;
    assert!(rig.handle.health().window_messages <= 90);
    let begun = rig.begun.lock().unwrap();
    let choked = begun.iter().filter(|messages| **messages > 60).count();
    assert!(choked * 3 <= begun.len(), "{begun:?}");
    assert!(fake.held(DEAD).is_empty());
}
