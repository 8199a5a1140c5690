//! Files in zips, each read by itself, by ranges.
//!
//! A zip says of each entry where it begins and how large it is; what it says is believed only as far as it does no harm:
//! the list of entries is read up to a limit, an entry no further than it was said to be.

use std::collections::VecDeque;
use std::io::Read as _;
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio::sync::OnceCell;
use zip::ZipArchive;
use zip::result::ZipError;

use super::fault::Fault;
use super::ranges::Ranges;
use super::source::{Source, SourceError};
use crate::budget::{Budget, Room};

/// Zips whose lists of entries are kept.
const OPEN_MAX: usize = 3;
/// Read of a zip to learn its entries: some 300,000 of them.
const LIST_BYTES_MAX: u64 = 24 << 20;
/// Read at once.
const WINDOW_BYTES: u64 = 64 << 10;

/// Why an entry cannot be had.
#[derive(Debug)]
pub(super) enum Trouble {
    /// The row's.
    Fault(Fault),
    /// Nobody's, or not this row's.
    Source(SourceError),
}

impl From<SourceError> for Trouble {
    fn from(error: SourceError) -> Self {
        if error.is_outage() {
            Self::Source(error)
        } else {
            Self::Fault(error.into())
        }
    }
}

type Opened = Arc<OnceCell<ZipArchive<Ranges>>>;

/// The zips of a source.
#[derive(Debug, Clone)]
pub(super) struct Zips {
    source: Source,
    open: Arc<Mutex<VecDeque<(String, Opened)>>>,
}

impl Zips {
    pub(super) fn new(source: &Source) -> Self {
        Self {
            source: source.clone(),
            open: Arc::default(),
        }
    }

    /// The bytes of an entry, and the room that they take up in `budget`.
    pub(super) async fn read(
        &self,
        zip: &str,
        entry: &str,
        bytes_max: u64,
        budget: &Budget,
    ) -> Result<(Bytes, Room), Trouble> {
        let opened = self.opened(zip);
        let archive = opened.get_or_try_init(|| self.open(zip)).await?.clone();
        let (name, wanted) = (format!("{zip}!{entry}"), entry.to_owned());
        let known = archive.index_for_name(entry).is_some();
        if !known {
            return Err(SourceError::Missing(name).into());
        }
        let budget = budget.clone();
        blocking(move || entry_of(archive, &wanted, &name, bytes_max, &budget)).await
    }

    /// The place of a zip among those that are open; the one that was used least recently goes.
    fn opened(&self, zip: &str) -> Opened {
        let mut open = self.open.lock();
        let at = open.iter().position(|(name, _)| name == zip);
        let entry = at.and_then(|at| open.remove(at));
        let entry = entry.unwrap_or_else(|| (zip.to_owned(), Arc::default()));
        let opened = Arc::clone(&entry.1);
        open.push_front(entry);
        open.truncate(OPEN_MAX);
        opened
    }

    async fn open(&self, zip: &str) -> Result<ZipArchive<Ranges>, Trouble> {
        let bytes = self.source.bytes(zip).await?;
        let ranges = Ranges::new(&self.source, zip, bytes, WINDOW_BYTES);
        let name = zip.to_owned();
        blocking(move || {
            let allowance = ranges.allow_only(LIST_BYTES_MAX);
            let archive = ZipArchive::new(ranges).map_err(|error| trouble(&name, error))?;
            allowance.lift();
            Ok(archive)
        })
        .await
    }
}

async fn blocking<T: Send + 'static>(
    read: impl FnOnce() -> Result<T, Trouble> + Send + 'static,
) -> Result<T, Trouble> {
    let read = tokio::task::spawn_blocking(read).await;
    read.unwrap_or_else(|panic| Err(Trouble::Fault(Fault::new("zip", panic.to_string()))))
}

fn entry_of(
    mut archive: ZipArchive<Ranges>,
    entry: &str,
    name: &str,
    bytes_max: u64,
    budget: &Budget,
) -> Result<(Bytes, Room), Trouble> {
    let file = archive
        .by_name(entry)
        .map_err(|error| trouble(name, error))?;
    let said = file.size();
    if said > bytes_max {
        let name = name.to_owned();
        return Err(SourceError::TooLarge { name, bytes_max }.into());
    }
    let room = Handle::current().block_on(budget.take(said));
    let mut whole = Vec::with_capacity(usize::try_from(said).unwrap_or_default());
    // One more than was said, to see that it lies.
    let read = file.take(said + 1).read_to_end(&mut whole);
    read.map_err(|error| trouble(name, ZipError::Io(error)))?;
    if whole.len() as u64 != said {
        let detail = format!("{name} is not as large as its zip says ({said} bytes)");
        return Err(Trouble::Fault(Fault::new("zip", detail)));
    }
    Ok((whole.into(), room))
}

/// What a zip's reader met: the source's own trouble comes back out of it.
fn trouble(name: &str, error: ZipError) -> Trouble {
    match error {
        ZipError::Io(error)
            if error
                .get_ref()
                .is_some_and(|inner| inner.is::<SourceError>()) =>
        {
            let inner = error.into_inner().and_then(|inner| inner.downcast().ok());
            match inner {
                Some(source) => SourceError::into(*source),
                None => Trouble::Fault(Fault::new("zip", name)),
            }
        }
        error => Trouble::Fault(Fault::new("zip", format!("{name}: {error}"))),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use zip::ZipWriter;
    use zip::write::SimpleFileOptions;

    use super::{Trouble, Zips};
    use crate::budget::Budget;
    use crate::import::source::Source;

    const MAX: u64 = 1 << 20;

    fn zip(entries: &[(&str, Vec<u8>)]) -> Vec<u8> {
        let mut writer = ZipWriter::new(std::io::Cursor::new(Vec::new()));
        for (name, bytes) in entries {
            let deflated =
                SimpleFileOptions::default().compression_method(zip::CompressionMethod::Deflated);
            writer.start_file(*name, deflated).expect("an entry");
            writer.write_all(bytes).expect("written");
        }
        writer.finish().expect("a zip").into_inner()
    }

    async fn read(content: &[u8], entry: &str) -> Result<Vec<u8>, String> {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("a.zip"), content).expect("written");
        let source = Source::folder(folder.path()).expect("a folder");
        let read = Zips::new(&source)
            .read("a.zip", entry, MAX, &Budget::new(4 * MAX))
            .await;
        read.map(|(bytes, _)| bytes.to_vec())
            .map_err(|trouble| match trouble {
                Trouble::Fault(fault) => fault.to_string(),
                Trouble::Source(error) => panic!("{error}"),
            })
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn entries_are_read_wherever_they_lie() {
        let noise: Vec<u8> = (0..300_000_u32)
            .flat_map(u32::to_le_bytes)
            .take(900_000)
            .collect();
        let zip = zip(&[("x/1.pdf", noise.clone()), ("2.pdf", b"two".to_vec())]);
        assert_eq!(read(&zip, "2.pdf").await, Ok(b"two".to_vec()));
        assert_eq!(read(&zip, "x/1.pdf").await, Ok(noise));
        let missing = read(&zip, "3.pdf").await.expect_err("missing");
        assert_eq!(missing, "missing_file: there is no a.zip!3.pdf");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_bomb_is_not_unpacked_whether_it_says_so_or_lies() {
        let bomb = zip(&[("bomb.pdf", vec![0; 64 << 20])]);
        let honest = read(&bomb, "bomb.pdf").await.expect_err("refused");
        assert!(honest.starts_with("too_large: "), "{honest}");
        // 64 MiB that claim to be 100 bytes, in the list of entries.
        let mut liar = bomb.clone();
        let list = liar
            .windows(4)
            .rposition(|four| four == b"PK\x01\x02")
            .expect("a list");
        liar[list + 24..list + 28].copy_from_slice(&100_u32.to_le_bytes());
        let lies = read(&liar, "bomb.pdf").await.expect_err("refused");
        assert!(lies.starts_with("zip: "), "{lies}");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn what_is_no_zip_is_a_fault_of_its_rows() {
        let no_zip = read(b"%PDF-1.7 and no zip", "a")
            .await
            .expect_err("refused");
        assert!(no_zip.starts_with("zip: a.zip: "), "{no_zip}");
        let mut cut = zip(&[("1.pdf", b"one".to_vec())]);
        cut.truncate(cut.len() / 2);
        assert!(read(&cut, "1.pdf").await.is_err());
    }
}
