//! The walk over a set's commands.

use std::collections::HashMap;

use steelyard_domain::id::{CustomerId, OrderId};
use steelyard_domain::internal::ReserveResult;
use steelyard_domain::tax::TaxTable;
use time::OffsetDateTime;

use super::desk::Desk;
use super::known::{Asked, Known};
use super::rows::CustomerPlan;

/// Plans sets.
#[derive(Debug, Clone, Copy)]
pub struct Planner<'a> {
    /// The shop's tax rates.
    pub tax: &'a TaxTable,
    /// The time that the effects get.
    pub now: OffsetDateTime,
}

/// A plan that cannot be made: a fault of this program, not of a message.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// An order or event could not be written; their types rule it out.
    #[error("an order could not be written as JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// Catalog was not asked about a new order.
    #[error("order {0} was planned without catalog's answer")]
    Unanswered(OrderId),
}

impl Planner<'_> {
    /// Works out what the commands do, customer by customer. One customer's commands are applied
    /// in the order in which they stand in `asked`, on top of each other.
    ///
    /// `answers` holds catalog's answer for every order of [`super::reservations_needed`].
    ///
    /// # Errors
    /// See [`PlanError`].
    pub fn plan(
        &self,
        asked: Vec<Asked<'_>>,
        mut known: Known,
        mut answers: HashMap<OrderId, ReserveResult>,
    ) -> Result<Vec<CustomerPlan>, PlanError> {
        let mut desks: Vec<Desk<'_>> = Vec::new();
        let mut by_customer: HashMap<CustomerId, usize> = HashMap::new();
        for asked in asked {
            let customer_id = &asked.message.customer_id;
            let index = match by_customer.get(customer_id) {
                Some(&index) => index,
                None => {
                    let seen = known.customers.get(customer_id).copied();
                    let customer_id = customer_id.clone();
                    by_customer.insert(customer_id.clone(), desks.len());
                    desks.push(Desk::new(*self, customer_id, seen.unwrap_or_default()));
                    desks.len() - 1
                }
            };
            desks[index].take(asked, &mut known, &mut answers)?;
        }
        desks.into_iter().map(Desk::finish).collect()
    }
}
