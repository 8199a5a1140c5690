//! Taking, keeping and giving back leases.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::join_all;
use metrics::{counter, gauge};
use steelyard_redis::{Limits, Redis, RedisUrl};
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::keeper;
use crate::keys::Keys;
use crate::lease::Lease;
use crate::options::{LeaseError, LeaseOptions, Token};
use crate::script::Scripts;

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
    /// runtime. For the forms of `url` see [`steelyard_redis`]: one server, a replica set, a cluster. A Redis that is
    /// down shows as [`LeaseError::Unavailable`] at the calls.
    ///
    /// # Errors
    /// [`LeaseError::Refused`] for a URL that is none.
    pub fn connect(url: &str, options: LeaseOptions) -> Result<Self, LeaseError> {
        let url: RedisUrl = url.parse()?;
        let limits = Limits {
            connect_max: options.call_timeout / 2,
            call_max: options.call_timeout,
        };
        let tags = if url.is_cluster() {
            options.cluster_tags
        } else {
            1
        };
        let (releases, released) = mpsc::unbounded_channel();
        let inner = Arc::new(Inner {
            scripts: Scripts::new(Redis::new(&url, limits)?),
            keys: Keys::new(&options.prefix, tags),
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

    /// Asks for many customers in one call (in a cluster, one for each hash tag, all at once). A customer named twice is
    /// asked for once.
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
        let chunks = self
            .inner
            .chunks(asked.customers.clone(), |customer| customer);
        let began = Instant::now();
        let answers = join_all(chunks.iter().map(|chunk| self.inner.ask(chunk))).await;
        let mut failed = None;
        for (chunk, answer) in chunks.into_iter().zip(answers) {
            let tokens = match answer {
                Ok(tokens) => tokens,
                Err(error) => {
                    failed = Some(error);
                    continue;
                }
            };
            for (customer, token) in chunk.into_iter().zip(tokens) {
                match token.parse().map(Token::new) {
                    Ok(token) => acquired.granted.push(self.grant(&customer, token, began)),
                    Err(_empty) => acquired.busy.push(customer.to_string()),
                }
            }
        }
        drop(asked);
        if let Some(error) = failed {
            // What other nodes granted goes back as it is dropped.
            return Err(error);
        }
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

    /// Whether leases can be had: the probe for a tap that was closed because of [`LeaseError::Unavailable`]. It
    /// writes, on every node that holds leases: a server that is read-only, or has no memory or disk left, answers
    /// every `PING`.
    ///
    /// # Errors
    /// [`LeaseError`], when they cannot.
    pub async fn probe(&self) -> Result<(), LeaseError> {
        self.inner.scripts.probe(self.inner.keys.probes()).await
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
        let (inner, keeper) = (Arc::clone(&self.inner), Arc::clone(&self.keeper));
        Lease::new(Arc::clone(customer), token, value, lost, inner, keeper)
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

    /// Splits by hash tag, and what is left by size.
    fn chunks<T>(&self, items: Vec<T>, customer: impl Fn(&T) -> &str) -> Vec<Vec<T>> {
        let mut by_tag: BTreeMap<u16, Vec<Vec<T>>> = BTreeMap::new();
        for item in items {
            let chunks = by_tag.entry(self.keys.tag(customer(&item))).or_default();
            match chunks
                .last_mut()
                .filter(|last| last.len() < self.options.customers_per_call_max.max(1))
            {
                Some(last) => last.push(item),
                None => chunks.push(vec![item]),
            }
        }
        by_tag.into_values().flatten().collect()
    }

    async fn ask(&self, customers: &[Arc<str>]) -> Result<Vec<String>, LeaseError> {
        let keys: Vec<String> = customers
            .iter()
            .flat_map(|customer| [self.keys.lease(customer), self.keys.token(customer)])
            .collect();
        let (lease_ms, token_ms) = (millis(self.options.ttl), millis(self.options.token_ttl));
        self.scripts
            .acquire(&keys, &self.owner, lease_ms, token_ms)
            .await
    }

    /// Removes leases from Redis, those that still are ours.
    pub(crate) async fn give_back(&self, releases: Vec<Release>) -> Result<(), LeaseError> {
        let chunks = self.chunks(releases, |(customer, _)| customer);
        let released = chunks.into_iter().map(async |chunk| {
            let keys: Vec<String> = chunk
                .iter()
                .map(|(customer, _)| self.keys.lease(customer))
                .collect();
            let values: Vec<String> = chunk.into_iter().map(|(_, value)| value).collect();
            self.scripts.release(&keys, &values).await.map(|_count| ())
        });
        let result = join_all(released).await.into_iter().collect();
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
        let chunks = self.chunks(due, |(customer, _)| customer);
        let renewed = chunks.into_iter().map(async |chunk| {
            let keys: Vec<String> = chunk.iter().map(|(customer, _)| self.keys.lease(customer)).collect();
            let (customers, values): (Vec<_>, Vec<_>) = chunk.into_iter().unzip();
            let began = Instant::now();
            match self.scripts.renew(&keys, millis(self.options.ttl), &values).await {
                Ok(flags) => self.renewed(&customers, &values, &flags, began),
                Err(error) => {
                    counter!("lease_renew_failures_total").increment(1);
                    tracing::warn!(%error, leases = customers.len(), "leases were not renewed; they will be tried again");
                }
            }
        });
        join_all(renewed).await;
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

impl Inner {
    /// Ends a lease in this process, if it is still this one.
    pub(crate) fn forget(&self, customer: &str, value: &str) {
        let mut held = self.held();
        if held.get(customer).is_some_and(|slot| slot.has(value)) {
            held.remove(customer);
        }
    }

    /// Has the keeper give a lease back. The keeper is gone only when the runtime is: then it runs out by itself.
    pub(crate) fn give_back_soon(&self, release: Release) {
        let _keeper_gone = self.releases.send(release);
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
