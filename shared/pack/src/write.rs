//! Writing a pack.

use sha2::{Digest, Sha256};
use time::Date;

use crate::entry::{About, Entry};
use crate::tree::{Builder, Hash};
use crate::zip::{self, Header};
use crate::{BYTES_MAX, DOCUMENTS_MAX, Error, INDEX_NAME};

/// Longest name of an entry.
const NAME_BYTES_MAX: usize = 1_024;
/// What index and list take up per document beyond its fields, to know when a pack is full. Generous.
const LISTING_BYTES: u64 = 3 * 1_024;

/// Writes a pack into memory, from which it is taken while it grows.
#[derive(Debug, Default)]
pub struct Writer {
    /// What was not taken yet.
    buffer: Vec<u8>,
    /// What was taken.
    taken: u64,
    /// Of all that was written.
    hash: Sha256,
    tree: Builder,
    index: Vec<u8>,
    list: Vec<u8>,
    documents: usize,
    newest: Option<Date>,
}

/// A pack that has its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sealed {
    /// What follows what was taken.
    pub rest: Vec<u8>,
    /// The root of the hash tree.
    pub root: Hash,
    /// SHA-256 of the whole file.
    pub sha256: Hash,
    /// Size of the whole file.
    pub bytes: u64,
    /// How many documents there are.
    pub documents: usize,
}

impl Writer {
    /// An empty pack.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Bytes so far, without index and list.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.taken + self.buffer.len() as u64
    }

    /// Documents so far.
    #[must_use]
    pub const fn documents(&self) -> usize {
        self.documents
    }

    /// Bytes that wait to be taken.
    #[must_use]
    pub const fn waiting(&self) -> usize {
        self.buffer.len()
    }

    /// Adds a document; its place is known at once.
    ///
    /// # Errors
    /// [`Error::Full`], [`Error::Name`]; nothing is added then.
    pub fn add(&mut self, about: About, content: &[u8]) -> Result<Entry, Error> {
        let listings = (self.documents as u64 + 1) * LISTING_BYTES;
        let bytes = self.bytes() + content.len() as u64 + listings;
        if self.documents >= DOCUMENTS_MAX || bytes > BYTES_MAX {
            return Err(Error::Full);
        }
        let inner = about
            .name
            .split('/')
            .any(|part| matches!(part, "" | "." | ".."));
        if inner || about.name.len() > NAME_BYTES_MAX || about.name == INDEX_NAME {
            return Err(Error::Name(about.name));
        }
        let offset = self.store(&about.name, about.issued_on, content);
        let entry = Entry {
            id: about.id,
            kind: about.kind,
            number: about.number,
            customer: about.customer,
            issued_on: about.issued_on,
            name: about.name,
            offset,
            bytes: content.len() as u64,
            sha256: Sha256::digest(content).into(),
        };
        let line = entry.line()?;
        self.tree.push(crate::tree::leaf(&line));
        self.index.extend_from_slice(&line);
        self.index.push(b'\n');
        self.documents += 1;
        self.newest = self.newest.max(Some(entry.issued_on));
        Ok(entry)
    }

    /// Takes what was written so far.
    #[must_use]
    pub fn take(&mut self) -> Vec<u8> {
        self.hash.update(&self.buffer);
        self.taken += self.buffer.len() as u64;
        std::mem::take(&mut self.buffer)
    }

    /// Ends the pack.
    ///
    /// # Errors
    /// [`Error::Full`] when names and numbers were so long that the list does not fit.
    pub fn seal(mut self) -> Result<Sealed, Error> {
        let root = self.tree.root();
        let index = std::mem::take(&mut self.index);
        let day = self.newest.unwrap_or(Date::MIN);
        let index_at = self.store(INDEX_NAME, day, &index);
        let list_at = self.bytes();
        let list = std::mem::take(&mut self.list);
        self.buffer.extend_from_slice(&list);
        let comment = comment(&root, index_at, index.len() as u64);
        let (Ok(entries), Ok(list_bytes), Ok(list_at)) = (
            u16::try_from(self.documents + 1),
            u32::try_from(list.len()),
            u32::try_from(list_at),
        ) else {
            return Err(Error::Full);
        };
        zip::end(entries, list_bytes, list_at, &comment, &mut self.buffer);
        let rest = self.take();
        Ok(Sealed {
            rest,
            root,
            sha256: self.hash.finalize().into(),
            bytes: self.taken,
            documents: self.documents,
        })
    }

    /// Writes an entry; where its bytes begin.
    fn store(&mut self, name: &str, day: Date, content: &[u8]) -> u64 {
        let header = Header {
            name,
            day,
            crc32: crc32fast::hash(content),
            bytes: u32::try_from(content.len()).unwrap_or(u32::MAX),
        };
        let at = u32::try_from(self.bytes()).unwrap_or(u32::MAX);
        header.local(&mut self.buffer);
        header.listed(at, &mut self.list);
        let offset = self.bytes();
        self.buffer.extend_from_slice(content);
        offset
    }
}

/// Always as long, so that the end of a pack is found by one read.
pub(crate) fn comment(root: &Hash, index_at: u64, index_bytes: u64) -> String {
    let root = hex::encode(root);
    format!("steelyard-pack/1 sha256-tree={root} index={index_at:010}+{index_bytes:010}")
}
