//! What the loss of a region cost: times, and orders.

use std::fmt;
use std::time::Duration;

use anyhow::bail;
use futures_util::StreamExt as _;
use futures_util::stream;

use super::region::SettledBy;
use super::traffic::{Accepted, Shop, is_settled};

/// Orders asked for at once.
const QUESTIONS: usize = 16;

/// From the loss of the region.
#[derive(Debug, Clone, Copy)]
pub(super) struct Times {
    /// Until the name led to the other region.
    pub(super) noticed: Duration,
    /// Until that region accepted an order.
    pub(super) accepting: Duration,
    /// Until its database took writes.
    pub(super) promoted: Duration,
    /// Until its services were ready.
    pub(super) started: Duration,
    /// Until an order that it had accepted was settled.
    pub(super) settling: Duration,
    /// Until its queue was empty.
    pub(super) drained: Duration,
}

/// The orders of a drill.
pub(super) struct Books {
    times: Times,
    accepted: Vec<Accepted>,
    /// Orders that were not settled when the second region had taken over, and how long before the loss the oldest of them
    /// was accepted.
    missing: Vec<Accepted>,
    /// Messages that the first region's queue still had when it came back.
    pub(super) left_in_queue: u64,
    /// Orders that were not settled when that queue had been worked off, too.
    lost: Vec<Accepted>,
}

impl Books {
    pub(super) const fn new(times: Times, accepted: Vec<Accepted>) -> Self {
        Self {
            times,
            accepted,
            missing: Vec::new(),
            left_in_queue: 0,
            lost: Vec::new(),
        }
    }

    /// Asks the second region for every order that was accepted.
    pub(super) async fn read(&mut self, shop: &Shop, when: SettledBy) -> anyhow::Result<()> {
        let asked = stream::iter(self.accepted.iter().cloned()).map(async |order| {
            let status = shop.status(&order.id).await;
            (order, status)
        });
        let answers: Vec<_> = asked.buffer_unordered(QUESTIONS).collect().await;
        let unsettled = answers
            .into_iter()
            .filter(|(_, status)| !status.as_deref().is_some_and(is_settled));
        let unsettled: Vec<Accepted> = unsettled.map(|(order, _)| order).collect();
        if when == SettledBy::Takeover && unsettled.iter().any(|order| order.by_second) {
            bail!(
                "the second region's queue is empty, and an order that it accepted is not settled"
            );
        }
        match when {
            SettledBy::Takeover => self.missing = unsettled,
            SettledBy::Return => self.lost = unsettled,
        }
        Ok(())
    }

    /// Whether every order is accounted for: settled, or settled by the lost region alone and not yet streamed.
    pub(super) fn holds(&self) -> bool {
        self.lost.iter().all(|order| !order.by_second)
            && self.missing.len() >= self.lost.len()
            && !self.accepted.is_empty()
    }

    fn by_second(&self) -> usize {
        self.accepted.iter().filter(|order| order.by_second).count()
    }
}

impl fmt::Display for Books {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut row = |name: &str, value: String| writeln!(f, "  {name:<66}{value:>12}");
        let seconds = |time: Duration| {
            let ms = time.as_millis();
            format!("{}.{} s", ms / 1_000, ms % 1_000 / 100)
        };
        let Times {
            noticed,
            accepting,
            promoted,
            started,
            settling,
            drained,
        } = self.times;
        row("orders accepted", self.accepted.len().to_string())?;
        row("  by the second region", self.by_second().to_string())?;
        row("", String::new())?;
        row(
            "RTO of intake: until the second region accepted an order",
            seconds(accepting),
        )?;
        row(
            "  until the health check had turned the name",
            seconds(noticed),
        )?;
        row("RTO of settlement: until it settled one", seconds(settling))?;
        row("  until its database was promoted", seconds(promoted))?;
        row("  until catalog and workers were ready", seconds(started))?;
        row("until its queue was empty", seconds(drained))?;
        row("", String::new())?;
        row(
            "RPO at the takeover: accepted orders that it did not have",
            self.missing.len().to_string(),
        )?;
        row(
            "  messages that had stayed in the lost region's queue",
            self.left_in_queue.to_string(),
        )?;
        row(
            "RPO after that queue was worked off: settled there, not streamed",
            self.lost.len().to_string(),
        )?;
        if let (Some(first), Some(last)) = (
            self.lost.iter().map(|order| order.at).min(),
            self.lost.iter().map(|order| order.at).max(),
        ) {
            row("  accepted within", seconds(last - first))?;
        }
        Ok(())
    }
}
