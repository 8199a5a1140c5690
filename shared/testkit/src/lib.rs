//! What tests stand on: the real servers, faults on demand, and waiting for conditions. A dev-dependency only.
//!
//! ```no_run
//! # async fn example() {
//! use std::time::Duration;
//!
//! let database = steelyard_testkit::postgres().await; // a fresh, empty database; dropped with the value
//! let redis = steelyard_testkit::redis().await; // a server of this test's own
//! let proxy = steelyard_testkit::proxy(database.address());
//! let through_proxy = database.url_via(proxy.address());
//! proxy.refuse(); // …and the test sees what its subject does without Postgres
//! proxy.restore();
//! steelyard_testkit::wait_for("the worker is ready again", Duration::from_secs(10), async || true).await;
//! # }
//! ```
//!
//! Every helper panics when it cannot do its work: in a test that is the right end. Databases, processes and their
//! files go when the value is dropped, after a panic too; servers also go when the test process is killed.
//!
//! `STEELYARD_TEST_DATABASE_URL` names a Postgres server (as an administrator) that all test processes share; without it
//! each test process starts a private one at the first need, about half a second. The binaries must be installed:
//! `cargo stack test` sees to both.

mod agent;
mod collector;
mod database;
pub mod jwt;
mod pdf;
mod python;
mod redis;
mod redis_sets;
mod s3;
mod sqs;
mod wait;
mod wire;

pub use agent::FakeAgent;
pub use collector::{CollectedSample, CollectedSpan, Collector, collector};
pub use database::{TestDatabase, postgres};
pub use pdf::pdf_texts;
pub use python::python;
pub use redis::{TestRedis, redis};
pub use redis_sets::{
    TestRedisCluster, TestReplicaSet, TestSentinelSet, redis_cluster, redis_replica_set,
    redis_sentinel_set,
};
pub use s3::{TestS3, s3};
pub use sqs::{sqs, sqs_with};
pub use steelyard_chaosproxy::{Proxy, ProxyStatus};
pub use wait::{wait_for, wait_for_ok};
pub use wire::{Fault, Point, Wire, statement};

use std::fmt::Display;
use std::net::SocketAddr;
use std::path::PathBuf;

/// Starts a proxy in front of `target` on a free port of 127.0.0.1.
///
/// # Panics
/// When no port is free.
pub fn proxy(target: SocketAddr) -> Proxy {
    must("start a proxy", Proxy::start(target))
}

/// A store directory that no one else has. It lies in the temporary directory itself, so that the account under which a
/// server runs may remove it when the test process was killed.
fn throwaway_dir(kind: &str) -> PathBuf {
    std::env::temp_dir().join(format!(
        "steelyard-test-{kind}-{}",
        uuid::Uuid::new_v4().simple()
    ))
}

/// Ends the test with what went wrong.
#[track_caller]
fn must<T, E: Display>(what: &str, result: Result<T, E>) -> T {
    match result {
        Ok(value) => value,
        Err(error) => panic!("{what}: {error}"),
    }
}
