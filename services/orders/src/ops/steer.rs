//! The worker's ear and mouth: hears the maintenance state, tells how the worker is.

use std::sync::Arc;
use std::time::Duration;

use steelyard_domain::ops::{Breaker, Maintenance, Work, WorkerReport};
use steelyard_queue::{Handle, Tap};
use steelyard_store::Database;
use time::OffsetDateTime;
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{Pulse, fleet, maintenance};
use crate::worker::{CATALOG, POSTGRES, REDIS};

/// How often the state is read: the longest that a change takes to be heard while Postgres answers.
const READ_EVERY: Duration = Duration::from_secs(1);
/// A report goes with every so many reads.
const REPORT_EVERY_READS: u32 = 3;
/// One question to Postgres.
const ASK_MAX: Duration = Duration::from_secs(2);
/// The breaker of a pause.
pub(crate) const MAINTENANCE: &str = "maintenance";

/// Steers one worker.
#[derive(Debug)]
pub(crate) struct Steer {
    instance: String,
    database: Database,
    tap: Tap,
    worker: Handle,
    pulse: Arc<Pulse>,
    known: watch::Sender<Option<Maintenance>>,
}

/// What a worker knows; cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Known {
    steer: Arc<Steer>,
}

impl Steer {
    pub(crate) fn new(database: Database, tap: Tap, worker: Handle, pulse: Arc<Pulse>) -> Self {
        let unique = Uuid::new_v4().simple().to_string();
        Self {
            instance: format!("orders-{}-{}", std::process::id(), &unique[..8]),
            database,
            tap,
            worker,
            pulse,
            known: watch::Sender::new(None),
        }
    }

    /// Hears and tells until `stop`.
    pub(crate) async fn run(&self, stop: CancellationToken) {
        let steered = stop.run_until_cancelled(async {
            self.database.ready().await;
            let mut ticks = interval(READ_EVERY);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            let mut reads: u32 = 0;
            loop {
                ticks.tick().await;
                self.hear().await;
                self.obey();
                self.show();
                if reads.is_multiple_of(REPORT_EVERY_READS) {
                    self.tell().await;
                }
                reads = reads.wrapping_add(1);
            }
        });
        if steered.await.is_none() && self.known.borrow().is_some() {
            let left = fleet::leave(self.database.pool(), &self.instance);
            if !matches!(timeout(ASK_MAX, left).await, Ok(Ok(()))) {
                tracing::debug!(
                    instance = self.instance,
                    "the report stays behind for a while"
                );
            }
        }
    }

    /// Waits until the state has been read once: before that, a worker must not start.
    pub(crate) async fn heard(&self) {
        let mut known = self.known.subscribe();
        // The sender is `self`'s own, so it outlives the wait.
        drop(known.wait_for(Option::is_some).await);
    }

    async fn hear(&self) {
        match timeout(ASK_MAX, maintenance::load(self.database.pool())).await {
            Ok(Ok(heard)) => {
                self.known.send_if_modified(|known| {
                    let is_news = known.as_ref() != Some(&heard);
                    if is_news {
                        tracing::info!(
                            processing = heard.processing.as_str(),
                            reason = heard.reason,
                            by = heard.changed_by,
                            "the maintenance state"
                        );
                        *known = Some(heard);
                    }
                    is_news
                });
            }
            Ok(Err(error)) => tracing::debug!(%error, "the maintenance state stays as it is known"),
            Err(_elapsed) => tracing::debug!("the maintenance state stays as it is known"),
        }
    }

    /// Also without news: a pause ends by the clock.
    fn obey(&self) {
        let work = self.work();
        let reason = self
            .known
            .borrow()
            .as_ref()
            .and_then(|known| known.reason.clone());
        match work {
            Work::Paused => self.tap.pause(MAINTENANCE, reason.unwrap_or_default()),
            Work::Running => self.tap.resume(MAINTENANCE),
        }
        metrics::gauge!("orders_paused").set(u32::from(work == Work::Paused));
    }

    /// The indicators that only a look at the whole worker gives.
    fn show(&self) {
        let closed = self.worker.health().paused_by;
        for dependency in [POSTGRES, REDIS, CATALOG, MAINTENANCE] {
            let is_open = closed.iter().any(|closed| closed.dependency == dependency);
            metrics::gauge!("orders_breaker_open", "dependency" => dependency)
                .set(u32::from(is_open));
        }
        let oldest = self.pulse.oldest_age(closed.is_empty());
        metrics::gauge!("orders_oldest_unsettled_seconds").set(oldest.unwrap_or_default());
    }

    fn work(&self) -> Work {
        let now = OffsetDateTime::now_utc();
        let known = self.known.borrow();
        known.as_ref().map_or(Work::Running, |known| known.at(now))
    }

    async fn tell(&self) {
        let report = self.report();
        match timeout(ASK_MAX, fleet::report(self.database.pool(), &report)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::debug!(%error, "the worker could not report"),
            Err(_elapsed) => tracing::debug!("the worker could not report in time"),
        }
    }

    fn report(&self) -> WorkerReport {
        let now = OffsetDateTime::now_utc();
        let health = self.worker.health();
        let oldest_age = self.pulse.oldest_age(health.paused_by.is_empty());
        let breakers = health.paused_by.into_iter().map(|closed| Breaker {
            dependency: closed.dependency.into_owned(),
            why: closed.why,
            since: now - closed.since.elapsed(),
            probes: closed.probes,
        });
        WorkerReport {
            instance: self.instance.clone(),
            reported_at: now,
            processing: self.work(),
            breakers: breakers.collect(),
            in_hand: health.in_hand as u64,
            settled_per_min: self.pulse.settled_per_min(),
            oldest_age_s: oldest_age.map(|age| age.as_secs()),
            last_poll_age_s: health.last_good_poll_age.map(|age| age.as_secs()),
        }
    }
}

impl Known {
    pub(crate) const fn new(steer: Arc<Steer>) -> Self {
        Self { steer }
    }

    /// This process's worker, as it is now.
    pub(crate) fn report(&self) -> WorkerReport {
        self.steer.report()
    }

    /// The maintenance state as this process's worker last heard it.
    pub(crate) fn maintenance(&self) -> Option<Maintenance> {
        self.steer.known.borrow().clone()
    }
}
