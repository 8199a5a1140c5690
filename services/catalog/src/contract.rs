//! What the catalog needs from where it runs.

use steelyard_runtime::contract::{Alarm, MetricKind, Needs, Ports, Queue, Service};
use steelyard_runtime::telemetry;

use crate::config::{ADMIN_PORT, Config, PORT};
use crate::service::DRAIN_MAX;

/// The service, as its `main` and those who deploy it know it.
pub const SERVICE: Service = Service {
    name: "catalog",
    ports: Ports {
        api: PORT,
        admin: ADMIN_PORT,
    },
    read: |env| drop(Config::from_env(env)),
    needs,
};

fn needs() -> Needs {
    Needs {
        stop_seconds_max: (DRAIN_MAX + telemetry::FLUSH_MAX).as_secs(),
        schema: Some("catalog"),
        queues: vec![Queue {
            setting: "CATALOG_EVENTS_QUEUE",
            dead_letters: false,
            actions: &["sqs:GetQueueUrl", "sqs:SendMessage"],
            visibility: None,
        }],
        buckets: Vec::new(),
        alarms: vec![Alarm {
            metric: "catalog_races_total",
            kind: MetricKind::Counter,
            at_least: 1_000,
            seconds: 300,
            why: "reservations keep meeting one another: the database is slow, or one product is very hot",
        }],
    }
}
