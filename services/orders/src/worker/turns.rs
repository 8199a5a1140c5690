//! Whose turn it is: leases, so that two instances do not do the same work.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use steelyard_domain::id::CustomerId;
use steelyard_sequence::{Lease, LeaseError, Leases};

/// A wait that nobody asked about for so long has ended elsewhere: another worker has the customer's messages.
const FORGOTTEN: Duration = Duration::from_secs(10);

/// Takes turns for customers.
#[derive(Debug, Clone)]
pub struct Turns {
    leases: Leases,
    waits: Arc<Mutex<Waits>>,
}

/// Customers that wait for somebody else's turn to end: since when, and when they asked last. There are no more of them
/// than messages in hand.
#[derive(Debug, Default)]
struct Waits(HashMap<CustomerId, (Instant, Instant)>);

impl Waits {
    /// Begins and ends waits; ended ones go into `lease_wait_seconds`.
    fn note(&mut self, customers: &[CustomerId], held: &HashMap<CustomerId, Lease>) {
        let now = Instant::now();
        self.0
            .retain(|_, (_, asked_at)| now.duration_since(*asked_at) < FORGOTTEN);
        for customer in customers {
            if held.contains_key(customer) {
                if let Some((since, _)) = self.0.remove(customer) {
                    metrics::histogram!("lease_wait_seconds").record(now.duration_since(since));
                }
            } else {
                let (_, asked_at) = self.0.entry(customer.clone()).or_insert((now, now));
                *asked_at = now;
            }
        }
    }
}

/// The customers whose turn a set has.
pub(super) struct Turn {
    leases: Leases,
    held: HashMap<CustomerId, Lease>,
}

impl Turns {
    /// Turns by these leases.
    #[must_use]
    pub fn new(leases: Leases) -> Self {
        Self {
            leases,
            waits: Arc::default(),
        }
    }

    /// Whether leases can be had: Redis takes a write, for one that is full or read-only answers
    /// every `PING`.
    pub async fn is_well(&self) -> bool {
        self.leases.probe().await.is_ok()
    }

    /// Takes the customers that are free. Without Redis, or with one that refuses us, nobody is.
    pub(super) async fn take(&self, customers: &[CustomerId]) -> Result<Turn, LeaseError> {
        let names: Vec<&str> = customers.iter().map(CustomerId::as_str).collect();
        let granted = self.leases.acquire(&names).await?.granted;
        let mut by_name: HashMap<&str, &CustomerId> =
            customers.iter().map(|id| (id.as_str(), id)).collect();
        let held = granted.into_iter().filter_map(|lease| {
            let customer = by_name.remove(lease.customer())?;
            Some((customer.clone(), lease))
        });
        let held = held.collect();
        let mut waits = self.waits.lock().unwrap_or_else(PoisonError::into_inner);
        waits.note(customers, &held);
        drop(waits);
        Ok(Turn {
            held,
            leases: self.leases.clone(),
        })
    }
}

impl Turn {
    /// The fencing token for a customer, if it is our turn.
    pub(super) fn token(&self, customer: &CustomerId) -> Option<i64> {
        self.held.get(customer).map(|lease| lease.token().get())
    }

    /// Whether somebody else may have the turn by now; the fence would refuse us.
    pub(super) fn is_over(&self, customer: &CustomerId) -> bool {
        self.held
            .get(customer)
            .is_none_or(|lease| lease.lost().is_cancelled())
    }

    /// Gives all turns back and waits for it: the same customers' next set may begin right after.
    pub(super) async fn end(self) {
        if let Err(error) = self.leases.release(self.held.into_values().collect()).await {
            tracing::debug!(%error, "leases were not given back; they run out");
        }
    }
}
