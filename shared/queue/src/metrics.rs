//! Figures through the `metrics` facade; every one carries the label `queue`.
//!
//! | name | kind | what |
//! |---|---|---|
//! | `queue_send_calls_total` | counter | batch calls started |
//! | `queue_send_entries_total` | counter | entries in them |
//! | `queue_send_fill` | histogram | entries per batch call |
//! | `queue_send_call_seconds` | histogram | time of a batch call |
//! | `queue_send_seconds` | histogram | time from a send to its answer |
//! | `queue_send_failures_total` | counter, `code` | entries that failed once, by code |
//! | `queue_receive_calls_total` | counter, `result` | polls: `messages`, `empty`, `failed` |
//! | `queue_received_total` | counter | messages received |
//! | `queue_outcomes_total` | counter, `outcome` | messages by what became of them: `done`, `retry`, `park`, `handed_back` |
//! | `queue_sets_total`, `queue_set_messages`, `queue_set_seconds` | counter, histograms | sets handled, their size, their time |
//! | `queue_panics_total` | counter | handler runs that panicked or answered out of shape |
//! | `queue_delete_calls_total`, `queue_delete_failures_total` | counters, `code` | acknowledgements |
//! | `queue_visibility_calls_total` | counter | heartbeats and hand-backs |
//! | `queue_leases_lost_total` | counter, `at` | messages whose visibility was lost, found at `heartbeat` or `delete` |
//! | `queue_in_hand` | gauge | messages received and not yet settled |
//! | `queue_tap_closed` | gauge | breakers that hold the tap closed |

use std::time::Duration;

use metrics::{counter, gauge, histogram};

fn count(value: usize) -> u64 {
    u64::try_from(value).unwrap_or(u64::MAX)
}

fn figure(value: usize) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}

pub(crate) struct ProducerMetrics {
    queue: String,
}

impl ProducerMetrics {
    pub(crate) fn new(queue: &str) -> Self {
        Self {
            queue: queue.to_owned(),
        }
    }

    fn label(&self) -> String {
        self.queue.clone()
    }

    pub(crate) fn started(&self, entries: usize) {
        counter!("queue_send_calls_total", "queue" => self.label()).increment(1);
        counter!("queue_send_entries_total", "queue" => self.label()).increment(count(entries));
        histogram!("queue_send_fill", "queue" => self.label()).record(figure(entries));
    }

    pub(crate) fn ended(&self, took: Duration) {
        histogram!("queue_send_call_seconds", "queue" => self.label()).record(took);
    }

    pub(crate) fn answered(&self, took: Duration) {
        histogram!("queue_send_seconds", "queue" => self.label()).record(took);
    }

    pub(crate) fn failed(&self, code: &str, entries: usize) {
        counter!("queue_send_failures_total", "queue" => self.label(), "code" => code.to_owned())
            .increment(count(entries));
    }
}

pub(crate) struct ConsumerMetrics {
    queue: String,
}

impl ConsumerMetrics {
    pub(crate) fn new(queue: &str) -> Self {
        Self {
            queue: queue.to_owned(),
        }
    }

    fn label(&self) -> String {
        self.queue.clone()
    }

    pub(crate) fn polled(&self, messages: Option<usize>) {
        let result = match messages {
            None => "failed",
            Some(0) => "empty",
            Some(_) => "messages",
        };
        counter!("queue_receive_calls_total", "queue" => self.label(), "result" => result)
            .increment(1);
        counter!("queue_received_total", "queue" => self.label())
            .increment(count(messages.unwrap_or(0)));
    }

    pub(crate) fn outcome(&self, outcome: &'static str, messages: usize) {
        if messages > 0 {
            counter!("queue_outcomes_total", "queue" => self.label(), "outcome" => outcome)
                .increment(count(messages));
        }
    }

    pub(crate) fn set_ended(&self, messages: usize, took: Duration) {
        counter!("queue_sets_total", "queue" => self.label()).increment(1);
        histogram!("queue_set_messages", "queue" => self.label()).record(figure(messages));
        histogram!("queue_set_seconds", "queue" => self.label()).record(took);
    }

    pub(crate) fn panicked(&self) {
        counter!("queue_panics_total", "queue" => self.label()).increment(1);
    }

    pub(crate) fn delete_call(&self) {
        counter!("queue_delete_calls_total", "queue" => self.label()).increment(1);
    }

    pub(crate) fn delete_failed(&self, code: &str, messages: usize) {
        counter!("queue_delete_failures_total", "queue" => self.label(), "code" => code.to_owned())
            .increment(count(messages));
    }

    pub(crate) fn visibility_call(&self) {
        counter!("queue_visibility_calls_total", "queue" => self.label()).increment(1);
    }

    pub(crate) fn lease_lost(&self, at: &'static str) {
        counter!("queue_leases_lost_total", "queue" => self.label(), "at" => at).increment(1);
    }

    pub(crate) fn in_hand(&self, messages: usize) {
        gauge!("queue_in_hand", "queue" => self.label()).set(figure(messages));
    }

    pub(crate) fn tap_closed(&self, breakers: usize) {
        gauge!("queue_tap_closed", "queue" => self.label()).set(figure(breakers));
    }
}
