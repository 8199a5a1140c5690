//! What every Steelyard service runs on: configuration, telemetry, the HTTP kit, internal calls,
//! shutdown.
//!
//! A service is a library with `run(config, deps, stop)` and a `main.rs` of a few lines:
//!
//! ```no_run
//! use std::time::Duration;
//! use axum::{Router, routing::get};
//! use steelyard_runtime::http::{Doors, Health, Listen, envelope};
//!
//! fn main() -> std::process::ExitCode {
//!     steelyard_runtime::service_main("hello", 9_080, async |boot| {
//!         let mut reader = boot.env.reader();
//!         let listen = Listen::read(&mut reader, 8_080, 9_080);
//!         let listen = reader.finish(|| Some(listen))?;
//!         let routes = Router::new().route("/", get(async || "hello"));
//!         let drain_max = Duration::from_secs(20);
//!         Doors::open(&listen)
//!             .await?
//!             .serve(envelope(routes, 64 * 1024), Health::new(), boot.metrics, boot.stop, drain_max)
//!             .await?;
//!         Ok(())
//!     })
//! }
//! ```
//!
//! | module | what it does |
//! |---|---|
//! | [`config`] | settings from variables; all faults at once; secrets never shown |
//! | [`telemetry`] | logs, Prometheus metrics, traces over OTLP |
//! | [`http`] | problem documents, request ids, limits, health, draining |
//! | [`client`] | calls to other Steelyard services |
//! | [`trace`] | W3C trace context |
//! | [`shutdown`] | SIGTERM as a token |

mod boot;
pub mod client;
pub mod config;
pub mod http;
mod otlp;
pub mod shutdown;
pub mod telemetry;
pub mod trace;

pub use boot::{Boot, service_main};
