//! The first-class indicators: the figures that tell how orders fare. Alarms, the dashboard, and what is sent to
//! CloudWatch use these and no others; a test holds templates and docs to them.
//!
//! Services emit many more figures for those who look closely (`/metrics`); what deserves to wake somebody, or to be
//! paid for by the month, stands here.

use serde::Serialize;

use crate::contract::MetricKind;

/// A figure of a service that alarms and dashboards may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Indicator {
    /// Name of the metric, as `/metrics` has it; its unit is the last word.
    pub metric: &'static str,
    /// How it is read.
    pub kind: MetricKind,
    /// The label that it is told apart by, if any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<&'static str>,
    /// What it says.
    pub says: &'static str,
}

const fn gauge(metric: &'static str, says: &'static str) -> Indicator {
    Indicator {
        metric,
        kind: MetricKind::Gauge,
        by: None,
        says,
    }
}

const fn counter(metric: &'static str, says: &'static str) -> Indicator {
    Indicator {
        metric,
        kind: MetricKind::Counter,
        by: None,
        says,
    }
}

const fn histogram(metric: &'static str, says: &'static str) -> Indicator {
    Indicator {
        metric,
        kind: MetricKind::Histogram,
        by: None,
        says,
    }
}

impl Indicator {
    /// The same, told apart by a label.
    const fn by(self, label: &'static str) -> Self {
        Self {
            by: Some(label),
            ..self
        }
    }
}

/// Orders that were answered with 202.
pub const ACCEPTED: Indicator = counter("gateway_orders_accepted_total", "orders accepted");
/// From the acceptance of an order to its settlement.
pub const SETTLE: Indicator = histogram(
    "orders_settle_seconds",
    "from the acceptance of an order to its settlement",
);
/// The oldest message that workers have in hand or could not settle; 0 when there is none. What waits in the queue
/// unseen (the tap is closed, no worker runs) only SQS can tell: `ApproximateAgeOfOldestMessage`.
pub const OLDEST_UNSETTLED: Indicator = gauge(
    "orders_oldest_unsettled_seconds",
    "age of the oldest order that the workers have seen and not settled",
);
/// Messages in the orders queue, in flight or not, as the gateway saw it within ten seconds.
pub const BACKLOG: Indicator = gauge("orders_backlog", "messages in the orders queue");
/// What became of messages; the rate of `done` is the drain rate.
pub const OUTCOMES: Indicator = counter(
    "queue_outcomes_total",
    "messages by what became of them; the rate of done is the drain rate",
)
.by("outcome");
/// How long a customer's commands waited for another worker's lease to end.
pub const LOCK_WAIT: Indicator = histogram(
    "lease_wait_seconds",
    "how long a customer's commands waited while another worker had the customer",
);
/// Transactions that the fence refused.
pub const FENCE_REFUSALS: Indicator = counter(
    "orders_stale_fences_total",
    "writes of superseded workers that the fence refused",
);
/// 1 while a dependency's breaker holds the tap closed.
pub const BREAKER: Indicator = gauge(
    "orders_breaker_open",
    "1 while this dependency keeps the worker from receiving",
)
.by("dependency");
/// Breakers that hold the tap closed.
pub const TAP_CLOSED: Indicator = gauge(
    "queue_tap_closed",
    "dependencies that keep the worker from receiving",
);
/// Requests to SQS, which are paid by the million.
pub const SQS_REQUESTS: Indicator = counter("sqs_requests_total", "requests to SQS");
/// Sends that SQS did not take.
pub const SEND_FAILURES: Indicator =
    counter("queue_send_failures_total", "sends that SQS did not take");
/// Events that a queue refused.
pub const EVENTS_REFUSED: Indicator =
    counter("outbox_refused_total", "events that their queue refused");
/// Statements that lost a race too often.
pub const CATALOG_RACES: Indicator = counter(
    "catalog_races_total",
    "transactions that lost a race for a product's row",
);
/// Documents whose files are in S3.
pub const DOCUMENTS_STORED: Indicator = counter(
    "documents_stored_total",
    "documents whose files were stored",
);
/// Documents that no month's partition holds.
pub const DOCUMENTS_OUTSIDE_MONTHS: Indicator = gauge(
    "documents_outside_months",
    "documents that lie outside every month's partition",
);
/// Whether the theme that was put for documents is faulty.
pub const DOCUMENTS_THEME_FAULTY: Indicator = gauge(
    "documents_theme_faulty",
    "1 while the theme that was put is faulty, and another is in force, or none",
);
/// CPU time of the process, in user and kernel mode.
pub const CPU: Indicator = counter("process_cpu_ms_total", "CPU time of the process");
