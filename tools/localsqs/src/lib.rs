//! An SQS server for one machine: durable, fast, and as strict as AWS where it matters.
//!
//! For development, for tests, and for running a system on one machine without AWS. It speaks SQS's JSON protocol: every
//! current AWS SDK and the AWS CLI work with it unchanged. What it is strict about is what workers get wrong: a group of a
//! FIFO queue gives nothing while its head is in flight, repeats are recognised for five minutes even after a delete,
//! expired receipt handles are refused, limits are limits, and errors have AWS's codes. A worker that is right here is
//! right there.
//!
//! # As a library
//!
//! ```
//! # tokio::runtime::Runtime::new().unwrap().block_on(async {
//! use localsqs::{Clock, Config, Server, Storage};
//! use std::time::Duration;
//!
//! let directory = tempfile::tempdir()?;
//! let server = Server::start(Config {
//!     storage: Storage::Durable(directory.path().to_owned()),
//!     queues: vec!["orders.fifo:dlq=orders-dead.fifo,max=5".parse()?],
//!     // A test's own time: an hour of retries takes a moment.
//!     clock: Clock::manual(time::OffsetDateTime::now_utc()),
//!     ..Config::default()
//! })
//! .await?;
//! println!("AWS_ENDPOINT_URL={}", server.url());
//! server.clock().advance(Duration::from_secs(3600));
//! server.stop().await;
//! # Ok::<(), Box<dyn std::error::Error>>(()) }).unwrap();
//! ```
//!
//! # As a command
//!
//! ```text
//! localsqs --data ./queues --queue orders.fifo:dlq=orders-dead.fifo,max=5 --queue jobs:VisibilityTimeout=60
//! AWS_ENDPOINT_URL=http://127.0.0.1:9324 aws sqs list-queues      # any region, any credentials
//! localsqs healthcheck 127.0.0.1:9324                             # or GET /health
//! ```
//!
//! # What survives
//!
//! With [`Storage::Durable`] a send, a delete, a purge and every change of a queue is answered only when it is on disk
//! (one sync for all that gathered meanwhile). Nothing is handed out that a crash could take back. After a restart,
//! queues, attributes, tags, messages, receive counts, receipt handles and the five minutes of deduplication are as they
//! were, and a message in flight becomes visible at its old deadline, so a worker that outlives the restart can still
//! delete what it holds. What a crash may lose is only what nobody waits for: the last 20 ms of receives and visibility
//! changes (such a message comes again, as SQS may deliver twice), receive attempt ids, and running move tasks (each
//! message is in the one queue or the other).
//!
//! While the disk is full, changes are answered with `ServiceUnavailable`, and the server goes on by itself once there is
//! room. A torn end of the log is cut off at the start; damage before it stops the start with an error. The log is
//! compacted when it has outgrown twice its last snapshot, beside the work: the directory takes at most about four times
//! the room of the messages, or [`Config::log_bytes_before_compaction`] where that is more.
//!
//! # Where it differs from AWS
//!
//! - Credentials, policies and encryption settings are kept and given back, not enforced. One account, one region.
//! - Counts are exact and immediate. Standard queues deliver in order of age and once per timeout. Queues are gone at
//!   once when deleted, and a name can be used again at once (`QueueDeletedRecently` never comes).
//! - Deleting by an old receipt handle on a standard queue never deletes a message that was received again since; AWS says
//!   that it "might not". Changing a timeout that is over is always an error; AWS says "might".
//! - FIFO queues have no throughput limit, and look for free groups at any depth, not in the first 120,000 messages.
//! - A tenant of a fair queue is judged noisy by messages in flight only (30 and a tenth), not by processing time, and when
//!   its own messages come and go.
//! - Attribute names in `GetQueueAttributes` and errors follow AWS's answers as recorded by other projects. The older query
//!   protocol (XML) is not spoken: SDKs from before November 2023 do not work.
//!
//! # Limits
//!
//! All of [`Config`]'s `…_max` fields. Messages live in memory, also when they are durable: some 700 bytes each beside
//! their bodies. The price of a receive does not depend on how many there are.

mod api;
mod clock;
mod config;
mod engine;
mod error;
mod http;
mod journal;
mod open;
mod server;
mod spec;

pub use self::{
    clock::Clock,
    config::{Config, Storage},
    server::{Server, StartError},
    spec::{QueueSpec, QueueSpecError},
};
