//! A file of a source as readers of zips want it: read and sought, by ranges.

use std::io::{self, Read, Seek, SeekFrom};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use tokio::runtime::Handle;

use super::source::Source;

/// A file of the source as the reader of zips wants it. Used on threads that may wait.
#[derive(Debug, Clone)]
pub(crate) struct Ranges {
    source: Source,
    name: Arc<str>,
    bytes: u64,
    at: u64,
    window_bytes: u64,
    window: Bytes,
    window_at: u64,
    allowance: Allowance,
    handle: Handle,
}

/// What may still be read of a file, by all clones together.
#[derive(Debug, Clone)]
pub(crate) struct Allowance(Arc<AtomicU64>);

impl Allowance {
    const UNLIMITED: u64 = u64::MAX;

    /// From now on anything may be read.
    pub(crate) fn lift(&self) {
        self.0.store(Self::UNLIMITED, Ordering::Relaxed);
    }

    fn take(&self, bytes: u64) -> io::Result<()> {
        let allowed = self.0.load(Ordering::Relaxed);
        if allowed == Self::UNLIMITED {
            return Ok(());
        }
        let left = allowed.checked_sub(bytes);
        let left = left.ok_or_else(|| io::Error::other("it has too many entries"))?;
        self.0.store(left, Ordering::Relaxed);
        Ok(())
    }
}

impl Ranges {
    /// A file of so many bytes, of which `window_bytes` are read at once. Made inside a runtime.
    pub(crate) fn new(source: &Source, name: &str, bytes: u64, window_bytes: u64) -> Self {
        Self {
            source: source.clone(),
            name: name.into(),
            bytes,
            at: 0,
            window_bytes,
            window: Bytes::new(),
            window_at: 0,
            allowance: Allowance(Arc::new(AtomicU64::new(Allowance::UNLIMITED))),
            handle: Handle::current(),
        }
    }

    /// Lets no more than so many bytes be read until it is lifted.
    pub(crate) fn allow_only(&self, bytes: u64) -> Allowance {
        self.allowance.0.store(bytes, Ordering::Relaxed);
        self.allowance.clone()
    }
}

impl Read for Ranges {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let inside = self.at.checked_sub(self.window_at);
        let inside = inside.and_then(|at| usize::try_from(at).ok());
        let mut part = inside.and_then(|at| self.window.get(at..)).unwrap_or(&[]);
        if part.is_empty() {
            if self.at >= self.bytes || out.is_empty() {
                return Ok(0);
            }
            let end = self.bytes.min(self.at + self.window_bytes);
            self.allowance.take(end - self.at)?;
            let read = self.source.read_at(&self.name, self.at..end);
            self.window = self.handle.block_on(read).map_err(io::Error::other)?;
            self.window_at = self.at;
            part = &self.window;
        }
        let length = part.len().min(out.len());
        out[..length].copy_from_slice(&part[..length]);
        self.at += length as u64;
        Ok(length)
    }
}

impl Seek for Ranges {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let at = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(by) => self.bytes.checked_add_signed(by),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
        };
        self.at = at.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
        Ok(self.at)
    }
}
