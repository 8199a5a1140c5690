//! What every Steelyard service runs on: configuration, telemetry, the HTTP kit, internal calls,
//! shutdown.
//!
//! A service is a library with `run(config, deps, stop)` and a `main.rs` of a few lines:
//!
//! ```no_run
//! use std::time::Duration;
//! use axum::{Router, routing::get};
//! use steelyard_runtime::config::{Env, Faults};
//! use steelyard_runtime::contract::{Needs, Ports, Service};
//! use steelyard_runtime::http::{Doors, Health, Listen, envelope};
//!
//! const SERVICE: Service = Service {
//!     name: "hello",
//!     ports: Ports { api: 8_080, admin: 9_080 },
//!     read: |env| drop(listen(env)),
//!     needs: || Needs { stop_seconds_max: 25, ..Needs::default() },
//! };
//!
//! fn listen(env: &Env) -> Result<Listen, Faults> {
//!     let mut reader = env.reader();
//!     let listen = Listen::read(&mut reader, 8_080, 9_080);
//!     reader.finish(|| Some(listen))
//! }
//!
//! fn main() -> std::process::ExitCode {
//!     steelyard_runtime::service_main(&SERVICE, async |boot| {
//!         let listen = listen(&boot.env)?;
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
//! | [`contract`] | what a service needs from where it runs, as it says itself |
//! | [`config`] | settings from variables; all faults at once; secrets never shown |
//! | [`telemetry`] | logs, metrics, traces; where they go |
//! | [`indicators`] | the metrics that tell how orders fare |
//! | [`http`] | problem documents, request ids, limits, health, draining |
//! | [`client`] | calls to other Steelyard services |
//! | [`trace`] | W3C trace context |
//! | [`messages`] | spans of what comes out of a queue |
//! | [`protection`] | a task with work in hand asks ECS to end another one |
//! | [`shutdown`] | SIGTERM as a token |

mod boot;
pub mod client;
pub mod config;
pub mod contract;
pub mod http;
pub mod indicators;
pub mod messages;
pub mod protection;
pub mod shutdown;
pub mod telemetry;
pub mod trace;

pub use boot::{Boot, service_main, task_main};
