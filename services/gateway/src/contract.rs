//! What the gateway needs from where it runs.

use steelyard_runtime::contract::{Alarm, MetricKind, Needs, Ports, Queue, Service};
use steelyard_runtime::{indicators, telemetry};

use crate::config::{ADMIN_PORT, Config, Limits, PORT};
use crate::serve::FLUSH_MAX;

/// The service, as its `main` and those who deploy it know it.
pub const SERVICE: Service = Service {
    name: "gateway",
    ports: Ports {
        api: PORT,
        admin: ADMIN_PORT,
    },
    read: |env| drop(Config::from_env(env)),
    needs,
};

/// Orders and commands go there, and what operators redrive.
const SENT_TO: &[&str] = &[
    "sqs:GetQueueUrl",
    "sqs:GetQueueAttributes",
    "sqs:SendMessage",
];
/// Dead letters are held while they are looked at, put back, and removed when redriven.
const LOOKED_INTO: &[&str] = &[
    "sqs:GetQueueUrl",
    "sqs:GetQueueAttributes",
    "sqs:ReceiveMessage",
    "sqs:ChangeMessageVisibility",
    "sqs:DeleteMessage",
];

fn needs() -> Needs {
    let limits = Limits::default();
    // The producer's messages and the receipts are flushed one after the other.
    let stop = limits.stop_notice + limits.drain_max + 2 * FLUSH_MAX + telemetry::FLUSH_MAX;
    let queue = |setting, dead_letters, actions| Queue {
        setting,
        dead_letters,
        actions,
        visibility: None,
    };
    Needs {
        stop_seconds_max: stop.as_secs(),
        schema: None,
        queues: vec![
            queue("ORDERS_QUEUE", false, SENT_TO),
            queue("ORDERS_QUEUE", true, LOOKED_INTO),
            queue("DOCUMENTS_QUEUE", false, SENT_TO),
            queue("DOCUMENTS_QUEUE", true, LOOKED_INTO),
            queue("WEBHOOKS_QUEUE", false, SENT_TO),
            queue("WEBHOOKS_QUEUE", true, LOOKED_INTO),
        ],
        buckets: Vec::new(),
        alarms: vec![Alarm {
            metric: indicators::SEND_FAILURES.metric,
            kind: MetricKind::Counter,
            at_least: 10,
            seconds: 60,
            why: "orders are refused with 503: SQS does not take them",
        }],
        indicators: vec![
            indicators::ACCEPTED,
            indicators::BACKLOG,
            indicators::SEND_FAILURES,
            indicators::SQS_REQUESTS,
            indicators::CPU,
        ],
        ..Needs::default()
    }
}
