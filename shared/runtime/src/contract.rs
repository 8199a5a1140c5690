//! What a service needs from where it runs, as it says itself: `SERVICE --print-contract`.
//!
//! Settings are not declared a second time: the service's own reading of its configuration is
//! watched (see [`Env::watched`]), so the contract cannot lag behind the code. What reading cannot
//! show (queues, stop budget, alarms) is declared in the service's crate, next to what it describes.
//! Templates and compose files are tested against the contracts of all services (`deploy/check`).

use std::io::{self, Write as _};

use serde::Serialize;

use crate::config::{Asked, Env};
use crate::indicators::Indicator;
use crate::telemetry;

/// A service, as its `main` and those who deploy it know it.
#[derive(Debug, Clone, Copy)]
pub struct Service {
    /// Name of the service and of its binary.
    pub name: &'static str,
    /// Where it listens when `LISTEN_ADDR` and `ADMIN_ADDR` say nothing.
    pub ports: Ports,
    /// Reads the whole configuration; only what it asks for matters.
    pub read: fn(&Env),
    /// What reading does not show.
    pub needs: fn() -> Needs,
}

/// Ports of a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Ports {
    /// The service's own routes.
    pub api: u16,
    /// `/healthz`, `/readyz`, `/metrics`.
    pub admin: u16,
}

/// What a service needs that its settings do not show.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Needs {
    /// The longest that the process takes to end after SIGTERM, in whole seconds: the sum of its
    /// budgets. The platform has to wait longer before it kills.
    pub stop_seconds_max: u64,
    /// The schema in Postgres that it owns.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schema: Option<&'static str>,
    /// Queues that it uses.
    pub queues: Vec<Queue>,
    /// Buckets that it uses.
    pub buckets: Vec<Bucket>,
    /// IAM actions on the tasks of its own cluster.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    pub task_actions: &'static [&'static str],
    /// Metrics of its own that somebody must be woken for.
    pub alarms: Vec<Alarm>,
    /// Metrics of its own that alarms and dashboards may use.
    pub indicators: Vec<Indicator>,
    /// For what AWS Lambda runs: what it needs of a function.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub function: Option<Function>,
}

/// What is needed of an AWS Lambda function. Lambda hands no secrets over: a secret setting `NAME` is given as
/// `NAME_SECRET`, the ARN by which the function asks for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Function {
    /// Its timeout, at least, in whole seconds: in less nothing gets done.
    pub timeout_seconds_min: u64,
    /// Its memory, at least, in MiB.
    pub memory_mib_min: u64,
}

/// A queue as one service uses it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Queue {
    /// The setting that names the queue.
    pub setting: &'static str,
    /// Not that queue itself but its dead-letter queue: the same name with `-dead-letters`.
    pub dead_letters: bool,
    /// IAM actions on it, all of them.
    pub actions: &'static [&'static str],
    /// For a queue that is worked off: how long received messages stay invisible, and how often that
    /// is renewed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub visibility: Option<Visibility>,
}

/// How a consumer keeps what it has in hand invisible. Whole seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Visibility {
    /// Asked for with every receive and renewal.
    pub seconds: u64,
    /// The pause between renewals.
    pub heartbeat_seconds: u64,
}

/// Stands for a setting's name where no setting names a bucket, but a command's argument or the event that a function is
/// given.
pub const BY_ARGUMENT: &str = "argument";

/// A bucket as one service uses it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Bucket {
    /// The setting that names the bucket; or [`BY_ARGUMENT`].
    pub setting: &'static str,
    /// IAM actions on its objects, all of them.
    pub actions: &'static [&'static str],
    /// IAM actions on the bucket itself, all of them.
    pub bucket_actions: &'static [&'static str],
}

/// A metric of the service that somebody must be woken for: [`Alarm::at_least`] or more for
/// [`Alarm::seconds`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Alarm {
    /// Name of the metric, as `/metrics` has it.
    pub metric: &'static str,
    /// `gauge`: its highest value counts; `counter`: its growth in the period; `histogram`: its 99th percentile.
    pub kind: MetricKind,
    /// The value from which on it is bad.
    pub at_least: u64,
    /// How long it may be bad.
    pub seconds: u64,
    /// What it means.
    pub why: &'static str,
}

/// How a metric is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum MetricKind {
    /// A value that goes up and down.
    Gauge,
    /// A value that only grows.
    Counter,
    /// Values spread over buckets; of an alarm, the 99th percentile counts.
    Histogram,
}

/// Everything that a service needs, in the form that `--print-contract` prints.
#[derive(Debug, Clone, Serialize)]
pub struct Contract {
    /// Name of the service and of its binary.
    pub service: &'static str,
    /// Its release.
    pub version: &'static str,
    /// Variables that it reads, by name.
    pub settings: Vec<Setting>,
    /// Where it listens by default.
    pub ports: Ports,
    /// What settings do not show.
    #[serde(flatten)]
    pub needs: Needs,
}

/// A variable that a service reads.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Setting {
    /// Name of the variable.
    pub name: String,
    /// Without it the service does not start.
    pub required: bool,
    /// Its value must not be seen: it belongs into a secret store.
    pub secret: bool,
}

/// Rounds of watching, at most: one more than settings hide behind one another.
const ROUNDS_MAX: usize = 4;
/// A value that nearly no setting can be read from: that it is read is all that matters.
const UNREADABLE: &str = "?";

impl Contract {
    /// The contract of `service`.
    #[must_use]
    pub fn of(service: &Service) -> Self {
        let watched = |env: Env| {
            let (env, asked) = env.watched();
            (service.read)(&env);
            asked.take()
        };
        // Settings that are asked for although nothing is set: what is required shows here.
        let mut known = watched(Env::default());
        known.extend(telemetry::SETTINGS.map(|name| (name.to_owned(), Asked::default())));
        // Some are looked at closely, or asked for at all, only when they or others are set.
        for _ in 0..ROUNDS_MAX {
            let before = known.len();
            let names: Vec<String> = known.keys().cloned().collect();
            let seen = watched(Env::of(names.into_iter().map(|name| (name, UNREADABLE))));
            for (name, asked) in seen {
                let known = known.entry(name).or_default();
                known.secret |= asked.secret;
            }
            if known.len() == before {
                break;
            }
        }
        let settings = known.into_iter().map(|(name, asked)| Setting {
            name,
            required: asked.required,
            secret: asked.secret,
        });
        Self {
            service: service.name,
            version: env!("CARGO_PKG_VERSION"),
            settings: settings.collect(),
            ports: service.ports,
            needs: (service.needs)(),
        }
    }

    /// Prints the contract of `service` to standard output, for programs.
    ///
    /// # Errors
    /// When nobody reads it.
    pub fn print(service: &Service) -> io::Result<()> {
        let mut out = io::stdout().lock();
        serde_json::to_writer_pretty(&mut out, &Self::of(service))?;
        writeln!(out)
    }
}

#[cfg(test)]
mod tests {
    use super::{Contract, Needs, Ports, Service};
    use crate::config::Env;

    fn read(env: &Env) {
        let mut reader = env.reader();
        let _ = reader.required::<String>("QUEUE");
        let _ = reader.secret("TOKEN", 16);
        let _ = reader.optional::<u32>("RATE");
        if env.get("REPLICA").is_some() {
            let _ = reader.secret_url("REPLICA", &["postgres"]);
            let _ = reader.or("REPLICA_LAG_SECONDS", 5_u32);
        }
    }

    #[test]
    fn a_contract_has_what_is_read_and_also_what_is_read_only_when_something_else_is_set() {
        let contract = Contract::of(&Service {
            name: "example",
            ports: Ports { api: 1, admin: 2 },
            read,
            needs: Needs::default,
        });
        let settings: Vec<_> = contract
            .settings
            .iter()
            .map(|setting| (setting.name.as_str(), setting.required, setting.secret))
            .collect();
        assert_eq!(
            settings,
            [
                ("EMF_NAMESPACE", false, false),
                ("OTEL_EXPORTER_OTLP_ENDPOINT", false, false),
                ("OTEL_METRICS_EXPORTER", false, false),
                ("OTEL_METRIC_EXPORT_INTERVAL", false, false),
                ("OTEL_TRACES_SAMPLER_ARG", false, false),
                ("QUEUE", true, false),
                ("RATE", false, false),
                ("REPLICA", false, true),
                ("REPLICA_LAG_SECONDS", false, false),
                ("RUST_LOG", false, false),
                ("TOKEN", true, true),
            ]
        );
    }
}
