//! The files of the log, as the writer sees them.

use std::{
    fs::{File, OpenOptions},
    io::{self, Seek as _, SeekFrom, Write as _},
    path::{Path, PathBuf},
};

use super::{frame::MAGIC, log_path};

/// Zeros written ahead of the records. Syncing bytes that lie within a file costs about half of syncing bytes that make it
/// longer, since the file system has nothing of its own to write.
static AHEAD: [u8; 1 << 20] = [0; 1 << 20];

/// What the writer needs of a disk. A port, so that a test can have one that is full.
pub(super) trait Disk: Send {
    /// Appends `bytes` and syncs them. On an error the file may have got longer: call [`Disk::roll_back`].
    fn append(&mut self, bytes: &[&[u8]]) -> io::Result<()>;
    /// Cuts off what a failed append left.
    fn roll_back(&mut self) -> io::Result<()>;
    /// Goes on in a new, empty file.
    fn next_file(&mut self) -> io::Result<()>;
    /// Bytes of the present file that are synced.
    fn synced_bytes(&self) -> u64;
    /// Number of the present file.
    fn number(&self) -> u64;
    /// Where the files are.
    fn directory(&self) -> &Path;
    /// Leaves a file that ends with its last record.
    fn finish(&mut self);
}

/// The real thing.
pub(super) struct LogFile {
    directory: PathBuf,
    number: u64,
    file: File,
    synced_bytes: u64,
    /// Length of the file, with the zeros at its end.
    length_bytes: u64,
    /// Locked while we use the directory.
    lock: File,
}

impl LogFile {
    /// Opens file `number` to append behind its first `good_bytes`; creates it when they are 0.
    pub(super) fn open(
        directory: &Path,
        number: u64,
        good_bytes: u64,
        lock: File,
    ) -> io::Result<Self> {
        let (file, synced_bytes) = match good_bytes {
            0 => create(directory, number)?,
            _ => {
                let mut file = OpenOptions::new()
                    .write(true)
                    .open(log_path(directory, number))?;
                file.set_len(good_bytes)?;
                file.seek(SeekFrom::Start(good_bytes))?;
                file.sync_all()?;
                (file, good_bytes)
            }
        };
        let directory = directory.to_owned();
        Ok(Self {
            directory,
            number,
            file,
            synced_bytes,
            length_bytes: synced_bytes,
            lock,
        })
    }
}

impl LogFile {
    /// Sees to it that `bytes` more fit into the file as it is. Where that fails, on a disk that is nearly full, the file
    /// grows with its records.
    fn reserve(&mut self, bytes: u64) {
        let needed = self.synced_bytes + bytes;
        while self.length_bytes < needed {
            let written = self
                .file
                .seek(SeekFrom::Start(self.length_bytes))
                .and_then(|_| self.file.write_all(&AHEAD));
            if written.is_err() {
                return;
            }
            self.length_bytes += AHEAD.len() as u64;
        }
    }
}

impl Drop for LogFile {
    fn drop(&mut self) {
        // Closing would not do: a child that another thread is starting has the file open until it becomes its program.
        let _ = self.lock.unlock();
    }
}

impl Disk for LogFile {
    fn append(&mut self, parts: &[&[u8]]) -> io::Result<()> {
        let bytes = parts.iter().map(|part| part.len() as u64).sum();
        self.reserve(bytes);
        self.file.seek(SeekFrom::Start(self.synced_bytes))?;
        for part in parts {
            self.file.write_all(part)?;
        }
        self.file.sync_data()?;
        self.synced_bytes += bytes;
        self.length_bytes = self.length_bytes.max(self.synced_bytes);
        Ok(())
    }

    fn roll_back(&mut self) -> io::Result<()> {
        self.file.set_len(self.synced_bytes)?;
        self.length_bytes = self.synced_bytes;
        Ok(())
    }

    fn next_file(&mut self) -> io::Result<()> {
        let (file, synced_bytes) = create(&self.directory, self.number + 1)?;
        self.finish();
        (self.file, self.synced_bytes, self.length_bytes) = (file, synced_bytes, synced_bytes);
        self.number += 1;
        Ok(())
    }

    fn finish(&mut self) {
        // Zeros that stay are no fault, only a waste.
        let _ = self.roll_back();
    }

    fn synced_bytes(&self) -> u64 {
        self.synced_bytes
    }

    fn number(&self) -> u64 {
        self.number
    }

    fn directory(&self) -> &Path {
        &self.directory
    }
}

fn create(directory: &Path, number: u64) -> io::Result<(File, u64)> {
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .open(log_path(directory, number))?;
    file.write_all(&MAGIC)?;
    file.sync_all()?;
    sync_directory(directory)?;
    Ok((file, MAGIC.len() as u64))
}

/// Makes new names in a directory durable.
pub(super) fn sync_directory(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}
