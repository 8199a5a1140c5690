//! What the orders service needs from where it runs.

use std::time::Duration;

use steelyard_queue::ConsumerOptions;
use steelyard_runtime::contract::{Alarm, MetricKind, Needs, Ports, Queue, Service, Visibility};
use steelyard_runtime::{indicators, protection, telemetry};
use steelyard_store::PoolOptions;
use steelyard_store::outbox::RelayOptions;

use crate::config::{ADMIN_PORT, Config, Limits, PORT};
use crate::service::{DRAIN_MAX, consumer_options};

/// The service, as its `main` and those who deploy it know it.
pub const SERVICE: Service = Service {
    name: "orders",
    ports: Ports {
        api: PORT,
        admin: ADMIN_PORT,
    },
    read: |env| drop(Config::from_env(env)),
    needs,
};

const WORKED_OFF: &[&str] = &[
    "sqs:GetQueueUrl",
    "sqs:ReceiveMessage",
    "sqs:ChangeMessageVisibility",
    "sqs:DeleteMessage",
];
const SENT_TO: &[&str] = &["sqs:GetQueueUrl", "sqs:SendMessage"];

fn needs() -> Needs {
    let limits = Limits::default();
    let queue = |setting, dead_letters, actions| Queue {
        setting,
        dead_letters,
        actions,
        visibility: None,
    };
    Needs {
        stop_seconds_max: stop_max(&consumer_options(&limits)).as_secs(),
        schema: Some("orders"),
        queues: vec![
            Queue {
                visibility: Some(Visibility {
                    seconds: limits.visibility.as_secs(),
                    heartbeat_seconds: limits.visibility.as_secs() / 3,
                }),
                ..queue("ORDERS_QUEUE", false, WORKED_OFF)
            },
            queue("ORDERS_QUEUE", true, SENT_TO),
            queue("DOCUMENTS_QUEUE", false, SENT_TO),
            queue("WEBHOOKS_QUEUE", false, SENT_TO),
        ],
        buckets: Vec::new(),
        alarms: vec![
            Alarm {
                metric: indicators::TAP_CLOSED.metric,
                kind: MetricKind::Gauge,
                at_least: 1,
                seconds: 300,
                why: "the worker receives nothing: it waits for a dependency that is down",
            },
            Alarm {
                metric: indicators::EVENTS_REFUSED.metric,
                kind: MetricKind::Counter,
                at_least: 1,
                seconds: 300,
                why: "an event cannot be delivered to documents or webhooks, and holds up its customer's next",
            },
            Alarm {
                metric: indicators::OLDEST_UNSETTLED.metric,
                kind: MetricKind::Gauge,
                at_least: 300,
                seconds: 180,
                why: "an order is not settled although a worker has it: see the tap, then the outcomes",
            },
            Alarm {
                metric: indicators::SETTLE.metric,
                kind: MetricKind::Histogram,
                // CloudWatch is told a bucket's upper bound, and 30 s is one.
                at_least: 31,
                seconds: 900,
                why: "one order in a hundred takes longer than half a minute to settle",
            },
        ],
        indicators: vec![
            indicators::SETTLE,
            indicators::OLDEST_UNSETTLED,
            indicators::OUTCOMES,
            indicators::LOCK_WAIT,
            indicators::FENCE_REFUSALS,
            indicators::BREAKER,
            indicators::TAP_CLOSED,
            indicators::EVENTS_REFUSED,
            indicators::SQS_REQUESTS,
            indicators::CPU,
        ],
        task_actions: protection::ACTIONS,
        ..Needs::default()
    }
}

/// The worker, then the relay's delivery in hand and its mark, then requests, then telemetry.
fn stop_max(consumer: &ConsumerOptions) -> Duration {
    let worker = consumer.stop_polls_max
        + consumer.stop_drain_max
        + consumer.cancel_grace
        + consumer.stop_flush_max;
    let relay = RelayOptions::default().deliver_max + PoolOptions::new("orders").statement_max;
    worker + relay + DRAIN_MAX + telemetry::FLUSH_MAX
}
