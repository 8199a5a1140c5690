//! Receiving: permits, polls, groups, sets, handler, outcomes, acknowledgement.

mod core;
mod delivery;
mod hand;
mod health;
mod heartbeat;
mod options;
mod pace;
mod park;
mod polls;
mod sets;
mod settle;
mod tap;

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

pub use delivery::{Delivery, Handler, Outcome, Set};
pub use health::{Handle, Health};
pub use options::ConsumerOptions;
pub use park::{PARKED, Parked};
pub use tap::{Closed, Tap};

use crate::transport::Transport;
use health::Gauges;

/// What a consumer did in its life and how it ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StopReport {
    /// Messages handled and deleted.
    pub done: u64,
    /// Messages moved to the dead-letter queue.
    pub parked: u64,
    /// Messages handed back to the queue unhandled, over the whole life.
    pub handed_back: u64,
    /// Handler calls that did not end within their budget and were dropped.
    pub sets_dropped: usize,
    /// Polls that did not end within their budget and were dropped.
    pub polls_dropped: usize,
    /// Messages neither acknowledged nor handed back in time; they come back after their visibility timeout.
    pub unsettled: usize,
    /// How long the stop took.
    pub took: Duration,
}

/// Puts a [`Consumer`] together.
pub struct ConsumerBuilder<H> {
    transport: Arc<dyn Transport>,
    queue: Arc<str>,
    handler: Arc<H>,
    dead_letters: Option<Arc<str>>,
    tap: Tap,
    options: ConsumerOptions,
}

impl<H: Handler> ConsumerBuilder<H> {
    /// Where parked messages go. Without one, parking only delays a message, up to the queue's own redrive policy.
    #[must_use]
    pub fn dead_letters(mut self, queue: impl Into<Arc<str>>) -> Self {
        self.dead_letters = Some(queue.into());
        self
    }

    /// The tap to draw from; by default one of its own.
    #[must_use]
    pub fn tap(mut self, tap: Tap) -> Self {
        self.tap = tap;
        self
    }

    /// Limits.
    #[must_use]
    pub fn options(mut self, options: ConsumerOptions) -> Self {
        self.options = options;
        self
    }

    /// The consumer, not yet running.
    pub fn build(self) -> Consumer<H> {
        Consumer {
            parts: self,
            gauges: Arc::new(Gauges::new()),
        }
    }
}

/// Receives from one queue and hands sets of messages to a handler.
pub struct Consumer<H> {
    parts: ConsumerBuilder<H>,
    gauges: Arc<Gauges>,
}

impl<H: Handler> Consumer<H> {
    /// Begins a consumer of the named queue.
    pub fn builder(
        transport: Arc<dyn Transport>,
        queue: impl Into<Arc<str>>,
        handler: H,
    ) -> ConsumerBuilder<H> {
        ConsumerBuilder {
            transport,
            queue: queue.into(),
            handler: Arc::new(handler),
            dead_letters: None,
            tap: Tap::new(),
            options: ConsumerOptions::default(),
        }
    }

    /// Runs until `stop`, then stops within its budgets. Stopping twice is stopping once.
    pub async fn run(self, stop: CancellationToken) -> StopReport {
        core::Core::new(self.parts, self.gauges).run(stop).await
    }

    /// Looks at this consumer while it runs.
    pub fn handle(&self) -> Handle {
        Handle {
            gauges: Arc::clone(&self.gauges),
            tap: self.parts.tap.clone(),
        }
    }
}
