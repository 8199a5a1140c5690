//! Calls to catalog: stock is reserved before an order is confirmed, and given back before an
//! order's cancellation is committed. All calls are idempotent by order id.

use std::collections::HashMap;
use std::time::Duration;

use serde::Serialize;
use steelyard_domain::id::OrderId;
use steelyard_domain::internal::{RESERVE_ORDERS_MAX, ReserveResponse, ReserveResult, paths};
use steelyard_runtime::client::{CallError, Internal};

use crate::plan::OrderNeed;

/// The longest that one call takes. It lies well below the lease's time, so that a worker that has
/// to wait this long still holds its leases.
pub const CALL_MAX: Duration = Duration::from_secs(10);
/// Calls of one set that may fail by what they carry, while the order at fault is being looked for.
/// More mean that it is not one order's fault.
const FAULTY_CALLS_MAX: u32 = 24;

/// Catalog, as the worker uses it.
#[derive(Debug, Clone)]
pub struct Catalog {
    http: Internal,
}

/// Catalog cannot be used now, by no fault of the orders in hand.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Away(pub String);

/// What came of a call for many orders.
#[derive(Debug, Default)]
pub struct Answers<T> {
    /// Catalog's answers.
    pub given: HashMap<OrderId, T>,
    /// Orders for which it fails, whoever they are with, and what it says.
    pub failed: HashMap<OrderId, String>,
}

#[derive(Serialize)]
struct ReserveCall<'a> {
    orders: &'a [OrderNeed<'a>],
}

#[derive(Serialize)]
struct IdsCall<'a> {
    order_ids: &'a [OrderId],
}

impl Catalog {
    /// Catalog behind this client.
    #[must_use]
    pub fn new(http: &Internal) -> Self {
        Self {
            http: http.with_deadline(CALL_MAX),
        }
    }

    /// Prices and reserves, all or nothing per order.
    ///
    /// # Errors
    /// [`Away`].
    pub async fn reserve(&self, orders: &[OrderNeed<'_>]) -> Result<Answers<ReserveResult>, Away> {
        let call = async |orders: &[OrderNeed<'_>]| {
            let call = ReserveCall { orders };
            let answer: ReserveResponse = self.http.post(paths::RESERVATIONS, &call).await?;
            Ok(answer.results)
        };
        let mut answers = in_parts(orders, |order| order.order_id, call).await?;
        // A contract broken for one order is that order's trouble, not the others'.
        for order in orders {
            if let Some(ReserveResult::Reserved(lines)) = answers.given.get(&order.order_id)
                && lines.len() != order.lines.len()
            {
                let (said, asked) = (lines.len(), order.lines.len());
                answers.given.remove(&order.order_id);
                let reason = format!("catalog priced {said} lines of {asked}");
                answers.failed.insert(order.order_id, reason);
            }
        }
        Ok(answers)
    }

    /// Gives reserved stock back, for good.
    ///
    /// # Errors
    /// [`Away`].
    pub async fn release(&self, orders: &[OrderId]) -> Result<Answers<()>, Away> {
        self.tell(paths::RELEASE, orders).await
    }

    /// Takes shipped goods off the shelf.
    ///
    /// # Errors
    /// [`Away`].
    pub async fn consume(&self, orders: &[OrderId]) -> Result<Answers<()>, Away> {
        self.tell(paths::CONSUME, orders).await
    }

    /// Puts returned goods back on it.
    ///
    /// # Errors
    /// [`Away`].
    pub async fn restock(&self, orders: &[OrderId]) -> Result<Answers<()>, Away> {
        self.tell(paths::RESTOCK, orders).await
    }

    async fn tell(&self, path: &'static str, orders: &[OrderId]) -> Result<Answers<()>, Away> {
        let call = async |order_ids: &[OrderId]| {
            let call = IdsCall { order_ids };
            let _: serde::de::IgnoredAny = self.http.post(path, &call).await?;
            Ok(vec![(); order_ids.len()])
        };
        in_parts(orders, |id| *id, call).await
    }
}

/// Calls for up to [`RESERVE_ORDERS_MAX`] orders at a time; a call that fails by what it carries is
/// halved until the order at fault stands alone.
async fn in_parts<O, T>(
    orders: &[O],
    id: impl Fn(&O) -> OrderId,
    call: impl AsyncFn(&[O]) -> Result<Vec<T>, CallError>,
) -> Result<Answers<T>, Away> {
    let mut answers = Answers {
        given: HashMap::with_capacity(orders.len()),
        failed: HashMap::new(),
    };
    let mut parts: Vec<&[O]> = orders.chunks(RESERVE_ORDERS_MAX).rev().collect();
    let mut faults = 0;
    while let Some(part) = parts.pop() {
        let reason = match call(part).await {
            Ok(results) if results.len() == part.len() => {
                answers.given.extend(part.iter().map(&id).zip(results));
                continue;
            }
            Ok(results) => format!("catalog gave {} answers for {}", results.len(), part.len()),
            Err(error) if is_away(&error) => return Err(Away(error.to_string())),
            Err(error) => error.to_string(),
        };
        faults += 1;
        if faults > FAULTY_CALLS_MAX {
            return Err(Away(reason));
        }
        match part {
            [] => {}
            [order] => {
                answers.failed.insert(id(order), reason);
            }
            _ => {
                // The earlier half goes first: it is to be served first.
                let (earlier, later) = part.split_at(part.len() / 2);
                parts.extend([later, earlier]);
            }
        }
    }
    if orders.len() > 1 && answers.failed.len() == orders.len() {
        let reason = answers.failed.into_values().next().unwrap_or_default();
        return Err(Away(reason));
    }
    Ok(answers)
}

/// Whether a failed call says nothing about the orders that it carried: catalog is down, or one of
/// us is set up wrongly. A plain 500 may be one order's doing.
fn is_away(error: &CallError) -> bool {
    match error.status() {
        Some(500) => false,
        Some(401 | 403 | 404 | 405) => true,
        _ => error.is_outage(),
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use steelyard_domain::id::OrderId;
    use steelyard_runtime::client::CallError;
    use uuid::Uuid;

    use super::in_parts;

    fn ids(count: u128) -> Vec<OrderId> {
        (0..count).map(|n| OrderId(Uuid::from_u128(n))).collect()
    }

    fn answered(status: u16) -> CallError {
        CallError::Undecodable {
            peer: "catalog",
            status,
            reason: "no".into(),
        }
    }

    #[tokio::test]
    async fn one_order_that_catalog_fails_on_is_found_and_the_others_are_served_in_order() {
        let served = RefCell::new(Vec::new());
        let poison = OrderId(Uuid::from_u128(137));
        let call = async |part: &[OrderId]| {
            if part.contains(&poison) {
                return Err(answered(500));
            }
            served.borrow_mut().extend_from_slice(part);
            Ok(vec![(); part.len()])
        };
        let orders = ids(200);
        let answers = in_parts(&orders, |id| *id, call).await.expect("not away");
        assert_eq!(answers.failed.keys().collect::<Vec<_>>(), [&poison]);
        assert_eq!(answers.given.len(), 199);
        assert!(served.borrow().is_sorted());
    }

    #[tokio::test]
    async fn a_catalog_that_fails_on_everything_is_away_after_a_bounded_number_of_calls() {
        for status in [500, 503, 401] {
            let calls = RefCell::new(0);
            let call = async |_: &[OrderId]| -> Result<Vec<()>, _> {
                *calls.borrow_mut() += 1;
                Err(answered(status))
            };
            assert!(in_parts(&ids(500), |id| *id, call).await.is_err());
            assert!(*calls.borrow() <= 25, "{}", calls.borrow());
        }
    }

    #[tokio::test]
    async fn answers_that_do_not_match_the_question_are_a_failure() {
        let call = async |part: &[OrderId]| Ok(vec![(); usize::from(part.len() > 1)]);
        let answers = in_parts(&ids(1), |id| *id, call).await.expect("not away");
        assert_eq!(answers.failed.len(), 1);
    }
}
