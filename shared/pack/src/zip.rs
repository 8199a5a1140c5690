//! As much of the zip format as a pack needs (PKWARE's APPNOTE, 4.3): entries that are stored as they are, with sizes and
//! checksum known beforehand, and the list of them. The zip crates write from back to front or hide where bytes begin;
//! a pack is streamed and must know.

use time::Date;

/// A checksum, a size, a day: what both headers of an entry say.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Header<'a> {
    pub(crate) name: &'a str,
    pub(crate) day: Date,
    pub(crate) crc32: u32,
    pub(crate) bytes: u32,
}

const LOCAL: u32 = 0x0403_4b50;
const LISTED: u32 = 0x0201_4b50;
pub(crate) const END: u32 = 0x0605_4b50;
/// Bytes of the end without its comment.
pub(crate) const END_BYTES: usize = 22;
/// Version 2.0 of the format.
const VERSION: u16 = 20;
/// Names are UTF-8.
const UTF8: u16 = 1 << 11;
const STORED: u16 = 0;
/// A regular file that all may read, as Unix has it; "made by Unix".
const MADE_BY_UNIX: u16 = 3 << 8;
const MODE: u32 = 0o100_644 << 16;

impl Header<'_> {
    /// What stands before the entry's bytes.
    pub(crate) fn local(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&LOCAL.to_le_bytes());
        self.common(out);
        out.extend_from_slice(self.name.as_bytes());
    }

    /// What stands in the list; `at` is where its local header begins.
    pub(crate) fn listed(&self, at: u32, out: &mut Vec<u8>) {
        out.extend_from_slice(&LISTED.to_le_bytes());
        out.extend_from_slice(&(MADE_BY_UNIX | VERSION).to_le_bytes());
        self.common(out);
        // No comment, first disk, binary.
        out.extend_from_slice(&[0; 6]);
        out.extend_from_slice(&MODE.to_le_bytes());
        out.extend_from_slice(&at.to_le_bytes());
        out.extend_from_slice(self.name.as_bytes());
    }

    fn common(&self, out: &mut Vec<u8>) {
        let name_bytes = u16::try_from(self.name.len()).unwrap_or(u16::MAX);
        for field in [VERSION, UTF8, STORED, 0, dos_day(self.day)] {
            out.extend_from_slice(&field.to_le_bytes());
        }
        for field in [self.crc32, self.bytes, self.bytes] {
            out.extend_from_slice(&field.to_le_bytes());
        }
        for field in [name_bytes, 0] {
            out.extend_from_slice(&field.to_le_bytes());
        }
    }
}

/// Days of zips begin in 1980 and end in 2107.
fn dos_day(day: Date) -> u16 {
    let year = u16::try_from(day.year().clamp(1980, 2107) - 1980).unwrap_or_default();
    year << 9 | u16::from(u8::from(day.month())) << 5 | u16::from(day.day())
}

/// What a zip ends with.
pub(crate) fn end(entries: u16, list_bytes: u32, list_at: u32, comment: &str, out: &mut Vec<u8>) {
    let comment_bytes = u16::try_from(comment.len()).unwrap_or(u16::MAX);
    out.extend_from_slice(&END.to_le_bytes());
    for field in [0, 0, entries, entries] {
        out.extend_from_slice(&field.to_le_bytes());
    }
    out.extend_from_slice(&list_bytes.to_le_bytes());
    out.extend_from_slice(&list_at.to_le_bytes());
    out.extend_from_slice(&comment_bytes.to_le_bytes());
    out.extend_from_slice(comment.as_bytes());
}
