//! Settings of the documents service.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use steelyard_paper::Theme;
use steelyard_queue::{SqsConfig, SqsCredentials};
use steelyard_runtime::config::{Env, Faults, Reader, Secret};
use steelyard_runtime::http::Listen;

use crate::shop::Shop;

/// The port of the internal routes, when `LISTEN_ADDR` says nothing.
pub const PORT: u16 = 8_083;
/// The port of health and metrics, when `ADMIN_ADDR` says nothing.
pub const ADMIN_PORT: u16 = 9_083;

/// SQS counts in whole seconds, and waits no longer than twenty.
const POLL_WAIT_S: std::ops::RangeInclusive<u64> = 1..=20;

/// What the service is told by its environment.
#[derive(Debug, Clone)]
pub struct Config {
    /// `LISTEN_ADDR` (default `0.0.0.0:8083`), `ADMIN_ADDR` (`0.0.0.0:9083`).
    pub listen: Listen,
    /// What it issues documents with; nothing is issued when `SHOP` is unset.
    pub issuing: Option<Issuing>,
}

/// What is needed to issue documents.
#[derive(Debug, Clone)]
pub struct Issuing {
    /// `SHOP`: path of `shop.toml`: who issues, on which terms, under which numbers.
    pub shop: Shop,
    /// `THEME`: folder of the theme; the plain one when unset.
    pub theme: Theme,
    /// `DATABASE_URL`: Postgres; the tables are in the schema `documents`.
    pub database_url: Secret,
    /// `DATABASE_CONNECTIONS_MAX`: 2–100, default 6.
    pub database_connections_max: u32,
    /// `DOCUMENTS_FOLDER`: where files are kept.
    pub folder: PathBuf,
    /// `AWS_REGION`, `AWS_ENDPOINT_URL`.
    pub sqs: SqsConfig,
    /// `DOCUMENTS_QUEUE`: name of the FIFO queue that events come from.
    pub queue: String,
    /// `DOCUMENTS_DEAD_LETTERS_QUEUE`: where events are parked; `documents-dead-letters.fifo` for `documents.fifo`
    /// when unset.
    pub dead_letters_queue: String,
    /// How much is worked on at once.
    pub limits: Limits,
}

/// How much the worker works on at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// `SET_MESSAGES_MAX`: events in one transaction, 1–100, default 20. Their numbers are taken together.
    pub set_messages_max: usize,
    /// `SETS_IN_FLIGHT_MAX`: sets at once, 1–16, default 2.
    pub sets_in_flight_max: usize,
    /// `VISIBILITY_TIMEOUT`: after this long a crashed worker's events come back, 2 s – 10 min, default 60 s.
    pub visibility: Duration,
    /// `POLL_WAIT`: how long a poll waits for events, 1–20 s, default 20 s.
    pub poll_wait: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            set_messages_max: 20,
            sets_in_flight_max: 2,
            visibility: Duration::from_secs(60),
            poll_wait: Duration::from_secs(*POLL_WAIT_S.end()),
        }
    }
}

impl Config {
    /// Reads the configuration from variables, and the files that they name.
    ///
    /// # Errors
    /// Every setting that is wrong.
    pub fn from_env(env: &Env) -> Result<Self, Faults> {
        let mut reader = env.reader();
        let listen = Listen::read(&mut reader, PORT, ADMIN_PORT);
        let Some(path) = env.get("SHOP") else {
            return reader.finish(|| {
                Some(Self {
                    listen,
                    issuing: None,
                })
            });
        };
        let shop = shop(&mut reader, path);
        let theme = theme(&mut reader, env.get("THEME"));
        let database_url = reader.secret_url("DATABASE_URL", &["postgres", "postgresql"]);
        let database_connections_max = reader.within("DATABASE_CONNECTIONS_MAX", 6, 2..=100);
        let folder = reader.required("DOCUMENTS_FOLDER");
        let sqs = SqsConfig {
            region: reader.optional("AWS_REGION"),
            endpoint_url: match env.get("AWS_ENDPOINT_URL") {
                Some(_) => reader.http_url("AWS_ENDPOINT_URL").map(String::from),
                None => None,
            },
            credentials: SqsCredentials::DefaultChain,
        };
        let queue = fifo(&mut reader, "DOCUMENTS_QUEUE");
        let dead_letters_queue = match env.get("DOCUMENTS_DEAD_LETTERS_QUEUE") {
            Some(_) => fifo(&mut reader, "DOCUMENTS_DEAD_LETTERS_QUEUE"),
            None => queue
                .as_ref()
                .map(|queue| queue.replace(".fifo", "-dead-letters.fifo")),
        };
        let limits = limits(&mut reader);
        reader.finish(|| {
            let issuing = Issuing {
                shop: shop?,
                theme: theme?,
                database_url: database_url?,
                database_connections_max,
                folder: folder?,
                sqs,
                queue: queue?,
                dead_letters_queue: dead_letters_queue?,
                limits,
            };
            Some(Self {
                listen,
                issuing: Some(issuing),
            })
        })
    }
}

fn limits(reader: &mut Reader<'_>) -> Limits {
    let default = Limits::default();
    let limits = Limits {
        set_messages_max: reader.within("SET_MESSAGES_MAX", default.set_messages_max, 1..=100),
        sets_in_flight_max: reader.within("SETS_IN_FLIGHT_MAX", default.sets_in_flight_max, 1..=16),
        visibility: reader.duration_or("VISIBILITY_TIMEOUT", default.visibility),
        poll_wait: reader.duration_or("POLL_WAIT", default.poll_wait),
    };
    if !POLL_WAIT_S.contains(&limits.poll_wait.as_secs()) {
        reader.fault("POLL_WAIT", "must lie between 1s and 20s");
    }
    if !(2..=600).contains(&limits.visibility.as_secs()) {
        reader.fault("VISIBILITY_TIMEOUT", "must lie between 2s and 10m");
    }
    limits
}

fn shop(reader: &mut Reader<'_>, path: &str) -> Option<Shop> {
    let read = fs::read_to_string(path).map_err(|error| error.to_string());
    let shop = read.and_then(|text| Shop::parse(&text).map_err(|error| error.to_string()));
    shop.map_err(|why| reader.fault("SHOP", format!("{path}: {why}")))
        .ok()
}

fn theme(reader: &mut Reader<'_>, folder: Option<&str>) -> Option<Theme> {
    let Some(folder) = folder else {
        return Some(Theme::plain());
    };
    let theme = Theme::read(folder.as_ref());
    theme
        .map_err(|error| reader.fault("THEME", error.to_string()))
        .ok()
}

/// A FIFO queue's name: a credit note must not overtake its invoice.
fn fifo(reader: &mut Reader<'_>, name: &'static str) -> Option<String> {
    let queue: String = reader.required(name)?;
    if !queue.ends_with(".fifo") {
        reader.fault(name, "must be a FIFO queue: its name ends in .fifo");
        return None;
    }
    Some(queue)
}

#[cfg(test)]
mod tests {
    use steelyard_runtime::config::Env;

    use super::Config;

    const SHOP: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/shop.example.toml");

    #[test]
    fn without_a_shop_nothing_is_issued_and_nothing_is_needed() {
        let config = Config::from_env(&Env::default()).expect("complete");
        assert!(config.issuing.is_none());
    }

    #[test]
    fn with_a_shop_everything_that_is_missing_is_named_at_once() {
        let faults = Config::from_env(&Env::of([("SHOP", SHOP), ("THEME", "/nowhere")]));
        let faults = faults.expect_err("faults");
        let names: Vec<_> = faults.0.iter().map(|fault| fault.name).collect();
        let expected = [
            "THEME",
            "DATABASE_URL",
            "DOCUMENTS_FOLDER",
            "DOCUMENTS_QUEUE",
        ];
        assert_eq!(names, expected);
    }

    #[test]
    fn the_example_shop_is_complete() {
        let env = Env::of([
            ("SHOP", SHOP),
            ("DATABASE_URL", "postgres://localhost/steelyard"),
            ("DOCUMENTS_FOLDER", "/tmp/documents"),
            ("DOCUMENTS_QUEUE", "documents.fifo"),
        ]);
        let issuing = Config::from_env(&env)
            .expect("complete")
            .issuing
            .expect("issuing");
        assert_eq!(issuing.dead_letters_queue, "documents-dead-letters.fifo");
    }
}
