//! What the catalog needs from where it runs.

use std::time::Duration;

use steelyard_queue::ConsumerOptions;
use steelyard_runtime::contract::{
    Alarm, Bucket, MetricKind, Needs, Ports, Queue, Service, Visibility,
};
use steelyard_runtime::{indicators, protection, telemetry};
use steelyard_store::PoolOptions;
use steelyard_store::outbox::RelayOptions;

use crate::config::{ADMIN_PORT, Config, PORT};
use crate::media;
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

/// The catalog tells itself of uploads: requests send, its worker receives.
const WORKED_OFF: &[&str] = &[
    "sqs:GetQueueUrl",
    "sqs:SendMessage",
    "sqs:ReceiveMessage",
    "sqs:ChangeMessageVisibility",
    "sqs:DeleteMessage",
];
const SENT_TO: &[&str] = &["sqs:GetQueueUrl", "sqs:SendMessage"];
/// Whoever uploads acts by the catalog's signature, so the right to put is there for them, too.
const OBJECTS: &[&str] = &["s3:GetObject", "s3:PutObject", "s3:DeleteObject"];
/// Without it a missing object looks like a forbidden one.
const LISTED: &[&str] = &["s3:ListBucket"];

fn needs() -> Needs {
    let consumer = media::consumer_options(1, media::RENDER_MAX, media::POLL_WAIT);
    let queue = |setting, dead_letters, actions| Queue {
        setting,
        dead_letters,
        actions,
        visibility: None,
    };
    Needs {
        stop_seconds_max: stop_max(&consumer).as_secs(),
        schema: Some("catalog"),
        queues: vec![
            queue("CATALOG_EVENTS_QUEUE", false, SENT_TO),
            Queue {
                visibility: Some(Visibility {
                    seconds: consumer.visibility.as_secs(),
                    heartbeat_seconds: consumer.visibility.as_secs() / 3,
                }),
                ..queue("MEDIA_QUEUE", false, WORKED_OFF)
            },
            queue("MEDIA_QUEUE", true, SENT_TO),
        ],
        buckets: vec![Bucket {
            setting: "MEDIA_BUCKET",
            actions: OBJECTS,
            bucket_actions: LISTED,
        }],
        alarms: vec![Alarm {
            metric: indicators::CATALOG_RACES.metric,
            kind: MetricKind::Counter,
            at_least: 1_000,
            seconds: 300,
            why: "reservations keep meeting one another: the database is slow, or one product is very hot",
        }],
        indicators: vec![
            indicators::CATALOG_RACES,
            indicators::OUTCOMES,
            indicators::SQS_REQUESTS,
            indicators::CPU,
        ],
        task_actions: protection::ACTIONS,
        ..Needs::default()
    }
}

/// Requests and then the relay's delivery in hand and its mark, and meanwhile the images' worker; then telemetry.
fn stop_max(consumer: &ConsumerOptions) -> Duration {
    let relay = RelayOptions::default().deliver_max + PoolOptions::new("catalog").statement_max;
    let worker = consumer.stop_polls_max
        + consumer.stop_drain_max
        + consumer.cancel_grace
        + consumer.stop_flush_max;
    (DRAIN_MAX + relay).max(worker) + telemetry::FLUSH_MAX
}
