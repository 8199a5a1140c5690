//! Who gets which outcome.

use std::borrow::Cow;
use std::collections::HashSet;
use std::time::Duration;

use steelyard_domain::id::CustomerId;
use steelyard_queue::{Delivery, Outcome};
use steelyard_runtime::messages::MessageSpans;

/// The outcomes of a set while it is worked on.
pub(super) struct Board<'a> {
    deliveries: &'a [Delivery],
    spans: &'a MessageSpans,
    outcomes: Vec<Option<Outcome>>,
    held: HashSet<CustomerId>,
}

impl<'a> Board<'a> {
    pub(super) fn new(deliveries: &'a [Delivery], spans: &'a MessageSpans) -> Self {
        Self {
            deliveries,
            spans,
            outcomes: vec![None; deliveries.len()],
            held: HashSet::new(),
        }
    }

    /// The set.
    pub(super) fn deliveries(&self) -> &'a [Delivery] {
        self.deliveries
    }

    /// What is told of it.
    pub(super) fn spans(&self) -> &'a MessageSpans {
        self.spans
    }

    /// What the effects of one message are children of: its span, or whoever sent it.
    pub(super) fn traceparent(&self, at: usize) -> Option<&'a str> {
        let sender = || self.deliveries[at].traceparent();
        self.spans.traceparent(at).or_else(sender)
    }

    /// One message of it.
    pub(super) fn delivery(&self, at: usize) -> &'a Delivery {
        &self.deliveries[at]
    }

    /// Gives a message its outcome; the first one stands.
    pub(super) fn put(&mut self, at: usize, outcome: Outcome) {
        self.outcomes[at].get_or_insert(outcome);
    }

    /// Gives a message an outcome that it will be delivered again after: its customer's later
    /// messages must not overtake it.
    pub(super) fn hold(&mut self, at: usize, customer: &CustomerId, outcome: Outcome) {
        self.held.insert(customer.clone());
        self.put(at, outcome);
    }

    /// Whether one of the customer's messages has to come again.
    pub(super) fn is_held(&self, customer: &CustomerId) -> bool {
        self.held.contains(customer)
    }

    /// Everyone without an outcome waits.
    pub(super) fn wait_rest(&mut self, after: Duration, why: impl Into<Cow<'static, str>>) {
        let why = why.into();
        for outcome in &mut self.outcomes {
            outcome.get_or_insert_with(|| Outcome::wait(after, why.clone()));
        }
    }

    /// One outcome per message. Whoever has none yet stands behind a message of its customer that
    /// comes again.
    pub(super) fn finish(mut self) -> Vec<Outcome> {
        self.wait_rest(Duration::ZERO, "behind an earlier message");
        self.outcomes.into_iter().flatten().collect()
    }
}
