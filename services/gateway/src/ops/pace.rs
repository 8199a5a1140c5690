//! How long "not yet" takes: `Retry-After` from the backlog, what workers settle, and maintenance.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use steelyard_domain::ops::{Processing, Work, paths};
use time::OffsetDateTime;
use tokio::time::{MissedTickBehavior, interval};

use super::lines::{Name, total};
use crate::app::App;

/// How often backlog and workers are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(10);
/// Nobody is told to come back sooner …
const RETRY_AFTER_MIN_S: u64 = 2;
/// … or later.
const RETRY_AFTER_MAX_S: u64 = 120;
/// When there is a backlog and nothing moves.
const STALLED_S: u64 = 30;

/// What was seen last. Kept while nobody can be asked.
#[derive(Debug, Clone, Default)]
pub(crate) struct Seen {
    pub(super) backlog: Option<u64>,
    pub(super) processing: Option<Processing>,
}

/// How fast orders are settled, as far as is known.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    seen: ArcSwap<Seen>,
}

impl Pace {
    /// Seconds after which what is not settled yet may be.
    pub(crate) fn retry_after_s(&self) -> u32 {
        let seconds = self.seen.load().retry_after_s(OffsetDateTime::now_utc());
        u32::try_from(seconds).unwrap_or(u32::MAX)
    }

    /// What the workers were last known to be like.
    pub(super) fn processing(&self) -> Processing {
        let none = Processing {
            maintenance: None,
            workers: Vec::new(),
            all_workers: false,
        };
        self.seen.load().processing.clone().unwrap_or(none)
    }

    pub(super) fn saw_processing(&self, processing: &Processing) {
        self.seen.rcu(|seen| Seen {
            processing: Some(processing.clone()),
            ..Seen::clone(seen)
        });
    }

    /// Looks now and then, until the gateway stops.
    pub(crate) async fn watch(app: Arc<App>) {
        let mut ticks = interval(LOOK_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let looking = async {
            loop {
                ticks.tick().await;
                Self::look(&app).await;
            }
        };
        app.stop.run_until_cancelled(looking).await;
    }

    async fn look(app: &App) {
        let pace = &app.pace;
        let queue = app.lines.get(Name::Orders).ok().map(|line| &line.queue);
        let depths = async { queue?.depths().await.ok() };
        let (depths, processing) =
            tokio::join!(depths, app.orders.get::<Processing>(paths::PROCESSING));
        if let Some(depths) = depths {
            let backlog = Some(total(depths));
            metrics::gauge!("orders_backlog").set(u32::try_from(total(depths)).unwrap_or(u32::MAX));
            pace.seen.rcu(|seen| Seen {
                backlog,
                ..Seen::clone(seen)
            });
        }
        match processing {
            Ok(processing) => pace.saw_processing(&processing),
            Err(error) => tracing::debug!(%error, "how workers are is not known at the moment"),
        }
        let paused = pace.seen.load().is_paused(OffsetDateTime::now_utc());
        metrics::gauge!("gateway_processing_paused").set(u32::from(paused));
        metrics::gauge!("gateway_retry_after_seconds").set(pace.retry_after_s());
    }

    /// For `/readyz`: whether the workers work, as far as is known.
    pub(crate) fn check(&self) -> Result<(), String> {
        let seen = self.seen.load();
        let known = seen
            .processing
            .as_ref()
            .and_then(|seen| seen.maintenance.as_ref());
        match known {
            Some(known) if known.at(OffsetDateTime::now_utc()) == Work::Paused => {
                let reason = known.reason.as_deref().unwrap_or_default();
                Err(format!("{}: {reason}", Work::Paused.as_str()))
            }
            _ => Ok(()),
        }
    }
}

impl Seen {
    fn is_paused(&self, now: OffsetDateTime) -> bool {
        let known = self
            .processing
            .as_ref()
            .and_then(|seen| seen.maintenance.as_ref());
        known.is_some_and(|known| known.at(now) == Work::Paused)
    }

    /// Messages that the workers settle per minute, if any worker is known.
    pub(super) fn drain_per_min(&self) -> Option<u64> {
        let workers = &self.processing.as_ref()?.workers;
        (!workers.is_empty()).then(|| workers.iter().map(|worker| worker.settled_per_min).sum())
    }

    fn retry_after_s(&self, now: OffsetDateTime) -> u64 {
        let known = self
            .processing
            .as_ref()
            .and_then(|seen| seen.maintenance.as_ref());
        let seconds = match known {
            Some(known) if known.at(now) == Work::Paused => match known.until {
                Some(until) => u64::try_from((until - now).whole_seconds()).unwrap_or(0) + 1,
                None => RETRY_AFTER_MAX_S,
            },
            _ => match (self.backlog, self.drain_per_min()) {
                (Some(0), _) | (None, _) | (_, None) => RETRY_AFTER_MIN_S,
                (Some(_), Some(0)) => STALLED_S,
                (Some(backlog), Some(drain)) => backlog.saturating_mul(60).div_ceil(drain),
            },
        };
        seconds.clamp(RETRY_AFTER_MIN_S, RETRY_AFTER_MAX_S)
    }
}

#[cfg(test)]
mod tests {
    use steelyard_domain::ops::{Maintenance, Processing, Work, WorkerReport};
    use time::{Duration, OffsetDateTime};

    use super::Seen;

    fn seen(backlog: u64, drain: Option<u64>, maintenance: Option<Maintenance>) -> Seen {
        let worker = |settled_per_min| WorkerReport {
            instance: "w".to_owned(),
            reported_at: OffsetDateTime::UNIX_EPOCH,
            processing: Work::Running,
            breakers: Vec::new(),
            in_hand: 0,
            settled_per_min,
            oldest_age_s: None,
            last_poll_age_s: None,
        };
        Seen {
            backlog: Some(backlog),
            processing: Some(Processing {
                maintenance,
                workers: drain.into_iter().map(worker).collect(),
                all_workers: true,
            }),
        }
    }

    #[test]
    fn the_wait_is_the_backlog_at_the_present_pace_within_bounds() {
        let now = OffsetDateTime::now_utc();
        for (backlog, drain, seconds) in [
            (0, Some(0), 2),
            (0, Some(6_000), 2),
            (100, Some(6_000), 2),
            (1_000, Some(6_000), 10),
            (1_001, Some(6_000), 11),
            (1_000_000, Some(6_000), 120),
            (u64::MAX, Some(1), 120),
            (5, Some(0), 30),
            (5, None, 2),
        ] {
            let seen = seen(backlog, drain, None);
            assert_eq!(seen.retry_after_s(now), seconds, "{backlog} {drain:?}");
        }
        assert_eq!(Seen::default().retry_after_s(now), 2);
    }

    #[test]
    fn in_maintenance_the_wait_is_its_end() {
        let now = OffsetDateTime::now_utc();
        let pause = |until| {
            let maintenance = Maintenance {
                processing: Work::Paused,
                until,
                ..Maintenance::default()
            };
            seen(0, Some(6_000), Some(maintenance)).retry_after_s(now)
        };
        assert_eq!(pause(None), 120);
        assert_eq!(pause(Some(now + Duration::seconds(45))), 46);
        assert_eq!(pause(Some(now + Duration::hours(4))), 120);
        assert_eq!(pause(Some(now - Duration::seconds(1))), 2, "it is over");
    }
}
