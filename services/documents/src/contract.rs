//! What the documents service needs from where it runs.

use std::time::Duration;

use steelyard_queue::ConsumerOptions;
use steelyard_runtime::contract::{
    Alarm, Bucket, MetricKind, Needs, Ports, Queue, Service, Visibility,
};
use steelyard_runtime::{indicators, telemetry};

use crate::config::{ADMIN_PORT, Config, Limits, PORT};
use crate::service::{DRAIN_MAX, consumer_options};

/// The service, as its `main` and those who deploy it know it.
pub const SERVICE: Service = Service {
    name: "documents",
    ports: Ports {
        api: PORT,
        admin: ADMIN_PORT,
    },
    read: |env| drop(Config::from_env(env)),
    needs,
};

fn needs() -> Needs {
    let limits = Limits::default();
    Needs {
        stop_seconds_max: stop_max(&consumer_options(&limits)).as_secs(),
        schema: Some("documents"),
        queues: vec![
            Queue {
                setting: "DOCUMENTS_QUEUE",
                dead_letters: false,
                actions: &[
                    "sqs:GetQueueUrl",
                    "sqs:ReceiveMessage",
                    "sqs:ChangeMessageVisibility",
                    "sqs:DeleteMessage",
                ],
                visibility: Some(Visibility {
                    seconds: limits.visibility.as_secs(),
                    heartbeat_seconds: limits.visibility.as_secs() / 3,
                }),
            },
            Queue {
                setting: "DOCUMENTS_QUEUE",
                dead_letters: true,
                actions: &["sqs:GetQueueUrl", "sqs:SendMessage"],
                visibility: None,
            },
        ],
        buckets: vec![Bucket {
            setting: "DOCUMENTS_BUCKET",
            // Files are fetched by URLs that this role signs; what is archived is asked for, and brought back under its key.
            actions: &[
                "s3:GetObject",
                "s3:PutObject",
                "s3:PutObjectTagging",
                "s3:RestoreObject",
            ],
            // The breaker asks whether the bucket is there.
            bucket_actions: &["s3:ListBucket"],
        }],
        alarms: vec![
            Alarm {
                metric: indicators::TAP_CLOSED.metric,
                kind: MetricKind::Gauge,
                at_least: 1,
                seconds: 300,
                why: "no documents are made: the worker waits for a dependency that is down",
            },
            Alarm {
                metric: indicators::DOCUMENTS_OUTSIDE_MONTHS.metric,
                kind: MetricKind::Gauge,
                at_least: 1,
                seconds: 300,
                why: "documents lie outside every month's partition: somebody wrote past the service",
            },
        ],
        indicators: vec![
            indicators::DOCUMENTS_STORED,
            indicators::DOCUMENTS_OUTSIDE_MONTHS,
            indicators::OUTCOMES,
            indicators::TAP_CLOSED,
            indicators::SQS_REQUESTS,
            indicators::CPU,
        ],
    }
}

/// The worker, then requests, then telemetry.
fn stop_max(consumer: &ConsumerOptions) -> Duration {
    let worker = consumer.stop_polls_max
        + consumer.stop_drain_max
        + consumer.cancel_grace
        + consumer.stop_flush_max;
    worker + DRAIN_MAX + telemetry::FLUSH_MAX
}
