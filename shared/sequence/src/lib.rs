//! One customer at a time, whatever the number of instances: a lease in Redis keeps two instances from doing the same
//! work, and a fence in Postgres decides.
//!
//! A lease alone cannot be trusted: its holder may be stopped for longer than the lease lasts and then go on as if
//! nothing had happened, or Redis may lose it in a failover. So every lease comes with a token that only grows, and
//! every transaction that has an effect first raises the customer's fence to its token. A holder that was superseded
//! brings a smaller token than the one stored, and its transaction must roll back.
//!
//! ```no_run
//! # async fn example(pool: &sqlx::PgPool) -> Result<(), Box<dyn std::error::Error>> {
//! use steelyard_sequence::{Leases, LeaseOptions, fence};
//!
//! let leases = Leases::connect("redis://127.0.0.1:6379", LeaseOptions::default())?;
//! let acquired = leases.acquire(&["17850", "13047"]).await?; // one call for many customers
//! let claims: Vec<_> = acquired.granted.iter().map(|lease| (lease.customer(), lease.token())).collect();
//!
//! let mut tx = pool.begin().await?;
//! let stale = fence::raise_fences(&mut tx, &claims).await?;
//! if stale.is_empty() {
//!     // … the effects …
//!     tx.commit().await?;
//! }
//! leases.release(acquired.granted).await?; // one call; dropping a lease releases it too, a little later
//! # Ok(())
//! # }
//! ```
//!
//! # The token
//! `max(last + 1, Redis's clock in µs)`, minted in the same script that grants the lease. It grows through a Redis
//! that lost its memory (the clock is later than any token of before) and through a failover to a replica whose clock
//! is behind (`last + 1` was replicated). Were both to fail at once, the fence still refuses the smaller token: then work
//! waits until the clock has caught up, and nothing wrong is written.
//!
//! # Limits
//! All instances must use the same Redis, prefix and number of slots. A lease call takes up to
//! [`LeaseOptions::customers_per_call_max`] customers a script; more are sent as several scripts in turn.
//! Redis being unreachable is [`LeaseError::Unavailable`], quickly, so that the caller can close its tap.

pub mod fence;
mod keeper;
mod keys;
mod leases;
mod script;

pub use leases::{Acquired, Lease, LeaseError, LeaseOptions, Leases, Token};
