//! One way to Redis (or Valkey): a URL that names one server, a replica set or a cluster, and calls that end in time.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use steelyard_redis::{Limits, Redis, RedisUrl, redis};
//!
//! let url: RedisUrl = "redis-sentinel://:secret@s1:26379,s2:26379,s3:26379/0?master=shop".parse()?;
//! let redis = Redis::new(&url, Limits::default())?; // connects at the first call
//! let () = redis.query(redis::cmd("SET").arg("key").arg(1)).await?;
//! let value: Option<i64> = redis.query(redis::cmd("GET").arg("key")).await?;
//! # Ok(())
//! # }
//! ```
//!
//! # URLs
//!
//! | form | for |
//! |---|---|
//! | `redis://[user:password@]host[:6379][/db]` | one server; also a replica set behind one name that follows the primary, such as ElastiCache's primary endpoint |
//! | `redis-sentinel://[user:password@]host[:26379],host…[/db]?master=NAME` | a replica set watched by Sentinel: the sentinels are named, the password is that of the data servers. `&sentinel_user=…&sentinel_password=…` if the sentinels want one too |
//! | `redis-cluster://[user:password@]host[:6379],host…` | a cluster: one or more of its nodes, or ElastiCache's configuration endpoint; the others are learned from it |
//!
//! With `rediss` in place of `redis` each of them speaks TLS, to sentinels as well. Passwords are percent-encoded.
//!
//! # Failover
//!
//! A connection is given up when it breaks, when a call on it gets no answer in time, and when the server says that it
//! is read-only: then it was the primary and is so no longer. The next call looks the primary up anew, by DNS or by
//! asking the sentinels; a cluster's connection does that slot by slot. So a failover costs the calls that it hits, and
//! nothing else. A connection that was closed while nobody used it costs no call: it is made again, and the call with it.

mod connect;
mod error;
mod link;
mod url;

pub use connect::{Limits, Redis};
pub use error::Error;
pub use link::Link;
/// The client: commands, scripts and values are its own.
pub use redis;
pub use url::{InvalidUrl, RedisUrl};
