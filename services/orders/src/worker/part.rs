//! One attempt at a part of a set.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use steelyard_domain::command::CommandMessage;
use steelyard_domain::event::OrderEventKind;
use steelyard_domain::id::{CustomerId, OrderId};
use steelyard_queue::Outcome;
use steelyard_status::StatusChange;
use time::OffsetDateTime;

use super::board::Board;
use super::tap::CATALOG;
use super::trouble::{Sql, Trouble};
use super::turns::Turn;
use super::{ACCEPTED_AGE_MAX, AWAY_WAIT, BUSY_WAIT, FAILED, Worker};
use crate::db::{self, Committed};
use crate::plan::{Asked, CustomerPlan, Known, Planner, Verdict, reservations_needed};

impl Worker {
    /// Tries a part. Whoever is settled, parked or held is on the board then; who lost a race and
    /// has to be read again comes back.
    pub(super) async fn attempt(
        &self,
        mut asked: Vec<Asked<'_>>,
        turn: &Turn,
        board: &mut Board<'_>,
    ) -> Result<Vec<usize>, Trouble> {
        let all = asked.iter().map(|asked| asked.at).collect();
        let known = match db::load(&self.pool, &asked).await.map_err(Sql::from) {
            Ok(known) => known,
            Err(Sql::Raced) => return Ok(all),
            Err(Sql::Trouble(trouble)) => return Err(trouble),
        };
        park_replays(&mut asked, &known, board);
        let needed = reservations_needed(&asked, &known);
        let reserved = self.catalog.reserve(&needed).await?;
        drop(needed);
        hold_failed(&mut asked, &reserved.failed, board);

        let planner = Planner {
            tax: &self.tax,
            now: OffsetDateTime::now_utc(),
        };
        let mut plans = planner.plan(asked, known, reserved.given)?;
        self.tell_catalog(&mut plans, board).await?;
        hold_lost(&mut plans, turn, board);

        let raced = self.write(&plans, turn).await?;
        let (raced, written): (Vec<_>, Vec<_>) = plans
            .into_iter()
            .partition(|plan| raced.contains(&plan.customer_id));
        self.announce(&written).await;
        self.release_rejected(&written, board).await;
        for (at, verdict) in written.into_iter().flat_map(|plan| plan.verdicts) {
            board.put(at, outcome(verdict));
        }
        let raced = raced.iter().flat_map(|plan| &plan.verdicts);
        Ok(raced.map(|(at, _)| *at).collect())
    }

    /// What catalog has to know before the commit.
    async fn tell_catalog(
        &self,
        plans: &mut Vec<CustomerPlan>,
        board: &mut Board<'_>,
    ) -> Result<(), Trouble> {
        let ids = |of: fn(&CustomerPlan) -> &[OrderId]| -> Vec<OrderId> {
            plans.iter().flat_map(of).copied().collect()
        };
        let release = ids(|plan| &plan.calls.release);
        let consume = ids(|plan| &plan.calls.consume);
        let restock = ids(|plan| &plan.calls.restock);
        // In this order: what is shipped and returned in one set leaves before it comes back.
        let mut failed = self.catalog.release(&release).await?.failed;
        failed.extend(self.catalog.consume(&consume).await?.failed);
        failed.extend(self.catalog.restock(&restock).await?.failed);
        if !failed.is_empty() {
            plans.retain(|plan| {
                let calls = &plan.calls;
                let told = calls
                    .release
                    .iter()
                    .chain(&calls.consume)
                    .chain(&calls.restock);
                let reason = told.into_iter().find_map(|id| failed.get(id));
                if let Some(reason) = reason {
                    hold_plan(plan, board, |attempt| retry(attempt, reason));
                }
                reason.is_none()
            });
        }
        Ok(())
    }

    /// Writes the plans in one transaction; whoever's fence was moved by somebody else is left out,
    /// and comes back.
    async fn write(
        &self,
        plans: &[CustomerPlan],
        turn: &Turn,
    ) -> Result<HashSet<CustomerId>, Trouble> {
        let mut left: Vec<(&CustomerPlan, i64)> = plans
            .iter()
            .filter(|plan| plan.writes())
            .filter_map(|plan| Some((plan, turn.token(&plan.customer_id)?)))
            .collect();
        let mut raced = HashSet::new();
        // Each round leaves somebody out.
        while !left.is_empty() {
            match db::commit(&self.pool, &left).await.map_err(Sql::from) {
                Ok(Committed::All) => break,
                Ok(Committed::Stale(stale)) => {
                    tracing::warn!(customers = stale.len(), "left out: their fences were moved");
                    metrics::counter!("orders_stale_fences_total").increment(stale.len() as u64);
                    left.retain(|(plan, _)| !stale.contains(&plan.customer_id));
                    raced.extend(stale);
                }
                Err(Sql::Raced) => {
                    raced.extend(left.drain(..).map(|(plan, _)| plan.customer_id.clone()));
                }
                Err(Sql::Trouble(trouble)) => return Err(trouble),
            }
        }
        Ok(raced)
    }

    /// Tells those who wait, best effort, and the relay.
    async fn announce(&self, written: &[CustomerPlan]) {
        let now = OffsetDateTime::now_utc();
        let mut changes = Vec::new();
        for plan in written {
            for event in &plan.events {
                count(event.kind);
                changes.push(StatusChange {
                    order_id: event.order_id,
                    customer_id: plan.customer_id.clone(),
                    status: event.status,
                    version: event.version,
                });
            }
            for new in plan.orders.iter().filter(|row| row.replaces.is_none()) {
                let waited = Duration::try_from(now - new.accepted_at).unwrap_or_default();
                metrics::histogram!("orders_settle_seconds").record(waited);
            }
        }
        if changes.is_empty() {
            return;
        }
        self.relay.wake();
        if let Err(error) = self.publisher.publish(&changes).await {
            tracing::debug!(%error, orders = changes.len(), "nobody was told of these changes");
        }
    }

    /// Rejected orders are committed: from now on catalog refuses to hold anything for them.
    /// Without that, their messages stay and it is tried again.
    async fn release_rejected(&self, written: &[CustomerPlan], board: &mut Board<'_>) {
        let plans = written
            .iter()
            .filter(|plan| !plan.calls.release_after.is_empty());
        let ids = plans.clone().flat_map(|plan| &plan.calls.release_after);
        let ids: Vec<OrderId> = ids.copied().collect();
        let failed = match self.catalog.release(&ids).await {
            Ok(answers) => answers.failed,
            Err(away) => {
                self.tap.close(CATALOG, away.to_string());
                for plan in plans {
                    hold_plan(plan, board, |_| Outcome::wait(AWAY_WAIT, CATALOG));
                }
                return;
            }
        };
        for plan in plans {
            let ids = &plan.calls.release_after;
            if let Some(reason) = ids.iter().find_map(|id| failed.get(id)) {
                hold_plan(plan, board, |attempt| retry(attempt, reason));
            }
        }
    }
}

/// Sets aside what comes too late to be new.
fn park_replays(asked: &mut Vec<Asked<'_>>, known: &Known, board: &mut Board<'_>) {
    let now = OffsetDateTime::now_utc();
    asked.retain(|Asked { at, message, .. }| {
        let replay = replay(message, known, now);
        let fits = replay.is_none();
        if let Some(reason) = replay {
            board.put(*at, Outcome::park(reason));
        }
        fits
    });
}

/// Why a message comes too late to be new. Yesterday's prices would be charged, and stock be taken for an
/// order that nobody waits for. What took effect in its time is a duplicate, at any age.
pub(crate) fn replay(
    message: &CommandMessage,
    known: &Known,
    now: OffsetDateTime,
) -> Option<String> {
    let fits = message.accepted_at >= now - ACCEPTED_AGE_MAX
        || known.commands.contains_key(&message.message_id);
    (!fits).then(|| {
        let days = ACCEPTED_AGE_MAX.as_secs() / (24 * 3_600);
        format!(
            "accepted at {}, more than {days} days ago, and never seen: a replay",
            message.accepted_at
        )
    })
}

/// Holds the orders that catalog fails on, and what stands behind them.
fn hold_failed(
    asked: &mut Vec<Asked<'_>>,
    failed: &HashMap<OrderId, String>,
    board: &mut Board<'_>,
) {
    if failed.is_empty() {
        return;
    }
    asked.retain(|Asked { at, message, .. }| {
        if let Some(reason) = failed.get(&message.order_id) {
            let attempt = board.delivery(*at).attempt();
            board.hold(*at, &message.customer_id, retry(attempt, reason));
        }
        !board.is_held(&message.customer_id)
    });
}

/// Holds the customers whose turn is over, or whose messages others may have by now.
fn hold_lost(plans: &mut Vec<CustomerPlan>, turn: &Turn, board: &mut Board<'_>) {
    plans.retain(|plan| {
        let first = plan.verdicts.first().map(|(at, _)| board.delivery(*at));
        let lost = turn.is_over(&plan.customer_id)
            || first.is_some_and(|delivery| delivery.lost().is_cancelled());
        if lost {
            hold_plan(plan, board, |_| {
                Outcome::wait(BUSY_WAIT, "the turn is over")
            });
        }
        !lost
    });
}

/// Has a customer's messages come again.
fn hold_plan(plan: &CustomerPlan, board: &mut Board<'_>, outcome: impl FnOnce(u32) -> Outcome) {
    if let Some(&(first, _)) = plan.verdicts.first() {
        let outcome = outcome(board.delivery(first).attempt());
        board.hold(first, &plan.customer_id, outcome);
        for &(at, _) in &plan.verdicts[1..] {
            let behind = Outcome::wait(Duration::ZERO, "behind an earlier message");
            board.hold(at, &plan.customer_id, behind);
        }
    }
}

fn retry(attempt: u32, reason: &str) -> Outcome {
    Outcome::retry(FAILED.jittered(attempt), reason.to_owned())
}

fn outcome(verdict: Verdict) -> Outcome {
    match verdict {
        Verdict::Settled => Outcome::Done,
        Verdict::Park(reason) => Outcome::park(reason),
    }
}

fn count(kind: OrderEventKind) {
    metrics::counter!("orders_events_total", "event" => kind.as_str()).increment(1);
}
