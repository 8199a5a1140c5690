//! Compaction: all that the queues hold, written anew, so that the log before it can go.
//!
//! It happens beside the queues' work, a few messages under each hold of a queue's lock. What changes meanwhile is in the
//! log file that was begun before, and since records are absolute, replaying that file over the snapshot gives the state
//! at its end, whatever of it the snapshot already had.

use std::{
    fs::{self, File},
    io::{self, BufWriter, Write as _},
    path::{Path, PathBuf},
    sync::{Arc, Weak},
    time::Duration,
};

use super::{
    Shared,
    disk::sync_directory,
    frame::{self, MAGIC},
    record::Record,
    replay, snapshot_path,
};
use crate::{
    engine::{Registry, queue::Queue},
    error::Error,
};

/// Messages, or remembered sends, copied under one hold of a queue's lock.
const CHUNK_MAX: usize = 500;
/// How often to look whether the log is on disk.
const LOOK_AGAIN_MS: u64 = 10;

pub(super) struct Snapshot {
    pub(super) registry: Weak<Registry>,
    pub(super) shared: Arc<Shared>,
    pub(super) directory: PathBuf,
    /// The log file that holds everything after the snapshot began.
    pub(super) number: u64,
}

/// Takes a snapshot and removes what it replaces. `None`: not this time; the log as it is stays complete. Else its size in
/// bytes.
pub(super) fn take(task: &Snapshot) -> Option<u64> {
    let unfinished = snapshot_path(&task.directory, task.number).with_extension("tmp");
    match write(task, &unfinished) {
        Ok(Some(bytes)) => {
            tracing::debug!(bytes, number = task.number, "the log was compacted");
            Some(bytes)
        }
        Ok(None) => {
            let _ = fs::remove_file(&unfinished);
            None
        }
        Err(error) => {
            tracing::warn!(%error, "the log could not be compacted; it grows on");
            let _ = fs::remove_file(&unfinished);
            None
        }
    }
}

fn write(task: &Snapshot, unfinished: &Path) -> io::Result<Option<u64>> {
    let mut out = Out {
        file: BufWriter::new(File::create(unfinished)?),
        buffer: Vec::new(),
        bytes: 0,
    };
    out.raw(&MAGIC)?;
    let Some(registry) = task.registry.upgrade() else {
        return Ok(None);
    };
    let mut next_seq = 0;
    for queue in registry.all() {
        if task.shared.pending.lock().closing {
            return Ok(None);
        }
        // A queue that is deleted meanwhile needs no more of this.
        if let Err(Stop::Io(error)) = write_queue(&queue, &mut out) {
            return Err(error);
        }
        next_seq = next_seq.max(queue.next_seq());
    }
    drop(registry);
    out.record(&Record::Complete { next_seq })?;
    out.file.flush()?;
    out.file.get_ref().sync_all()?;
    // What the snapshot has seen must not be ahead of the log: a message that moved between queues while it was being
    // taken could else be in both.
    if !wait_for_log(&task.shared) {
        return Ok(None);
    }
    fs::rename(unfinished, snapshot_path(&task.directory, task.number))?;
    sync_directory(&task.directory)?;
    replay::remove_older_than(&task.directory, task.number)?;
    Ok(Some(out.bytes))
}

enum Stop {
    Deleted,
    Io(io::Error),
}

impl From<Error> for Stop {
    fn from(_: Error) -> Self {
        Self::Deleted
    }
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

fn write_queue(queue: &Queue, out: &mut Out) -> Result<(), Stop> {
    let (record, purged_below) =
        queue.with(|state, _| (queue.as_record(state), state.purged_below))?;
    out.record(&record)?;
    out.record(&Record::Purged {
        queue: queue.uid,
        below: purged_below,
    })?;
    let mut from = 0;
    loop {
        let chunk = queue.with(|state, _| {
            let messages = state.messages_from(from).take(CHUNK_MAX);
            messages
                .map(|(seq, message)| (seq, message.clone()))
                .collect::<Vec<_>>()
        })?;
        let Some((last, _)) = chunk.last() else { break };
        from = last + 1;
        for (seq, message) in chunk {
            out.record(&Record::Put {
                queue: queue.uid,
                seq,
                message,
                first_send: None,
            })?;
        }
    }
    let mut from_ms = 0;
    loop {
        let chunk = queue.with(|state, _| state.first_sends.chunk(from_ms, CHUNK_MAX))?;
        let Some((_, last_ms, _)) = chunk.last() else {
            break;
        };
        from_ms = last_ms + 1;
        for (key, start_ms, first) in chunk {
            out.record(&Record::FirstSend {
                queue: queue.uid,
                key,
                start_ms,
                first,
            })?;
        }
    }
    Ok(())
}

/// Waits until the log is on disk as far as it is now appended. False: it cannot be.
fn wait_for_log(shared: &Shared) -> bool {
    let mut pending = shared.pending.lock();
    let place = pending.appended;
    loop {
        let progress = shared.progress.borrow().clone();
        if progress.durable >= place {
            return true;
        }
        if pending.closing || progress.fault.is_some() {
            return false;
        }
        pending.wanted = true;
        shared.work.notify_one();
        // The progress is not under this lock: look again at times.
        shared
            .written
            .wait_for(&mut pending, Duration::from_millis(LOOK_AGAIN_MS));
    }
}

struct Out {
    file: BufWriter<File>,
    buffer: Vec<u8>,
    bytes: u64,
}

impl Out {
    fn record(&mut self, record: &Record) -> io::Result<()> {
        let mut buffer = std::mem::take(&mut self.buffer);
        buffer.clear();
        frame::append(&mut buffer, record);
        let result = self.raw(&buffer);
        self.buffer = buffer;
        result
    }

    fn raw(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.bytes += bytes.len() as u64;
        self.file.write_all(bytes)
    }
}
