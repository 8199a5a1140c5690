//! The append-only log that makes the queues survive a crash.
//!
//! A change is made in memory and appended here under the lock of its queue, so the log has the order in which things
//! happened. One thread writes whatever has gathered and syncs it; whoever acknowledges something waits for that
//! ([`Journal::durable`]). While one sync is under way the next batch gathers: that is the group commit.
//!
//! When the disk is full or fails, nothing is acknowledged: the batch is kept and tried again, further changes are refused
//! ([`Journal::writable`]), and the server goes on by itself once there is room.

mod disk;
mod frame;
pub(crate) mod record;
pub(crate) mod replay;
mod snapshot;
mod writer;

use std::{
    fmt, io,
    path::{Path, PathBuf},
    sync::{Arc, Weak},
    thread::JoinHandle,
};

use parking_lot::{Condvar, Mutex};
use tokio::sync::watch;

use self::{
    disk::{Disk, LogFile},
    record::Record,
    writer::Writer,
};
use crate::engine::Registry;

/// Bytes that may wait to be written. Beyond them changes are refused.
const PENDING_BYTES_MAX: usize = 64 << 20;

/// Why the log cannot take a change. Goes to the client as a 503.
#[derive(Clone, Debug)]
pub(crate) struct LogFault(Arc<str>);

impl fmt::Display for LogFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "The log cannot be written: {}.", self.0)
    }
}

/// Where to find what a snapshot is made of. Weak: the log must not keep the queues alive.
pub(crate) struct Source {
    pub(crate) registry: Weak<Registry>,
}

/// A server's log.
pub(crate) struct Journal {
    shared: Arc<Shared>,
    writer: Mutex<Option<JoinHandle<()>>>,
}

/// What the writer thread and everyone else share.
struct Shared {
    pending: Mutex<Pending>,
    /// Told when the writer has something to do.
    work: Condvar,
    /// Told when a batch is on disk.
    written: Condvar,
    progress: watch::Sender<Progress>,
}

#[derive(Default)]
struct Pending {
    bytes: Vec<u8>,
    /// Bytes ever appended: the place after the last record.
    appended: u64,
    /// Someone waits for what is in `bytes`.
    wanted: bool,
    closing: bool,
}

#[derive(Clone, Debug, Default)]
struct Progress {
    /// Everything before this place is on disk.
    durable: u64,
    fault: Option<LogFault>,
}

impl Journal {
    /// Starts the writer on a log that was replayed up to its end.
    ///
    /// # Errors
    /// When the thread cannot be started.
    fn start(
        disk: Box<dyn Disk>,
        source: Source,
        bytes_before_compaction: u64,
    ) -> io::Result<Self> {
        let shared = Arc::new(Shared {
            pending: Mutex::new(Pending::default()),
            work: Condvar::new(),
            written: Condvar::new(),
            progress: watch::Sender::new(Progress::default()),
        });
        let writer = Writer::new(Arc::clone(&shared), disk, source, bytes_before_compaction);
        let thread = std::thread::Builder::new()
            .name("localsqs-log".to_owned())
            .spawn(move || writer.run())?;
        Ok(Self {
            shared,
            writer: Mutex::new(Some(thread)),
        })
    }

    /// Appends a record; returns the place behind it. It is not on disk yet.
    pub(crate) fn append(&self, record: &Record) -> u64 {
        let mut pending = self.shared.pending.lock();
        let first = pending.bytes.is_empty();
        let added = frame::append(&mut pending.bytes, record);
        pending.appended += added as u64;
        if first {
            self.shared.work.notify_one();
        }
        pending.appended
    }

    /// Returns once everything before `place` is on disk.
    ///
    /// # Errors
    /// When the disk does not take it. It may get there later all the same: the sender does not know.
    pub(crate) async fn durable(&self, place: u64) -> Result<(), LogFault> {
        if self.shared.progress.borrow().durable >= place {
            return Ok(());
        }
        {
            let mut pending = self.shared.pending.lock();
            if !pending.wanted {
                pending.wanted = true;
                self.shared.work.notify_one();
            }
        }
        let mut progress = self.shared.progress.subscribe();
        let reached = |progress: &Progress| progress.durable >= place || progress.fault.is_some();
        match progress.wait_for(reached).await {
            Ok(progress) if progress.durable >= place => Ok(()),
            Ok(progress) => Err(progress.fault.clone().unwrap_or_else(closed)),
            Err(_) => Err(closed()),
        }
    }

    /// Whether changes can be taken now.
    pub(crate) fn writable(&self) -> Result<(), LogFault> {
        if let Some(fault) = &self.shared.progress.borrow().fault {
            return Err(fault.clone());
        }
        if self.shared.pending.lock().bytes.len() > PENDING_BYTES_MAX {
            return Err(LogFault("the disk does not keep up".into()));
        }
        Ok(())
    }

    /// Writes what is pending, ends the writer, and frees the directory.
    pub(crate) async fn close(&self) {
        self.shared.close();
        let Some(thread) = self.writer.lock().take() else {
            return;
        };
        // The thread is busy with one last write at most; a panic in it has been reported.
        let _ = tokio::task::spawn_blocking(move || thread.join()).await;
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        self.shared.close();
    }
}

impl Shared {
    fn close(&self) {
        self.pending.lock().closing = true;
        self.work.notify_one();
    }
}

fn closed() -> LogFault {
    LogFault("the server stops".into())
}

fn log_path(directory: &Path, number: u64) -> PathBuf {
    directory.join(format!("log-{number:012}"))
}

fn snapshot_path(directory: &Path, number: u64) -> PathBuf {
    directory.join(format!("snapshot-{number:012}"))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    /// A disk that can be full: it writes half of what it is given, then fails.
    struct Fillable {
        inner: LogFile,
        full: Arc<AtomicBool>,
    }

    impl Disk for Fillable {
        fn append(&mut self, parts: &[&[u8]]) -> io::Result<()> {
            if !self.full.load(Ordering::SeqCst) {
                return self.inner.append(parts);
            }
            let path = log_path(self.inner.directory(), self.inner.number());
            let mut torn = std::fs::read(&path)?;
            torn.truncate(usize::try_from(self.inner.synced_bytes()).unwrap());
            torn.extend_from_slice(&parts[parts.len() - 1][..parts[parts.len() - 1].len() / 2]);
            std::fs::write(&path, torn)?;
            Err(io::ErrorKind::StorageFull.into())
        }

        fn roll_back(&mut self) -> io::Result<()> {
            self.inner.roll_back()
        }

        fn next_file(&mut self) -> io::Result<()> {
            self.inner.next_file()
        }

        fn finish(&mut self) {
            self.inner.finish();
        }

        fn synced_bytes(&self) -> u64 {
            self.inner.synced_bytes()
        }

        fn number(&self) -> u64 {
            self.inner.number()
        }

        fn directory(&self) -> &Path {
            self.inner.directory()
        }
    }

    fn purged(below: u64) -> Record {
        Record::Purged { queue: 1, below }
    }

    #[test]
    fn a_directory_is_free_when_its_log_is_closed_though_a_child_still_has_its_lock_open() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("lock");
        let lock = std::fs::File::create(&path).unwrap();
        lock.try_lock().unwrap();
        // As a child has it between its fork and its exec.
        let _inherited = lock.try_clone().unwrap();
        drop(LogFile::open(directory.path(), 1, 0, lock).unwrap());
        std::fs::File::create(&path).unwrap().try_lock().unwrap();
    }

    #[tokio::test]
    async fn a_full_disk_acknowledges_nothing_and_loses_nothing_and_heals() {
        let directory = tempfile::tempdir().unwrap();
        let lock = std::fs::File::create(directory.path().join("lock")).unwrap();
        let full = Arc::new(AtomicBool::new(false));
        let inner = LogFile::open(directory.path(), 1, 0, lock).unwrap();
        let disk = Fillable {
            inner,
            full: Arc::clone(&full),
        };
        let journal = Journal::start(
            Box::new(disk),
            Source {
                registry: Weak::new(),
            },
            u64::MAX,
        )
        .unwrap();

        let before = journal.append(&purged(1));
        journal.durable(before).await.unwrap();
        full.store(true, Ordering::SeqCst);
        let during = journal.append(&purged(2));
        assert!(journal.durable(during).await.is_err());
        assert!(journal.writable().is_err());
        assert!(
            journal.durable(before).await.is_ok(),
            "what was on disk stays so"
        );

        full.store(false, Ordering::SeqCst);
        let mut progress = journal.shared.progress.subscribe();
        progress
            .wait_for(|progress| progress.fault.is_none())
            .await
            .unwrap();
        journal.durable(during).await.unwrap();
        let after = journal.append(&purged(3));
        journal.durable(after).await.unwrap();
        journal.close().await;

        let mut seen = Vec::new();
        let file = std::fs::read(log_path(directory.path(), 1)).unwrap();
        let end = frame::read(file.as_slice(), |record| {
            if let Record::Purged { below, .. } = record {
                seen.push(below);
            }
        });
        assert_eq!(
            end.unwrap(),
            frame::End::Clean {
                bytes: file.len() as u64
            }
        );
        assert_eq!(seen, [1, 2, 3]);
    }

    #[tokio::test]
    async fn closing_on_a_full_disk_ends() {
        let directory = tempfile::tempdir().unwrap();
        let lock = std::fs::File::create(directory.path().join("lock")).unwrap();
        let inner = LogFile::open(directory.path(), 1, 0, lock).unwrap();
        let disk = Fillable {
            inner,
            full: Arc::new(AtomicBool::new(true)),
        };
        let journal = Journal::start(
            Box::new(disk),
            Source {
                registry: Weak::new(),
            },
            u64::MAX,
        )
        .unwrap();
        let place = journal.append(&purged(1));
        assert!(journal.durable(place).await.is_err());
        journal.close().await;
    }
}
