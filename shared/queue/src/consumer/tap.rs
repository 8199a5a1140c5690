//! Breakers: while a dependency is down, nothing is received, so nothing is poisoned by it.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, timeout};

use crate::backoff::Backoff;
use crate::transport::BoxFuture;

/// Waits between probes.
const PROBE_BACKOFF: Backoff = Backoff::new(Duration::from_millis(500), Duration::from_secs(30));
/// A probe that takes longer has failed.
const PROBE_TIMEOUT: Duration = Duration::from_secs(5);
/// A breaker that closes the tap again this soon has relapsed: its probe was too easily pleased, or the dependency
/// staggers. It goes on with the waits where it was, instead of from the shortest, …
const RELAPSE: Duration = Duration::from_secs(30);
/// … and waits longer from relapse to relapse, since each one costs the messages of the trial a receive.
const RELAPSE_BACKOFF: Backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(300));

type Probe = Arc<dyn Fn() -> BoxFuture<'static, bool> + Send + Sync>;

/// Why the tap is closed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Closed {
    /// Which dependency.
    pub dependency: Cow<'static, str>,
    /// What was said when it was closed.
    pub why: String,
    /// Since when.
    pub since: Instant,
    /// Probes since then, and since shortly before if it had just been opened.
    pub probes: u32,
    /// Closed by hand: nothing probes it.
    pub manual: bool,
}

#[derive(Default)]
struct Breaker {
    closed: Option<(String, Instant)>,
    probe: Option<Probe>,
    manual: bool,
    probing: bool,
    probes_failed: u32,
    relapses: u32,
    reopened_at: Option<Instant>,
}

#[derive(Default)]
struct Inner {
    breakers: Mutex<BTreeMap<Cow<'static, str>, Breaker>>,
    version: watch::Sender<u64>,
}

/// The tap that consumers draw from. Anyone who holds it can close it for a dependency; it flows while no breaker is
/// closed. Cheap to clone; one tap may serve several consumers.
///
/// A breaker reopens when its probe says that the dependency is well again. Probes run, with growing waits, as long as
/// a consumer runs: one at a time for each breaker, whatever the number of consumers. A dependency without a probe is
/// tried again after the same waits. Reopened, it is half open: the consumer tries one small set first (see
/// [`super::ConsumerOptions::window_messages_min`]).
#[derive(Clone, Default)]
pub struct Tap {
    inner: Arc<Inner>,
}

impl Tap {
    /// A tap that flows.
    pub fn new() -> Self {
        Self::default()
    }

    /// Says how to find out whether a dependency is well again. Give the probe the real thing to do: one that says
    /// yes too soon lets every reopening cost each message in hand a receive.
    #[must_use]
    pub fn with_probe<F, P>(self, dependency: impl Into<Cow<'static, str>>, probe: P) -> Self
    where
        P: Fn() -> F + Send + Sync + 'static,
        F: Future<Output = bool> + Send + 'static,
    {
        self.breakers().entry(dependency.into()).or_default().probe =
            Some(Arc::new(move || Box::pin(probe())));
        self
    }

    /// A dependency is down: stop receiving until it is well again.
    pub fn close(&self, dependency: impl Into<Cow<'static, str>>, why: impl Into<String>) {
        self.shut(dependency.into(), why.into(), false);
    }

    /// Stops receiving until [`Tap::resume`], for maintenance.
    pub fn pause(&self, name: impl Into<Cow<'static, str>>, why: impl Into<String>) {
        self.shut(name.into(), why.into(), true);
    }

    /// Ends a pause, or a breaker ahead of its probe.
    pub fn resume(&self, name: &str) {
        let mut breakers = self.breakers();
        let Some(breaker) = breakers
            .get_mut(name)
            .filter(|breaker| breaker.closed.is_some())
        else {
            return;
        };
        breaker.closed = None;
        breaker.manual = false;
        breaker.reopened_at = Some(Instant::now());
        drop(breakers);
        tracing::info!(
            dependency = name,
            "the tap is open again for this dependency"
        );
        self.inner.version.send_modify(|version| *version += 1);
    }

    /// Whether messages flow.
    pub fn is_flowing(&self) -> bool {
        self.breakers()
            .values()
            .all(|breaker| breaker.closed.is_none())
    }

    /// What holds the tap closed.
    pub fn closed(&self) -> Vec<Closed> {
        self.breakers()
            .iter()
            .filter_map(|(dependency, breaker)| {
                let (why, since) = breaker.closed.clone()?;
                Some(Closed {
                    dependency: dependency.clone(),
                    why,
                    since,
                    probes: breaker.probes_failed,
                    manual: breaker.manual,
                })
            })
            .collect()
    }

    fn shut(&self, dependency: Cow<'static, str>, why: String, manual: bool) {
        let now = Instant::now();
        let mut breakers = self.breakers();
        let name = dependency.clone();
        let breaker = breakers.entry(dependency).or_default();
        breaker.manual |= manual;
        if breaker.closed.is_some() {
            return;
        }
        tracing::warn!(dependency = %name, why, "the tap is closed");
        breaker.closed = Some((why, now));
        if breaker.reopened_at.is_some_and(|at| now <= at + RELAPSE) {
            breaker.relapses = breaker.relapses.saturating_add(1);
        } else {
            breaker.probes_failed = 0;
            breaker.relapses = 0;
        }
        drop(breakers);
        self.inner.version.send_modify(|version| *version += 1);
    }

    pub(super) fn watch(&self) -> watch::Receiver<u64> {
        self.inner.version.subscribe()
    }

    /// Breakers that need someone to probe them; marks them as being probed.
    pub(super) fn take_probes(&self) -> Vec<Cow<'static, str>> {
        self.breakers()
            .iter_mut()
            .filter(|(_, breaker)| breaker.closed.is_some() && !breaker.manual && !breaker.probing)
            .map(|(dependency, breaker)| {
                breaker.probing = true;
                dependency.clone()
            })
            .collect()
    }

    /// Probes one breaker until it is open. Cancel-safe: dropped, another consumer or run may take over.
    pub(super) fn probe_until_open(
        &self,
        dependency: Cow<'static, str>,
    ) -> impl Future<Output = ()> + Send + use<> {
        // Made here, not inside the future: one that is dropped before its first poll must let go as well.
        let guard = ProbeGuard {
            tap: self.clone(),
            dependency,
        };
        async move { guard.tap.probe(&guard.dependency).await }
    }

    async fn probe(&self, dependency: &str) {
        loop {
            let (probe, failed, relapses) = {
                let breakers = self.breakers();
                match breakers.get(dependency) {
                    Some(breaker) if breaker.closed.is_some() && !breaker.manual => (
                        breaker.probe.clone(),
                        breaker.probes_failed,
                        breaker.relapses,
                    ),
                    _ => return,
                }
            };
            let mut wait = PROBE_BACKOFF.jittered(failed.saturating_add(1));
            if relapses > 0 {
                wait = wait.max(RELAPSE_BACKOFF.jittered(relapses));
            }
            tokio::time::sleep(wait).await;
            let well = match probe {
                Some(probe) => timeout(PROBE_TIMEOUT, probe()).await.unwrap_or(false),
                None => true,
            };
            if let Some(breaker) = self.breakers().get_mut(dependency) {
                // Counts successes too: should it relapse at once, the next wait is longer.
                breaker.probes_failed = failed.saturating_add(1);
                if breaker.manual {
                    return;
                }
            }
            if well {
                self.resume(dependency);
                return;
            }
        }
    }

    fn breakers(&self) -> MutexGuard<'_, BTreeMap<Cow<'static, str>, Breaker>> {
        // A panic while the lock is held leaves plain data behind, good to go on with.
        self.inner
            .breakers
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Tap {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tap")
            .field("closed", &self.closed())
            .finish()
    }
}

struct ProbeGuard {
    tap: Tap,
    dependency: Cow<'static, str>,
}

impl Drop for ProbeGuard {
    fn drop(&mut self) {
        let mut breakers = self.tap.breakers();
        let Some(breaker) = breakers.get_mut(&self.dependency) else {
            return;
        };
        breaker.probing = false;
        let again = breaker.closed.is_some() && !breaker.manual;
        drop(breakers);
        if again {
            // Closed again in the meantime, or this probe was dropped: someone else must see it.
            self.tap.inner.version.send_modify(|version| *version += 1);
        }
    }
}
