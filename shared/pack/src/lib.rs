//! Packs: many small documents in one file that is cheap to keep.
//!
//! S3's cold classes bill small objects as if they were large, so 50 KB documents are kept in files of about 128 MB. A pack
//! is a plain zip, nothing compressed, so that anybody can read it in thirty years with what they have then:
//!
//! ```text
//! document, document, …, index.ndjson, the zip's list of entries, the zip's comment
//! ```
//!
//! The index has one line per document: what it is, where its bytes are, their SHA-256. A hash tree over these lines
//! ([`tree`], as in RFC 9162) has one root, which the comment names and whoever keeps the pack keeps elsewhere, too: to
//! change, add or remove a document, or what is said of it, changes the root, and that a document is in a pack is proved
//! with some twenty hashes.
//!
//! ```
//! use std::io::Cursor;
//! use steelyard_pack::{About, Writer, read_index};
//! use time::macros::date;
//! use uuid::Uuid;
//!
//! let about = About {
//!     id: Uuid::nil(),
//!     kind: "invoice".into(),
//!     number: "RE-2026-000001".into(),
//!     customer: "17850".into(),
//!     issued_on: date!(2026 - 11 - 25),
//!     name: "invoice/2026/11/17850/1.pdf".into(),
//! };
//! let mut writer = Writer::new();
//! let entry = writer.add(about, b"%PDF-1.7 ...")?;
//! let mut file = writer.take(); // as often as there is enough to send
//! let sealed = writer.seal()?;
//! file.extend_from_slice(&sealed.rest);
//!
//! // One document: one range GET.
//! let (from, length) = (entry.offset as usize, entry.bytes as usize);
//! assert_eq!(&file[from..from + length], b"%PDF-1.7 ...");
//! // All of them, from the file alone.
//! let index = read_index(&mut Cursor::new(&file))?;
//! assert_eq!((index.root, &index.entries[0]), (sealed.root, &entry));
//! # Ok::<(), steelyard_pack::Error>(())
//! ```
//!
//! No clock and no network: the same documents in the same order give the same bytes. The writer holds what was not taken
//! from it, and some 500 bytes per document.

mod entry;
mod read;
pub mod tree;
mod write;
mod zip;

pub use entry::{About, Entry};
pub use read::{Index, read_document, read_index, verify};
pub use write::{Sealed, Writer};

/// Documents in one pack, at most: what a zip without extensions can list, less the index.
pub const DOCUMENTS_MAX: usize = 65_000;
/// Bytes of one pack, at most.
pub const BYTES_MAX: u64 = 1 << 30;
/// The name of the index in the zip.
pub const INDEX_NAME: &str = "index.ndjson";

/// Why a pack cannot be written or read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It would have more than [`DOCUMENTS_MAX`] documents or [`BYTES_MAX`] bytes.
    #[error("the pack is full")]
    Full,
    /// A name that no entry of a zip should have.
    #[error("{0:?} cannot be a name in a pack")]
    Name(String),
    /// It does not end as a pack does.
    #[error("it is no pack: {0}")]
    NoPack(&'static str),
    /// What it says about itself is not true.
    #[error("it was tampered with: {0}")]
    Tampered(String),
    /// A document that it does not have.
    #[error("it has no document {0}")]
    Missing(uuid::Uuid),
    /// It cannot be read.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// An entry cannot be written as JSON; never with entries of this crate.
    #[error(transparent)]
    Json(#[from] serde_json::Error),
}
