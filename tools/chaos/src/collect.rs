//! The other end of the queues: receives events as the documents and webhooks services would, plants messages that have
//! to be set aside, and reads what was set aside.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use rust_decimal::Decimal;
use steelyard_domain::event::{OrderEvent, OrderEventKind};
use steelyard_domain::order::OrderStatus;
use steelyard_queue::{
    Attributes, OutgoingMessage, PARKED, QueueUrl, ReceiveRequest, SqsTransport, Transport as _,
};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use crate::shop;

/// Pollers of each queue.
const POLLERS: usize = 3;
const POLL_WAIT: Duration = Duration::from_secs(1);
/// Long enough to record and delete ten messages, short enough not to hold up a customer's events after a failure.
const VISIBILITY: Duration = Duration::from_secs(10);
/// After a call that failed.
const PAUSE: Duration = Duration::from_millis(250);
/// Tries to delete what was recorded; then it comes again and is known.
const DELETES_MAX: usize = 3;
/// Between two planted messages.
const PLANT_EVERY: Duration = Duration::from_secs(7);
/// Tries to plant one: several minutes.
const PLANT_TRIES_MAX: usize = 1_000;
/// Empty receives in a row after which the dead-letter queue is taken to be empty.
const EMPTY_MAX: usize = 3;

/// The queues of the system under test.
#[derive(Clone, Copy, Debug)]
pub struct Queues {
    /// Commands.
    pub orders: &'static str,
    /// Commands that were set aside.
    pub dead_letters: &'static str,
    /// Events of which documents are made.
    pub documents: &'static str,
    /// All events.
    pub webhooks: &'static str,
}

/// An event as it was received.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// What receivers deduplicate by.
    pub event_id: Uuid,
    /// What became true.
    pub kind: OrderEventKind,
    /// Of which order.
    pub order_id: Uuid,
    /// The order's version, as the event shows it.
    pub version: i64,
    /// Its status, as the event shows it.
    pub status: OrderStatus,
    /// Its place among its customer's orders.
    pub sequence: i64,
    /// Its total.
    pub total: Decimal,
}

/// What one queue brought: first occurrences only, by customer, in the order in which they came.
#[derive(Debug, Default)]
pub struct Received {
    /// By the customer's id.
    pub events: HashMap<String, Vec<Event>>,
    /// Events that came again: allowed, since receivers deduplicate.
    pub again: u64,
    /// Bodies that are no events.
    pub unreadable: Vec<String>,
    seen: HashSet<Uuid>,
}

impl Received {
    /// Different events.
    #[must_use]
    pub fn count(&self) -> usize {
        self.seen.len()
    }

    /// Takes a message's body.
    pub fn take(&mut self, body: &str) {
        let event: OrderEvent = match serde_json::from_str(body) {
            Ok(event) => event,
            Err(error) => {
                self.unreadable.push(format!("{error}: {body}"));
                return;
            }
        };
        if !self.seen.insert(event.event_id) {
            self.again += 1;
            return;
        }
        let of_customer = self
            .events
            .entry(event.customer_id.as_str().to_owned())
            .or_default();
        of_customer.push(Event {
            event_id: event.event_id,
            kind: event.kind,
            order_id: event.order.id.0,
            version: event.order.version,
            status: event.order.status,
            sequence: event.order.sequence,
            total: event.order.total,
        });
    }
}

/// A message in the dead-letter queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetter {
    /// Raw.
    pub body: String,
    /// Why it is there, as it says itself.
    pub parked: Option<String>,
}

/// Receives and plants.
#[derive(Clone, Debug)]
pub struct Collector {
    transport: SqsTransport,
    queues: Queues,
    documents: Arc<Mutex<Received>>,
    webhooks: Arc<Mutex<Received>>,
    planted: Arc<Mutex<Vec<String>>>,
}

impl Collector {
    /// Prepares; nothing is received yet.
    #[must_use]
    pub fn new(transport: SqsTransport, queues: Queues) -> Self {
        Self {
            transport,
            queues,
            documents: Arc::default(),
            webhooks: Arc::default(),
            planted: Arc::default(),
        }
    }

    /// Receives events until `stop`.
    pub async fn receive(&self, stop: &CancellationToken) {
        let pollers = TaskTracker::new();
        for (queue, received) in [
            (self.queues.documents, &self.documents),
            (self.queues.webhooks, &self.webhooks),
        ] {
            for _ in 0..POLLERS {
                let (this, received) = (self.clone(), Arc::clone(received));
                let stop = stop.clone();
                pollers.spawn(async move { this.poll(queue, &received, &stop).await });
            }
        }
        pollers.close();
        pollers.wait().await;
    }

    async fn poll(&self, queue: &str, received: &Mutex<Received>, stop: &CancellationToken) {
        while !stop.is_cancelled() {
            let Some(messages) = self.receive_once(queue, POLL_WAIT).await else {
                sleep(PAUSE).await;
                continue;
            };
            // Recorded before they are deleted: the next of a customer comes after that.
            for message in &messages {
                received.lock().take(&message.body);
            }
            self.delete(queue, &messages).await;
        }
    }

    async fn receive_once(
        &self,
        queue: &str,
        wait: Duration,
    ) -> Option<Vec<steelyard_queue::Received>> {
        let url = self.url(queue).await?;
        let request = ReceiveRequest {
            messages_max: 10,
            wait,
            visibility: VISIBILITY,
            attempt_id: None,
        };
        self.transport.receive(&url, request).await.ok()
    }

    async fn delete(&self, queue: &str, messages: &[steelyard_queue::Received]) {
        let mut left: Vec<String> = messages
            .iter()
            .map(|message| message.receipt_handle.clone())
            .collect();
        for _ in 0..DELETES_MAX {
            if left.is_empty() {
                return;
            }
            let Some(url) = self.url(queue).await else {
                sleep(PAUSE).await;
                continue;
            };
            match self.transport.delete_batch(&url, &left).await {
                Ok(results) => {
                    let mut results = results.into_iter();
                    left.retain(|_| results.next().is_some_and(|result| result.is_err()));
                }
                Err(_) => sleep(PAUSE).await,
            }
        }
    }

    /// Plants messages that no worker can handle, among the customers' own, until `stop`.
    pub async fn plant(&self, stop: &CancellationToken) {
        let mut number = 0_u32;
        while stop.run_until_cancelled(sleep(PLANT_EVERY)).await.is_some() {
            let group = shop::customer_id(number % 40);
            let body = match number % 3 {
                0 => format!("planted {number}: not JSON"),
                1 => format!(r#"{{"planted":{number},"v":1,"type":"order.melt"}}"#),
                _ => format!(r#"{{"planted":{number},"v":99}}"#),
            };
            self.planted.lock().push(body.clone());
            let message = [OutgoingMessage::fifo(
                group,
                format!("planted-{number}"),
                body,
            )];
            // Until it is there: after a failure it may or may not be, and SQS tells the same one.
            for _ in 0..PLANT_TRIES_MAX {
                if self.send(&message).await {
                    break;
                }
                sleep(PAUSE).await;
            }
            number += 1;
        }
    }

    async fn send(&self, messages: &[OutgoingMessage]) -> bool {
        let Some(url) = self.url(self.queues.orders).await else {
            return false;
        };
        let sent = self.transport.send_batch(&url, messages).await;
        sent.is_ok_and(|results| results.iter().all(Result::is_ok))
    }

    /// Messages in the queue of commands: ready, in flight or delayed; `None` when it cannot be asked.
    pub async fn backlog(&self) -> Option<u64> {
        self.depth(self.queues.orders).await
    }

    /// Messages in the queues of events.
    pub async fn undelivered(&self) -> Option<u64> {
        let documents = self.depth(self.queues.documents).await?;
        Some(documents + self.depth(self.queues.webhooks).await?)
    }

    async fn depth(&self, queue: &str) -> Option<u64> {
        let url = self.url(queue).await?;
        let depths = self.transport.depths(&url).await.ok()?;
        Some(depths.visible + depths.in_flight + depths.delayed)
    }

    /// Different events received so far, of both queues.
    #[must_use]
    pub fn count(&self) -> usize {
        self.documents.lock().count() + self.webhooks.lock().count()
    }

    /// Takes what is in the dead-letter queue, until it is empty or the deadline has passed.
    pub async fn dead_letters(&self, deadline: Instant) -> Vec<DeadLetter> {
        let queue = self.queues.dead_letters;
        let mut found = Vec::new();
        let mut empty = 0;
        while empty < EMPTY_MAX && Instant::now() < deadline {
            let Some(messages) = self.receive_once(queue, POLL_WAIT).await else {
                sleep(PAUSE).await;
                continue;
            };
            empty = if messages.is_empty() { empty + 1 } else { 0 };
            self.delete(queue, &messages).await;
            found.extend(messages.into_iter().map(|message| DeadLetter {
                parked: parked(&message.attributes),
                body: message.body,
            }));
        }
        found
    }

    /// What came of the planted messages and the events; nothing may be running any more.
    #[must_use]
    pub fn end(&self) -> Collected {
        Collected {
            documents: std::mem::take(&mut *self.documents.lock()),
            webhooks: std::mem::take(&mut *self.webhooks.lock()),
            planted: std::mem::take(&mut *self.planted.lock()),
        }
    }

    async fn url(&self, queue: &str) -> Option<QueueUrl> {
        self.transport.queue_url(queue).await.ok()
    }
}

fn parked(attributes: &Attributes) -> Option<String> {
    Some(attributes.get(PARKED)?.as_text()?.to_owned())
}

/// Everything that was collected.
#[derive(Debug, Default)]
pub struct Collected {
    /// From the queue of documents.
    pub documents: Received,
    /// From the queue of webhooks.
    pub webhooks: Received,
    /// Bodies that must have been set aside.
    pub planted: Vec<String>,
}
