//! Sets: put together, handed to the handler, and taken apart by outcome.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use time::OffsetDateTime;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use super::core::{Core, Event};
use super::hand::{Id, Key, Place};
use super::pace::{Ticket, Went};
use super::settle::{Ack, ParkItem};
use super::{Delivery, Handler, Outcome, Set};

/// How a handler call ended.
pub(super) enum Ended {
    Outcomes(Vec<Outcome>),
    Panicked,
    /// Dropped after it had been cancelled and did not end.
    Dropped,
}

struct RunningGroup {
    key: Key,
    ids: Vec<Id>,
    lost: CancellationToken,
}

/// A set with the handler.
pub(super) struct Running {
    groups: Vec<RunningGroup>,
    messages: usize,
    started: Instant,
    ticket: Ticket,
    cancel: CancellationToken,
    drop: CancellationToken,
    cancelled_at: Option<Instant>,
}

impl Running {
    /// Cancels one group; with the last one, the set.
    pub(super) fn lose(&mut self, key: &Key, now: Instant) {
        if let Some(group) = self.groups.iter().find(|group| group.key == *key) {
            group.lost.cancel();
        }
        if self.groups.iter().all(|group| group.lost.is_cancelled()) {
            self.cancel(now);
        }
    }

    pub(super) fn cancel(&mut self, now: Instant) {
        self.cancelled_at.get_or_insert(now);
        self.cancel.cancel();
        for group in &self.groups {
            group.lost.cancel();
        }
    }

    /// When a cancelled set has had its grace.
    pub(super) fn drop_at(&self, grace: Duration) -> Option<Instant> {
        self.cancelled_at
            .filter(|_| !self.drop.is_cancelled())
            .map(|at| at + grace)
    }
}

/// A group that fails alone may do so by itself; when several all fail, too much may have been asked.
fn went(outcomes: &[Outcome], alone: bool) -> Went {
    let failed =
        |outcome: &Outcome| matches!(outcome, Outcome::Retry { .. } | Outcome::Isolate { .. });
    // The rest of a failed group waits behind it.
    let waits = |outcome: &Outcome| matches!(outcome, Outcome::Wait { .. });
    let all = outcomes
        .iter()
        .all(|outcome| failed(outcome) || waits(outcome));
    if !alone && all && outcomes.iter().any(failed) {
        Went::Failed
    } else {
        Went::Through
    }
}

/// What a group's outcomes come to.
struct Verdict {
    /// Messages that go back to the front of the group, in order.
    rest: Vec<Id>,
    parks: usize,
    /// How long the group waits, when its head was not done.
    wait: Option<Duration>,
}

impl<H: Handler> Core<H> {
    /// Messages that handlers have.
    fn handled_messages(&self) -> usize {
        self.sets.values().map(|running| running.messages).sum()
    }

    /// Messages that the next set may have.
    fn room(&self) -> usize {
        let room = self.pace.room(self.handled_messages());
        room.min(self.env.options.set_messages_max.max(1))
    }

    /// When the set on trial after an outage is overdue.
    pub(super) fn trial_until(&self) -> Option<Instant> {
        let started = self.sets.values().map(|running| running.started).min()?;
        (self.pace.is_on_trial() && self.hand.ready_messages() > 0)
            .then(|| started + self.env.options.set_slow_after)
    }

    /// Until when a small set waits for company, when that is all that holds it up.
    pub(super) fn linger_until(&self, now: Instant) -> Option<Instant> {
        let options = &self.env.options;
        let may_wait = !self.sets.is_empty()
            && self.sets.len() < options.sets_in_flight_max
            && self.hand.ready_messages() > 0
            && self.hand.ready_messages() < self.room();
        let until = self
            .ready_since
            .map(|since| since + options.set_linger_max)?;
        (may_wait && until > now).then_some(until)
    }

    pub(super) fn start_sets(&mut self, now: Instant) {
        if self.trial_until().is_some_and(|until| until <= now) {
            self.pace.trial_is_overdue();
        }
        while self.sets.len() < self.env.options.sets_in_flight_max.max(1) {
            let room = self.room();
            if room == 0 {
                break;
            }
            let keys = match self.cohorts.pop_front() {
                Some(mut cohort) => {
                    // What has no room waits: smaller sets find a culprit just as well.
                    let rest = cohort.split_off(room.min(cohort.len()));
                    if !rest.is_empty() {
                        self.cohorts.push_front(rest);
                    }
                    cohort
                }
                None if self.hand.ready_messages() == 0 || self.linger_until(now).is_some() => {
                    break;
                }
                None => self.hand.choose(room),
            };
            self.ready_since = (self.hand.ready_messages() > 0).then_some(now);
            self.start_set(&keys, room, now);
        }
        if self.hand.ready_messages() > 0 {
            self.ready_since.get_or_insert(now);
        }
    }

    fn start_set(&mut self, keys: &[Key], messages_max: usize, now: Instant) {
        self.next_set += 1;
        let set_id = self.next_set;
        let mut room = messages_max.max(1);
        let mut groups = Vec::with_capacity(keys.len());
        let mut deliveries = Vec::new();
        for key in keys {
            let ids = self.hand.take(key, set_id, room.max(1));
            if ids.is_empty() {
                continue;
            }
            room = room.saturating_sub(ids.len());
            let lost = CancellationToken::new();
            deliveries.extend(
                ids.iter()
                    .filter_map(|id| self.hand.get(*id))
                    .map(|message| Delivery {
                        received: Arc::clone(&message.received),
                        key: Arc::clone(key),
                        attempt: message.attempt(),
                        lost: lost.clone(),
                    }),
            );
            groups.push(RunningGroup {
                key: Arc::clone(key),
                ids,
                lost,
            });
        }
        if deliveries.is_empty() {
            return;
        }
        let messages = deliveries.len();
        let cancel = CancellationToken::new();
        let drop = CancellationToken::new();
        let span =
            tracing::info_span!("set", queue = %self.env.queue, messages, groups = groups.len());
        let set = Set {
            deliveries,
            cancel: cancel.clone(),
        };
        let handler = Arc::clone(&self.handler);
        let dropped = drop.clone();
        let handled_messages = self.handled_messages() + messages;
        self.sets.insert(
            set_id,
            Running {
                groups,
                messages,
                started: now,
                ticket: self.pace.begin(messages, handled_messages),
                cancel,
                drop,
                cancelled_at: None,
            },
        );
        let work = async move {
            let ended = tokio::select! {
                biased;
                result = AssertUnwindSafe(handler.handle(&set)).catch_unwind() => match result {
                    Ok(outcomes) => Ended::Outcomes(outcomes),
                    Err(_panic) => Ended::Panicked,
                },
                () = dropped.cancelled() => Ended::Dropped,
            };
            Event::SetEnded { set: set_id, ended }
        };
        self.jobs.spawn(work.instrument(span));
    }

    pub(super) fn drop_overdue_sets(&mut self, now: Instant) {
        let grace = self.env.options.cancel_grace;
        for running in self.sets.values() {
            if running.drop_at(grace).is_some_and(|at| at <= now) {
                running.drop.cancel();
            }
        }
    }

    pub(super) fn set_ended(&mut self, set: u64, ended: Ended) {
        let Some(running) = self.sets.remove(&set) else {
            return;
        };
        let took = running.started.elapsed();
        self.env.metrics.set_ended(running.messages, took);
        let all = |outcome: Outcome| vec![outcome; running.messages];
        let outcomes = match ended {
            Ended::Outcomes(outcomes) if outcomes.len() == running.messages => outcomes,
            Ended::Outcomes(outcomes) => {
                self.env.metrics.panicked();
                tracing::error!(queue = %self.env.queue, messages = running.messages, outcomes = outcomes.len(), "the handler answered out of shape");
                all(Outcome::isolate("the handler answered out of shape"))
            }
            Ended::Panicked => {
                self.env.metrics.panicked();
                tracing::error!(queue = %self.env.queue, messages = running.messages, "the handler panicked");
                all(Outcome::isolate("the handler panicked"))
            }
            Ended::Dropped => {
                self.report.sets_dropped += 1;
                tracing::warn!(queue = %self.env.queue, messages = running.messages, "a cancelled handler did not end and was dropped");
                all(Outcome::wait(Duration::ZERO, "cancelled"))
            }
        };
        let alone = running.groups.len() == 1;
        self.pace
            .ended(running.ticket, took, went(&outcomes, alone));
        let mut outcomes = outcomes.into_iter();
        let mut unknown = Vec::new();
        for group in running.groups {
            let of_group: Vec<Outcome> = outcomes.by_ref().take(group.ids.len()).collect();
            let isolate = of_group
                .iter()
                .any(|outcome| matches!(outcome, Outcome::Isolate { .. }));
            if isolate && !alone && !group.lost.is_cancelled() && !self.is_stopping() {
                self.hand.put_back_chosen(&group.key, &group.ids);
                unknown.push(group.key);
            } else {
                self.group_ended(&group, of_group);
            }
        }
        self.halve(&unknown);
    }

    /// Two smaller sets of groups of which one made a set fail.
    fn halve(&mut self, keys: &[Key]) {
        let half = keys.len().div_ceil(2).max(1);
        self.cohorts.extend(keys.chunks(half).map(<[Key]>::to_vec));
    }

    fn group_ended(&mut self, group: &RunningGroup, outcomes: Vec<Outcome>) {
        let lost = group.lost.is_cancelled();
        let verdict = self.judge(group, outcomes);
        let held = self.hand.sleeping_messages() + verdict.rest.len();
        let options = &self.env.options;
        let hand_back = lost
            || self.is_stopping()
            || verdict.wait.is_some_and(|wait| {
                wait > options.retry_held_max || held > options.retry_held_messages_max
            });
        let then = if hand_back && !verdict.rest.is_empty() {
            // After a loss, others may have the head already: nothing to wait for.
            let visibility = if lost {
                Duration::ZERO
            } else {
                verdict.wait.unwrap_or_default()
            };
            let mut ids = verdict.rest;
            ids.extend(self.hand.drop_waiting(&group.key, 0));
            self.release(&ids, visibility);
            None
        } else {
            self.hand.put_front(&group.key, &verdict.rest);
            verdict.wait.map(|wait| Instant::now() + wait)
        };
        if verdict.parks > 0 {
            self.hand.park(&group.key, verdict.parks, then);
        } else {
            self.hand.go_on(&group.key, then);
        }
    }

    /// Goes through a group's outcomes up to the first that is not final.
    fn judge(&mut self, group: &RunningGroup, outcomes: Vec<Outcome>) -> Verdict {
        let mut verdict = Verdict {
            rest: Vec::new(),
            parks: 0,
            wait: None,
        };
        let mut outcomes = outcomes.into_iter();
        for (position, id) in group.ids.iter().enumerate() {
            let (wait, why, blamed) = match outcomes.next() {
                Some(Outcome::Done) => {
                    self.acknowledge(*id);
                    continue;
                }
                Some(Outcome::Park { reason }) => match self.park(*id, reason) {
                    Ok(()) => {
                        verdict.parks += 1;
                        continue;
                    }
                    Err(reason) => (self.env.options.backoff.max, reason.into(), false),
                },
                Some(Outcome::Retry { after, why }) => (after, why, true),
                Some(Outcome::Wait { after, why }) => (after, why, false),
                Some(Outcome::Isolate { why }) => {
                    self.hand.suspect(&group.key);
                    let failures = self.hand.get(*id).map_or(1, |message| message.retries + 1);
                    (self.env.options.backoff.jittered(failures), why, true)
                }
                None => break,
            };
            self.env.metrics.outcome("retry", 1);
            let rest = &group.ids[position..];
            if blamed && self.gives_up(*id, &why) {
                verdict.parks += 1;
                verdict.rest = rest[1..].to_vec();
            } else {
                tracing::info!(queue = %self.env.queue, group = %group.key, ?wait, %why, "a message will be tried again");
                verdict.rest = rest.to_vec();
                verdict.wait = Some(wait.max(self.env.options.retry_after_min));
            }
            break;
        }
        verdict
    }

    /// Counts a failure; true when it was the last one and the message is being parked.
    fn gives_up(&mut self, id: Id, why: &str) -> bool {
        let flowing = !self.tap_is_closed();
        let attempts_max = self.env.options.attempts_max;
        let Some(message) = self.hand.get_mut(id) else {
            return false;
        };
        message
            .first_failed_at
            .get_or_insert_with(OffsetDateTime::now_utc);
        let attempts = message.attempt();
        message.retries = message.retries.saturating_add(1);
        let last = flowing && attempts_max.is_some_and(|max| attempts >= max);
        last && self
            .park(id, format!("gave up after {attempts} attempts: {why}"))
            .is_ok()
    }

    fn acknowledge(&mut self, id: Id) {
        self.env.metrics.outcome("done", 1);
        if let Some(message) = self.hand.get_mut(id) {
            message.place = Place::Settling;
            self.acks
                .push_back(Ack::done(id, message.received.receipt_handle.clone()));
        }
    }

    /// Sends a message on its way to the dead-letter queue, or says why it has to wait.
    fn park(&mut self, id: Id, reason: String) -> Result<(), String> {
        if self.env.dead_letters.is_none() {
            tracing::error!(queue = %self.env.queue, reason, "a message fails by itself, and there is no dead-letter queue to park it in");
            return Err(reason);
        }
        if let Some(message) = self.hand.get_mut(id) {
            message.place = Place::Settling;
            self.parks
                .push_back(ParkItem::new(id, message, &reason, &self.env));
        }
        Ok(())
    }
}
