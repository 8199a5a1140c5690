use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;

use crate::Error;

/// One owner per directory: an advisory lock on a file, which the operating system frees when the owner dies, however it
/// dies. The file holds the owner's pid, for the message to the second comer.
#[derive(Debug)]
pub struct DirLock {
    // Held for its lock only.
    _file: File,
}

impl DirLock {
    /// Takes the lock at `path` (the file is made when it is not there); `dir` is what it guards, for the message.
    ///
    /// # Errors
    /// [`Error::InUse`] with the owner's pid while another process holds it.
    pub fn acquire(path: &Path, dir: &Path) -> Result<Self, Error> {
        let mut file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(path)
            .map_err(Error::io("open the lock file", path))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut text = String::new();
                let _ = file.read_to_string(&mut text);
                return Err(Error::InUse {
                    dir: dir.to_owned(),
                    pid: text.trim().parse().unwrap_or(0),
                });
            }
            Err(TryLockError::Error(source)) => return Err(Error::io("lock", path)(source)),
        }
        file.set_len(0)
            .and_then(|()| file.seek(SeekFrom::Start(0)))
            .and_then(|_| file.write_all(format!("{}\n", std::process::id()).as_bytes()))
            .map_err(Error::io("write the lock file", path))?;
        Ok(Self { _file: file })
    }
}
