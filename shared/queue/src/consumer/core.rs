//! The loop that owns a consumer's state. All that takes time runs beside it as jobs, each of which ends in an event;
//! so there are no locks, and what happens in which order can be read here.

use std::collections::{BTreeMap, VecDeque};
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::FutureExt as _;
use tokio::sync::OnceCell;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use super::hand::{Hand, Id, Key};
use super::heartbeat::Beaten;
use super::pace::Pace;
use super::polls::{Polled, Polls};
use super::sets::{Ended, Running};
use super::settle::{Ack, Deleted, ParkItem, ParkResult};
use super::{ConsumerOptions, Gauges, Handler, StopReport, Tap};
use crate::metrics::ConsumerMetrics;
use crate::transport::{QueueUrl, Transport, TransportError, VisibilityChange};

const IDLE_WAKE: Duration = Duration::from_secs(3_600);

/// What the jobs need.
pub(super) struct Env {
    pub(super) transport: Arc<dyn Transport>,
    pub(super) queue: Arc<str>,
    pub(super) fifo: bool,
    pub(super) dead_letters: Option<Arc<str>>,
    pub(super) options: ConsumerOptions,
    pub(super) metrics: ConsumerMetrics,
    url: OnceCell<QueueUrl>,
    dead_letters_url: OnceCell<QueueUrl>,
}

impl Env {
    pub(super) async fn url(&self) -> Result<&QueueUrl, TransportError> {
        self.url
            .get_or_try_init(|| self.transport.queue_url(&self.queue))
            .await
    }

    pub(super) async fn dead_letters_url(&self) -> Result<&QueueUrl, TransportError> {
        let name = self.dead_letters.as_deref().unwrap_or_default();
        self.dead_letters_url
            .get_or_try_init(|| self.transport.queue_url(name))
            .await
    }

    /// Bounds a call in time, and turns a panic in the transport into a failed call, so that every job ends in an event.
    pub(super) async fn bounded<T>(
        &self,
        limit: Duration,
        call: impl Future<Output = Result<T, TransportError>>,
    ) -> Result<T, TransportError> {
        match AssertUnwindSafe(timeout(limit, call)).catch_unwind().await {
            Ok(Ok(result)) => result,
            Ok(Err(_elapsed)) => Err(TransportError::Timeout(format!(
                "no answer within {limit:?}"
            ))),
            Err(_panic) => Err(TransportError::Unavailable {
                code: "Panic".to_owned(),
                message: "the transport panicked".to_owned(),
            }),
        }
    }
}

/// How a job ended.
pub(super) enum Event {
    Polled(Polled),
    SetEnded { set: u64, ended: Ended },
    Deleted(Deleted),
    Beaten(Vec<Beaten>),
    Released { failed: usize },
    Parked(Vec<ParkResult>),
    Probed,
}

/// Budgets of a stop under way.
struct Stopping {
    began: Instant,
    polls_until: Instant,
    drain_until: Instant,
    cancelled: bool,
    /// From when both polls and handlers have ended.
    flush_until: Option<Instant>,
}

pub(super) struct Core<H> {
    pub(super) env: Arc<Env>,
    pub(super) handler: Arc<H>,
    pub(super) tap: Tap,
    pub(super) gauges: Arc<Gauges>,
    pub(super) hand: Hand,
    pub(super) jobs: JoinSet<Event>,
    pub(super) polls: Polls,
    pub(super) sets: BTreeMap<u64, Running>,
    pub(super) next_set: u64,
    pub(super) pace: Pace,
    /// Sets already put together: halves of one that failed as a whole.
    pub(super) cohorts: VecDeque<Vec<Key>>,
    pub(super) ready_since: Option<Instant>,
    pub(super) acks: VecDeque<Ack>,
    pub(super) acks_later: BTreeMap<(Instant, Id), Ack>,
    pub(super) deletes_open: usize,
    pub(super) releases: Vec<VisibilityChange>,
    pub(super) releasing: bool,
    pub(super) parks: VecDeque<ParkItem>,
    pub(super) parks_open: usize,
    pub(super) beats_open: usize,
    pub(super) next_beat: Instant,
    tap_closed_since: Option<Instant>,
    stopping: Option<Stopping>,
    pub(super) report: StopReport,
}

impl<H: Handler> Core<H> {
    pub(super) fn new(parts: super::ConsumerBuilder<H>, gauges: Arc<Gauges>) -> Self {
        let now = Instant::now();
        let options = &parts.options;
        let pace = Pace::new(
            options.window_messages_min,
            options.sets_in_flight_max.max(1) * options.set_messages_max.max(1),
            options.set_slow_after,
        );
        let env = Env {
            transport: parts.transport,
            fifo: parts.queue.ends_with(".fifo"),
            metrics: ConsumerMetrics::new(&parts.queue),
            queue: parts.queue,
            dead_letters: parts.dead_letters,
            options: parts.options,
            url: OnceCell::new(),
            dead_letters_url: OnceCell::new(),
        };
        Self {
            env: Arc::new(env),
            handler: parts.handler,
            tap: parts.tap,
            gauges,
            hand: Hand::default(),
            jobs: JoinSet::new(),
            polls: Polls::new(now),
            sets: BTreeMap::new(),
            next_set: 0,
            pace,
            cohorts: VecDeque::new(),
            ready_since: None,
            acks: VecDeque::new(),
            acks_later: BTreeMap::new(),
            deletes_open: 0,
            releases: Vec::new(),
            releasing: false,
            parks: VecDeque::new(),
            parks_open: 0,
            beats_open: 0,
            next_beat: now,
            tap_closed_since: None,
            stopping: None,
            report: StopReport::default(),
        }
    }

    pub(super) async fn run(mut self, stop: CancellationToken) -> StopReport {
        self.gauges.started();
        let mut tap_changes = self.tap.watch();
        loop {
            // Looked at first: a consumer that is stopped before it starts receives nothing.
            if stop.is_cancelled() && self.stopping.is_none() {
                self.begin_stop();
            }
            let now = Instant::now();
            self.advance(now);
            if self.is_finished(now) {
                break;
            }
            let wake_at = self.next_wake(now);
            tokio::select! {
                biased;
                () = stop.cancelled(), if self.stopping.is_none() => {}
                Some(event) = self.jobs.join_next(), if !self.jobs.is_empty() => {
                    self.on(event);
                    while let Some(event) = self.jobs.try_join_next() {
                        self.on(event);
                    }
                }
                // Fails only when the tap is gone, and this struct holds it.
                _ = tap_changes.changed() => {}
                () = sleep_until(wake_at) => {}
            }
        }
        self.end()
    }

    fn on(&mut self, event: Result<Event, tokio::task::JoinError>) {
        match event {
            Ok(Event::Polled(polled)) => self.polled(polled),
            Ok(Event::SetEnded { set, ended }) => self.set_ended(set, ended),
            Ok(Event::Deleted(deleted)) => self.deleted(deleted),
            Ok(Event::Beaten(beats)) => self.beaten(beats),
            Ok(Event::Released { failed }) => self.released(failed),
            Ok(Event::Parked(results)) => self.parked(results),
            Ok(Event::Probed) => {}
            Err(error) => tracing::error!(%error, queue = %self.env.queue, "a job broke off"),
        }
    }

    pub(super) fn is_stopping(&self) -> bool {
        self.stopping.is_some()
    }

    /// Starts all that may start now.
    fn advance(&mut self, now: Instant) {
        self.hand.wake(now);
        self.look_at_tap(now);
        self.look_at_stop(now);
        self.beat(now);
        self.drop_overdue_sets(now);
        if self.tap_closed_since.is_none() && !self.is_stopping() {
            self.start_sets(now);
            self.start_polls(now);
        }
        self.start_parks();
        self.start_deletes(now);
        self.start_releases();
        let in_hand = self.hand.len();
        if self.gauges.in_hand.swap(in_hand, Ordering::Relaxed) != in_hand {
            self.env.metrics.in_hand(in_hand);
        }
        let window = self.pace.window();
        if self.gauges.window.swap(window, Ordering::Relaxed) != window {
            self.env.metrics.window(window);
        }
        self.gauges.sets.store(self.sets.len(), Ordering::Relaxed);
        self.gauges.polls.store(self.polls.open, Ordering::Relaxed);
    }

    fn look_at_tap(&mut self, now: Instant) {
        let was_closed = self.tap_closed_since.is_some();
        if self.tap.is_flowing() {
            self.tap_closed_since = None;
        } else {
            let since = *self.tap_closed_since.get_or_insert(now);
            if !was_closed {
                self.polls.slow_start();
                self.pace.closed();
            }
            for dependency in self.tap.take_probes() {
                let probing = self.tap.probe_until_open(dependency);
                self.jobs.spawn(async move {
                    probing.await;
                    Event::Probed
                });
            }
            // Not while a poll is open, for it would only be given them again.
            if since + self.env.options.tap_closed_held_max <= now && self.polls.open == 0 {
                self.hand_back_waiting();
            }
        }
        if was_closed != self.tap_closed_since.is_some() {
            self.env.metrics.tap_closed(self.tap.closed().len());
        }
    }

    /// Hands everything that no handler has yet back to the queue, in order.
    fn hand_back_waiting(&mut self) {
        self.cohorts.clear();
        if self.hand.has_waiting() {
            let ids = self.hand.drop_all_waiting();
            self.release(&ids, Duration::ZERO);
        }
    }

    pub(super) fn tap_is_closed(&self) -> bool {
        self.tap_closed_since.is_some() || !self.tap.is_flowing()
    }

    fn begin_stop(&mut self) {
        let now = Instant::now();
        let options = &self.env.options;
        tracing::info!(queue = %self.env.queue, in_hand = self.hand.len(), sets = self.sets.len(), "stopping");
        self.stopping = Some(Stopping {
            began: now,
            polls_until: now + options.stop_polls_max,
            drain_until: now + options.stop_drain_max,
            cancelled: false,
            flush_until: None,
        });
    }

    fn look_at_stop(&mut self, now: Instant) {
        let Some(stopping) = &mut self.stopping else {
            return;
        };
        if stopping.polls_until <= now {
            self.polls.cancel.cancel();
        }
        if stopping.drain_until <= now && !stopping.cancelled {
            stopping.cancelled = true;
            for running in self.sets.values_mut() {
                running.cancel(now);
            }
        }
        if self.polls.open == 0 && self.sets.is_empty() && stopping.flush_until.is_none() {
            stopping.flush_until = Some(now + self.env.options.stop_flush_max);
        }
        // Late arrivals too. Not while a poll is open, for it would only be given them again.
        if self.polls.open == 0 {
            self.hand_back_waiting();
        }
    }

    fn is_finished(&self, now: Instant) -> bool {
        let Some(stopping) = &self.stopping else {
            return false;
        };
        let options = &self.env.options;
        let settled = self.polls.open == 0
            && self.sets.is_empty()
            && self.acks.is_empty()
            && self.acks_later.is_empty()
            && self.deletes_open == 0
            && self.parks.is_empty()
            && self.parks_open == 0
            && self.releases.is_empty()
            && !self.releasing;
        let hard_end = stopping
            .polls_until
            .max(stopping.drain_until + options.cancel_grace)
            + options.stop_flush_max;
        settled || stopping.flush_until.unwrap_or(hard_end).min(hard_end) <= now
    }

    fn next_wake(&self, now: Instant) -> Instant {
        let options = &self.env.options;
        let mut wake = now + IDLE_WAKE;
        let mut by = |at: Option<Instant>| wake = wake.min(at.unwrap_or(wake));
        by((self.hand.len() > 0).then_some(self.next_beat));
        by(self.hand.next_sleeper());
        by(self.acks_later.keys().next().map(|(at, _)| *at));
        by(self
            .sets
            .values()
            .filter_map(|running| running.drop_at(options.cancel_grace))
            .min());
        match &self.stopping {
            None if self.tap_closed_since.is_none() => {
                by(self.linger_until(now));
                by(self.trial_until());
                by(Some(self.polls.after).filter(|at| *at > now));
            }
            None => by(self
                .tap_closed_since
                .map(|since| since + options.tap_closed_held_max)
                .filter(|at| *at > now)),
            Some(stopping) => {
                let drained = stopping.drain_until + options.cancel_grace;
                let hard_end = stopping.polls_until.max(drained) + options.stop_flush_max;
                let ends = [
                    Some(stopping.polls_until),
                    Some(stopping.drain_until),
                    Some(hard_end),
                    stopping.flush_until,
                ];
                by(ends.into_iter().flatten().filter(|at| *at > now).min());
            }
        }
        wake
    }

    fn end(mut self) -> StopReport {
        self.report.took = self
            .stopping
            .as_ref()
            .map(|stopping| stopping.began.elapsed())
            .unwrap_or_default();
        self.report.unsettled += self.hand.len() + self.releases.len();
        self.report.sets_dropped += self.sets.len();
        self.report.polls_dropped += self.polls.open;
        self.gauges.in_hand.store(0, Ordering::Relaxed);
        self.gauges.sets.store(0, Ordering::Relaxed);
        self.gauges.polls.store(0, Ordering::Relaxed);
        tracing::info!(queue = %self.env.queue, report = ?self.report, "stopped");
        self.report
    }
}
