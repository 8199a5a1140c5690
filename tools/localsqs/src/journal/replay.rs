//! From the files back to queues.

use std::{
    collections::{HashMap, hash_map::Entry},
    fs::{self, File, TryLockError},
    io::{self, BufReader},
    path::{Path, PathBuf},
    sync::{Arc, atomic::Ordering},
};

use super::{
    Journal, LogFile, Source,
    frame::{self, End},
    log_path,
    record::{Received, Record},
    snapshot_path,
};
use crate::{
    engine::{
        Engine,
        queue::Queue,
        settings::{AttributeMap, Settings},
        state::State,
    },
    server::StartError,
};

/// A directory whose files have been found and which no one else uses.
pub(crate) struct Opened {
    directory: PathBuf,
    lock: File,
    /// 0: there is none.
    snapshot: u64,
    logs: Vec<u64>,
}

/// Takes a directory into use.
pub(crate) fn open(directory: &Path) -> Result<Opened, StartError> {
    let fault = |source| StartError::Directory {
        directory: directory.to_owned(),
        source,
    };
    fs::create_dir_all(directory).map_err(fault)?;
    let lock = File::create(directory.join("lock")).map_err(fault)?;
    match lock.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            return Err(StartError::InUse {
                directory: directory.to_owned(),
            });
        }
        Err(TryLockError::Error(error)) => return Err(fault(error)),
    }
    let mut snapshot = 0;
    let mut logs = Vec::new();
    for entry in fs::read_dir(directory).map_err(fault)? {
        let name = entry.map_err(fault)?.file_name();
        let Some(name) = name.to_str() else { continue };
        if let Some(number) = name
            .strip_prefix("snapshot-")
            .and_then(|number| number.parse().ok())
        {
            snapshot = u64::max(snapshot, number);
        } else if let Some(number) = name
            .strip_prefix("log-")
            .and_then(|number| number.parse::<u64>().ok())
        {
            logs.push(number);
        } else if name.starts_with("snapshot-") {
            // An unfinished one, from a crash.
            fs::remove_file(directory.join(name)).map_err(fault)?;
        }
    }
    remove_older_than(directory, snapshot).map_err(fault)?;
    logs.retain(|number| *number >= snapshot);
    logs.sort_unstable();
    Ok(Opened {
        directory: directory.to_owned(),
        lock,
        snapshot,
        logs,
    })
}

/// Removes what snapshot `number` replaces.
pub(super) fn remove_older_than(directory: &Path, number: u64) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let name = entry.file_name();
        let numbered = name
            .to_str()
            .and_then(|name| name.strip_prefix("log-").or(name.strip_prefix("snapshot-")));
        if numbered
            .and_then(|text| text.parse::<u64>().ok())
            .is_some_and(|found| found < number)
        {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

impl Opened {
    /// Puts everything that the files hold into `engine`, which is empty, and gives the log to go on with.
    pub(crate) fn replay(&self, engine: &Engine) -> Result<(u64, u64), StartError> {
        let mut replay = Replay {
            engine,
            queues: HashMap::new(),
            complete: false,
        };
        if self.snapshot > 0 {
            let path = snapshot_path(&self.directory, self.snapshot);
            let end = replay.file(&path)?;
            if !matches!(end, End::Clean { .. }) || !replay.complete {
                return Err(damaged(path, "the snapshot is not whole"));
            }
        }
        let first = self.snapshot.max(1);
        if self.snapshot > 0 && self.logs.is_empty() {
            return Err(damaged(
                log_path(&self.directory, first),
                "the log that goes with the snapshot is missing",
            ));
        }
        let mut last = (first, 0);
        for (expected, number) in (first..).zip(&self.logs) {
            let path = log_path(&self.directory, *number);
            if *number != expected {
                return Err(damaged(
                    path,
                    &format!("log file number {expected} is missing before it"),
                ));
            }
            let good_bytes = match replay.file(&path)? {
                End::Clean { bytes } => bytes,
                End::Torn { good_bytes } if Some(number) == self.logs.last() => {
                    tracing::info!(file = %path.display(), good_bytes, "cutting off what a crash left unfinished");
                    good_bytes
                }
                End::Torn { good_bytes: at } | End::Damaged { at } => {
                    return Err(damaged(path, &format!("damaged at byte {at}")));
                }
            };
            last = (*number, good_bytes);
        }
        Ok(last)
    }

    /// Starts the log behind the place that the replay came to.
    pub(crate) fn start_log(
        self,
        (number, good_bytes): (u64, u64),
        source: Source,
        bytes_before_compaction: u64,
    ) -> Result<Journal, StartError> {
        let start = || {
            let file = LogFile::open(&self.directory, number, good_bytes, self.lock)?;
            Journal::start(Box::new(file), source, bytes_before_compaction)
        };
        start().map_err(|source| StartError::Directory {
            directory: self.directory.clone(),
            source,
        })
    }
}

fn damaged(file: PathBuf, reason: &str) -> StartError {
    StartError::Damaged {
        file,
        reason: reason.to_owned(),
    }
}

struct Replay<'a> {
    engine: &'a Engine,
    queues: HashMap<u64, Arc<Queue>>,
    complete: bool,
}

impl Replay<'_> {
    fn file(&mut self, path: &Path) -> Result<End, StartError> {
        let fault = |source| StartError::Directory {
            directory: path.to_owned(),
            source,
        };
        let file = BufReader::with_capacity(1 << 20, File::open(path).map_err(fault)?);
        let mut refused = None;
        let end = frame::read(file, |record| {
            if let Err(reason) = self.apply(record) {
                refused.get_or_insert(reason);
            }
        })
        .map_err(fault)?;
        match refused {
            Some(reason) => Err(damaged(path.to_owned(), &reason)),
            None => Ok(end),
        }
    }

    /// Applies a record. Queues it knows nothing of were deleted later: the snapshot no longer has them.
    fn apply(&mut self, record: Record) -> Result<(), String> {
        match record {
            Record::Queue {
                queue,
                name,
                attributes,
                tags,
                created_ms,
                modified_ms,
            } => {
                self.queue(queue, &name, &attributes, tags, created_ms, modified_ms)?;
            }
            Record::QueueDeleted { queue } => {
                if let Some(queue) = self.queues.remove(&queue) {
                    self.engine.forget_queue(&queue);
                }
            }
            Record::Put {
                queue,
                seq,
                message,
                first_send,
            } => {
                self.taken(seq);
                self.on(queue, |state| {
                    if let Some(key) = first_send
                        && seq >= state.purged_below
                    {
                        state.remember_send(key, message.sent_ms, message.id, seq);
                    }
                    state.put(seq, message);
                });
            }
            Record::Removed { queue, seqs } => self.on(queue, |state| {
                for seq in seqs {
                    state.remove(seq);
                }
            }),
            Record::Received { queue, messages } => self.on(queue, |state| {
                for received in messages {
                    receive(state, received);
                }
            }),
            Record::VisibilityChanged {
                queue,
                seq,
                visibility,
            } => {
                self.on(queue, |state| state.set_visibility(seq, visibility));
            }
            Record::Moved {
                from,
                from_seq,
                to,
                to_seq,
                message,
            } => {
                self.taken(to_seq);
                self.on(from, |state| {
                    state.remove(from_seq);
                });
                self.on(to, |state| state.put(to_seq, message));
            }
            Record::Purged { queue, below } => self.on(queue, |state| state.purge(below)),
            Record::FirstSend {
                queue,
                key,
                start_ms,
                first,
            } => {
                self.on(queue, |state| {
                    state.remember_send(key, start_ms, first.id, first.seq);
                });
            }
            Record::Complete { next_seq } => {
                self.taken(next_seq);
                self.complete = true;
            }
        }
        Ok(())
    }

    fn queue(
        &mut self,
        uid: u64,
        name: &str,
        attributes: &AttributeMap,
        tags: AttributeMap,
        created_ms: u64,
        modified_ms: u64,
    ) -> Result<(), String> {
        let mut settings = Settings::new(name.ends_with(".fifo"));
        settings
            .apply(attributes)
            .map_err(|error| format!("queue {name}: {}", error.message()))?;
        match self.queues.entry(uid) {
            Entry::Occupied(known) => known.get().restore(|state| {
                state.configure(settings, modified_ms);
                state.tags = tags;
            }),
            Entry::Vacant(new) => {
                let mut state = State::new(settings, tags, created_ms);
                state.modified_ms = modified_ms;
                new.insert(self.engine.restore_queue(uid, name, state));
            }
        }
        Ok(())
    }

    fn on(&self, queue: u64, change: impl FnOnce(&mut State)) {
        if let Some(queue) = self.queues.get(&queue) {
            queue.restore(change);
        }
    }

    fn taken(&self, seq: u64) {
        self.engine
            .core
            .next_seq
            .fetch_max(seq + 1, Ordering::Relaxed);
    }
}

fn receive(state: &mut State, received: Received) {
    let Received {
        seq,
        receipt,
        receive_count,
        first_received_ms,
        received_ms,
        visibility,
    } = received;
    let Some(message) = state.message_mut(seq) else {
        return;
    };
    message.receipt = receipt;
    message.receive_count = receive_count;
    message.first_received_ms = first_received_ms;
    message.received_ms = received_ms;
    state.set_visibility(seq, visibility);
}
