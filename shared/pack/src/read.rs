//! Reading a pack, believing nothing that cannot be checked.

use std::io::{BufRead as _, BufReader, Read, Seek, SeekFrom};

use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::entry::Entry;
use crate::tree::{Builder, Hash, leaf};
use crate::write::comment;
use crate::zip::{END, END_BYTES};
use crate::{BYTES_MAX, DOCUMENTS_MAX, Error};

/// What stands in the comment behind the format's name.
const FORMAT: &str = "steelyard-pack/1 sha256-tree=";

/// What a pack says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Index {
    /// Its documents.
    pub entries: Vec<Entry>,
    /// The root over them, computed.
    pub root: Hash,
}

/// Reads the index; its root is compared with what the pack says. To be believed it must also be the root that was kept
/// elsewhere.
///
/// # Errors
/// [`Error::NoPack`], [`Error::Tampered`], [`Error::Io`].
pub fn read_index<R: Read + Seek>(pack: &mut R) -> Result<Index, Error> {
    let (said, at, bytes) = read_end(pack)?;
    pack.seek(SeekFrom::Start(at))?;
    let mut lines = BufReader::new(pack.take(bytes));
    let (mut entries, mut tree, mut line) = (Vec::new(), Builder::default(), Vec::new());
    loop {
        line.clear();
        if lines.read_until(b'\n', &mut line)? == 0 {
            break;
        }
        let line = line.strip_suffix(b"\n").unwrap_or(&line);
        let entry: Entry = serde_json::from_slice(line).map_err(|error| {
            Error::Tampered(format!("line {} of its index: {error}", entries.len() + 1))
        })?;
        tree.push(leaf(line));
        entries.push(entry);
        if entries.len() > DOCUMENTS_MAX {
            return Err(Error::NoPack("its index has too many lines"));
        }
    }
    let root = tree.root();
    if root != said {
        return Err(Error::Tampered(
            "the root of its index is not the one that it names".to_owned(),
        ));
    }
    Ok(Index { entries, root })
}

/// Root, place and size of the index, from the end of the file.
fn read_end<R: Read + Seek>(pack: &mut R) -> Result<(Hash, u64, u64), Error> {
    let length = comment(&[0; 32], 0, 0).len();
    let size = pack.seek(SeekFrom::End(0))?;
    let end_bytes = (END_BYTES + length) as u64;
    let begins = size.checked_sub(end_bytes).filter(|_| size <= BYTES_MAX);
    pack.seek(SeekFrom::Start(begins.ok_or(Error::NoPack("its size"))?))?;
    let mut end = vec![0; END_BYTES + length];
    pack.read_exact(&mut end)?;
    let (head, said) = end.split_at(END_BYTES);
    let said = std::str::from_utf8(said)
        .ok()
        .and_then(|said| said.strip_prefix(FORMAT));
    let said = said.filter(|_| head.starts_with(&END.to_le_bytes()));
    let said = said.ok_or(Error::NoPack("it does not end as one"))?;
    let parts = said.split_once(" index=").and_then(|(root, index)| {
        let (at, bytes) = index.split_once('+')?;
        let mut hash = [0; 32];
        hex::decode_to_slice(root, &mut hash).ok()?;
        Some((hash, at.parse().ok()?, bytes.parse::<u64>().ok()?))
    });
    let (root, at, bytes) = parts.ok_or(Error::NoPack("its comment"))?;
    // u64: neither is larger than ten digits.
    if at + bytes > size {
        return Err(Error::NoPack("its index lies beyond its end"));
    }
    Ok((root, at, bytes))
}

/// Reads one document by its entry, and compares its hash.
///
/// # Errors
/// [`Error::Tampered`], [`Error::Io`].
pub fn read_document<R: Read + Seek>(pack: &mut R, entry: &Entry) -> Result<Vec<u8>, Error> {
    if entry.bytes > BYTES_MAX {
        return Err(Error::Tampered(format!("{} is too large", entry.name)));
    }
    pack.seek(SeekFrom::Start(entry.offset))?;
    let mut content = Vec::new();
    pack.take(entry.bytes).read_to_end(&mut content)?;
    let sha256: Hash = Sha256::digest(&content).into();
    if sha256 == entry.sha256 {
        Ok(content)
    } else {
        Err(Error::Tampered(format!("{} has other bytes", entry.name)))
    }
}

/// Reads all of a pack: index, root, and every document's hash; `root` is the one that was kept elsewhere.
///
/// # Errors
/// The first thing that is wrong.
pub fn verify<R: Read + Seek>(pack: &mut R, root: Hash) -> Result<Index, Error> {
    let index = read_index(pack)?;
    if index.root != root {
        return Err(Error::Tampered(
            "its root is not the one that was kept".to_owned(),
        ));
    }
    for entry in &index.entries {
        read_document(pack, entry)?;
    }
    Ok(index)
}

impl Index {
    /// The entry of a document, and which leaf of the tree it is.
    ///
    /// # Errors
    /// [`Error::Missing`].
    pub fn entry(&self, id: Uuid) -> Result<(usize, &Entry), Error> {
        let found = self
            .entries
            .iter()
            .enumerate()
            .find(|(_, entry)| entry.id == id);
        found.ok_or(Error::Missing(id))
    }

    /// The leaves of the tree.
    ///
    /// # Errors
    /// See [`Entry::leaf`].
    pub fn leaves(&self) -> Result<Vec<Hash>, Error> {
        self.entries.iter().map(Entry::leaf).collect()
    }
}
