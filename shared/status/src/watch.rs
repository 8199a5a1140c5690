//! One subscription to Redis per process, shared by everyone who waits for an order.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use metrics::gauge;
use steelyard_domain::id::OrderId;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::connect::Redis;
use crate::listen::{Heard, listen};
use crate::push::{CHANNEL, StatusChange};

/// Subscriptions that one process may hold.
pub const SUBSCRIPTIONS_MAX: usize = 10_000;
/// Events that wait for one subscriber; it asks again when it has missed some.
const EVENTS_MAX: usize = 16;

/// What a subscriber learns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WatchEvent {
    /// The order changed.
    Changed(StatusChange),
    /// Redis was away for a while: the order may have changed unseen. Ask for it.
    MayHaveMissed,
}

/// The process watches as many orders as it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{SUBSCRIPTIONS_MAX} orders are watched already")]
pub struct TooMany;

type Senders = Vec<(u64, mpsc::Sender<WatchEvent>)>;

#[derive(Debug, Default)]
struct Registry {
    by_order: HashMap<OrderId, Senders>,
    subscriptions: usize,
    last_id: u64,
    stopped: bool,
}

/// Hands status changes to those who wait for them; cheap to clone.
#[derive(Debug, Clone)]
pub struct Watch {
    registry: Arc<Mutex<Registry>>,
}

impl Watch {
    /// Starts listening, and listens until `stop`, connecting again whenever Redis was away.
    #[must_use]
    pub fn start(redis: Redis, stop: CancellationToken) -> Self {
        let watch = Self {
            registry: Arc::default(),
        };
        let listening = watch.clone();
        tokio::spawn(async move {
            let listen = listen(redis, CHANNEL, |heard| listening.hear(heard));
            stop.run_until_cancelled(listen).await;
            listening.end();
        });
        watch
    }

    /// Watches one order until the subscription is dropped.
    ///
    /// Subscribe first and ask for the order then: what happens in between is not missed.
    ///
    /// # Errors
    /// [`TooMany`] beyond [`SUBSCRIPTIONS_MAX`].
    pub fn subscribe(&self, order_id: OrderId) -> Result<Subscription, TooMany> {
        let (sender, events) = mpsc::channel(EVENTS_MAX);
        let mut registry = lock(&self.registry);
        if registry.subscriptions >= SUBSCRIPTIONS_MAX {
            return Err(TooMany);
        }
        registry.last_id += 1;
        let id = registry.last_id;
        registry.subscriptions += 1;
        // A sender dropped at once tells the subscriber that the process is stopping.
        if !registry.stopped {
            registry
                .by_order
                .entry(order_id)
                .or_default()
                .push((id, sender));
        }
        gauge!("status_subscriptions")
            .set(u32::try_from(registry.subscriptions).unwrap_or(u32::MAX));
        drop(registry);
        Ok(Subscription {
            id,
            order_id,
            events,
            registry: Arc::clone(&self.registry),
        })
    }

    fn hear(&self, heard: Heard<'_>) {
        match heard {
            Heard::Message(message) => self.tell(message),
            Heard::MayHaveMissed => self.tell_all(&WatchEvent::MayHaveMissed),
        }
    }

    fn tell(&self, message: &[u8]) {
        let registry = lock(&self.registry);
        // Most gateways watch few orders and hear of all: reading what nobody waits for is waste.
        if registry.by_order.is_empty() {
            return;
        }
        match serde_json::from_slice::<Vec<StatusChange>>(message) {
            Ok(changes) => {
                for change in changes {
                    for (_, sender) in registry
                        .by_order
                        .get(&change.order_id)
                        .into_iter()
                        .flatten()
                    {
                        // A full channel wakes its reader anyway.
                        drop(sender.try_send(WatchEvent::Changed(change.clone())));
                    }
                }
            }
            Err(error) => tracing::warn!(%error, "a status change could not be read"),
        }
    }

    fn tell_all(&self, event: &WatchEvent) {
        for (_, sender) in lock(&self.registry).by_order.values().flatten() {
            drop(sender.try_send(event.clone()));
        }
    }

    fn end(&self) {
        let mut registry = lock(&self.registry);
        registry.stopped = true;
        registry.by_order.clear();
    }
}

/// The changes of one order.
#[derive(Debug)]
pub struct Subscription {
    id: u64,
    order_id: OrderId,
    events: mpsc::Receiver<WatchEvent>,
    registry: Arc<Mutex<Registry>>,
}

impl Subscription {
    /// The next change; `None` when the process is stopping. If more than a few changes come
    /// while nobody asks, the later ones are dropped: ask for the order when in doubt.
    pub async fn next(&mut self) -> Option<WatchEvent> {
        self.events.recv().await
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        let mut registry = lock(&self.registry);
        registry.subscriptions = registry.subscriptions.saturating_sub(1);
        if let Some(senders) = registry.by_order.get_mut(&self.order_id) {
            senders.retain(|(id, _)| *id != self.id);
            if senders.is_empty() {
                registry.by_order.remove(&self.order_id);
            }
        }
    }
}

/// Nothing that holds the lock can leave the registry half changed, so a poisoned one is as good.
fn lock(registry: &Mutex<Registry>) -> MutexGuard<'_, Registry> {
    registry.lock().unwrap_or_else(PoisonError::into_inner)
}
