//! Settles sets of commands.
//!
//! A set goes: decode → leases → read → reserve → plan → tell catalog → one transaction → push →
//! outcomes. What may go wrong at each step, and why nothing is lost or done twice:
//!
//! | a crash, or a worker that stalls and is superseded … | … leaves | … and the redelivery |
//! |---|---|---|
//! | before `reserve` | nothing | starts afresh |
//! | after `reserve` | stock held for an order that no one has settled | gets the same answer, and holds no more |
//! | after `release`, `consume`, `restock` | an order whose stock is ahead of it | plans the same again from the same state; the calls are idempotent |
//! | during the commit | all of it or nothing | finds the inbox rows, or does not |
//! | after the commit | the outbox, which the relay sends | finds the inbox rows: `Done` |
//! | before a rejected order is released, or one that was cancelled with its confirmation | stock held, or that a superseded worker may yet reserve | releases it again |
//!
//! **Invariant:** the fence decides, not the lease. A transaction moves every customer's fence to
//! its own token if the row is still the one that was read *before* planning, or writes nothing for
//! that customer. Checking `token ≥ stored` alone would not do: a superseded worker that commits
//! between our read and our write leaves a smaller token behind, and we would write over what it did.
//! `tests/model` visits every state of this protocol: a change here is a change there.
//!
//! **Invariant:** catalog hears of nothing before the commit that the same state would not make the
//! successor say too: a plan depends on the state alone, and the state cannot have changed while
//! its messages are in hand, unless by a worker that has told catalog the same.
//!
//! **Invariant:** an order that is not confirmed ends released in catalog: cancelled ones before the
//! commit; rejected ones, and those that are cancelled by the same transaction that confirms them,
//! after it and before their message is deleted. (If these were released before their commit, a
//! crash in between would make their redelivery look released by somebody else.)
//!
//! **Invariant:** an outage is nobody's fault. It closes the tap and makes messages wait; only what
//! a message itself carries (SQLSTATE classes 22, 23, 54; a body that cannot be read) parks it, and
//! only after it was found to fail alone. A parked order keeps its reservation, so that a redrive
//! can confirm it.

mod board;
mod decode;
mod part;
mod tap;
mod trouble;
mod turns;

use std::collections::HashMap;
use std::time::{Duration, Instant};

use sqlx::PgPool;
use steelyard_domain::id::CustomerId;
use steelyard_domain::tax::TaxTable;
use steelyard_queue::{Backoff, Delivery, Handler, Outcome, Set, Tap};
use steelyard_runtime::messages::MessageSpans;
use steelyard_status::Publisher;
use steelyard_store::outbox::Waker;

use crate::catalog::Catalog;
use crate::plan::Asked;
use board::Board;
use trouble::Trouble;
use turns::Turn;

pub(crate) use decode::read;
pub(crate) use part::replay;
pub use tap::{CATALOG, POSTGRES, REDIS, guarded_tap};
pub(crate) use trouble::is_the_datas_fault;
pub use turns::Turns;

/// How long a customer's commands wait while another worker has the customer.
const BUSY_WAIT: Duration = Duration::from_millis(250);
/// How long commands wait when a dependency is away: the tap decides when they really go on.
const AWAY_WAIT: Duration = Duration::from_secs(1);
/// Times that a part is tried again at once after it lost a race in the database.
const RACES_MAX: u32 = 3;
/// A command that was accepted longer ago, and never took effect, is a replay: the queue keeps it
/// for 14 days, the dead-letter queue for 14 more.
const ACCEPTED_AGE_MAX: Duration = Duration::from_hours(30 * 24);
/// Between attempts of a command for which catalog fails.
const FAILED: Backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(60));

/// Everything that a worker needs; see the module's page for what it does.
#[derive(Debug)]
pub struct Worker {
    /// The schema `orders`.
    pub pool: PgPool,
    /// Prices and stock.
    pub catalog: Catalog,
    /// Leases per customer.
    pub turns: Turns,
    /// Tells those who wait.
    pub publisher: Publisher,
    /// Closed while something is away.
    pub tap: Tap,
    /// The shop's tax rates.
    pub tax: TaxTable,
    /// Whose customers' orders these are: order ids are derived from it. `None` does not check.
    pub issuer: Option<String>,
    /// Wakes the relay of this process.
    pub relay: Waker,
}

impl Handler for Worker {
    async fn handle(&self, set: &Set) -> Vec<Outcome> {
        let began = Instant::now();
        let senders = set.deliveries().iter().map(Delivery::traceparent);
        let spans = MessageSpans::begin("settle", senders);
        let mut board = Board::new(set.deliveries(), &spans);
        let asked = decode::all(self.issuer.as_deref(), &mut board);
        if !asked.is_empty() {
            self.settle(set, asked, &mut board).await;
        }
        metrics::histogram!("orders_set_seconds").record(began.elapsed());
        metrics::counter!("orders_set_messages_total").increment(set.len() as u64);
        let outcomes = board.finish();
        spans.end(outcomes.iter().map(Outcome::as_str));
        outcomes
    }
}

impl Worker {
    async fn settle<'a>(&self, set: &Set, asked: Vec<Asked<'a>>, board: &mut Board<'a>) {
        let customers = customers_of(&asked);
        let turn = match self.turns.take(&customers).await {
            Ok(turn) => turn,
            Err(error) => return self.wait_for(REDIS, &error.to_string(), board),
        };
        let mut mine = Vec::with_capacity(asked.len());
        for asked in asked {
            if turn.token(&asked.message.customer_id).is_some() {
                mine.push(asked);
            } else {
                let busy = Outcome::wait(BUSY_WAIT, "another worker has this customer");
                board.hold(asked.at, &asked.message.customer_id, busy);
            }
        }
        self.settle_in_parts(set, mine, &turn, board).await;
        turn.end().await;
    }

    /// Settles all at once; if that fails by what it carries, halves it until the message at fault
    /// stands alone. Every part is smaller than the one it comes from, so there are at most twice
    /// as many attempts as messages.
    async fn settle_in_parts<'a>(
        &self,
        set: &Set,
        asked: Vec<Asked<'a>>,
        turn: &Turn,
        board: &mut Board<'a>,
    ) {
        let mut parts = vec![asked];
        while let Some(mut part) = parts.pop() {
            part.retain(|asked| !board.is_held(&asked.message.customer_id));
            if part.is_empty() {
                continue;
            }
            let at: Vec<usize> = part.iter().map(|asked| asked.at).collect();
            match self.settle_part(part, turn, board).await {
                Ok(()) => {}
                Err(Trouble::Away { dependency, reason }) => {
                    return self.wait_for(dependency, &reason, board);
                }
                Err(Trouble::Unsound(reason)) => {
                    if let [alone] = at[..] {
                        board.put(alone, Outcome::park(reason));
                        continue;
                    }
                    tracing::warn!(messages = at.len(), reason, "a part is halved");
                    let (earlier, later) = at.split_at(half(set, &at));
                    // Decoding again is cheap, and rare.
                    parts.push(decode::again(board, later));
                    parts.push(decode::again(board, earlier));
                }
            }
        }
    }

    /// One part, again while it only loses races.
    async fn settle_part(
        &self,
        part: Vec<Asked<'_>>,
        turn: &Turn,
        board: &mut Board<'_>,
    ) -> Result<(), Trouble> {
        let mut raced = self.attempt(part, turn, board).await?;
        for _ in 0..RACES_MAX {
            if raced.is_empty() {
                return Ok(());
            }
            let again = decode::again(board, &raced);
            raced = self.attempt(again, turn, board).await?;
        }
        for Asked { at, message, .. } in decode::again(board, &raced) {
            let wait = Outcome::wait(BUSY_WAIT, "its customer's rows are contended");
            board.hold(at, &message.customer_id, wait);
        }
        Ok(())
    }

    /// Something is away: whoever has no outcome yet waits.
    fn wait_for(&self, dependency: &'static str, reason: &str, board: &mut Board<'_>) {
        self.tap.close(dependency, reason);
        metrics::counter!("orders_set_outages_total", "dependency" => dependency).increment(1);
        board.wait_rest(AWAY_WAIT, dependency);
    }
}

/// Every customer once.
fn customers_of(asked: &[Asked<'_>]) -> Vec<CustomerId> {
    let mut seen: HashMap<&CustomerId, ()> = HashMap::with_capacity(asked.len());
    let ids = asked.iter().map(|asked| &asked.message.customer_id);
    ids.filter(|id| seen.insert(id, ()).is_none())
        .cloned()
        .collect()
}

/// Where to cut: between two groups if there are several, else after the first message, since the
/// later ones build on it.
fn half(set: &Set, at: &[usize]) -> usize {
    let key = |i: usize| set.deliveries()[at[i]].sequence_key();
    let middle = at.len() / 2;
    let borders = (1..at.len()).filter(|&i| key(i - 1) != key(i));
    borders
        .min_by_key(|&border| border.abs_diff(middle))
        .unwrap_or(1)
}
