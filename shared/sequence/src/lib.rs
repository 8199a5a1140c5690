//! One customer at a time, whatever the number of instances: a lease in Redis (or Valkey) keeps two instances from doing
//! the same work, and a fence in Postgres decides.
//!
//! A lease alone cannot be trusted: its holder may be stopped for longer than the lease lasts and then go on as if
//! nothing had happened, or Redis may lose it in a failover. So every lease comes with a token that only grows, and
//! every transaction that has an effect first moves the customer's fence to its token, if nobody has written since it
//! looked and no later holder has been there. Who was superseded writes nothing. (For the story of what happens without
//! it, as a model checker tells it, see `docs/decisions/0011-why-a-lease-is-not-enough.md`.)
//!
//! ```
//! use steelyard_sequence::fence::{Claim, move_fences};
//! use steelyard_sequence::{LeaseOptions, Leases};
//!
//! async fn example(pool: &sqlx::PgPool, leases: &Leases) -> Result<(), Box<dyn std::error::Error>> {
//!     // One call for many customers. Those that someone else has are in `acquired.busy`.
//!     let acquired = leases.acquire(&["17850", "13047"]).await?;
//!     for lease in &acquired.granted {
//!         // Read first what is decided on; the row's version stands for all of it.
//!         let row: Option<(i64, i64)> =
//!             sqlx::query_as("SELECT xmin::text::bigint, last_sequence FROM customers WHERE customer_id = $1")
//!                 .bind(lease.customer())
//!                 .fetch_optional(pool)
//!                 .await?;
//!         let claim = Claim {
//!             customer: lease.customer(),
//!             token: lease.token(),
//!             seen: row.map(|(version, _)| version),
//!             last_sequence: row.map_or(0, |(_, last)| last) + 1,
//!         };
//!         // … decide, and stop if `lease.lost()` is cancelled meanwhile …
//!         let mut transaction = pool.begin().await?;
//!         if move_fences(&mut transaction, &[claim]).await?.is_empty() {
//!             // … the effects …
//!             transaction.commit().await?;
//!         }
//!     }
//!     leases.release(acquired.granted).await?; // one call; dropping a lease releases it too, a little later
//!     Ok(())
//! }
//!
//! # async fn start() -> Result<(), Box<dyn std::error::Error>> {
//! // One server, a replica set or a cluster: see `steelyard_redis` for the URLs. It connects at the first call.
//! let leases = Leases::connect("redis-cluster://10.0.0.1:6379,10.0.0.2:6379", LeaseOptions::default())?;
//! # Ok(())
//! # }
//! # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(start())?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # The lease
//! Owned by the process, renewed at a third of its time by one task for all of them, given back by its owner only. What
//! cannot be renewed in time, or is found to be another's, cancels [`Lease::lost`] a tenth before the time is over.
//! Without Redis nobody gets a lease ([`LeaseError::Unavailable`], within [`LeaseOptions::call_timeout`]) and everyone
//! waits: close the tap until [`Leases::probe`] succeeds.
//!
//! # The token
//! `max(last + 1, Redis's clock in µs)`, minted in the same script that grants the lease. It grows
//! - through a Redis that lost its memory: the clock is later than any token of before;
//! - through a failover to a replica that lacks the last writes: the same, if its clock is not behind by more than the
//!   time that the failover took;
//! - through a failover to a replica whose clock is far behind: `last + 1` was replicated, but for the last writes.
//!
//! Were all of that to fail at once, two holders may have tokens out of order, or the same: the fence still lets only
//! one of them write on what it read, and the other waits until the clock has caught up. Nothing wrong is written.
//!
//! # Features
//! `postgres` (default) is the `fence` module, with `sqlx`; without it the crate is the lease alone.
//!
//! # Limits
//! All instances must use the same Redis, prefix and number of [`LeaseOptions::cluster_tags`]. A script takes up to
//! [`LeaseOptions::customers_per_call_max`] customers; more are sent as several. In a cluster a call fails as a whole
//! if one of the nodes that it needs is away.

#[cfg(feature = "postgres")]
pub mod fence;
mod keeper;
mod keys;
mod lease;
mod leases;
mod options;
mod script;

pub use lease::Lease;
pub use leases::{Acquired, Leases};
pub use options::{LeaseError, LeaseOptions, Token};
