//! Invoices and related documents: for now a service that is configured, answers its health
//! checks and stops as every other does, so that everything around it can be built.

pub mod preview;

use std::time::Duration;

use axum::Router;
use steelyard_runtime::config::{Env, Faults};
use steelyard_runtime::contract::{Needs, Ports, Service};
use steelyard_runtime::http::{Doors, Health, Listen, envelope};
use steelyard_runtime::telemetry::{self, Metrics};
use tokio_util::sync::CancellationToken;

/// The port of the internal routes, when `LISTEN_ADDR` says nothing.
pub const PORT: u16 = 8_083;
/// The port of health and metrics, when `ADMIN_ADDR` says nothing.
pub const ADMIN_PORT: u16 = 9_083;
const BODY_BYTES_MAX: usize = 256 * 1024;
const DRAIN_MAX: Duration = Duration::from_secs(25);

/// The service, as its `main` and those who deploy it know it.
pub const SERVICE: Service = Service {
    name: "documents",
    ports: Ports {
        api: PORT,
        admin: ADMIN_PORT,
    },
    read: |env| drop(Config::from_env(env)),
    needs: || Needs {
        stop_seconds_max: (DRAIN_MAX + telemetry::FLUSH_MAX).as_secs(),
        ..Needs::default()
    },
};

/// What the service is told by its environment.
#[derive(Debug, Clone)]
pub struct Config {
    /// `LISTEN_ADDR`, `ADMIN_ADDR`.
    pub listen: Listen,
}

impl Config {
    /// Reads the configuration from variables.
    ///
    /// # Errors
    /// Every setting that is wrong.
    pub fn from_env(env: &Env) -> Result<Self, Faults> {
        let mut reader = env.reader();
        let listen = Listen::read(&mut reader, PORT, ADMIN_PORT);
        reader.finish(|| Some(Self { listen }))
    }
}

/// What the service is given to run with.
#[derive(Debug)]
pub struct Deps {
    /// The open listeners.
    pub doors: Doors,
    /// The process's metrics.
    pub metrics: Metrics,
}

impl Deps {
    /// The real parts.
    ///
    /// # Errors
    /// When a listener cannot be opened.
    pub async fn connect(config: &Config, metrics: Metrics) -> anyhow::Result<Self> {
        Ok(Self {
            doors: Doors::open(&config.listen).await?,
            metrics,
        })
    }
}

/// Serves until `stop`.
///
/// # Errors
/// When a listener breaks.
pub async fn run(deps: Deps, stop: CancellationToken) -> anyhow::Result<()> {
    let Deps { doors, metrics } = deps;
    tracing::info!(api = %doors.addrs().api, admin = %doors.addrs().admin, "serving");
    let routes = envelope(Router::new(), BODY_BYTES_MAX);
    Ok(doors
        .serve(routes, Health::new(), metrics, stop, DRAIN_MAX)
        .await?)
}
