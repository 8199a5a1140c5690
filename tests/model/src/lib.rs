//! The protocol that keeps one customer's commands in sequence, as a model of which every state can be visited.
//!
//! An SQS FIFO group, a lease in Redis, a fence and an inbox in Postgres, and two workers, each of which may stop for
//! any time between any two steps. On top of that a bounded number of faults: leases and visibility timeouts that run
//! out under a worker's hands, crashes, commits whose outcome nobody learns, a Redis that comes back empty or as a
//! replica that lacks the last writes, commands that arrive twice, messages that are set aside.
//!
//! It models what the code does. [`Action`] says for each step which function it stands for (paths are those of
//! `services/orders/src/` and `shared/sequence/src/`); whoever changes one of them changes the model.
//! [`Rules`] takes a part of the protocol away, to see what it is good for.
//!
//! What is left out, and why that may be: catalog (its calls are idempotent by order id, and tested as such); what an
//! order contains (a plan depends on what was read and on the commands alone, so it is enough that the numbers which a
//! plan gives out fit the state that it is written on); more than two workers (a third can do nothing to a customer
//! that the second cannot, since leases, messages and rows have one holder).

mod action;
mod state;
mod steps;
mod story;

pub use action::Action;
pub use state::{Command, Customer, Effect, State, Token, Verdict, Worker};
pub use story::story;

use stateright::{Model, Property};

/// How the transaction checks the customer's row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fence {
    /// Not at all.
    None,
    /// The token must not be smaller than the one stored: what is usually called a fence.
    NotSmaller,
    /// Also, the stored token must be the one that was read before planning: decision 4.
    AsRead,
    /// Also, the row's version must be the one that was read: decision 10, what the code does.
    Versioned,
}

/// Which parts of the protocol are in place.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    /// Somebody else's lease is respected.
    pub lease: bool,
    /// See [`Fence`].
    pub fence: Fence,
    /// A command that is recorded takes no effect again.
    pub inbox: bool,
}

impl Rules {
    /// As the code has them.
    pub const ALL: Self = Self {
        lease: true,
        fence: Fence::Versioned,
        inbox: true,
    };
}

/// The protocol, at a size.
#[derive(Clone, Copy, Debug)]
pub struct Protocol {
    /// What is in place.
    pub rules: Rules,
    /// Customers, one or two.
    pub customers: usize,
    /// Commands of each, up to eight.
    pub commands: u8,
    /// Faults that may happen, of any kind, at any time.
    pub faults: u8,
}

/// No command has two effects.
pub const ONCE: &str = "P2: no command takes effect twice";
/// Effects come in the order of acceptance. A command that was set aside has given up its place.
pub const IN_ORDER: &str = "P3: effects come in the order of acceptance";
/// What was planned from one state is not written on another: the numbers run 1, 2, 3….
pub const NO_STALE_PLAN: &str = "P3: no plan is written on a state that it was not made from";
/// Tokens never go back in the order of effects.
pub const NO_SUPERSEDED_WRITE: &str = "P3: a superseded worker cannot write";
/// A later holder's effects are not followed by an earlier holder's that knew nothing of them: both of the above at once.
pub const NOT_WRITTEN_OVER: &str = "P3: an earlier holder does not write over a later one";
/// No command is gone without an effect and without having been set aside.
pub const NOTHING_LOST: &str = "P1: no command is lost";
/// Without further faults it always goes on until all is settled.
pub const NO_DEAD_END: &str = "P1: there is no dead end";
/// All took effect, and the queue is empty.
pub const ALL_SETTLED: &str = "everything is settled";
/// A worker that believes to hold the lease, and another that holds it.
pub const TAKEN_OVER: &str = "a customer is taken over";
/// A write was refused.
pub const REFUSED: &str = "a stale write is refused";
/// A commit was carried out though its asker had lost it.
pub const COMMITTED_UNSEEN: &str = "a commit is carried out that nobody saw";
/// A message was set aside and a later command took effect.
pub const PASSED: &str = "a message that was set aside is passed";

impl Protocol {
    /// See [`stateright::CheckerBuilder::symmetry_fn`]: it does not matter which worker is called A.
    #[must_use]
    pub fn without_names(state: &State) -> State {
        steps::ordered(state)
    }
}

impl Model for Protocol {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![State::initial(self)]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        steps::possible(self, state, actions);
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let mut state = last.clone();
        steps::take(self, &mut state, action).then_some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always(ONCE, |_, state: &State| {
                state.rows.iter().all(|rows| {
                    let mut seen = 0;
                    rows.effects.iter().all(|effect| {
                        let bit = state::bit(effect.command);
                        let is_new = seen & bit == 0;
                        seen |= bit;
                        is_new
                    })
                })
            }),
            Property::always(IN_ORDER, |_, state: &State| {
                state.rows.iter().enumerate().all(|(customer, rows)| {
                    let aside = state.gave_up_place[customer];
                    let commands = rows.effects.iter().map(|effect| effect.command);
                    commands
                        .filter(|command| aside & state::bit(*command) == 0)
                        .is_sorted()
                })
            }),
            Property::always(NO_STALE_PLAN, |_, state: &State| {
                state.rows.iter().all(state::Rows::is_numbered)
            }),
            Property::always(NO_SUPERSEDED_WRITE, |_, state: &State| {
                state.rows.iter().all(state::Rows::is_in_order_of_tokens)
            }),
            Property::always(NOT_WRITTEN_OVER, |_, state: &State| {
                state
                    .rows
                    .iter()
                    .all(|rows| rows.is_numbered() || rows.is_in_order_of_tokens())
            }),
            Property::always(NOTHING_LOST, |model, state: &State| {
                (0..model.customers).all(|customer| {
                    let effects = state.rows[customer]
                        .effects
                        .iter()
                        .map(|effect| effect.command);
                    let queued = state.groups[customer].messages.iter().copied();
                    let there = effects
                        .chain(queued)
                        .fold(state.parked[customer], |all, c| all | state::bit(c));
                    (0..model.commands).all(|command| there & state::bit(command) != 0)
                })
            }),
            Property::always(NO_DEAD_END, |model, state: &State| {
                steps::is_at_rest(state) || steps::goes_on(model, state)
            }),
            Property::sometimes(ALL_SETTLED, |model, state: &State| {
                steps::is_at_rest(state)
                    && state
                        .rows
                        .iter()
                        .all(|rows| rows.effects.len() == usize::from(model.commands))
            }),
            Property::sometimes(TAKEN_OVER, |_, state: &State| {
                state.keys.iter().enumerate().any(|(customer, keys)| {
                    let holder = keys.lease.map(|(worker, _)| worker);
                    let mut workers = state.workers.iter().enumerate();
                    holder.is_some_and(|holder| {
                        workers.any(|(worker, process)| {
                            worker != holder && process.hands[customer].token.is_some()
                        })
                    })
                })
            }),
            Property::sometimes(REFUSED, |_, state: &State| {
                let mut hands = state.workers.iter().flat_map(|process| &process.hands);
                hands.any(|hand| hand.is_refused)
            }),
            Property::sometimes(COMMITTED_UNSEEN, |_, state: &State| state.committed_unseen),
            Property::sometimes(PASSED, |_, state: &State| {
                state.rows.iter().zip(&state.parked).any(|(rows, &parked)| {
                    rows.effects
                        .iter()
                        .any(|effect| parked & (state::bit(effect.command) - 1) != 0)
                })
            }),
        ]
    }
}
