//! Receipts: written behind the intake's back, read when the orders service cannot answer.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use metrics::{Counter, counter};
use steelyard_domain::api::Receipt;
use steelyard_domain::id::OrderId;
use steelyard_redis::redis::{self, Pipeline};
use tokio::sync::mpsc;

use crate::connect::{Error, Redis};

/// How long a receipt is kept: as long as the queue keeps an order that nobody takes.
pub const RECEIPT_TTL: Duration = Duration::from_hours(14 * 24);
/// Receipts that may wait to be written.
pub const RECEIPTS_QUEUED_MAX: usize = 10_000;
/// Receipts that one round trip writes.
const BATCH_MAX: usize = 500;

fn key(order: OrderId) -> String {
    format!("steelyard:receipt:{order}")
}

/// Leaves receipts, best effort: [`ReceiptWriter::put`] never waits, and what cannot be written is
/// dropped and counted.
#[derive(Debug, Clone)]
pub struct ReceiptWriter {
    queue: mpsc::Sender<(OrderId, Arc<[u8]>)>,
    dropped: Dropped,
}

#[derive(Clone)]
struct Dropped(Counter);

impl std::fmt::Debug for Dropped {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Dropped")
    }
}

impl ReceiptWriter {
    /// Starts the writer. It ends, with what it has in hand written, when the last clone is
    /// dropped; await the returned task to be sure.
    #[must_use]
    pub fn start(redis: Redis) -> (Self, tokio::task::JoinHandle<()>) {
        let (queue, queued) = mpsc::channel(RECEIPTS_QUEUED_MAX);
        let dropped = Dropped(counter!("status_receipts_dropped_total"));
        let task = tokio::spawn(write(redis, queued, dropped.clone()));
        (Self { queue, dropped }, task)
    }

    /// Leaves the receipt of `order`, serialized as JSON (the gateway has just done that for its
    /// answer). A receipt that is there already stands: a retry did not accept the order anew.
    pub fn put(&self, order: OrderId, receipt_json: Arc<[u8]>) {
        if self.queue.try_send((order, receipt_json)).is_err() {
            self.dropped.0.increment(1);
        }
    }
}

async fn write(redis: Redis, mut queued: mpsc::Receiver<(OrderId, Arc<[u8]>)>, dropped: Dropped) {
    let written = counter!("status_receipts_written_total");
    let available = AtomicBool::new(true);
    let mut batch = Vec::with_capacity(BATCH_MAX);
    while queued.recv_many(&mut batch, BATCH_MAX).await > 0 {
        let mut commands = Pipeline::with_capacity(batch.len());
        for (order, receipt) in &batch {
            commands
                .cmd("SET")
                .arg(key(*order))
                .arg(&**receipt)
                .arg("NX")
                .arg("EX")
                .arg(RECEIPT_TTL.as_secs())
                .ignore();
        }
        let count = batch.len() as u64;
        batch.clear();
        match redis.call_each(&commands).await {
            Ok(()) => {
                written.increment(count);
                if !available.swap(true, Ordering::Relaxed) {
                    tracing::info!("receipts are written again");
                }
            }
            Err(error) => {
                dropped.0.increment(count);
                // Once per outage, not once per order.
                if available.swap(false, Ordering::Relaxed) {
                    tracing::warn!(%error, "receipts cannot be written; orders are taken all the same");
                }
            }
        }
    }
}

/// Reads receipts.
#[derive(Debug, Clone)]
pub struct ReceiptReader {
    redis: Redis,
}

impl ReceiptReader {
    /// A reader on this connection.
    #[must_use]
    pub const fn new(redis: Redis) -> Self {
        Self { redis }
    }

    /// The receipt of `order`; `None` when Redis answered and has none.
    ///
    /// # Errors
    /// [`Error::Unavailable`] or [`Error::TimedOut`] within [`CALL_MAX`](crate::CALL_MAX):
    /// whether there is a receipt is not known then.
    pub async fn get(&self, order: OrderId) -> Result<Option<Receipt>, Error> {
        let found: Option<Vec<u8>> = self.redis.call(redis::cmd("GET").arg(key(order))).await?;
        found
            .map(|json| serde_json::from_slice(&json).map_err(Error::from))
            .transpose()
    }
}
