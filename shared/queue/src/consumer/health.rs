//! What can be seen of a running consumer.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::tap::{Closed, Tap};

/// How a consumer is.
#[derive(Clone, Debug)]
pub struct Health {
    /// How long ago a poll last succeeded, empty or not; `None` before the first.
    pub last_good_poll_age: Option<Duration>,
    /// Messages received and not yet settled.
    pub in_hand: usize,
    /// Handler calls under way.
    pub sets_in_flight: usize,
    /// Messages that handlers may have at once, as it stands now.
    pub window_messages: usize,
    /// Polls under way.
    pub polls_open: usize,
    /// What holds the tap closed; empty while messages flow.
    pub paused_by: Vec<Closed>,
    /// How long the consumer has been running.
    pub running_for: Duration,
}

impl Health {
    /// Alive: a poll has succeeded within `poll_age_max`, or the tap is closed on purpose.
    /// Give at least the poll wait plus a handler's time under full load.
    pub fn is_live(&self, poll_age_max: Duration) -> bool {
        !self.paused_by.is_empty()
            || self.last_good_poll_age.unwrap_or(self.running_for) <= poll_age_max
    }
}

/// Looks at a consumer. Cheap to clone, and outlives it.
#[derive(Clone, Debug)]
pub struct Handle {
    pub(super) gauges: Arc<Gauges>,
    pub(super) tap: Tap,
}

impl Handle {
    /// How the consumer is now.
    pub fn health(&self) -> Health {
        let (started_at, polled_at) = *self
            .gauges
            .times
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        Health {
            last_good_poll_age: polled_at.map(|at| at.elapsed()),
            in_hand: self.gauges.in_hand.load(Ordering::Relaxed),
            sets_in_flight: self.gauges.sets.load(Ordering::Relaxed),
            window_messages: self.gauges.window.load(Ordering::Relaxed),
            polls_open: self.gauges.polls.load(Ordering::Relaxed),
            paused_by: self.tap.closed(),
            running_for: started_at.elapsed(),
        }
    }

    /// The consumer's tap.
    pub fn tap(&self) -> &Tap {
        &self.tap
    }
}

#[derive(Debug)]
pub(super) struct Gauges {
    pub(super) in_hand: AtomicUsize,
    pub(super) sets: AtomicUsize,
    pub(super) window: AtomicUsize,
    pub(super) polls: AtomicUsize,
    times: Mutex<(Instant, Option<Instant>)>,
}

impl Gauges {
    pub(super) fn new() -> Self {
        Self {
            in_hand: AtomicUsize::new(0),
            sets: AtomicUsize::new(0),
            window: AtomicUsize::new(0),
            polls: AtomicUsize::new(0),
            times: Mutex::new((Instant::now(), None)),
        }
    }

    pub(super) fn started(&self) {
        self.times.lock().unwrap_or_else(PoisonError::into_inner).0 = Instant::now();
    }

    pub(super) fn polled(&self) {
        self.times.lock().unwrap_or_else(PoisonError::into_inner).1 = Some(Instant::now());
    }
}
