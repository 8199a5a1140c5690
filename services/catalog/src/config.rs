//! Settings of the catalog.

use std::time::Duration;

use steelyard_domain::product::Language;
use steelyard_queue::{SqsConfig, SqsCredentials};
use steelyard_runtime::config::{Env, Faults, Secret};
use steelyard_runtime::http::Listen;
use steelyard_status::RedisUrl;
use url::Url;

use crate::media::MediaConfig;

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
    /// `MEDIA_…`: images; none when `MEDIA_BUCKET` is not set.
    pub media: Option<MediaConfig>,
    /// `SERVICE_TOKEN`: what peers present, at least 16 characters.
    pub service_token: Secret,
    /// `DATABASE_CONNECTIONS_MAX`: 2–100, default 8; changes have as many as reads.
    pub database_connections_max: u32,
    /// `IMPORT_BYTES_MAX`: the largest import, default 4 GiB.
    pub import_bytes_max: u64,
    /// `SHOP_LANGUAGE`: the language of names and descriptions that are not said to be in another, default `en`.
    pub language: Language,
    /// `CATALOG_EVENTS_QUEUE`: where `product.changed` and `stock.low` go; nowhere when unset.
    pub events_queue: Option<String>,
    /// `AWS_REGION` and `AWS_ENDPOINT_URL`, for the queue.
    pub sqs: SqsConfig,
    /// `ORDERS_URL`: who is asked about reservations that never settle; nobody when unset.
    pub orders: Option<Url>,
    /// `RECONCILE_EVERY`: between two looks for such reservations, default 5 min.
    pub reconcile_every: Duration,
    /// `RECONCILE_AGE`: how old they must be, default 15 min: a queue may hold an order that long.
    pub reconcile_age: Duration,
}

impl Config {
    /// Reads the settings.
    ///
    /// # Errors
    /// Everything that is missing or wrong, at once.
    pub fn from_env(env: &Env) -> Result<Self, Faults> {
        const MINUTE: Duration = Duration::from_secs(60);
        let mut reader = env.reader();
        let listen = Listen::read(&mut reader, PORT, ADMIN_PORT);
        let database_url = reader.secret_url("DATABASE_URL", &["postgres", "postgresql"]);
        let redis_url = match env.get("REDIS_URL") {
            Some(_) => reader.secret_like("REDIS_URL", str::parse::<RedisUrl>),
            None => None,
        };
        let media = MediaConfig::read(&mut reader, env);
        let service_token = reader.secret("SERVICE_TOKEN", 16);
        let database_connections_max = reader.within("DATABASE_CONNECTIONS_MAX", 8, 2..=100);
        let import_bytes_max = reader.within("IMPORT_BYTES_MAX", 4 << 30, 1..=u64::MAX);
        let language = match env.get("SHOP_LANGUAGE") {
            Some(_) => reader.required("SHOP_LANGUAGE"),
            None => Language::try_from("en".to_owned()).ok(),
        };
        let events_queue = reader.optional("CATALOG_EVENTS_QUEUE");
        let mut url = |name: &'static str| env.get(name).and_then(|_| reader.http_url(name));
        let orders = url("ORDERS_URL");
        let endpoint_url = url("AWS_ENDPOINT_URL").map(String::from);
        let sqs = SqsConfig {
            region: reader.optional("AWS_REGION"),
            endpoint_url,
            credentials: SqsCredentials::DefaultChain,
        };
        let reconcile_every = reader.duration_or("RECONCILE_EVERY", 5 * MINUTE);
        let reconcile_age = reader.duration_or("RECONCILE_AGE", 15 * MINUTE);
        reader.finish(|| {
            Some(Self {
                listen,
                database_url: database_url?,
                redis_url,
                media,
                service_token: service_token?,
                database_connections_max,
                import_bytes_max,
                language: language?,
                events_queue,
                sqs,
                orders,
                reconcile_every,
                reconcile_age,
            })
        })
    }
}
