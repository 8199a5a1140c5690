//! Taking, keeping and giving back leases.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use metrics::{counter, gauge};
use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::keeper;
use crate::keys::Keys;
use crate::script::Scripts;

/// A fencing token: of two leases of one customer, the later one has the larger token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Token(i64);

impl Token {
    /// A token as it is stored.
    pub const fn new(value: i64) -> Self {
        Self(value)
    }

    /// For storing.
    pub const fn get(self) -> i64 {
        self.0
    }
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Why a lease call failed.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum LeaseError {
    /// Redis cannot be reached, does not answer in time, or cannot serve now (loading, read-only, out of memory).
    /// Passes by itself: close the tap until [`Leases::ping`] succeeds.
    #[error("the lease store is unavailable: {0}")]
    Unavailable(String),
    /// Redis refuses what is asked of it: credentials, permissions, configuration. Needs a human.
    #[error("the lease store refuses: {0}")]
    Refused(String),
}

/// Limits and names.
#[derive(Clone, Debug)]
pub struct LeaseOptions {
    /// First part of all keys; one per queue whose customers are to be kept apart.
    pub prefix: String,
    /// How long a lease lasts without renewal: the time after which a crashed instance's customers are taken over.
    /// Renewed at a third of it.
    pub ttl: Duration,
    /// How long the last token of a customer is remembered. Beyond it Redis's clock alone keeps tokens growing.
    pub token_ttl: Duration,
    /// A call to Redis may take this long. Keep it below a tenth of `ttl`.
    pub call_timeout: Duration,
    /// Customers in one script call.
    pub customers_per_call_max: usize,
    /// Over how many hash slots of a Redis cluster to spread; 1 for a single node, where all goes by one script call.
    pub slots: u16,
}

impl Default for LeaseOptions {
    fn default() -> Self {
        Self {
            prefix: "steelyard".to_owned(),
            ttl: Duration::from_secs(15),
            token_ttl: Duration::from_secs(7 * 24 * 3_600),
            call_timeout: Duration::from_secs(1),
            customers_per_call_max: 500,
            slots: 1,
        }
    }
}

impl LeaseOptions {
    /// The lease counts as ours for this long after the call that granted or renewed it began: a tenth is kept back
    /// against clocks that run at different speeds and against the time that it takes to stop working.
    fn safe(&self) -> Duration {
        self.ttl - self.ttl / 10
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// The answer to [`Leases::acquire`].
#[derive(Debug, Default)]
pub struct Acquired {
    /// Ours now.
    pub granted: Vec<Lease>,
    /// Someone else's, perhaps of this very process.
    pub busy: Vec<String>,
}

/// A lease that is held.
pub(crate) struct Held {
    pub(crate) value: String,
    pub(crate) safe_until: Instant,
    pub(crate) renew_at: Instant,
    pub(crate) lost: CancellationToken,
}

enum Slot {
    /// Being asked for: a second asker in this process must not be granted it as "our own".
    Asked,
    Held(Held),
}

/// A lease to give back: customer and the value that it has in Redis.
pub(crate) type Release = (Arc<str>, String);

pub(crate) struct Inner {
    connection: ConnectionManager,
    scripts: Scripts,
    keys: Keys,
    pub(crate) options: LeaseOptions,
    owner: String,
    held: Mutex<HashMap<Arc<str>, Slot>>,
    releases: mpsc::UnboundedSender<Release>,
}

/// Takes leases and keeps them renewed in the background until they are dropped. Cheap to clone.
#[derive(Clone)]
pub struct Leases {
    inner: Arc<Inner>,
    // The keeper ends with the last handle and the last lease.
    keeper: Arc<DropGuard>,
}

impl fmt::Debug for Leases {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Leases")
            .field("prefix", &self.inner.options.prefix)
            .finish_non_exhaustive()
    }
}

impl Leases {
    /// Prepares the connection, which is made at the first call, and starts the keeper; to be called inside a tokio
    /// runtime. A Redis that is down shows as [`LeaseError::Unavailable`] at the calls.
    ///
    /// # Errors
    /// [`LeaseError::Refused`] for a URL that is none.
    pub fn connect(url: &str, options: LeaseOptions) -> Result<Self, LeaseError> {
        let refused = |error: redis::RedisError| LeaseError::Refused(error.to_string());
        let client = redis::Client::open(url).map_err(refused)?;
        let config = ConnectionManagerConfig::new()
            .set_connection_timeout(Some(options.call_timeout))
            .set_response_timeout(Some(options.call_timeout))
            .set_number_of_retries(1)
            .set_max_delay(Duration::from_millis(200));
        let connection =
            ConnectionManager::new_lazy_with_config(client, config).map_err(refused)?;
        let (releases, released) = mpsc::unbounded_channel();
        let inner = Arc::new(Inner {
            connection,
            scripts: Scripts::new(options.call_timeout),
            keys: Keys::new(&options.prefix, options.slots),
            owner: format!("{:032x}", rand::random::<u128>()),
            options,
            held: Mutex::new(HashMap::new()),
            releases,
        });
        let stop = CancellationToken::new();
        tokio::spawn(keeper::run(Arc::clone(&inner), released, stop.clone()));
        Ok(Self {
            inner,
            keeper: Arc::new(stop.drop_guard()),
        })
    }

    /// Asks for many customers in one call (one per slot). A customer named twice is asked for once.
    ///
    /// # Errors
    /// [`LeaseError`]; nothing is held then.
    pub async fn acquire<C: AsRef<str>>(&self, customers: &[C]) -> Result<Acquired, LeaseError> {
        let wanted: BTreeSet<&str> = customers.iter().map(AsRef::as_ref).collect();
        let mut acquired = Acquired::default();
        let mut asked = Asked {
            inner: &self.inner,
            customers: Vec::with_capacity(wanted.len()),
        };
        for customer in wanted {
            if asked.reserve(customer) {
                continue;
            }
            acquired.busy.push(customer.to_owned());
        }
        for chunk in self
            .inner
            .chunks(asked.customers.clone(), |customer| customer)
        {
            let began = Instant::now();
            let tokens = self.inner.ask(&chunk).await?;
            for (customer, token) in chunk.into_iter().zip(tokens) {
                match token.parse().map(Token) {
                    Ok(token) => acquired.granted.push(self.grant(&customer, token, began)),
                    Err(_empty) => acquired.busy.push(customer.to_string()),
                }
            }
        }
        drop(asked);
        counter!("lease_granted_total")
            .increment(u64::try_from(acquired.granted.len()).unwrap_or(0));
        counter!("lease_busy_total").increment(u64::try_from(acquired.busy.len()).unwrap_or(0));
        self.inner.count_held();
        Ok(acquired)
    }

    /// Gives many leases back in one call. Those that were lost meanwhile are left to whom they belong.
    ///
    /// # Errors
    /// [`LeaseError`]: they then last until their time is over.
    pub async fn release(&self, leases: Vec<Lease>) -> Result<(), LeaseError> {
        let releases = leases.into_iter().filter_map(Lease::take).collect();
        self.inner.give_back(releases).await
    }

    /// Whether Redis answers: the probe for a tap that was closed because of [`LeaseError::Unavailable`].
    ///
    /// # Errors
    /// [`LeaseError`], when it does not.
    pub async fn ping(&self) -> Result<(), LeaseError> {
        self.inner
            .scripts
            .ping(&mut self.inner.connection.clone())
            .await
    }

    fn grant(&self, customer: &Arc<str>, token: Token, began: Instant) -> Lease {
        let options = &self.inner.options;
        let lost = CancellationToken::new();
        let value = format!("{}:{token}", self.inner.owner);
        let held = Held {
            value: value.clone(),
            safe_until: began + options.safe(),
            renew_at: began + options.ttl / 3,
            lost: lost.clone(),
        };
        self.inner
            .held()
            .insert(Arc::clone(customer), Slot::Held(held));
        Lease {
            customer: Arc::clone(customer),
            token,
            lost,
            value: Some(value),
            inner: Arc::clone(&self.inner),
            _keeper: Arc::clone(&self.keeper),
        }
    }
}

impl Inner {
    fn held(&self) -> MutexGuard<'_, HashMap<Arc<str>, Slot>> {
        // A panic while the lock is held leaves plain data behind, good to go on with.
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn count_held(&self) {
        gauge!("lease_held").set(u32::try_from(self.held().len()).unwrap_or(u32::MAX));
    }

    /// Splits by slot, and what is left by size.
    fn chunks<T>(&self, items: Vec<T>, customer: impl Fn(&T) -> &str) -> Vec<Vec<T>> {
        let mut by_slot: BTreeMap<u16, Vec<Vec<T>>> = BTreeMap::new();
        for item in items {
            let chunks = by_slot.entry(self.keys.slot(customer(&item))).or_default();
            match chunks
                .last_mut()
                .filter(|last| last.len() < self.options.customers_per_call_max.max(1))
            {
                Some(last) => last.push(item),
                None => chunks.push(vec![item]),
            }
        }
        by_slot.into_values().flatten().collect()
    }

    async fn ask(&self, customers: &[Arc<str>]) -> Result<Vec<String>, LeaseError> {
        let keys: Vec<String> = customers
            .iter()
            .flat_map(|customer| [self.keys.lease(customer), self.keys.token(customer)])
            .collect();
        let (lease_ms, token_ms) = (millis(self.options.ttl), millis(self.options.token_ttl));
        let mut connection = self.connection.clone();
        self.scripts
            .acquire(&mut connection, &keys, &self.owner, lease_ms, token_ms)
            .await
    }

    /// Removes leases from Redis, those that still are ours.
    pub(crate) async fn give_back(&self, releases: Vec<Release>) -> Result<(), LeaseError> {
        let mut result = Ok(());
        for chunk in self.chunks(releases, |(customer, _)| customer) {
            let keys: Vec<String> = chunk
                .iter()
                .map(|(customer, _)| self.keys.lease(customer))
                .collect();
            let values: Vec<String> = chunk.into_iter().map(|(_, value)| value).collect();
            let mut connection = self.connection.clone();
            if let Err(error) = self.scripts.release(&mut connection, &keys, &values).await {
                result = Err(error);
            }
        }
        self.count_held();
        result
    }

    /// Marks what has run out as lost, and says what is to be renewed.
    pub(crate) fn due(&self, now: Instant) -> Vec<Release> {
        let mut held = self.held();
        held.retain(|customer, slot| match slot {
            Slot::Held(lease) if lease.safe_until <= now => {
                tracing::warn!(%customer, "a lease ran out: it could not be renewed in time");
                lose(lease);
                false
            }
            _ => true,
        });
        held.iter_mut()
            .filter_map(|(customer, slot)| match slot {
                Slot::Held(lease) if lease.renew_at <= now => {
                    // Tried again at a twelfth, should this attempt fail.
                    lease.renew_at = now + self.options.ttl / 12;
                    Some((Arc::clone(customer), lease.value.clone()))
                }
                _ => None,
            })
            .collect()
    }

    /// Extends leases in as few calls as they fit in.
    pub(crate) async fn renew(&self, due: Vec<Release>) {
        for chunk in self.chunks(due, |(customer, _)| customer) {
            let keys: Vec<String> = chunk
                .iter()
                .map(|(customer, _)| self.keys.lease(customer))
                .collect();
            let (customers, values): (Vec<_>, Vec<_>) = chunk.into_iter().unzip();
            let began = Instant::now();
            let mut connection = self.connection.clone();
            match self
                .scripts
                .renew(&mut connection, &keys, millis(self.options.ttl), &values)
                .await
            {
                Ok(flags) => self.renewed(&customers, &values, &flags, began),
                Err(error) => {
                    counter!("lease_renew_failures_total").increment(1);
                    tracing::warn!(%error, leases = customers.len(), "leases were not renewed; they will be tried again");
                }
            }
        }
    }

    fn renewed(&self, customers: &[Arc<str>], values: &[String], flags: &[bool], began: Instant) {
        let mut held = self.held();
        for ((customer, value), ours) in customers.iter().zip(values).zip(flags) {
            // Given back, and perhaps granted anew, while the call was under way.
            let Some(Slot::Held(lease)) = held.get_mut(customer).filter(|slot| slot.has(value))
            else {
                continue;
            };
            if *ours {
                lease.safe_until = began + self.options.safe();
                lease.renew_at = began + self.options.ttl / 3;
            } else {
                tracing::warn!(%customer, "a lease was lost: Redis has another one or none");
                lose(lease);
                held.remove(customer);
            }
        }
    }
}

impl Slot {
    fn has(&self, value: &str) -> bool {
        matches!(self, Self::Held(lease) if lease.value == value)
    }
}

fn lose(lease: &Held) {
    counter!("lease_lost_total").increment(1);
    lease.lost.cancel();
}

/// Customers that are being asked for. Dropped, it forgets those that were not granted: also when the asker gives up.
struct Asked<'a> {
    inner: &'a Inner,
    customers: Vec<Arc<str>>,
}

impl Asked<'_> {
    fn reserve(&mut self, customer: &str) -> bool {
        let mut held = self.inner.held();
        let free = !held.contains_key(customer);
        if free {
            let customer: Arc<str> = Arc::from(customer);
            held.insert(Arc::clone(&customer), Slot::Asked);
            self.customers.push(customer);
        }
        free
    }
}

impl Drop for Asked<'_> {
    fn drop(&mut self) {
        let mut held = self.inner.held();
        for customer in &self.customers {
            if matches!(held.get(customer), Some(Slot::Asked)) {
                held.remove(customer);
            }
        }
    }
}

/// The right to work for one customer, for as long as it is renewed. Dropping it gives it back, soon and at best
/// effort; [`Leases::release`] gives many back in one call and says whether that worked.
pub struct Lease {
    customer: Arc<str>,
    token: Token,
    lost: CancellationToken,
    value: Option<String>,
    inner: Arc<Inner>,
    _keeper: Arc<DropGuard>,
}

impl Lease {
    /// Whose turn it is.
    pub fn customer(&self) -> &str {
        &self.customer
    }

    /// What every effect's transaction raises the fence to.
    pub fn token(&self) -> Token {
        self.token
    }

    /// Cancelled when the lease is no longer ours, or may no longer be: stop, the effects would be refused.
    pub fn lost(&self) -> &CancellationToken {
        &self.lost
    }

    /// Ends the lease in this process; the rest is Redis's.
    fn take(mut self) -> Option<Release> {
        self.forget()
    }

    fn forget(&mut self) -> Option<Release> {
        let value = self.value.take()?;
        let mut held = self.inner.held();
        if held
            .get(&self.customer)
            .is_some_and(|slot| slot.has(&value))
        {
            held.remove(&self.customer);
        }
        Some((Arc::clone(&self.customer), value))
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some(release) = self.forget() {
            // The keeper is gone only when the runtime is: then the lease runs out by itself.
            let _keeper_gone = self.inner.releases.send(release);
        }
    }
}

impl fmt::Debug for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lease")
            .field("customer", &self.customer)
            .field("token", &self.token)
            .field("lost", &self.lost.is_cancelled())
            .finish_non_exhaustive()
    }
}
