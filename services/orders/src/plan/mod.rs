//! What a set of commands does, worked out in memory: no I/O, no clock.
//!
//! A set goes through here in two steps, because catalog has to be asked in between:
//! [`reservations_needed`] names the new orders that need stock, [`Planner::plan`] turns commands,
//! present state and catalog's answers into rows to write, calls to make and verdicts to give.
//! Customers are planned apart from each other, so that one of them can be dropped from a plan
//! (its fence was raised by somebody else) without touching the others.
//!
//! # Rules
//!
//! - **A duplicate** (same command id, same fingerprint) has no effect.
//! - **A conflict** (same command id, other fingerprint) has none either; the first one stands and
//!   the order's `conflicts` says so once.
//! - **A command that cannot take effect** leaves the order as it is and a `refused` entry in its
//!   history, and makes no event.
//! - **A command before its order** (after a redrive, say) is kept as a *tombstone*. When the order
//!   comes, its tombstones are applied to it in the order in which they were accepted. If one of
//!   them is a cancellation that would take effect, no stock is asked for: the order goes from
//!   `accepted` to `cancelled`, and catalog is told to release it, so that it can never be reserved.
//! - **A command of somebody else's order** is ignored, and recorded where the owner does not see
//!   it (P6). It never enters the inbox: command ids are derived from the order and a key, and a
//!   stranger who guessed a key must not make the owner's own command look like a duplicate.
//!
//! **Invariant:** a plan depends on its input alone. Two workers that see the same state plan the
//! same, so what a superseded worker has already told catalog is what its successor will tell it.

mod change;
mod desk;
mod early;
mod known;
mod place;
mod planner;
mod rows;

pub use early::{LineNeed, OrderNeed, reservations_needed};
pub use known::{Asked, Customer, Known, Stored};
pub use place::check;
pub use planner::{PlanError, Planner};
pub use rows::{
    CatalogCalls, CustomerPlan, EventRow, IgnoredRow, InboxRow, OrderRow, TombstoneRow, Verdict,
};

/// Refused commands that an order's history names; further ones are only counted. Commands that
/// take effect are few by nature and always named.
pub const REFUSALS_MAX: usize = 100;
/// Conflicts that an order names; further ones are only counted.
pub const CONFLICTS_MAX: usize = 50;
/// Commands of one customer that are kept for an order that has not come; further ones are dropped.
pub const TOMBSTONES_MAX: usize = 32;

#[cfg(test)]
mod tests;
