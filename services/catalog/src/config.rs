//! Settings of the catalog.

use steelyard_runtime::config::{Env, Faults, Secret};
use steelyard_runtime::http::Listen;
use steelyard_status::RedisUrl;

/// The port of `LISTEN_ADDR`'s default.
pub const PORT: u16 = 8_081;
/// The port of `ADMIN_ADDR`'s default.
pub const ADMIN_PORT: u16 = 9_081;

/// What the catalog needs to know.
#[derive(Debug, Clone)]
pub struct Config {
    /// `LISTEN_ADDR` (default `0.0.0.0:8081`), `ADMIN_ADDR` (`0.0.0.0:9081`).
    pub listen: Listen,
    /// `DATABASE_URL`: Postgres; the tables are in the schema `catalog`.
    pub database_url: Secret,
    /// `REDIS_URL`: where gateways hear that a product changed; unset, their copies are as old as
    /// they let them become.
    pub redis_url: Option<Secret>,
    /// `SERVICE_TOKEN`: what peers present, at least 16 characters.
    pub service_token: Secret,
    /// `DATABASE_CONNECTIONS_MAX`: 1–100, default 8.
    pub database_connections_max: u32,
    /// `IMPORT_BYTES_MAX`: the largest import, default 4 GiB.
    pub import_bytes_max: u64,
}

impl Config {
    /// Reads the settings.
    ///
    /// # Errors
    /// Everything that is missing or wrong, at once.
    pub fn from_env(env: &Env) -> Result<Self, Faults> {
        let mut reader = env.reader();
        let listen = Listen::read(&mut reader, PORT, ADMIN_PORT);
        let database_url = reader.secret_url("DATABASE_URL", &["postgres", "postgresql"]);
        let redis_url = match env.get("REDIS_URL") {
            Some(_) => reader.secret_like("REDIS_URL", str::parse::<RedisUrl>),
            None => None,
        };
        let service_token = reader.secret("SERVICE_TOKEN", 16);
        let database_connections_max = reader.within("DATABASE_CONNECTIONS_MAX", 8, 1..=100);
        let import_bytes_max = reader.within("IMPORT_BYTES_MAX", 4 << 30, 1..=u64::MAX);
        reader.finish(|| {
            Some(Self {
                listen,
                database_url: database_url?,
                redis_url,
                service_token: service_token?,
                database_connections_max,
                import_bytes_max,
            })
        })
    }
}
