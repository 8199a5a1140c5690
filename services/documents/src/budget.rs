//! How much of files is in memory at once, all together.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Permits are counted in KiB.
const UNIT_BYTES: u64 = 1024;

/// Bytes that files may take up together; clones share it.
#[derive(Debug, Clone)]
pub(crate) struct Budget {
    units: Arc<Semaphore>,
    units_max: u32,
}

impl Budget {
    pub(crate) fn new(bytes: u64) -> Self {
        let units_max = u32::try_from(bytes / UNIT_BYTES).unwrap_or(u32::MAX).max(1);
        Self {
            units: Arc::new(Semaphore::new(units_max as usize)),
            units_max,
        }
    }

    /// Waits for room; a file larger than all of it has it alone.
    pub(crate) async fn take(&self, bytes: u64) -> Room {
        let units = u32::try_from(bytes / UNIT_BYTES + 1).unwrap_or(u32::MAX);
        let units = units.min(self.units_max);
        // It is never closed.
        Room(Arc::clone(&self.units).acquire_many_owned(units).await.ok())
    }
}

/// Room for a file; held until its bytes are gone.
#[derive(Debug)]
pub(crate) struct Room(#[expect(dead_code, reason = "held")] Option<OwnedSemaphorePermit>);
