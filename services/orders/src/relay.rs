//! Where the outbox goes: the queues of documents and of webhooks.

use std::sync::Arc;

use futures_util::future::join_all;
use steelyard_domain::event::OrderEventKind;
use steelyard_queue::{OutgoingMessage, Producer, ProducerOptions, SendError, Transport};
use steelyard_runtime::trace::{self, TraceContext};
use steelyard_store::outbox::{Delivery, Event, Sink, SinkAway};
use tracing::{Instrument as _, Span};

/// The queues that events go to; one that is not set gets nothing.
#[derive(Debug)]
pub struct Queues {
    /// Events of which a document is made.
    documents: Option<Producer>,
    /// All events.
    webhooks: Option<Producer>,
}

impl Queues {
    /// Starts the producers. Must be called inside a Tokio runtime.
    #[must_use]
    pub fn start(
        transport: &Arc<dyn Transport>,
        documents: Option<&str>,
        webhooks: Option<&str>,
    ) -> Self {
        let start =
            |queue: &str| Producer::start(Arc::clone(transport), queue, ProducerOptions::default());
        Self {
            documents: documents.map(start),
            webhooks: webhooks.map(start),
        }
    }

    /// Sends an event wherever it belongs. A receiver may get it again if another queue refused it:
    /// it deduplicates by the event's id.
    async fn send(&self, event: &Event) -> Result<(), SendError> {
        let makes_document =
            OrderEventKind::from_word(&event.topic).is_some_and(OrderEventKind::makes_document);
        let documents = self.documents.as_ref().filter(|_| makes_document);
        for producer in [documents, self.webhooks.as_ref()].into_iter().flatten() {
            let queue = producer.queue();
            let span = span(event, queue);
            let sender = TraceContext::of(&span).map(|context| context.to_string());
            let message = message(event, queue, sender.as_ref().or(event.traceparent.as_ref()));
            producer.send(message).instrument(span).await?;
        }
        Ok(())
    }
}

/// The send in the trace of what made the event true.
fn span(event: &Event, queue: &str) -> Span {
    let parent = event.traceparent.as_ref();
    let parent: Option<TraceContext> = parent.and_then(|parent| parent.parse().ok());
    match parent.filter(TraceContext::is_sampled) {
        Some(parent) if trace::is_exported() => {
            let span = tracing::info_span!(parent: None, "send", otel.kind = "producer", queue, event = event.topic, event_id = %event.event_id);
            trace::adopt(&span, &parent);
            span
        }
        _ => Span::none(),
    }
}

fn message(event: &Event, queue: &str, traceparent: Option<&String>) -> OutgoingMessage {
    let is_fifo = queue.ends_with(".fifo");
    let message = OutgoingMessage {
        // On a standard queue the group makes it fair between customers.
        group_id: Some(event.key.clone()),
        dedup_id: is_fifo.then(|| event.event_id.to_string()),
        body: event.payload.clone(),
        ..OutgoingMessage::default()
    };
    match traceparent {
        Some(traceparent) => message.with_traceparent(traceparent),
        None => message,
    }
}

impl Sink for Queues {
    async fn deliver(&self, events: &[Event]) -> Result<Vec<Delivery>, SinkAway> {
        // The producers gather what is sent at once into batches of ten.
        let sent = join_all(events.iter().map(|event| self.send(event))).await;
        // If nothing at all went through, it is hardly the events' doing.
        let away = |sent: &Result<(), SendError>| {
            use SendError::{Closed, Overloaded, Timeout};
            matches!(sent, Err(Overloaded | Timeout { .. } | Closed))
        };
        if let Some(Err(error)) = sent.first()
            && sent.iter().all(away)
        {
            return Err(SinkAway(error.to_string()));
        }
        let delivery = |sent: Result<(), SendError>| match sent {
            Ok(()) => Delivery::Sent,
            Err(error) => Delivery::Failed(error.to_string()),
        };
        Ok(sent.into_iter().map(delivery).collect())
    }
}
