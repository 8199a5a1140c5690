//! The task that renews what is held and gives back what was dropped.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::leases::{Inner, Release};

/// Leases given back in one go.
const RELEASES_MAX: usize = 1_000;

enum Job {
    Renewed,
    Released,
}

pub(crate) async fn run(
    inner: Arc<Inner>,
    mut released: mpsc::UnboundedReceiver<Release>,
    stop: CancellationToken,
) {
    let mut tick = interval((inner.options.ttl / 12).max(Duration::from_millis(10)));
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // Calls run beside this loop, one of each kind: a slow Redis must not hide that a lease has run out.
    let mut jobs = JoinSet::new();
    let (mut renewing, mut releasing) = (false, false);
    let mut releases = Vec::new();
    loop {
        tokio::select! {
            biased;
            Some(job) = jobs.join_next(), if !jobs.is_empty() => match job {
                Ok(Job::Renewed) => renewing = false,
                Ok(Job::Released) => releasing = false,
                Err(error) => {
                    tracing::error!(%error, "a lease call broke off");
                    (renewing, releasing) = (false, false);
                }
            },
            _ = tick.tick() => {
                let due = inner.due(Instant::now());
                if !due.is_empty() && !renewing {
                    renewing = true;
                    let inner = Arc::clone(&inner);
                    jobs.spawn(async move {
                        inner.renew(due).await;
                        Job::Renewed
                    });
                }
            }
            _ = released.recv_many(&mut releases, RELEASES_MAX), if !releasing => {
                releasing = true;
                let (inner, releases) = (Arc::clone(&inner), std::mem::take(&mut releases));
                jobs.spawn(async move {
                    give_back(&inner, releases).await;
                    Job::Released
                });
            }
            () = stop.cancelled() => break,
        }
    }
    // What was dropped last; the calls are bounded in time.
    released.close();
    while let Some(release) = released.recv().await {
        releases.push(release);
    }
    give_back(&inner, releases).await;
    while jobs.join_next().await.is_some() {}
}

async fn give_back(inner: &Inner, releases: Vec<Release>) {
    if releases.is_empty() {
        return;
    }
    let count = releases.len();
    if let Err(error) = inner.give_back(releases).await {
        tracing::debug!(%error, leases = count, "leases were not given back; they run out by themselves");
    }
}
