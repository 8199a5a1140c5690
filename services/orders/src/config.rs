//! Settings of the orders service.

use std::fs;
use std::str::FromStr;
use std::time::Duration;

use steelyard_domain::tax::TaxTable;
use steelyard_queue::{SqsConfig, SqsCredentials};
use steelyard_runtime::config::{Env, Faults, Reader, Secret};
use steelyard_runtime::http::Listen;
use steelyard_runtime::protection::TaskAgent;
use steelyard_status::RedisUrl;
use url::Url;

/// The port of `LISTEN_ADDR`'s default.
pub const PORT: u16 = 8_082;
/// The port of `ADMIN_ADDR`'s default.
pub const ADMIN_PORT: u16 = 9_082;

/// What the service needs to know.
#[derive(Debug, Clone)]
pub struct Config {
    /// `LISTEN_ADDR` (default `0.0.0.0:8082`), `ADMIN_ADDR` (`0.0.0.0:9082`).
    pub listen: Listen,
    /// `ROLES`: what this process does, a comma-separated list of `worker`, `relay`, `api`; all by
    /// default.
    pub roles: Roles,
    /// `DATABASE_URL`: Postgres; the tables are in the schema `orders`.
    pub database_url: Secret,
    /// `DATABASE_READER_URL`: a replica for lists; the writer when unset.
    pub database_reader_url: Option<Secret>,
    /// `DATABASE_CONNECTIONS_MAX`: 2–100, default 8; the worker and the relay have as many as the
    /// queries, and those to the replica as many again.
    pub database_connections_max: u32,
    /// `REDIS_URL`: leases and status push.
    pub redis_url: Secret,
    /// `AWS_REGION`, `AWS_ENDPOINT_URL`.
    pub sqs: SqsConfig,
    /// `ORDERS_QUEUE`: name of the FIFO queue that commands come from.
    pub orders_queue: String,
    /// `ORDERS_DEAD_LETTERS_QUEUE`: where commands are parked; `orders-dead-letters.fifo` for
    /// `orders.fifo` when unset.
    pub dead_letters_queue: String,
    /// `DOCUMENTS_QUEUE`: gets the events of which documents are made; none when unset.
    pub documents_queue: Option<String>,
    /// `WEBHOOKS_QUEUE`: gets all events; none when unset.
    pub webhooks_queue: Option<String>,
    /// `CATALOG_URL`.
    pub catalog_url: Url,
    /// `SERVICE_TOKEN`: what internal calls show and have to show, at least 16 characters.
    pub service_token: Secret,
    /// `AUTH_ISSUER`: as the gateway has it. Order ids are derived from it; with it set, an order
    /// whose id is not what its customer gets under its key is parked. Unset, that is not checked.
    pub issuer: Option<String>,
    /// `TAX_TABLE`: path of the shop's tax rates (TOML); the built-in table when unset.
    pub tax: TaxTable,
    /// How much is worked on at once.
    pub limits: Limits,
    /// `ECS_AGENT_URI`, which ECS sets: a worker with commands in hand asks to be spared by scale-in.
    pub agent: Option<TaskAgent>,
}

/// How much the worker works on at once. With the defaults a process that drains a backlog stays
/// below 40 MiB; sets four times as large were a twentieth faster (docs/PERFORMANCE.md).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// `SET_MESSAGES_MAX`: commands in one transaction, 1–500, default 50.
    pub set_messages_max: usize,
    /// `SETS_IN_FLIGHT_MAX`: sets at once, 1–16, default 2. Each needs a database connection.
    pub sets_in_flight_max: usize,
    /// `IN_HAND_MAX`: commands received and not yet settled, 10–20,000, default 200.
    pub in_hand_max: usize,
    /// `VISIBILITY_TIMEOUT`: after this long a crashed worker's commands come back, 2 s – 10 min,
    /// default 60 s; renewed at a third of it.
    pub visibility: Duration,
    /// `LEASE_TTL`: after this long a crashed worker's customers are taken over by others, 2 s –
    /// 5 min, default 15 s; renewed at a third of it.
    pub lease_ttl: Duration,
    /// `POLL_WAIT`: how long a poll waits for commands, 1–20 s, default 20 s: longer is cheaper on
    /// AWS, and a stop may take as long.
    pub poll_wait: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            set_messages_max: 50,
            sets_in_flight_max: 2,
            in_hand_max: 200,
            visibility: Duration::from_secs(60),
            lease_ttl: Duration::from_secs(15),
            poll_wait: POLL_WAIT_MAX,
        }
    }
}

/// What a process does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Roles {
    /// Settles commands.
    pub worker: bool,
    /// Sends what the outbox holds.
    pub relay: bool,
    /// Answers queries.
    pub api: bool,
}

impl Roles {
    /// All of it.
    pub const ALL: Self = Self {
        worker: true,
        relay: true,
        api: true,
    };
}

impl FromStr for Roles {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut roles = Self {
            worker: false,
            relay: false,
            api: false,
        };
        for role in text.split(',').map(str::trim) {
            match role {
                "worker" => roles.worker = true,
                "relay" => roles.relay = true,
                "api" => roles.api = true,
                other => {
                    return Err(format!(
                        "{other:?} is no role; there are: worker, relay, api"
                    ));
                }
            }
        }
        Ok(roles)
    }
}

impl Config {
    /// Reads the settings and the tax table.
    ///
    /// # Errors
    /// Everything that is missing or wrong, at once.
    pub fn from_env(env: &Env) -> Result<Self, Faults> {
        let mut reader = env.reader();
        let listen = Listen::read(&mut reader, PORT, ADMIN_PORT);
        let roles = reader.or("ROLES", Roles::ALL);
        let database_url = reader.secret_url("DATABASE_URL", POSTGRES);
        let database_reader_url = match env.get("DATABASE_READER_URL") {
            Some(_) => reader.secret_url("DATABASE_READER_URL", POSTGRES),
            None => None,
        };
        let database_connections_max = reader.within("DATABASE_CONNECTIONS_MAX", 8, 2..=100);
        let redis_url = reader.secret_like("REDIS_URL", str::parse::<RedisUrl>);
        let sqs = SqsConfig {
            region: reader.optional("AWS_REGION"),
            endpoint_url: match env.get("AWS_ENDPOINT_URL") {
                Some(_) => reader.http_url("AWS_ENDPOINT_URL").map(String::from),
                None => None,
            },
            credentials: SqsCredentials::DefaultChain,
        };
        let orders_queue = fifo(&mut reader, "ORDERS_QUEUE");
        let dead_letters_queue = match env.get("ORDERS_DEAD_LETTERS_QUEUE") {
            Some(_) => fifo(&mut reader, "ORDERS_DEAD_LETTERS_QUEUE"),
            None => orders_queue
                .as_ref()
                .map(|queue| queue.replace(".fifo", "-dead-letters.fifo")),
        };
        let documents_queue = reader.optional("DOCUMENTS_QUEUE");
        let webhooks_queue = reader.optional("WEBHOOKS_QUEUE");
        let catalog_url = reader.http_url("CATALOG_URL");
        let service_token = reader.secret("SERVICE_TOKEN", 16);
        let issuer = reader.optional("AUTH_ISSUER");
        let tax = tax_table(&mut reader, env.get("TAX_TABLE"));
        let default = Limits::default();
        let agent = TaskAgent::read(&mut reader, env);
        let limits = Limits {
            set_messages_max: reader.within("SET_MESSAGES_MAX", default.set_messages_max, 1..=500),
            sets_in_flight_max: reader.within(
                "SETS_IN_FLIGHT_MAX",
                default.sets_in_flight_max,
                1..=16,
            ),
            in_hand_max: reader.within("IN_HAND_MAX", default.in_hand_max, 10..=20_000),
            visibility: reader.duration_or("VISIBILITY_TIMEOUT", default.visibility),
            lease_ttl: reader.duration_or("LEASE_TTL", default.lease_ttl),
            poll_wait: reader.duration_or("POLL_WAIT", default.poll_wait),
        };
        if !(POLL_WAIT_MIN..=POLL_WAIT_MAX).contains(&limits.poll_wait) {
            reader.fault("POLL_WAIT", "must lie between 1s and 20s");
        }
        if !(VISIBILITY_MIN..=VISIBILITY_MAX).contains(&limits.visibility) {
            reader.fault("VISIBILITY_TIMEOUT", "must lie between 2s and 10m");
        }
        if !(LEASE_TTL_MIN..=LEASE_TTL_MAX).contains(&limits.lease_ttl) {
            reader.fault("LEASE_TTL", "must lie between 2s and 5m");
        }
        reader.finish(|| {
            Some(Self {
                listen,
                roles,
                database_url: database_url?,
                database_reader_url,
                database_connections_max,
                redis_url: redis_url?,
                sqs,
                orders_queue: orders_queue?,
                dead_letters_queue: dead_letters_queue?,
                documents_queue,
                webhooks_queue,
                catalog_url: catalog_url?,
                service_token: service_token?,
                issuer,
                tax: tax?,
                limits,
                agent,
            })
        })
    }
}

/// SQS counts in whole seconds …
const POLL_WAIT_MIN: Duration = Duration::from_secs(1);
/// … and waits no longer.
const POLL_WAIT_MAX: Duration = Duration::from_secs(20);

/// A third of it has to leave time for a call.
const VISIBILITY_MIN: Duration = Duration::from_secs(2);
/// The longest that the consumer holds a message at all.
const VISIBILITY_MAX: Duration = Duration::from_secs(600);

/// A tenth of it has to suffice for a call to Redis.
const LEASE_TTL_MIN: Duration = Duration::from_secs(2);
/// A crashed worker's customers wait as long.
const LEASE_TTL_MAX: Duration = Duration::from_secs(300);

const POSTGRES: &[&str] = &["postgres", "postgresql"];

/// A FIFO queue's name: order per customer rests on it.
fn fifo(reader: &mut Reader<'_>, name: &'static str) -> Option<String> {
    let queue: String = reader.required(name)?;
    if !queue.ends_with(".fifo") {
        reader.fault(name, "must be a FIFO queue: its name ends in .fifo");
        return None;
    }
    Some(queue)
}

fn tax_table(reader: &mut Reader<'_>, path: Option<&str>) -> Option<TaxTable> {
    let text = match path.map(fs::read_to_string) {
        None => TaxTable::DEFAULT_TOML.to_owned(),
        Some(Ok(text)) => text,
        Some(Err(error)) => {
            reader.fault("TAX_TABLE", format!("cannot be read: {error}"));
            return None;
        }
    };
    match TaxTable::parse(&text) {
        Ok(table) => Some(table),
        Err(error) => {
            reader.fault("TAX_TABLE", format!("cannot be used: {error}"));
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use steelyard_runtime::config::Env;

    use super::{Config, Roles};

    fn complete() -> Env {
        Env::of([
            ("DATABASE_URL", "postgres://localhost/steelyard"),
            ("REDIS_URL", "redis://localhost"),
            ("ORDERS_QUEUE", "orders.fifo"),
            ("CATALOG_URL", "http://localhost:8081"),
            ("SERVICE_TOKEN", "0123456789abcdef"),
        ])
    }

    fn faults(env: &Env) -> Vec<&'static str> {
        let faults = Config::from_env(env).expect_err("faults");
        faults.0.iter().map(|fault| fault.name).collect()
    }

    #[test]
    fn an_empty_environment_names_everything_that_is_missing() {
        let missing = [
            "DATABASE_URL",
            "REDIS_URL",
            "ORDERS_QUEUE",
            "CATALOG_URL",
            "SERVICE_TOKEN",
        ];
        assert_eq!(faults(&Env::default()), missing);
    }

    #[test]
    fn little_is_needed_and_the_rest_has_defaults() {
        let config = Config::from_env(&complete()).expect("complete");
        assert_eq!(config.roles, Roles::ALL);
        assert_eq!(config.dead_letters_queue, "orders-dead-letters.fifo");
        assert_eq!(config.documents_queue, None);
    }

    #[test]
    fn what_cannot_be_used_is_named() {
        let env = complete()
            .with("ORDERS_QUEUE", "orders")
            .with("ROLES", "worker, king")
            .with("TAX_TABLE", "/nowhere/tax.toml")
            .with("SET_MESSAGES_MAX", "501")
            .with("LEASE_TTL", "1s");
        let wrong = [
            "ROLES",
            "ORDERS_QUEUE",
            "TAX_TABLE",
            "SET_MESSAGES_MAX",
            "LEASE_TTL",
        ];
        assert_eq!(faults(&env), wrong);
    }
}
