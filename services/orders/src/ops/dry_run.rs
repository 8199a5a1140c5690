//! What a message would do: handled as a worker would, by the same code, in a transaction that is rolled back.
//!
//! No lease is taken: nothing is written, so nobody has to be kept out, and a look must not hold a customer up. Should
//! the customer's own worker be faster, the rehearsal finds the fence moved and is done over. Of stock, catalog only
//! gives a quote.

use std::collections::HashMap;

use sqlx::PgPool;
use steelyard_domain::command::{Command, CommandMessage};
use steelyard_domain::id::OrderId;
use steelyard_domain::internal::ReserveResult;
use steelyard_domain::ops::{DryCalls, DryEvent, DryRun, DryRunRequest, DryVerdict};
use steelyard_domain::order::Order;
use steelyard_domain::tax::TaxTable;
use steelyard_store::is_outage;
use time::OffsetDateTime;

use crate::catalog::{Away, Catalog};
use crate::db::{self, Committed};
use crate::plan::{Asked, CustomerPlan, Known, Planner, Verdict, reservations_needed};
use crate::worker;

/// Times that it is tried again after somebody was faster.
const RACES_MAX: u32 = 3;

/// Why it cannot be said what would happen.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DryRunError {
    /// Catalog cannot give a quote.
    #[error("catalog is away: {0}")]
    Catalog(String),
    /// Postgres is away, or refuses what it should not.
    #[error(transparent)]
    Sql(sqlx::Error),
    /// Workers keep changing what the message is about.
    #[error("the customer's orders are changing at the moment")]
    Busy,
    /// A mistake of this program.
    #[error("the message could not be planned: {0}")]
    Plan(String),
}

/// Says what the message would do.
pub(crate) async fn dry_run(
    pool: &PgPool,
    catalog: &Catalog,
    tax: &TaxTable,
    issuer: Option<&str>,
    request: &DryRunRequest,
) -> Result<DryRun, DryRunError> {
    let message = match worker::read(&request.body, request.group_id.as_deref(), issuer) {
        Ok(message) => message,
        Err(reason) => return Ok(parks(reason)),
    };
    for _ in 0..=RACES_MAX {
        match attempt(pool, catalog, tax, &message, &request.body).await {
            Ok(Some(run)) => return Ok(run),
            Ok(None) => {}
            Err(DryRunError::Sql(error)) if steelyard_store::is_contention(&error) => {}
            Err(DryRunError::Sql(error))
                if !is_outage(&error) && worker::is_the_datas_fault(&error) =>
            {
                return Ok(parks(error.to_string()));
            }
            Err(error) => return Err(error),
        }
    }
    Err(DryRunError::Busy)
}

/// `None`: somebody else was faster.
async fn attempt(
    pool: &PgPool,
    catalog: &Catalog,
    tax: &TaxTable,
    message: &CommandMessage,
    body: &str,
) -> Result<Option<DryRun>, DryRunError> {
    let asked = vec![Asked {
        at: 0,
        message: message.clone(),
        body,
        traceparent: None,
    }];
    let known = db::load(pool, &asked).await.map_err(DryRunError::Sql)?;
    let now = OffsetDateTime::now_utc();
    if let Some(reason) = worker::replay(message, &known, now) {
        return Ok(Some(parks(reason)));
    }
    let seen = Seen::of(message, &known);
    let needed = reservations_needed(&asked, &known);
    let quoted = catalog
        .quote(&needed)
        .await
        .map_err(|Away(reason)| DryRunError::Catalog(reason))?;
    drop(needed);
    if let Some(reason) = quoted.failed.into_values().next() {
        return Ok(Some(parks(format!("after retries: {reason}"))));
    }
    let reserve = held(&quoted.given);
    let planned = Planner { tax, now }.plan(asked, known, quoted.given);
    let plans = planned.map_err(|error| DryRunError::Plan(error.to_string()))?;
    for plan in plans.iter().filter(|plan| plan.writes()) {
        // Later than every holder's: nothing of it is kept.
        let with_token = [(plan, i64::MAX)];
        match db::rehearse(pool, &with_token).await {
            Ok(Committed::All) => {}
            Ok(Committed::Stale(_)) => return Ok(None),
            Err(error) => return Err(DryRunError::Sql(error)),
        }
    }
    plans
        .into_iter()
        .next()
        .map(|plan| told(plan, message, seen, reserve, now))
        .transpose()
}

/// What was known of the command before.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Seen {
    New,
    Duplicate,
    Conflict,
}

impl Seen {
    fn of(message: &CommandMessage, known: &Known) -> Self {
        let is_second_place = matches!(message.command, Command::Place(_))
            && known.orders.contains_key(&message.order_id);
        match known.commands.get(&message.message_id) {
            Some(before) if *before == message.fingerprint => Self::Duplicate,
            Some(_) => Self::Conflict,
            None if is_second_place => Self::Conflict,
            None => Self::New,
        }
    }
}

fn told(
    plan: CustomerPlan,
    message: &CommandMessage,
    seen: Seen,
    reserve: Vec<OrderId>,
    at: OffsetDateTime,
) -> Result<DryRun, DryRunError> {
    if let Some((_, Verdict::Park(reason))) = plan.verdicts.first() {
        return Ok(parks(reason.clone()));
    }
    let docs = plan.orders.iter().map(|row| serde_json::from_str(&row.doc));
    let orders: Vec<Order> = docs
        .collect::<Result<_, _>>()
        .map_err(|error| DryRunError::Plan(error.to_string()))?;
    let own = orders.iter().flat_map(|order| &order.history);
    let refused = own
        .filter(|entry| entry.command_id == message.message_id)
        .find_map(|entry| entry.refused);
    let verdict = if !plan.ignored.is_empty() {
        DryVerdict::Ignored
    } else {
        match (seen, refused) {
            (Seen::Duplicate, _) => DryVerdict::Duplicate,
            (Seen::Conflict, _) => DryVerdict::Conflict,
            (Seen::New, Some(_)) => DryVerdict::Refused,
            (Seen::New, None) if orders.is_empty() => DryVerdict::WaitsForOrder,
            (Seen::New, None) => DryVerdict::Settles,
        }
    };
    let events = plan.events.into_iter().map(|event| DryEvent {
        kind: event.kind.as_str().to_owned(),
        order_id: event.order_id,
        status: event.status,
        version: event.version,
    });
    let mut release = plan.calls.release;
    release.extend(plan.calls.release_after);
    Ok(DryRun {
        verdict,
        reason: refused.map(|refused| refused.as_str().to_owned()),
        events: events.collect(),
        orders,
        catalog: DryCalls {
            reserve,
            release,
            consume: plan.calls.consume,
            restock: plan.calls.restock,
        },
        at,
    })
}

fn held(answers: &HashMap<OrderId, ReserveResult>) -> Vec<OrderId> {
    let held = answers
        .iter()
        .filter(|(_, answer)| matches!(answer, ReserveResult::Reserved(_)));
    held.map(|(id, _)| *id).collect()
}

fn parks(reason: String) -> DryRun {
    DryRun {
        verdict: DryVerdict::Parks,
        reason: Some(reason),
        orders: Vec::new(),
        events: Vec::new(),
        catalog: DryCalls::default(),
        at: OffsetDateTime::now_utc(),
    }
}
