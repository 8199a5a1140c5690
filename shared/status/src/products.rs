//! Which products changed, told to whoever keeps copies of them.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use metrics::counter;
use serde::{Deserialize, Serialize};
use steelyard_domain::id::Sku;
use steelyard_redis::redis;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::connect::{Error, Redis};
use crate::listen::{Heard, listen};

/// The channel that every gateway listens on.
const CHANNEL: &str = "steelyard:product-changes";
/// Changes that may wait to be published; beyond that, all products are said to have changed.
pub const PRODUCT_CHANGES_QUEUED_MAX: usize = 4_096;
/// SKUs that one message names; it says that all may have changed rather than name more.
const SKUS_MAX: usize = 500;

/// What is no longer as it was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProductsChanged {
    /// These products: what they are, cost, or look like, or how many of them there are.
    Skus(BTreeSet<Sku>),
    /// Any product may have changed: after an import, or when changes were lost.
    All,
}

/// Tells gateways that their copies are old, best effort: [`ProductNews::tell`] never waits. What
/// is lost costs freshness only, and no longer than copies are believed without asking.
#[derive(Debug, Clone)]
pub struct ProductNews {
    queue: mpsc::Sender<Option<Sku>>,
    overflowed: Arc<AtomicBool>,
}

impl ProductNews {
    /// Starts the publisher. It ends when the last clone is dropped.
    #[must_use]
    pub fn start(redis: Redis) -> Self {
        let (queue, queued) = mpsc::channel(PRODUCT_CHANGES_QUEUED_MAX);
        let overflowed = Arc::<AtomicBool>::default();
        tokio::spawn(publish(redis, queued, Arc::clone(&overflowed)));
        Self { queue, overflowed }
    }

    /// This product changed. To be called after the change is committed.
    pub fn tell(&self, sku: Sku) {
        self.put(Some(sku));
    }

    /// Any product may have changed.
    pub fn tell_all(&self) {
        self.put(None);
    }

    fn put(&self, change: Option<Sku>) {
        if self.queue.try_send(change).is_err() {
            // What is queued is published after this; the publisher looks at the flag each time.
            self.overflowed.store(true, Ordering::Release);
        }
    }
}

async fn publish(
    redis: Redis,
    mut queued: mpsc::Receiver<Option<Sku>>,
    overflowed: Arc<AtomicBool>,
) {
    let lost = counter!("status_product_changes_lost_total");
    let mut batch = Vec::with_capacity(SKUS_MAX);
    let mut failed_before = false;
    while queued.recv_many(&mut batch, SKUS_MAX).await > 0 {
        let all = failed_before || overflowed.swap(false, Ordering::AcqRel);
        let changed = merged(batch.drain(..), all);
        if let Err(error) = send(&redis, &changed).await {
            lost.increment(1);
            if !failed_before {
                tracing::warn!(%error, "product changes cannot be told; copies are believed until they are old");
            }
            failed_before = true;
        } else {
            failed_before = false;
        }
    }
}

/// One message for many changes.
fn merged(changes: impl Iterator<Item = Option<Sku>>, all: bool) -> ProductsChanged {
    let skus: Option<BTreeSet<Sku>> = changes.collect();
    match skus {
        Some(skus) if !all => ProductsChanged::Skus(skus),
        _ => ProductsChanged::All,
    }
}

async fn send(redis: &Redis, changed: &ProductsChanged) -> Result<(), Error> {
    let message = serde_json::to_vec(changed)?;
    redis
        .call::<()>(redis::cmd("PUBLISH").arg(CHANNEL).arg(message))
        .await
}

/// Calls `on` with each change until `stop`; with [`ProductsChanged::All`] whenever some may have
/// been missed, the first connection included.
pub fn watch_products(
    redis: Redis,
    stop: CancellationToken,
    mut on: impl FnMut(ProductsChanged) + Send + 'static,
) {
    tokio::spawn(async move {
        let hear = |heard: Heard<'_>| match heard {
            Heard::MayHaveMissed => on(ProductsChanged::All),
            Heard::Message(message) => match serde_json::from_slice(message) {
                Ok(changed) => on(changed),
                Err(error) => {
                    tracing::warn!(%error, "a product change could not be read");
                    on(ProductsChanged::All);
                }
            },
        };
        stop.run_until_cancelled(listen(redis, CHANNEL, hear)).await;
    });
}

#[cfg(test)]
mod tests {
    use super::{ProductsChanged, merged};

    #[test]
    fn many_changes_are_one_message_and_what_was_lost_is_everything() {
        let sku = |text: &str| Some(text.parse().expect("a SKU"));
        let two = merged([sku("B"), sku("A"), sku("B")].into_iter(), false);
        let json = serde_json::to_string(&two).expect("JSON");
        assert_eq!(json, r#"{"skus":["A","B"]}"#);
        assert_eq!(
            merged([sku("A"), None].into_iter(), false),
            ProductsChanged::All
        );
        assert_eq!(merged([sku("A")].into_iter(), true), ProductsChanged::All);
        assert_eq!(
            serde_json::to_string(&ProductsChanged::All).expect("JSON"),
            r#""all""#
        );
    }
}
