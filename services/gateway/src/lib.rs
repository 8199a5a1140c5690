//! The only public door: authentication, validation, idempotent intake, reads passed through.
//!
//! `POST /v1/orders` needs the queue and nothing else: an order is answered with 202 once SQS has
//! acknowledged it, whether or not Postgres, Redis, the catalog and the orders service are there.
//! Reads are passed to the services that know; while those are down, receipts and last good copies
//! answer, marked as such, or 503 with `Retry-After` does.
//!
//! Invariants:
//! - No connection to Postgres: the dependency tree holds no `sqlx` (a test says so).
//! - A route says who may call it, in code and in the OpenAPI document at once (`auth::allowed`).
//! - Every queue, body, wait and cache has a limit; what is over it is refused, never hung.
//!
//! | path | what |
//! |---|---|
//! | `/v1/orders…`, `/v1/products…`, `/v1/documents…`, `/v1/ops/…` | the API; `/openapi.json` describes it, `/docs` shows it, `/problems/{code}` explains its errors |
//! | `/healthz`, `/readyz`, `/metrics` | on the admin address only |
//!
//! Configuration is by variables: see [`Config`].

mod app;
mod auth;
mod config;
mod contract;
mod deps;
mod documents;
mod intake;
mod openapi;
mod ops;
mod orders;
mod peers;
mod problems;
mod products;
mod receipts;
mod reports;
mod serve;

pub use auth::JwksSource;
pub use config::{ADMIN_PORT, AuthConfig, Config, Limits, PORT};
pub use contract::SERVICE;
pub use deps::Deps;
pub use intake::Rate;
pub use serve::run;
