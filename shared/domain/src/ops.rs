//! What operators see and do, between the services and in the API.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::ToSchema;

use crate::fault::{Fault, Faults};
use crate::id::OrderId;
use crate::order::{Order, OrderStatus};
use crate::text;

/// Paths of internal calls: of the orders service, and one of catalog.
pub mod paths {
    /// How the workers are ([`super::Processing`]).
    pub const PROCESSING: &str = "/internal/ops/processing";
    /// `GET` the [`super::Maintenance`], `PUT` a [`super::MaintenanceOrder`].
    pub const MAINTENANCE: &str = "/internal/ops/maintenance";
    /// `GET` a page of [`super::AuditEntry`] (`limit`, `cursor`, `action`), `POST` a [`super::NewAuditEntry`].
    pub const AUDIT: &str = "/internal/ops/audit";
    /// `POST` a [`super::DryRunRequest`]: whether a worker could read the message ([`super::Checked`]).
    pub const CHECK: &str = "/internal/ops/check";
    /// catalog: what a reservation would be answered, without holding anything ([`crate::internal::ReserveRequest`]).
    pub const QUOTES: &str = "/internal/reservations/quotes";
    /// `POST` a [`super::DryRunRequest`]: what the message would do ([`super::DryRun`]).
    pub const DRY_RUN: &str = "/internal/ops/dry-run";
}

/// The longest reason that an operator may give.
pub const REASON_CHARS_MAX: usize = 500;

/// Whether workers work.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Work {
    /// They do.
    #[default]
    Running,
    /// They take nothing from the queue; orders are accepted all the same.
    Paused,
}

impl Work {
    /// The word on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Paused => "paused",
        }
    }
}

/// Body of `PUT /v1/ops/maintenance`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SetMaintenance {
    /// What is wanted.
    pub processing: Work,
    /// Why; for the audit and for everyone who asks.
    #[schema(min_length = 1, max_length = 500)]
    pub reason: String,
    /// When workers go on by themselves; not before they are told to, when left out.
    #[serde(
        default,
        with = "time::serde::rfc3339::option",
        skip_serializing_if = "Option::is_none"
    )]
    #[schema(format = DateTime, value_type = Option<String>)]
    pub until: Option<OffsetDateTime>,
}

impl SetMaintenance {
    /// Checks the body.
    ///
    /// # Errors
    /// Every fault with its place.
    pub fn check(&self, now: OffsetDateTime) -> Result<(), Vec<Fault>> {
        let mut faults = Faults::default();
        faults.take(
            || "/reason".to_owned(),
            text::line(&self.reason, REASON_CHARS_MAX),
        );
        if let Some(until) = self.until {
            if self.processing == Work::Running {
                faults.add("/until", "not_allowed", "only a pause has an end");
            } else if until <= now {
                faults.add("/until", "out_of_range", "must be in the future");
            }
        }
        if faults.is_empty() {
            Ok(())
        } else {
            Err(faults.into_vec())
        }
    }
}

/// A change of the maintenance state, with who asks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MaintenanceOrder {
    /// The operator's `sub`.
    pub by: String,
    /// What is wanted.
    pub set: SetMaintenance,
}

/// The maintenance state as it is stored.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Maintenance {
    /// What workers do now.
    pub processing: Work,
    /// Why.
    pub reason: Option<String>,
    /// When they go on by themselves.
    #[serde(default, with = "time::serde::rfc3339::option")]
    #[schema(format = DateTime, value_type = Option<String>)]
    pub until: Option<OffsetDateTime>,
    /// Who said so last.
    pub changed_by: Option<String>,
    /// When.
    #[serde(default, with = "time::serde::rfc3339::option")]
    #[schema(format = DateTime, value_type = Option<String>)]
    pub changed_at: Option<OffsetDateTime>,
}

impl Maintenance {
    /// The state at a time: a pause ends by itself.
    #[must_use]
    pub fn at(&self, now: OffsetDateTime) -> Work {
        match self.until {
            Some(until) if until <= now => Work::Running,
            _ => self.processing,
        }
    }
}

/// One closed breaker of a worker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Breaker {
    /// What is away: `postgres`, `redis`, `catalog`, or `maintenance`.
    pub dependency: String,
    /// What was said when it closed.
    pub why: String,
    /// Since when.
    #[serde(with = "time::serde::rfc3339")]
    pub since: OffsetDateTime,
    /// Probes that did not find it well.
    pub probes: u32,
}

/// How one worker is, by its own word.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WorkerReport {
    /// Which: host and a number of its own.
    pub instance: String,
    /// When it said so.
    #[serde(with = "time::serde::rfc3339")]
    pub reported_at: OffsetDateTime,
    /// The maintenance state that it acts by.
    pub processing: Work,
    /// What holds it back; empty while it works.
    pub breakers: Vec<Breaker>,
    /// Messages received and not yet settled.
    pub in_hand: u64,
    /// Messages that it settled in the last minute.
    pub settled_per_min: u64,
    /// How old the oldest message of its latest set was then, or is now if it was not settled; null when that says
    /// nothing any more: it was settled more than half a minute ago, or nothing has been taken since.
    pub oldest_age_s: Option<u64>,
    /// Seconds since its last successful poll.
    pub last_poll_age_s: Option<u64>,
}

/// How the workers are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Processing {
    /// The maintenance state; null when it has never been read.
    pub maintenance: Option<Maintenance>,
    /// Those that reported lately.
    pub workers: Vec<WorkerReport>,
    /// False when Postgres could not be asked: then only the worker that was asked is listed.
    pub all_workers: bool,
}

/// What to write down.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewAuditEntry {
    /// The operator's `sub`.
    pub by: String,
    /// What: `redrive`, `redrive.result`, `edit`, `edit.result`.
    pub action: String,
    /// About what: a queue, a dead letter.
    pub subject: String,
    /// Why.
    pub reason: String,
    /// Particulars.
    pub detail: serde_json::Value,
}

/// What was written down. Entries are never changed or deleted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AuditEntry {
    /// Grows with time.
    pub id: i64,
    /// When.
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
    /// Who.
    pub by: String,
    /// What: `redrive`, `edit` (before anything is sent), `redrive.result`, `edit.result` (what came of it),
    /// `maintenance`.
    pub action: String,
    /// About what.
    pub subject: String,
    /// Why.
    pub reason: String,
    /// Particulars, by action.
    #[schema(value_type = Object)]
    pub detail: serde_json::Value,
}

/// What a message would do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DryRunRequest {
    /// The message's body.
    pub body: String,
    /// The group that it would be in.
    pub group_id: Option<String>,
}

/// Whether a worker could read a message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checked {
    /// Why not.
    pub refusal: Option<String>,
}

/// What would become of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum DryVerdict {
    /// It takes effect.
    Settles,
    /// It is understood, and refused by the order's state: the order's history would say so.
    Refused,
    /// Its command was settled before; nothing happens.
    Duplicate,
    /// Its command was settled before with another body; the order would note the conflict.
    Conflict,
    /// Its order has not come; it would wait for it.
    WaitsForOrder,
    /// It is about another customer's order; it would be noted and have no effect.
    Ignored,
    /// It would be parked again.
    Parks,
}

/// An event that would be sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DryEvent {
    /// `order.confirmed`, …
    #[serde(rename = "type")]
    pub kind: String,
    /// About which order.
    pub order_id: OrderId,
    /// Its status then.
    pub status: OrderStatus,
    /// Its version then.
    pub version: i64,
}

/// What catalog would be told, by order.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DryCalls {
    /// Stock that would be held.
    pub reserve: Vec<OrderId>,
    /// Reservations that would be given back.
    pub release: Vec<OrderId>,
    /// Goods that would leave.
    pub consume: Vec<OrderId>,
    /// Goods that would come back.
    pub restock: Vec<OrderId>,
}

/// What a message would do if it were handled now, by today's code, ahead of what waits in the queue. Nothing of it
/// was kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct DryRun {
    /// What would become of it.
    pub verdict: DryVerdict,
    /// Why it would be parked or refused.
    pub reason: Option<String>,
    /// Orders as they would be stored: status, totals, history.
    pub orders: Vec<Order>,
    /// Events that would be sent.
    pub events: Vec<DryEvent>,
    /// What catalog would be told.
    pub catalog: DryCalls,
    /// When it was tried.
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
}

#[cfg(test)]
mod tests {
    use time::{Duration, OffsetDateTime};

    use super::{Maintenance, SetMaintenance, Work};

    #[test]
    fn a_pause_ends_by_itself_and_one_without_end_does_not() {
        let now = OffsetDateTime::now_utc();
        let pause = |until| Maintenance {
            processing: Work::Paused,
            until,
            ..Maintenance::default()
        };
        let later = Some(now + Duration::minutes(1));
        assert_eq!(pause(None).at(now), Work::Paused);
        assert_eq!(pause(later).at(now), Work::Paused);
        assert_eq!(pause(Some(now)).at(now), Work::Running);
    }

    #[test]
    fn a_change_needs_a_reason_and_an_end_that_makes_sense() {
        let now = OffsetDateTime::now_utc();
        let set = |processing, reason: &str, until| {
            let reason = reason.to_owned();
            let set = SetMaintenance {
                processing,
                reason,
                until,
            };
            set.check(now).is_ok()
        };
        let later = Some(now + Duration::minutes(1));
        assert!(set(Work::Paused, "upgrade", later) && set(Work::Running, "done", None));
        assert!(!set(Work::Paused, "", None));
        assert!(!set(Work::Paused, "upgrade", Some(now)));
        assert!(!set(Work::Running, "done", later));
    }
}
