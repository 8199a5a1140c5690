//! Figures through the `metrics` facade; the crate's documentation lists them.

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

    pub(crate) fn window(&self, messages: usize) {
        gauge!("queue_window_messages", "queue" => self.label()).set(figure(messages));
    }

    pub(crate) fn tap_closed(&self, breakers: usize) {
        gauge!("queue_tap_closed", "queue" => self.label()).set(figure(breakers));
    }
}
