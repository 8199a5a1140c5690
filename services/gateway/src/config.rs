//! The gateway's settings.

use std::time::Duration;

use steelyard_queue::{ProducerOptions, SqsConfig, SqsCredentials};
use steelyard_runtime::config::{Env, Faults, Secret};
use steelyard_runtime::http::Listen;
use steelyard_status::RedisUrl;
use url::Url;

use crate::auth::JwksSource;
use crate::intake::Rate;
use crate::ops::dead_letters_of;

/// The port of the public routes, when `LISTEN_ADDR` says nothing.
pub const PORT: u16 = 8_080;
/// The port of health and metrics, when `ADMIN_ADDR` says nothing.
pub const ADMIN_PORT: u16 = 9_080;

/// Everything that the gateway is told by its environment.
#[derive(Debug, Clone)]
pub struct Config {
    /// `LISTEN_ADDR`, `ADMIN_ADDR`.
    pub listen: Listen,
    /// `AWS_REGION`, `AWS_ENDPOINT_URL`.
    pub sqs: SqsConfig,
    /// `ORDERS_QUEUE`: name of the FIFO queue that orders go to.
    pub orders_queue: String,
    /// `ORDERS_DEAD_LETTERS_QUEUE`: where order commands are parked; `orders-dead-letters.fifo` for
    /// `orders.fifo` when unset.
    pub dead_letters_queue: String,
    /// `DOCUMENTS_QUEUE`: shown to operators, with its dead letters (`…-dead-letters`), when set.
    pub documents_queue: Option<String>,
    /// `WEBHOOKS_QUEUE`: the same.
    pub webhooks_queue: Option<String>,
    /// `REDIS_URL`: receipts and status push.
    pub redis_url: Secret,
    /// `CATALOG_URL`.
    pub catalog: Url,
    /// `ORDERS_URL`.
    pub orders: Url,
    /// `DOCUMENTS_URL`.
    pub documents: Url,
    /// `SERVICE_TOKEN`: what internal calls show.
    pub service_token: Secret,
    /// Whose tokens are believed.
    pub auth: AuthConfig,
    /// How much is taken.
    pub limits: Limits,
    /// How orders are gathered into batches.
    pub producer: ProducerOptions,
}

/// Whose tokens are believed.
#[derive(Debug, Clone)]
pub struct AuthConfig {
    /// `AUTH_JWKS`: the issuer's public keys: a URL, a file's path, or the JSON itself.
    pub jwks: JwksSource,
    /// `AUTH_ISSUER`: the `iss` that tokens must have. Order ids are derived from it: with another
    /// issuer, the same idempotency key means another order.
    pub issuer: String,
    /// `AUTH_AUDIENCE`: the `aud` that tokens must have.
    pub audience: String,
    /// `AUTH_JWKS_REFRESH` (default `5m`): how often keys are read again.
    pub refresh_every: Duration,
}

/// How much the gateway takes before it says no.
#[derive(Debug, Clone)]
pub struct Limits {
    /// `RATE_LIMIT_PER_S` and `RATE_LIMIT_BURST`: requests per token subject; no limit when unset.
    pub rate: Option<Rate>,
    /// `EVENT_STREAMS_MAX` (default 1,000): open event streams.
    pub event_streams_max: usize,
    /// `PRODUCT_CACHE_BYTES_MAX` (default 8 MiB): copies of product answers.
    pub product_cache_bytes_max: u64,
    /// `PRODUCT_FRESH_MAX` (default `2s`): how long such a copy is believed without asking the
    /// catalog, unless a change is heard sooner. `0s` asks each time.
    pub product_fresh_max: Duration,
    /// `CATALOG_WAIT_MAX` (default `3s`): how long the catalog may take to answer a call; after that
    /// the last good copy answers.
    pub catalog_max: Duration,
    /// `IMPORT_BYTES_MAX` (default 256 MiB): the body of one product import.
    pub import_bytes_max: u64,
    /// `STOP_NOTICE` (default `5s`): after a stop, requests are taken for this long while `/readyz`
    /// says no and every answer closes its connection. Give more than the balancer takes to notice.
    pub stop_notice: Duration,
    /// `DRAIN_MAX` (default `25s`): how long requests in hand may take after that.
    pub drain_max: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            rate: None,
            event_streams_max: 1_000,
            product_cache_bytes_max: 8 << 20,
            product_fresh_max: Duration::from_secs(2),
            catalog_max: Duration::from_secs(3),
            import_bytes_max: 256 << 20,
            stop_notice: Duration::from_secs(5),
            drain_max: Duration::from_secs(25),
        }
    }
}

impl Config {
    /// Reads the configuration from variables.
    ///
    /// # Errors
    /// Every setting that is missing or wrong.
    pub fn from_env(env: &Env) -> Result<Self, Faults> {
        let mut reader = env.reader();
        let listen = Listen::read(&mut reader, PORT, ADMIN_PORT);
        let region = reader.optional("AWS_REGION");
        let endpoint_url = match env.get("AWS_ENDPOINT_URL") {
            Some(_) => reader.http_url("AWS_ENDPOINT_URL").map(String::from),
            None => None,
        };
        let orders_queue: Option<String> = reader.required("ORDERS_QUEUE");
        if orders_queue
            .as_ref()
            .is_some_and(|queue| !queue.ends_with(".fifo"))
        {
            reader.fault(
                "ORDERS_QUEUE",
                "must be a FIFO queue: its name ends in .fifo",
            );
        }
        let dead_letters_queue = reader
            .optional("ORDERS_DEAD_LETTERS_QUEUE")
            .or_else(|| orders_queue.as_deref().map(dead_letters_of));
        let documents_queue = reader.optional("DOCUMENTS_QUEUE");
        let webhooks_queue = reader.optional("WEBHOOKS_QUEUE");
        let redis_url = reader.secret_like("REDIS_URL", str::parse::<RedisUrl>);
        let catalog = reader.http_url("CATALOG_URL");
        let orders = reader.http_url("ORDERS_URL");
        let documents = reader.http_url("DOCUMENTS_URL");
        let service_token = reader.secret("SERVICE_TOKEN", 16);
        let jwks = reader.required("AUTH_JWKS");
        let issuer = reader.required("AUTH_ISSUER");
        let audience = reader.required("AUTH_AUDIENCE");
        let refresh_every = reader.duration_or("AUTH_JWKS_REFRESH", Duration::from_mins(5));
        let default = Limits::default();
        let per_s = reader.optional::<u32>("RATE_LIMIT_PER_S");
        let burst = reader.optional::<u32>("RATE_LIMIT_BURST");
        let rate = per_s.map(|per_s| Rate {
            per_s,
            burst: burst.unwrap_or(per_s),
        });
        if rate.is_some_and(|rate| rate.per_s == 0 || rate.burst == 0) {
            reader.fault(
                "RATE_LIMIT_PER_S",
                "must not be 0; leave it out for no limit",
            );
        }
        let limits = Limits {
            rate,
            event_streams_max: reader.within(
                "EVENT_STREAMS_MAX",
                default.event_streams_max,
                1..=steelyard_status::SUBSCRIPTIONS_MAX,
            ),
            product_cache_bytes_max: reader
                .or("PRODUCT_CACHE_BYTES_MAX", default.product_cache_bytes_max),
            product_fresh_max: reader.duration_or("PRODUCT_FRESH_MAX", default.product_fresh_max),
            catalog_max: reader.duration_or("CATALOG_WAIT_MAX", default.catalog_max),
            import_bytes_max: reader.or("IMPORT_BYTES_MAX", default.import_bytes_max),
            stop_notice: reader.duration_or("STOP_NOTICE", default.stop_notice),
            drain_max: reader.duration_or("DRAIN_MAX", default.drain_max),
        };
        let sqs = SqsConfig {
            region,
            endpoint_url,
            credentials: SqsCredentials::DefaultChain,
        };
        reader.finish(|| {
            Some(Self {
                listen,
                sqs,
                orders_queue: orders_queue?,
                dead_letters_queue: dead_letters_queue?,
                documents_queue,
                webhooks_queue,
                redis_url: redis_url?,
                catalog: catalog?,
                orders: orders?,
                documents: documents?,
                service_token: service_token?,
                auth: AuthConfig {
                    jwks: jwks?,
                    issuer: issuer?,
                    audience: audience?,
                    refresh_every,
                },
                limits,
                producer: ProducerOptions::default(),
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use steelyard_runtime::config::Env;

    use super::Config;

    #[test]
    fn an_empty_environment_names_everything_that_is_missing() {
        let faults = Config::from_env(&Env::default()).expect_err("faults");
        let names: Vec<_> = faults.0.iter().map(|fault| fault.name).collect();
        assert_eq!(
            names,
            [
                "ORDERS_QUEUE",
                "REDIS_URL",
                "CATALOG_URL",
                "ORDERS_URL",
                "DOCUMENTS_URL",
                "SERVICE_TOKEN",
                "AUTH_JWKS",
                "AUTH_ISSUER",
                "AUTH_AUDIENCE"
            ]
        );
    }
}
