//! What a worker gets done, for those who watch it.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use steelyard_queue::{Handler, Outcome, Set};
use time::OffsetDateTime;
use tokio::time::Instant;

/// Over which time things settled are counted.
const WINDOW: Duration = Duration::from_secs(60);
/// A set that was settled longer ago says nothing about what is in the queue now.
const FRESH: Duration = Duration::from_secs(30);

/// Counts what becomes of messages.
#[derive(Debug, Default)]
pub(crate) struct Pulse {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    /// Messages settled, by the second in which they were.
    settled: VecDeque<(Instant, u64)>,
    latest: Option<Latest>,
}

/// The latest set.
#[derive(Debug, Clone, Copy)]
struct Latest {
    ended_at: Instant,
    /// How old its oldest message was then.
    lag: Duration,
    /// When the oldest of those that it did not settle was sent, ms since 1970.
    unsettled_since_ms: Option<i64>,
}

impl Pulse {
    /// Messages settled within the last minute.
    pub(crate) fn settled_per_min(&self) -> u64 {
        let now = Instant::now();
        let inner = self.inner();
        let recent = inner.settled.iter().filter(|(at, _)| *at + WINDOW > now);
        recent.map(|(_, count)| count).sum()
    }

    /// How old the oldest message of the latest set was, or is if it was not settled. A set that was settled says
    /// nothing of what is in the queue once no more is taken from it.
    pub(crate) fn oldest_age(&self, is_flowing: bool) -> Option<Duration> {
        let latest = self.inner().latest?;
        if let Some(since_ms) = latest.unsettled_since_ms {
            return Some(age_of(since_ms));
        }
        (is_flowing && latest.ended_at.elapsed() < FRESH).then_some(latest.lag)
    }

    fn ended(&self, set: &Set, outcomes: &[Outcome]) {
        let now = Instant::now();
        let oldest = |pick: fn(&Outcome) -> bool| {
            let both = set.deliveries().iter().zip(outcomes);
            let picked = both.filter(|(_, outcome)| pick(outcome));
            picked.filter_map(|(delivery, _)| delivery.sent_at_ms).min()
        };
        let is_settled =
            |outcome: &Outcome| matches!(outcome, Outcome::Done | Outcome::Park { .. });
        let settled = outcomes
            .iter()
            .filter(|outcome| is_settled(outcome))
            .count() as u64;
        let lag = oldest(|_| true).map(age_of).unwrap_or_default();
        let unsettled_since_ms =
            oldest(|outcome| !matches!(outcome, Outcome::Done | Outcome::Park { .. }));
        let mut inner = self.inner();
        inner.latest = Some(Latest {
            ended_at: now,
            lag,
            unsettled_since_ms,
        });
        if settled > 0 {
            match inner.settled.back_mut() {
                Some((at, count)) if at.elapsed() < Duration::from_secs(1) => *count += settled,
                _ => inner.settled.push_back((now, settled)),
            }
        }
        while inner
            .settled
            .front()
            .is_some_and(|(at, _)| *at + WINDOW <= now)
        {
            inner.settled.pop_front();
        }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn age_of(sent_at_ms: i64) -> Duration {
    let now_ms = OffsetDateTime::now_utc().unix_timestamp_nanos() / 1_000_000;
    let age_ms = u64::try_from(now_ms - i128::from(sent_at_ms));
    Duration::from_millis(age_ms.unwrap_or(0))
}

/// A handler whose pulse is taken.
#[derive(Debug)]
pub(crate) struct Observed<H> {
    handler: H,
    pulse: Arc<Pulse>,
}

impl<H> Observed<H> {
    pub(crate) const fn new(handler: H, pulse: Arc<Pulse>) -> Self {
        Self { handler, pulse }
    }
}

impl<H: Handler> Handler for Observed<H> {
    async fn handle(&self, set: &Set) -> Vec<Outcome> {
        let outcomes = self.handler.handle(set).await;
        self.pulse.ended(set, &outcomes);
        outcomes
    }
}
