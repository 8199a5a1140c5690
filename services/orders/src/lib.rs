//! The orders service: settles what was accepted, strictly in sequence per customer, answers
//! queries about it and tells others of it.
//!
//! ```no_run
//! # async fn example(env: steelyard_runtime::config::Env) -> Result<(), Box<dyn std::error::Error>> {
//! use steelyard_orders::{Config, Orders};
//! use steelyard_runtime::telemetry::Metrics;
//! use tokio_util::sync::CancellationToken;
//!
//! let orders = Orders::open(Config::from_env(&env)?).await?;
//! println!("listening on {}", orders.addrs().api);
//! orders.run(Metrics::detached(), CancellationToken::new()).await?;
//! # Ok(()) }
//! ```
//!
//! One process has three roles, each of which can be switched off (`ROLES`):
//!
//! | role | what it does | module |
//! |---|---|---|
//! | `worker` | takes commands from `orders.fifo` in sets and settles them | [`worker`], [`plan`] |
//! | `relay` | sends events from the outbox to the queues of documents and webhooks, in order per customer | [`relay`] |
//! | `api` | `GET /internal/orders/{id}?customer_id=` and `GET /internal/orders?customer_id=&status=&reference=&limit=&cursor=`, for peers with the service token | `http` |
//!
//! The `api` role also answers what the gateway asks for operators (`/internal/ops/…`): how the workers are, the
//! maintenance state, the audit, dry runs.
//!
//! `orders export PERIOD` writes orders, lines, payments and daily sales to S3 ([`export`]); `orders migrate` brings the schema up
//! to date.
//!
//! [`db`] is the schema `orders`, [`catalog`] the calls for prices and stock, [`config`] the
//! settings.
//!
//! # Limits
//!
//! A set has at most 500 commands; an order names at most [`plan::REFUSALS_MAX`] refused commands
//! and [`plan::CONFLICTS_MAX`] conflicts; at most [`plan::TOMBSTONES_MAX`] commands wait for an
//! order that has not come. Pages have at most 100 orders.

pub mod catalog;
pub mod config;
mod contract;
pub mod db;
pub mod export;
mod http;
mod migration;
mod ops;
pub mod plan;
pub mod relay;
mod service;
pub mod worker;

pub use config::{ADMIN_PORT, Config, Limits, PORT, Roles};
pub use contract::SERVICE;
pub use migration::{MIGRATE, migrate, migrate_url};
pub use service::{Error, Orders, run};
