//! Calls to catalog: stock is reserved before an order is confirmed, and given back before an
//! order's cancellation is committed. All calls are idempotent by order id.

use std::collections::HashMap;
use std::marker::PhantomData;
use std::time::Duration;

use serde::Serialize;
use serde::de::IgnoredAny;
use steelyard_domain::id::OrderId;
use steelyard_domain::internal::{RESERVE_ORDERS_MAX, ReserveResponse, ReserveResult, paths};
use steelyard_domain::ops::paths::QUOTES;
use steelyard_runtime::client::{CallError, Internal};
use uuid::Uuid;

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
#[derive(Debug)]
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
        self.ask(orders, paths::RESERVATIONS).await
    }

    /// What [`Catalog::reserve`] would answer; nothing is held.
    ///
    /// # Errors
    /// [`Away`].
    pub async fn quote(&self, orders: &[OrderNeed<'_>]) -> Result<Answers<ReserveResult>, Away> {
        self.ask(orders, QUOTES).await
    }

    async fn ask(
        &self,
        orders: &[OrderNeed<'_>],
        path: &'static str,
    ) -> Result<Answers<ReserveResult>, Away> {
        let http = &self.http;
        let orders_of = PhantomData;
        let call = Reserve {
            http,
            path,
            orders_of,
        };
        let mut answers = in_parts(orders, &call).await?;
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

    /// Whether catalog can do its part, for who waits until it is back: it takes a write, of an
    /// order that cannot be one. A catalog whose store is read-only answers every read.
    pub async fn is_well(&self) -> bool {
        let released = self.release(&[OrderId(Uuid::nil())]).await;
        released.is_ok_and(|answers| answers.failed.is_empty())
    }

    async fn tell(&self, path: &'static str, orders: &[OrderId]) -> Result<Answers<()>, Away> {
        let http = &self.http;
        in_parts(orders, &Tell { http, path }).await
    }
}

/// A call for many orders.
trait Call: Sync {
    type Order: Sync;
    type Answer: Send;

    fn id(order: &Self::Order) -> OrderId;

    /// One answer per order, in their order.
    fn call(
        &self,
        orders: &[Self::Order],
    ) -> impl Future<Output = Result<Vec<Self::Answer>, CallError>> + Send;
}

struct Reserve<'a, 'o> {
    http: &'a Internal,
    path: &'static str,
    orders_of: PhantomData<&'o ()>,
}

impl<'o> Call for Reserve<'_, 'o> {
    type Order = OrderNeed<'o>;
    type Answer = ReserveResult;

    fn id(order: &OrderNeed<'o>) -> OrderId {
        order.order_id
    }

    async fn call(&self, orders: &[OrderNeed<'o>]) -> Result<Vec<ReserveResult>, CallError> {
        let call = ReserveCall { orders };
        let answer: ReserveResponse = self.http.post(self.path, &call).await?;
        Ok(answer.results)
    }
}

struct Tell<'a> {
    http: &'a Internal,
    path: &'static str,
}

impl Call for Tell<'_> {
    type Order = OrderId;
    type Answer = ();

    fn id(order: &OrderId) -> OrderId {
        *order
    }

    async fn call(&self, order_ids: &[OrderId]) -> Result<Vec<()>, CallError> {
        let call = IdsCall { order_ids };
        let _: IgnoredAny = self.http.post(self.path, &call).await?;
        Ok(vec![(); order_ids.len()])
    }
}

/// Calls for up to [`RESERVE_ORDERS_MAX`] orders at a time, for none not at all; a call that fails
/// by what it carries is halved until the order at fault stands alone.
async fn in_parts<C: Call>(orders: &[C::Order], call: &C) -> Result<Answers<C::Answer>, Away> {
    let mut answers = Answers {
        given: HashMap::with_capacity(orders.len()),
        failed: HashMap::new(),
    };
    let mut parts: Vec<&[C::Order]> = orders.chunks(RESERVE_ORDERS_MAX).rev().collect();
    let mut faults = 0;
    while let Some(part) = parts.pop() {
        let reason = match call.call(part).await {
            Ok(results) if results.len() == part.len() => {
                answers.given.extend(part.iter().map(C::id).zip(results));
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
                answers.failed.insert(C::id(order), reason);
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
    use std::sync::Mutex;

    use steelyard_domain::id::OrderId;
    use steelyard_runtime::client::CallError;
    use uuid::Uuid;

    use super::{Call, in_parts};

    /// A catalog that answers by a rule, and remembers what it was asked.
    struct Ruled<F> {
        rule: F,
        asked: Mutex<Vec<Vec<OrderId>>>,
    }

    impl<F: Fn(&[OrderId]) -> Result<usize, u16> + Sync> Call for Ruled<F> {
        type Order = OrderId;
        type Answer = ();

        fn id(order: &OrderId) -> OrderId {
            *order
        }

        async fn call(&self, orders: &[OrderId]) -> Result<Vec<()>, CallError> {
            self.asked
                .lock()
                .expect("not poisoned")
                .push(orders.to_vec());
            let answered = |status| CallError::Undecodable {
                peer: "catalog",
                status,
                reason: "no".into(),
            };
            (self.rule)(orders)
                .map(|count| vec![(); count])
                .map_err(answered)
        }
    }

    fn ruled<F: Fn(&[OrderId]) -> Result<usize, u16>>(rule: F) -> Ruled<F> {
        let asked = Mutex::default();
        Ruled { rule, asked }
    }

    fn ids(count: u128) -> Vec<OrderId> {
        (0..count).map(|n| OrderId(Uuid::from_u128(n))).collect()
    }

    #[tokio::test]
    async fn one_order_that_catalog_fails_on_is_found_and_the_others_are_served_in_order() {
        let poison = OrderId(Uuid::from_u128(137));
        let fails_on = |part: &[OrderId]| part.contains(&poison);
        let catalog = ruled(|part| {
            if fails_on(part) {
                Err(500)
            } else {
                Ok(part.len())
            }
        });
        let answers = in_parts(&ids(200), &catalog).await.expect("not away");
        assert_eq!(answers.failed.keys().collect::<Vec<_>>(), [&poison]);
        assert_eq!(answers.given.len(), 199);
        let asked = catalog.asked.into_inner().expect("not poisoned");
        let served: Vec<_> = asked
            .into_iter()
            .filter(|part| !fails_on(part))
            .flatten()
            .collect();
        assert!(served.is_sorted());
    }

    #[tokio::test]
    async fn a_catalog_that_fails_on_everything_is_away_after_a_bounded_number_of_calls() {
        for status in [500, 503, 401] {
            let catalog = ruled(|_| Err(status));
            assert!(in_parts(&ids(500), &catalog).await.is_err());
            let calls = catalog.asked.into_inner().expect("not poisoned").len();
            assert!(calls <= 25, "{calls}");
        }
    }

    #[tokio::test]
    async fn answers_that_do_not_match_the_question_are_a_failure() {
        let catalog = ruled(|_| Ok(0));
        let answers = in_parts(&ids(1), &catalog).await.expect("not away");
        assert_eq!(answers.failed.len(), 1);
    }
}
