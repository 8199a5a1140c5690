//! The catalog: products, prices, stock, and what orders hold of it.
//!
//! Everything it serves is internal (see [`steelyard_domain::internal::paths`]) and asks for the
//! service token; the gateway passes the public product routes on.
//!
//! ```no_run
//! # async fn example(env: steelyard_runtime::config::Env) -> Result<(), Box<dyn std::error::Error>> {
//! use steelyard_catalog::{Catalog, Config};
//! use steelyard_runtime::telemetry::Metrics;
//! use tokio_util::sync::CancellationToken;
//!
//! let catalog = Catalog::open(&Config::from_env(&env)?).await?;
//! println!("listening on {}", catalog.addrs().api);
//! catalog.run(Metrics::detached(), CancellationToken::new()).await?;
//! # Ok(()) }
//! ```
//!
//! | route, below `/internal` | what it does |
//! |---|---|
//! | `POST /reservations` | prices and reserves up to 500 orders, all or nothing each |
//! | `POST /reservations/release`, `/consume`, `/restock` | what becomes of reserved goods |
//! | `GET /reservations/unsettled` | goods that are held for orders that do not stand |
//! | `GET /products?q=&category=&attributes=&currency=&price_min=&price_max=&facets=` | a page, by name, or by rank |
//! | `GET /products/{sku}` | one product with its variants |
//! | `PUT /products/{sku}` | makes or replaces a product; `If-Match` |
//! | `GET /products/{sku}/source`, `/changes`, `/stock` | for those who change it |
//! | `POST /products/{sku}/stock-adjustments` | books stock, once per reference |
//! | `GET`, `POST /products/{sku}/images`, `GET`, `DELETE …/{id}`, `POST …/{id}/complete` | images: how to upload one, and what became of it |
//! | `POST /products/import?name=`, `GET /products/imports/{name}`, `GET /products/export` | NDJSON or CSV, streamed |
//! | `GET /categories`, `PUT /categories/{code}` | the tree |
//!
//! Without `include=all`, reads show products that are for sale (`active`) and no others: that is
//! what the gateway asks for on behalf of shoppers. Reads carry an `ETag` and answer
//! `If-None-Match` with 304.
//!
//! # Stock
//!
//! `available = on_hand − reserved`, and `0 ≤ reserved ≤ on_hand` is a constraint of the table. A
//! reservation moves one way:
//!
//! ```text
//! (unknown) ──reserve──► held ──consume──► consumed ──restock──► restocked
//!     └──────release──────┴──► released
//! ```
//!
//! Every other call changes nothing and succeeds: releasing what was consumed gives nothing back,
//! consuming what was released takes nothing. Releasing an order that is not known leaves a
//! tombstone, so that a reserve call that comes late holds nothing.
//!
//! All transactions lock in one order (stock by SKU, then products, then ledger and reservations by
//! id, then categories and words), so none waits for another in a circle. Calls to reserve that come at once share
//! transactions, and wait for popular goods without a connection.

mod author;
mod categories;
mod chores;
mod config;
mod contract;
mod events;
mod export;
mod failure;
mod http;
mod import;
mod media;
mod migration;
mod products;
mod reservations;
mod search;
mod service;
mod transaction;

pub use config::{ADMIN_PORT, Config, PORT};
pub use contract::SERVICE;
pub use media::MediaConfig;
pub use migration::{MIGRATE, migrate, migrate_url};
pub use service::{Catalog, Error, run};
