//! What is told of changes: written into the outbox by the transaction that makes them, sent by a relay.

use std::collections::HashMap;
use std::sync::Arc;

use futures_util::future::join_all;
use sqlx::PgConnection;
use steelyard_domain::event::{CatalogEvent, CatalogEventKind, EventProduct};
use steelyard_domain::id::Sku;
use steelyard_queue::{OutgoingMessage, Producer, ProducerOptions, SendError, Transport};
use steelyard_runtime::trace::TraceContext;
use steelyard_store::outbox::{self, Delivery, Event, NewEvent, Sink, SinkAway, Waker};
use time::OffsetDateTime;
use uuid::Uuid;

/// The version of the events' shape.
const VERSION: u32 = 1;
/// The group of events about many products: those of one product have its SKU.
const MANY: &str = "products";

/// Writes events, if there is a queue for them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Events {
    relay: Option<Waker>,
}

impl Events {
    /// Events that this relay sends; without one nothing is written, for nothing would take it away.
    pub(crate) const fn new(relay: Option<Waker>) -> Self {
        Self { relay }
    }

    /// Tells that products were made or changed, in the caller's transaction.
    pub(crate) async fn changed(
        &self,
        connection: &mut PgConnection,
        versions: &HashMap<String, i64>,
    ) -> Result<(), sqlx::Error> {
        let news = versions.iter().map(|(sku, version)| {
            let version = Some(*version);
            (sku.as_str(), version, None)
        });
        self.tell(connection, CatalogEventKind::ProductChanged, news.collect())
            .await
    }

    /// Tells that little is left of products, in the caller's transaction.
    pub(crate) async fn low(
        &self,
        connection: &mut PgConnection,
        available: &[(&str, i64)],
    ) -> Result<(), sqlx::Error> {
        let news = available
            .iter()
            .map(|(sku, left)| (*sku, None, Some(*left)));
        self.tell(connection, CatalogEventKind::StockLow, news.collect())
            .await
    }

    /// Call it after the commit.
    pub(crate) fn wake(&self) {
        if let Some(relay) = &self.relay {
            relay.wake();
        }
    }

    async fn tell(
        &self,
        connection: &mut PgConnection,
        kind: CatalogEventKind,
        news: Vec<(&str, Option<i64>, Option<i64>)>,
    ) -> Result<(), sqlx::Error> {
        if self.relay.is_none() || news.is_empty() {
            return Ok(());
        }
        let traceparent = TraceContext::current().map(|trace| trace.to_string());
        let mut events = Vec::new();
        for part in news.chunks(CatalogEvent::PRODUCTS_MAX) {
            let products: Result<Vec<EventProduct>, sqlx::Error> =
                part.iter().map(product).collect();
            let event = CatalogEvent {
                v: VERSION,
                kind,
                event_id: Uuid::new_v4(),
                at: OffsetDateTime::now_utc(),
                products: products?,
            };
            let key = match part {
                [(sku, ..)] => (*sku).to_owned(),
                _ => MANY.to_owned(),
            };
            events.push(NewEvent {
                event_id: event.event_id,
                key,
                topic: kind.as_str().to_owned(),
                payload: serde_json::to_string(&event)
                    .map_err(|error| sqlx::Error::Encode(error.into()))?,
                traceparent: traceparent.clone(),
            });
        }
        outbox::append(connection, &events).await
    }
}

fn product(
    (sku, version, available): &(&str, Option<i64>, Option<i64>),
) -> Result<EventProduct, sqlx::Error> {
    let sku = Sku::try_from((*sku).to_owned());
    Ok(EventProduct {
        sku: sku.map_err(|invalid| sqlx::Error::Encode(invalid.into()))?,
        version: *version,
        available: *available,
    })
}

/// The queue that events go to.
#[derive(Debug)]
pub(crate) struct Queue(Producer);

impl Queue {
    /// Starts the producer. Must be called inside a Tokio runtime.
    pub(crate) fn start(transport: &Arc<dyn Transport>, queue: &str) -> Self {
        let options = ProducerOptions::default();
        Self(Producer::start(Arc::clone(transport), queue, options))
    }
}

impl Sink for Queue {
    async fn deliver(&self, events: &[Event]) -> Result<Vec<Delivery>, SinkAway> {
        // The producer gathers what is sent at once into batches of ten.
        let sends = events
            .iter()
            .map(|event| self.0.send(message(event, self.0.queue())));
        let sent: Vec<Result<_, SendError>> = join_all(sends).await;
        // If nothing at all went through, it is hardly the events' doing.
        let is_away = |sent: &Result<_, SendError>| {
            use SendError::{Closed, Overloaded, Timeout};
            matches!(sent, Err(Overloaded | Timeout { .. } | Closed))
        };
        if let Some(Err(error)) = sent.first()
            && sent.iter().all(is_away)
        {
            return Err(SinkAway(error.to_string()));
        }
        let delivery = |sent: Result<_, SendError>| match sent {
            Ok(_) => Delivery::Sent,
            Err(error) => Delivery::Failed(error.to_string()),
        };
        Ok(sent.into_iter().map(delivery).collect())
    }
}

fn message(event: &Event, queue: &str) -> OutgoingMessage {
    let is_fifo = queue.ends_with(".fifo");
    let message = OutgoingMessage {
        group_id: Some(group(&event.key)),
        dedup_id: is_fifo.then(|| event.event_id.to_string()),
        body: event.payload.clone(),
        ..OutgoingMessage::default()
    };
    match &event.traceparent {
        Some(traceparent) => message.with_traceparent(traceparent),
        None => message,
    }
}

/// SQS takes up to 128 letters, digits and ASCII punctuation; a SKU with others goes with the events about many
/// products, which keeps its order, too.
fn group(key: &str) -> String {
    if key.bytes().all(|b| b.is_ascii_graphic()) {
        key.to_owned()
    } else {
        MANY.to_owned()
    }
}
