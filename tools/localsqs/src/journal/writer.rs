//! The thread that writes the log.

use std::{
    sync::Arc,
    thread::JoinHandle,
    time::{Duration, Instant},
};

use super::{
    LogFault, Progress, Shared, Source,
    disk::Disk,
    frame,
    snapshot::{self, Snapshot},
};

/// How long records may wait that nobody waits for (receives, visibility changes).
const LAZY_MS_MAX: u64 = 20;
/// Pause before a failed write is tried again.
const RETRY_MS: u64 = 200;

pub(super) struct Writer {
    shared: Arc<Shared>,
    disk: Box<dyn Disk>,
    source: Source,
    bytes_before_compaction: u64,
    /// Bytes that the last snapshot took.
    snapshot_bytes: u64,
    /// Bytes of log since the last snapshot, in files before the present one.
    earlier_bytes: u64,
    snapshot: Option<JoinHandle<Option<u64>>>,
}

impl Writer {
    pub(super) fn new(
        shared: Arc<Shared>,
        disk: Box<dyn Disk>,
        source: Source,
        bytes_before_compaction: u64,
    ) -> Self {
        Self {
            shared,
            disk,
            source,
            bytes_before_compaction,
            snapshot_bytes: 0,
            earlier_bytes: 0,
            snapshot: None,
        }
    }

    pub(super) fn run(mut self) {
        let mut batch = Vec::new();
        loop {
            let (place, closing) = self.next_batch(&mut batch);
            if !batch.is_empty() && !self.write(&batch, place) {
                break;
            }
            batch.clear();
            self.compact();
            if closing {
                break;
            }
        }
        if let Some(snapshot) = self.snapshot.take() {
            // It sees that the log closes and ends soon; the directory must not be freed before.
            let _ = snapshot.join();
        }
        self.disk.finish();
    }

    /// Waits for work and takes it. The place is where the log ends with it.
    fn next_batch(&self, batch: &mut Vec<u8>) -> (u64, bool) {
        let mut pending = self.shared.pending.lock();
        while pending.bytes.is_empty() && !pending.closing {
            self.shared.work.wait(&mut pending);
        }
        let lazy_until = Instant::now() + Duration::from_millis(LAZY_MS_MAX);
        while !pending.wanted && !pending.closing {
            if self
                .shared
                .work
                .wait_until(&mut pending, lazy_until)
                .timed_out()
            {
                break;
            }
        }
        pending.wanted = false;
        std::mem::swap(&mut pending.bytes, batch);
        (pending.appended, pending.closing)
    }

    /// Writes a batch, as often as it takes. False: it did not get there, and the log closes.
    fn write(&mut self, batch: &[u8], place: u64) -> bool {
        let mut failed = false;
        loop {
            let mark = frame::mark(self.disk.synced_bytes());
            let rolled_back = if failed {
                self.disk.roll_back()
            } else {
                Ok(())
            };
            let Err(error) = rolled_back.and_then(|()| self.disk.append(&[&mark, batch])) else {
                break;
            };
            if !failed {
                tracing::error!(%error, "the log cannot be written; changes are refused until it can");
            }
            failed = true;
            let fault = LogFault(error.to_string().into());
            self.shared
                .progress
                .send_modify(|progress| progress.fault = Some(fault));
            if !self.pause() {
                return false;
            }
        }
        if failed {
            tracing::info!("the log can be written again");
        }
        self.shared.progress.send_modify(|progress| {
            *progress = Progress {
                durable: place,
                fault: None,
            }
        });
        self.shared.written.notify_all();
        true
    }

    /// Waits before the next attempt. False: the log closes.
    fn pause(&self) -> bool {
        let until = Instant::now() + Duration::from_millis(RETRY_MS);
        let mut pending = self.shared.pending.lock();
        while !pending.closing {
            if self.shared.work.wait_until(&mut pending, until).timed_out() {
                return true;
            }
        }
        false
    }

    /// Begins a snapshot when the log has grown enough, and takes note of a finished one. Writing goes on meanwhile.
    fn compact(&mut self) {
        if let Some(running) = self.snapshot.take_if(|running| running.is_finished())
            && let Ok(Some(bytes)) = running.join()
        {
            self.snapshot_bytes = bytes;
            self.earlier_bytes = 0;
        }
        let log_bytes = self.earlier_bytes + self.disk.synced_bytes();
        if self.snapshot.is_some()
            || log_bytes < self.bytes_before_compaction.max(2 * self.snapshot_bytes)
        {
            return;
        }
        let file_bytes = self.disk.synced_bytes();
        if let Err(error) = self.disk.next_file() {
            tracing::warn!(%error, "cannot begin a new log file; the old one goes on");
            return;
        }
        self.earlier_bytes += file_bytes;
        let task = Snapshot {
            registry: self.source.registry.clone(),
            shared: Arc::clone(&self.shared),
            directory: self.disk.directory().to_owned(),
            number: self.disk.number(),
        };
        let thread = std::thread::Builder::new().name("localsqs-snapshot".to_owned());
        match thread.spawn(move || snapshot::take(&task)) {
            Ok(running) => self.snapshot = Some(running),
            Err(error) => tracing::warn!(%error, "cannot start a snapshot; the log grows on"),
        }
    }
}
