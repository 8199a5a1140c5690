//! What the documents service, and the commands that are deployed beside it, need from where they run.

use std::time::Duration;

use steelyard_queue::ConsumerOptions;
use steelyard_runtime::contract::{
    Alarm, BY_ARGUMENT, Bucket, MetricKind, Needs, Ports, Queue, Service, Visibility,
};
use steelyard_runtime::{indicators, protection, telemetry};

use crate::archive::Options;
use crate::config::{ADMIN_PORT, Config, Limits, PORT};
use crate::service::{DRAIN_MAX, consumer_options};
use crate::stores::Settings;

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
            indicators::DOCUMENTS_THEME_FAULTY,
            indicators::OUTCOMES,
            indicators::TAP_CLOSED,
            indicators::SQS_REQUESTS,
            indicators::CPU,
        ],
        task_actions: protection::ACTIONS,
        ..Needs::default()
    }
}

/// `documents lifecycle`, as those who schedule it know it.
pub const LIFECYCLE: Service = Service {
    name: "documents-lifecycle",
    ports: NOWHERE,
    read: |env| {
        drop(Settings::from_env(env));
        drop(Options::from_env(env));
    },
    needs: || Needs {
        // It ends after the pack in hand. A kill costs no more than that pack, which the next run gives up and begins anew.
        stop_seconds_max: PACK_MAX.as_secs(),
        buckets: vec![Bucket {
            setting: "DOCUMENTS_BUCKET",
            actions: &[
                "s3:GetObject",
                "s3:PutObject",
                // What comes back is tagged as it was.
                "s3:PutObjectTagging",
                "s3:DeleteObject",
                "s3:AbortMultipartUpload",
                "s3:RestoreObject",
            ],
            // Without it S3 says of what is not there that it is forbidden.
            bucket_actions: &["s3:ListBucket"],
        }],
        ..Needs::default()
    },
};

/// `documents import MANIFEST`, as those who run it know it.
pub const IMPORT: Service = Service {
    name: "documents-import",
    ports: NOWHERE,
    read: |env| drop(Settings::from_env(env)),
    needs: || Needs {
        // It ends after the set in hand; the same command goes on.
        stop_seconds_max: (IMPORT_SET_MAX + telemetry::FLUSH_MAX).as_secs(),
        buckets: vec![
            Bucket {
                setting: "DOCUMENTS_BUCKET",
                // A file whose row another import had first is deleted again.
                actions: &["s3:PutObject", "s3:PutObjectTagging", "s3:DeleteObject"],
                bucket_actions: &[],
            },
            // Where manifest and files lie. A file that is missing is a row's fault, one that is forbidden would end the import.
            Bucket {
                setting: BY_ARGUMENT,
                actions: &["s3:GetObject"],
                bucket_actions: &["s3:ListBucket"],
            },
        ],
        ..Needs::default()
    },
};

/// What is run and ends listens to nobody.
const NOWHERE: Ports = Ports { api: 0, admin: 0 };
/// A pack of 128 MB is read, put and read back, on a quarter of a core.
const PACK_MAX: Duration = Duration::from_secs(110);
/// How long an import may need to settle the set that it has in hand when it is to stop.
pub const IMPORT_SET_MAX: Duration = Duration::from_secs(20);

/// The worker, then requests, then telemetry.
fn stop_max(consumer: &ConsumerOptions) -> Duration {
    let worker = consumer.stop_polls_max
        + consumer.stop_drain_max
        + consumer.cancel_grace
        + consumer.stop_flush_max;
    worker + DRAIN_MAX + telemetry::FLUSH_MAX
}
