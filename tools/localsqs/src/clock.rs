//! The time the server goes by: the machine's, or a test's.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use time::OffsetDateTime;
use tokio::sync::watch;

/// Where the server takes its time from. Cheap to clone; clones share the same time.
///
/// Everything that SQS does by time goes by this clock: visibility timeouts, delays, retention, the five minutes of
/// deduplication, the length of a long poll. Network timeouts stay on the machine's time.
///
/// ```
/// use std::time::Duration;
/// use localsqs::Clock;
///
/// let start = time::OffsetDateTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
/// let clock = Clock::manual(start);
/// clock.advance(Duration::from_secs(3600));
/// assert_eq!(clock.now(), start + Duration::from_secs(3600));
/// ```
#[derive(Clone, Debug)]
pub struct Clock(Source);

#[derive(Clone, Debug)]
enum Source {
    /// Wall-clock time at start plus the monotonic time since: it never runs backwards.
    System {
        start_ms: u64,
        started: Instant,
    },
    Manual(Arc<watch::Sender<u64>>),
}

impl Clock {
    /// The machine's time.
    #[must_use]
    pub fn system() -> Self {
        Self(Source::System {
            start_ms: unix_ms(OffsetDateTime::now_utc()),
            started: Instant::now(),
        })
    }

    /// A time that stands still until [`Clock::advance`] moves it. Resolution: one millisecond.
    #[must_use]
    pub fn manual(start: OffsetDateTime) -> Self {
        Self(Source::Manual(Arc::new(watch::Sender::new(unix_ms(start)))))
    }

    /// Moves a manual clock forward and wakes every timer it passes. A system clock moves by itself: no effect.
    pub fn advance(&self, by: Duration) {
        if let Source::Manual(now) = &self.0 {
            now.send_modify(|ms| *ms = ms.saturating_add(millis(by)));
        }
    }

    /// The present time.
    #[must_use]
    pub fn now(&self) -> OffsetDateTime {
        OffsetDateTime::UNIX_EPOCH + Duration::from_millis(self.now_ms())
    }

    /// Milliseconds since the Unix epoch.
    pub(crate) fn now_ms(&self) -> u64 {
        match &self.0 {
            Source::System { start_ms, started } => {
                start_ms.saturating_add(millis(started.elapsed()))
            }
            Source::Manual(now) => *now.borrow(),
        }
    }

    /// Returns when this clock shows `deadline_ms` or later; never, for [`u64::MAX`].
    pub(crate) async fn sleep_until_ms(&self, deadline_ms: u64) {
        if deadline_ms == u64::MAX {
            return std::future::pending().await;
        }
        match &self.0 {
            Source::System { .. } => loop {
                // A timer may fire a fraction of a millisecond early by this clock's rounding: look again.
                let left_ms = deadline_ms.saturating_sub(self.now_ms());
                if left_ms == 0 {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(left_ms)).await;
            },
            Source::Manual(now) => {
                // The sender lives in `self`, so the channel cannot close while we wait.
                let _ = now.subscribe().wait_for(|ms| *ms >= deadline_ms).await;
            }
        }
    }
}

impl Default for Clock {
    fn default() -> Self {
        Self::system()
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn unix_ms(at: OffsetDateTime) -> u64 {
    u64::try_from(at.unix_timestamp_nanos() / 1_000_000).unwrap_or(0)
}
