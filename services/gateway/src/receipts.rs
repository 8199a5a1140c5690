//! Receipts: left in Redis behind the intake's back, and the latest kept here as well.

use std::sync::Arc;

use quick_cache::sync::Cache;
use steelyard_domain::api::Receipt;
use steelyard_domain::id::OrderId;
use steelyard_status::{Error, ReceiptReader, ReceiptWriter};

/// Receipts that this instance remembers, some hundred bytes each. Who asks for an order right
/// after its 202 must not hear 404 because the write to Redis is still on its way, or never arrived.
const RECENT_MAX: usize = 4_096;

/// Writes and finds receipts.
pub(crate) struct Receipts {
    writer: ReceiptWriter,
    reader: ReceiptReader,
    recent: Cache<OrderId, Arc<[u8]>>,
}

impl Receipts {
    pub(crate) fn new(writer: ReceiptWriter, reader: ReceiptReader) -> Self {
        Self {
            writer,
            reader,
            recent: Cache::new(RECENT_MAX),
        }
    }

    /// Leaves a receipt, serialized as JSON; never waits.
    pub(crate) fn put(&self, id: OrderId, receipt_json: Arc<[u8]>) {
        self.recent.insert(id, Arc::clone(&receipt_json));
        self.writer.put(id, receipt_json);
    }

    /// The receipt of an order; `None` when Redis answered and has none.
    ///
    /// # Errors
    /// Redis cannot be asked, and it is not one of the latest.
    pub(crate) async fn get(&self, id: OrderId) -> Result<Option<Receipt>, Error> {
        match self.recent.get(&id) {
            Some(json) => Ok(Some(serde_json::from_slice(&json)?)),
            None => self.reader.get(id).await,
        }
    }
}
