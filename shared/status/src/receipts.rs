//! Receipts: written behind the intake's back, read when the orders service cannot answer.

use std::collections::VecDeque;
use std::sync::Arc;
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
/// Receipts that are kept after they were written, some hundred bytes each.
const LATEST_MAX: usize = 4_096;
/// Until a Redis that is away is tried again.
const RETRY_WAIT: Duration = Duration::from_millis(500);

/// A receipt on its way, serialized as JSON.
type Queued = (OrderId, Arc<[u8]>);

fn key(order: OrderId) -> String {
    format!("steelyard:receipt:{order}")
}

/// Leaves receipts, best effort: [`ReceiptWriter::put`] never waits. While Redis is away, up to
/// [`RECEIPTS_QUEUED_MAX`] wait for it; what is beyond that, or left at a stop, is dropped and counted.
#[derive(Debug, Clone)]
pub struct ReceiptWriter {
    queue: mpsc::Sender<Queued>,
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

/// Writes until the last sender is gone. While Redis is away, receipts are kept for it. When it is back it may have lost
/// its memory, so the latest that it had taken are written again as well.
async fn write(redis: Redis, mut queued: mpsc::Receiver<Queued>, dropped: Dropped) {
    let written = counter!("status_receipts_written_total");
    let mut available = true;
    let mut latest: VecDeque<Queued> = VecDeque::new();
    // How many of the latest, counted from the newest, are to be written, and how many of these for the first time.
    let (mut unwritten, mut untaken) = (0, 0);
    let mut new = Vec::with_capacity(BATCH_MAX);
    loop {
        if unwritten == 0 {
            unwritten = queued.recv_many(&mut new, BATCH_MAX).await;
            if unwritten == 0 {
                return;
            }
            untaken = unwritten;
            latest.extend(new.drain(..));
            latest.drain(..latest.len().saturating_sub(LATEST_MAX));
        }
        let first = latest.len() - unwritten;
        let batch = latest.range(first..).take(BATCH_MAX);
        let count = batch.len();
        match redis.call_each(&commands(batch)).await {
            Ok(()) => {
                unwritten -= count;
                // Those that were taken before come first.
                untaken = untaken.min(unwritten);
                written.increment(count as u64);
                if !std::mem::replace(&mut available, true) {
                    tracing::info!("receipts are written again");
                }
            }
            Err(error) => {
                // Once per outage, not once per order.
                if std::mem::replace(&mut available, false) {
                    tracing::warn!(%error, "receipts cannot be written; orders are taken all the same");
                }
                if queued.is_closed() {
                    dropped.0.increment((untaken + queued.len()) as u64);
                    return;
                }
                unwritten = latest.len();
                tokio::time::sleep(RETRY_WAIT).await;
            }
        }
    }
}

/// Leaves receipts that are not there yet.
fn commands<'a>(receipts: impl ExactSizeIterator<Item = &'a Queued>) -> Pipeline {
    let mut commands = Pipeline::with_capacity(receipts.len());
    for (order, receipt) in receipts {
        commands
            .cmd("SET")
            .arg(key(*order))
            .arg(&**receipt)
            .arg("NX")
            .arg("EX")
            .arg(RECEIPT_TTL.as_secs())
            .ignore();
    }
    commands
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
