//! Does the damage.

use std::fs::File;
use std::io::Write as _;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use nix::sys::signal::Signal;
use parking_lot::Mutex;
use steelyard_chaos::plan::{Fault, Kind, Part, Target};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

use super::rig::Rig;

/// Works off a plan, and writes down with the time of day what it did: for whoever reads the services' logs.
pub(super) struct Faults {
    rig: Arc<Rig>,
    log: Mutex<File>,
    done: Mutex<Vec<(Target, Kind)>>,
    failed: Mutex<Vec<String>>,
}

impl Faults {
    pub(super) fn new(rig: Arc<Rig>) -> anyhow::Result<Self> {
        let path = rig.logs().join("faults.log");
        let log =
            File::create(&path).with_context(|| format!("cannot write {}", path.display()))?;
        Ok(Self {
            rig,
            log: Mutex::new(log),
            done: Mutex::default(),
            failed: Mutex::default(),
        })
    }

    /// Begins each fault in its time, and ends when the last one is undone. `stop` begins no more, and undoes what has
    /// begun.
    pub(super) async fn run(&self, plan: &[Fault], stop: &CancellationToken) {
        let began = Instant::now();
        let mut under_way = FuturesUnordered::new();
        for fault in plan {
            let due = stop.run_until_cancelled(sleep_until(began + fault.at));
            let mut due = pin!(due);
            let is_due = loop {
                tokio::select! {
                    is_due = &mut due => break is_due.is_some(),
                    Some(()) = under_way.next(), if !under_way.is_empty() => {}
                }
            };
            if !is_due {
                break;
            }
            under_way.push(self.inflict(fault, stop));
        }
        while under_way.next().await.is_some() {}
    }

    /// Does one fault and undoes it.
    async fn inflict(&self, fault: &Fault, stop: &CancellationToken) {
        self.note(&fault.to_string());
        let outcome = self.apply(fault, stop).await;
        self.note(&format!("           {} goes on", fault.target));
        match outcome {
            Ok(()) => self.done.lock().push((fault.target, fault.kind)),
            Err(error) => self.failed.lock().push(format!("{fault}: {error:#}")),
        }
    }

    /// What was done.
    pub(super) fn done(&self) -> Vec<(Target, Kind)> {
        self.done.lock().clone()
    }

    /// What could not be done or undone.
    pub(super) fn failed(&self) -> Vec<String> {
        self.failed.lock().clone()
    }

    async fn apply(&self, fault: &Fault, stop: &CancellationToken) -> anyhow::Result<()> {
        match fault.target {
            Target::Part(part) => self.on_part(part, fault, stop).await,
            Target::Link { from, to } => {
                self.on_link(from, to, fault, stop).await;
                Ok(())
            }
        }
    }

    async fn on_part(
        &self,
        part: Part,
        fault: &Fault,
        stop: &CancellationToken,
    ) -> anyhow::Result<()> {
        match fault.kind {
            Kind::Freeze => {
                self.rig.signal(part, Signal::SIGSTOP).await;
                wait(fault.lasts, stop).await;
                self.rig.signal(part, Signal::SIGCONT).await;
                return Ok(());
            }
            Kind::Restart => self.rig.stop_gently(part).await?,
            _ => self.rig.kill(part).await?,
        }
        wait(fault.lasts, stop).await;
        if fault.kind == Kind::KillEmpty {
            self.rig.empty_redis()?;
        }
        self.rig.up(part).await
    }

    async fn on_link(&self, from: Part, to: Part, fault: &Fault, stop: &CancellationToken) {
        let Some(proxy) = self.rig.link(from, to) else {
            return;
        };
        match fault.kind {
            Kind::Cut => return proxy.cut(),
            Kind::Refuse => proxy.refuse(),
            Kind::Slow { latency_ms } => proxy.latency(Duration::from_millis(latency_ms.into())),
            _ => proxy.stall(),
        }
        wait(fault.lasts, stop).await;
        proxy.restore();
    }

    fn note(&self, what: &str) {
        let now = OffsetDateTime::now_utc()
            .format(&Rfc3339)
            .unwrap_or_default();
        // A help for people: the run goes on without it.
        let _ = writeln!(self.log.lock(), "{now} {what}");
    }
}

async fn wait(time: Duration, stop: &CancellationToken) {
    stop.run_until_cancelled(sleep(time)).await;
}
