//! Settings of the documents service.

use std::time::Duration;

use steelyard_objects::{S3Config, S3Credentials};
use steelyard_paper::{Press, Theme};
use steelyard_queue::{SqsConfig, SqsCredentials};
use steelyard_runtime::config::{Env, Faults, Reader, Secret};
use steelyard_runtime::http::Listen;
use steelyard_runtime::protection::TaskAgent;

use crate::archive::Options;
use crate::shop::Shop;
use crate::theme::{At, InvalidPlace, Place};
use crate::written;

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
    /// `DATABASE_URL`: Postgres; the tables are in the schema `documents`.
    pub database_url: Secret,
    /// `DATABASE_CONNECTIONS_MAX`: 2–100, default 6; the worker has as many, and the queries as many again.
    pub database_connections_max: u32,
    /// `SERVICE_TOKEN`: what internal calls have to show, at least 16 characters.
    pub service_token: Secret,
    /// `AWS_REGION`, `AWS_ENDPOINT_URL_S3` or `AWS_ENDPOINT_URL`.
    pub s3: S3Config,
    /// `S3_PUBLIC_URL`: the same S3 as customers reach it; URLs of files name it. As `s3` when unset.
    pub s3_public_url: Option<String>,
    /// `DOCUMENTS_BUCKET`: where files are kept.
    pub bucket: String,
    /// How what is archived is brought back: `ARCHIVE_READABLE`, `ARCHIVE_RESTORE_SPEED`. The others are read, so that
    /// one environment serves for the service and `documents lifecycle`.
    pub archive: Options,
    /// `ECS_AGENT_URI`, which ECS sets: with events or a bundle in hand it asks to be spared by scale-in.
    pub agent: Option<TaskAgent>,
    /// What it issues documents with; nothing is issued when `SHOP` is unset.
    pub issuing: Option<Issuing>,
}

/// What is needed to issue documents.
#[derive(Debug, Clone)]
pub struct Issuing {
    /// `SHOP`: who issues, on which terms, under which numbers. The path of a `shop.toml`, or its text.
    pub shop: Shop,
    /// `THEME`: where the theme lies, a folder or `s3://bucket/prefix/`; the plain one when unset. `THEME_REFRESH`: how often
    /// it is looked at, 1 s – 1 h, default 60 s.
    pub theme: Place,
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
        let database_url = reader.secret_url("DATABASE_URL", &["postgres", "postgresql"]);
        let database_connections_max = reader.within("DATABASE_CONNECTIONS_MAX", 6, 2..=100);
        let service_token = reader.secret("SERVICE_TOKEN", 16);
        let region: Option<String> = reader.optional("AWS_REGION");
        let sqs_url = endpoint(&mut reader, env, "AWS_ENDPOINT_URL");
        let s3_url = endpoint(&mut reader, env, "AWS_ENDPOINT_URL_S3");
        let s3 = S3Config {
            region: region.clone(),
            endpoint_url: s3_url.or_else(|| sqs_url.clone()),
            credentials: S3Credentials::DefaultChain,
        };
        let s3_public_url = endpoint(&mut reader, env, "S3_PUBLIC_URL");
        let bucket = reader.required("DOCUMENTS_BUCKET");
        let archive = Options::read(&mut reader, env);
        let agent = TaskAgent::read(&mut reader, env);
        let sqs = SqsConfig {
            region,
            endpoint_url: sqs_url,
            credentials: SqsCredentials::DefaultChain,
        };
        // What issuing lacks is a fault, and then there is no configuration.
        let issuing = env
            .get("SHOP")
            .map(|shop| Issuing::read(&mut reader, env, shop, sqs));
        reader.finish(|| {
            Some(Self {
                listen,
                database_url: database_url?,
                database_connections_max,
                service_token: service_token?,
                s3,
                s3_public_url,
                bucket: bucket?,
                archive,
                agent,
                issuing: match issuing {
                    Some(issuing) => Some(issuing?),
                    None => None,
                },
            })
        })
    }
}

impl Config {
    /// S3 as customers reach it.
    pub(crate) fn s3_public(&self) -> S3Config {
        let public = self.s3_public_url.clone();
        S3Config {
            endpoint_url: public.or_else(|| self.s3.endpoint_url.clone()),
            ..self.s3.clone()
        }
    }
}

impl Issuing {
    fn read(reader: &mut Reader<'_>, env: &Env, from: &str, sqs: SqsConfig) -> Option<Self> {
        let shop = written::read(reader, "SHOP", from, Shop::parse);
        let theme = theme(reader, env.get("THEME"));
        let theme_refresh = theme_refresh(reader);
        let queue = fifo(reader, "DOCUMENTS_QUEUE");
        let dead_letters_queue = match env.get("DOCUMENTS_DEAD_LETTERS_QUEUE") {
            Some(_) => fifo(reader, "DOCUMENTS_DEAD_LETTERS_QUEUE"),
            None => queue
                .as_ref()
                .map(|queue| queue.replace(".fifo", "-dead-letters.fifo")),
        };
        let limits = limits(reader);
        Some(Self {
            shop: shop?,
            theme: Place {
                at: theme?,
                refresh: theme_refresh,
            },
            sqs,
            queue: queue?,
            dead_letters_queue: dead_letters_queue?,
            limits,
        })
    }
}

fn endpoint(reader: &mut Reader<'_>, env: &Env, name: &'static str) -> Option<String> {
    env.get(name)?;
    reader.http_url(name).map(String::from)
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

/// A folder's theme is read whole here, and a faulty one is a fault; one in S3 may be away as S3 may.
fn theme(reader: &mut Reader<'_>, from: Option<&str>) -> Option<At> {
    let at = from.map_or(Ok(At::Plain), str::parse);
    let checked = at
        .map_err(|why: InvalidPlace| why.to_string())
        .and_then(|at| {
            if let At::Folder(folder) = &at {
                let theme = Theme::read(folder).map_err(|error| error.to_string())?;
                Press::new(theme).map_err(|error| error.to_string())?;
            }
            Ok(at)
        });
    checked.map_err(|why| reader.fault("THEME", why)).ok()
}

fn theme_refresh(reader: &mut Reader<'_>) -> Duration {
    let refresh = reader.duration_or("THEME_REFRESH", Duration::from_secs(60));
    if !(1..=3_600).contains(&refresh.as_secs()) {
        reader.fault("THEME_REFRESH", "must lie between 1s and 1h");
    }
    refresh
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

    fn faults(env: &Env) -> Vec<&'static str> {
        let faults = Config::from_env(env).expect_err("faults");
        faults.0.iter().map(|fault| fault.name).collect()
    }

    fn complete() -> Env {
        Env::of([
            ("DATABASE_URL", "postgres://localhost/steelyard"),
            ("SERVICE_TOKEN", "a token for services"),
            ("DOCUMENTS_BUCKET", "documents"),
        ])
    }

    #[test]
    fn everything_that_is_missing_is_named_at_once() {
        assert_eq!(
            faults(&Env::default()),
            ["DATABASE_URL", "SERVICE_TOKEN", "DOCUMENTS_BUCKET"]
        );
        let issuing = complete().with("SHOP", SHOP).with("THEME", "/nowhere");
        assert_eq!(faults(&issuing), ["THEME", "DOCUMENTS_QUEUE"]);
    }

    #[test]
    fn without_a_shop_nothing_is_issued() {
        let config = Config::from_env(&complete()).expect("complete");
        assert!(config.issuing.is_none());
    }

    #[test]
    fn files_are_fetched_where_customers_reach_them() {
        let env = complete().with("AWS_ENDPOINT_URL", "http://inside:4566");
        let url = |env: &Env| {
            let config = Config::from_env(env).expect("complete");
            config.s3_public().endpoint_url
        };
        assert_eq!(url(&env).as_deref(), Some("http://inside:4566/"));
        let env = env.with("S3_PUBLIC_URL", "https://files.shop.example");
        assert_eq!(url(&env).as_deref(), Some("https://files.shop.example/"));
    }

    #[test]
    fn the_example_shop_is_complete_as_a_file_and_as_a_text() {
        let text = include_str!("../shop.example.toml");
        for shop in [SHOP, text] {
            let env = complete()
                .with("SHOP", shop)
                .with("DOCUMENTS_QUEUE", "documents.fifo");
            let config = Config::from_env(&env).expect("complete");
            let issuing = config.issuing.expect("issuing");
            assert_eq!(issuing.dead_letters_queue, "documents-dead-letters.fifo");
        }
        assert_eq!(
            faults(&complete().with("SHOP", "a = 1\nb = 2")),
            ["SHOP", "DOCUMENTS_QUEUE"]
        );
    }
}
