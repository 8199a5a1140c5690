//! Where calls to reserve are served: those that come at once share transactions.
//!
//! Two transactions that reserve the same SKU run one after the other, to the commit and the disk. So calls are
//! gathered: while a transaction that holds a popular SKU is under way, further calls about it wait *here*, without a
//! connection, and go together in the next one; calls about other SKUs go beside it. A popular SKU costs one
//! transaction at a time, however many ask for it, and holds up nobody else.

use std::collections::{HashSet, VecDeque};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use sqlx::PgPool;
use steelyard_domain::internal::{RESERVE_ORDERS_MAX, ReserveOrder, ReserveResult};
use steelyard_runtime::http::HttpError;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::reserve::reserve;
use crate::events::Events;
use crate::failure::of_abort;

/// Calls that may come in before the clerk looks.
const COMING_MAX: usize = 64;
/// Calls that wait for goods that are in hand; further ones wait at the door, until their deadline.
const WAITING_MAX: usize = 512;

/// Takes calls; cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Desk {
    calls: mpsc::Sender<Call>,
}

/// Serves what the desk takes.
#[derive(Debug)]
pub(crate) struct Clerk {
    pool: PgPool,
    events: Events,
    /// Transactions at a time.
    transactions_max: usize,
    calls: mpsc::Receiver<Call>,
}

type Answer = Result<Vec<ReserveResult>, HttpError>;

#[derive(Debug)]
struct Call {
    orders: Vec<ReserveOrder>,
    /// Hashes of the SKUs: two that collide only wait for each other.
    goods: Vec<u64>,
    answer: oneshot::Sender<Answer>,
}

impl Desk {
    /// A desk, and the clerk who serves it.
    pub(crate) fn open(pool: PgPool, events: Events, transactions_max: usize) -> (Self, Clerk) {
        let (sender, calls) = mpsc::channel(COMING_MAX);
        let clerk = Clerk {
            pool,
            events,
            transactions_max,
            calls,
        };
        (Self { calls: sender }, clerk)
    }

    /// Prices and reserves; one result per order, in their order.
    pub(crate) async fn reserve(&self, orders: Vec<ReserveOrder>) -> Answer {
        let stopping = || HttpError::unavailable("stopping", "this instance is stopping", 1);
        let (answer, answered) = oneshot::channel();
        let call = Call {
            goods: goods(&orders),
            orders,
            answer,
        };
        self.calls.send(call).await.map_err(|_| stopping())?;
        answered.await.unwrap_or_else(|_| Err(stopping()))
    }
}

fn goods(orders: &[ReserveOrder]) -> Vec<u64> {
    let hash = |sku: &str| {
        let mut hasher = DefaultHasher::new();
        sku.hash(&mut hasher);
        hasher.finish()
    };
    let lines = orders.iter().flat_map(|order| &order.lines);
    let mut goods: Vec<u64> = lines.map(|line| hash(line.sku.as_str())).collect();
    goods.sort_unstable();
    goods.dedup();
    goods
}

impl Clerk {
    /// Serves until `stop`, and then what is in hand.
    pub(crate) async fn run(mut self, stop: CancellationToken) {
        let mut waiting: VecDeque<Call> = VecDeque::new();
        let mut in_hand: HashSet<u64> = HashSet::new();
        let mut running: JoinSet<Vec<u64>> = JoinSet::new();
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                call = self.calls.recv(), if waiting.len() < WAITING_MAX => match call {
                    Some(call) => waiting.push_back(call),
                    None => break,
                },
                Some(done) = running.join_next() => match done {
                    Ok(goods) => in_hand.retain(|good| goods.binary_search(good).is_err()),
                    // It panicked: which goods it held is not known, and its callers were told.
                    Err(error) => {
                        tracing::error!(%error, "a transaction of reservations was lost");
                        while running.join_next().await.is_some() {}
                        in_hand.clear();
                    }
                },
            }
            // All that came meanwhile may go together.
            while waiting.len() < WAITING_MAX
                && let Ok(call) = self.calls.try_recv()
            {
                waiting.push_back(call);
            }
            while running.len() < self.transactions_max {
                let together = pick(&mut waiting, &in_hand);
                if together.is_empty() {
                    break;
                }
                let mut goods: Vec<u64> = together.iter().flat_map(|c| c.goods.clone()).collect();
                goods.sort_unstable();
                goods.dedup();
                in_hand.extend(&goods);
                let (pool, events) = (self.pool.clone(), self.events.clone());
                running.spawn(async move {
                    serve(&pool, &events, together).await;
                    goods
                });
            }
            metrics::gauge!("catalog_reserve_calls_waiting").set(small(waiting.len()));
        }
        while running.join_next().await.is_some() {}
    }
}

fn small(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

/// Takes calls that can go in one transaction now: none of whose goods is in hand, or is waited for by a call that
/// came before.
fn pick(waiting: &mut VecDeque<Call>, in_hand: &HashSet<u64>) -> Vec<Call> {
    let mut together = Vec::new();
    let mut orders = 0;
    let mut wanted: HashSet<u64> = HashSet::new();
    let mut left = VecDeque::with_capacity(waiting.len());
    while let Some(call) = waiting.pop_front() {
        // Who is gone does not need an answer.
        if call.answer.is_closed() {
            continue;
        }
        let is_free = |good: &u64| !in_hand.contains(good) && !wanted.contains(good);
        let fits = orders == 0 || orders + call.orders.len() <= RESERVE_ORDERS_MAX;
        if fits && call.goods.iter().all(is_free) {
            orders += call.orders.len();
            together.push(call);
        } else {
            wanted.extend(&call.goods);
            left.push_back(call);
        }
    }
    *waiting = left;
    together
}

/// Serves calls in one transaction; if that fails by something in it, each alone.
async fn serve(pool: &PgPool, events: &Events, together: Vec<Call>) {
    metrics::histogram!("catalog_reserve_calls_together").record(small(together.len()));
    let sizes: Vec<usize> = together.iter().map(|call| call.orders.len()).collect();
    let is_one = sizes.len() == 1;
    let mut answers = Vec::with_capacity(sizes.len());
    let mut orders = Vec::with_capacity(sizes.iter().sum());
    for call in together {
        orders.extend(call.orders);
        answers.push(call.answer);
    }
    let reserved = reserve(pool, events, &orders).await;
    match reserved.map_err(|abort| of_abort(&abort)) {
        Ok(mut results) => {
            for (answer, size) in answers.into_iter().zip(sizes) {
                let rest = results.split_off(size.min(results.len()));
                let own = std::mem::replace(&mut results, rest);
                // Whoever is gone asks again, and is answered the same.
                drop(answer.send(Ok(own)));
            }
        }
        Err(refused) if is_one || refused.status().as_u16() == 503 => {
            for answer in answers {
                drop(answer.send(Err(refused.clone())));
            }
        }
        Err(_) => {
            let mut orders = orders.as_slice();
            for (answer, size) in answers.into_iter().zip(sizes) {
                let (own, rest) = orders.split_at(size);
                orders = rest;
                let alone = reserve(pool, events, own).await;
                drop(answer.send(alone.map_err(|abort| of_abort(&abort))));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{HashSet, VecDeque};

    use serde_json::json;
    use steelyard_domain::internal::ReserveOrder;
    use tokio::sync::oneshot;

    use super::{Answer, Call, goods, pick};

    fn order(skus: &[&str]) -> ReserveOrder {
        let line = |sku: &&str| json!({"sku": sku, "quantity": 1, "unit_price": "1"});
        let lines: Vec<_> = skus.iter().map(line).collect();
        serde_json::from_value(json!({
            "order_id": uuid::Uuid::new_v4(), "currency": "GBP", "lines": lines,
        }))
        .expect("an order")
    }

    /// A call, and who waits for it.
    fn call(orders: usize, skus: &[&str]) -> (Call, oneshot::Receiver<Answer>) {
        let (answer, answered) = oneshot::channel();
        let orders: Vec<_> = (0..orders).map(|_| order(skus)).collect();
        let call = Call {
            goods: goods(&orders),
            orders,
            answer,
        };
        (call, answered)
    }

    #[test]
    fn calls_go_together_unless_their_goods_are_in_hand_and_none_is_overtaken() {
        let (calls, _answered): (Vec<_>, Vec<_>) = [
            call(1, &["hot", "a"]),
            call(1, &["b"]),
            call(1, &["a"]),
            call(1, &["b", "c"]),
        ]
        .into_iter()
        .unzip();
        let mut waiting = VecDeque::from(calls);
        let hot = goods(&[order(&["hot"])]);
        let picked = pick(&mut waiting, &HashSet::from_iter(hot));
        // The third waits behind the first: they want the same.
        assert_eq!(picked.len(), 2);
        assert_eq!(waiting.len(), 2);
        assert_eq!(pick(&mut waiting, &HashSet::new()).len(), 2);
        assert!(waiting.is_empty());
    }

    #[test]
    fn a_transaction_has_a_bound_and_who_is_gone_is_not_served() {
        let (calls, mut answered): (Vec<_>, Vec<_>) =
            [call(300, &["a"]), call(300, &["b"]), call(1, &["c"])]
                .into_iter()
                .unzip();
        let mut waiting = VecDeque::from(calls);
        let sizes = |picked: Vec<Call>| picked.iter().map(|c| c.orders.len()).collect::<Vec<_>>();
        assert_eq!(sizes(pick(&mut waiting, &HashSet::new())), [300, 1]);
        answered.clear();
        assert_eq!(sizes(pick(&mut waiting, &HashSet::new())), [0_usize; 0]);
        assert!(waiting.is_empty());
    }
}
