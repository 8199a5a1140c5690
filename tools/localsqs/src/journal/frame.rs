//! How records lie in a file: length, checksum, content. And how a torn end is told from damage.
//!
//! A crash may leave the last batch torn, in any order of its blocks: nobody was told that it was on disk, so it is cut off.
//! Damage anywhere before it means that something acknowledged is lost. To tell them apart, each batch begins with a mark
//! that says how far the file was synced when the batch was written: if a mark behind a bad place vouches for that place,
//! the file is damaged, and the server does not start.

use std::io::{self, BufRead, Read as _};

use super::record::Record;

/// Bytes before each record's content: length and CRC-32, four bytes each, little-endian.
pub(super) const HEAD_BYTES: usize = 8;

/// Longest record: a message of 1 MiB with all that belongs to it is far below; more is garbage.
const RECORD_BYTES_MAX: usize = 64 << 20;

/// First bytes of a file, with the version of this format.
pub(super) const MAGIC: [u8; 8] = *b"lsqslog1";

/// First bytes of a mark's content. No record begins so: its first byte is the number of its kind.
const MARK: [u8; 8] = [0xFF, 0xB7, 0x1D, 0xC1, 0x04, 0x6A, 0x5E, 0xE7];

/// Appends a record; returns the number of bytes.
pub(super) fn append(buffer: &mut Vec<u8>, record: &Record) -> usize {
    let start = buffer.len();
    buffer.extend_from_slice(&[0; HEAD_BYTES]);
    // Serializing into memory what consists of numbers, texts and lists has no way to fail.
    if let Err(error) = postcard::to_io(record, &mut *buffer) {
        tracing::error!(%error, "a record could not be written");
        buffer.truncate(start);
        return 0;
    }
    seal(buffer, start);
    buffer.len() - start
}

/// The mark that begins a batch.
pub(super) fn mark(synced_bytes: u64) -> Vec<u8> {
    let mut buffer = vec![0; HEAD_BYTES];
    buffer.extend_from_slice(&MARK);
    buffer.extend_from_slice(&synced_bytes.to_le_bytes());
    seal(&mut buffer, 0);
    buffer
}

fn seal(buffer: &mut [u8], start: usize) {
    let content = &buffer[start + HEAD_BYTES..];
    let length = u32::try_from(content.len())
        .unwrap_or(u32::MAX)
        .to_le_bytes();
    let checksum = crc32fast::hash(content).to_le_bytes();
    buffer[start..start + 4].copy_from_slice(&length);
    buffer[start + 4..start + HEAD_BYTES].copy_from_slice(&checksum);
}

/// What a file was found to be.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum End {
    /// It ends with a whole record.
    Clean { bytes: u64 },
    /// It ends with a torn batch, from this place on.
    Torn { good_bytes: u64 },
    /// It is damaged in a place that had been synced.
    Damaged { at: u64 },
}

/// Reads a file's records in order.
pub(super) fn read(mut file: impl BufRead, mut each: impl FnMut(Record)) -> io::Result<End> {
    let mut magic = [0; MAGIC.len()];
    match file.read_exact(&mut magic) {
        Ok(()) if magic == MAGIC => {}
        Ok(()) => return Ok(End::Damaged { at: 0 }),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            return Ok(End::Torn { good_bytes: 0 });
        }
        Err(error) => return Err(error),
    }
    let mut at = MAGIC.len() as u64;
    let mut content = Vec::new();
    loop {
        if file.fill_buf()?.is_empty() {
            return Ok(End::Clean { bytes: at });
        }
        // What was read of a bad record is needed again to look for marks.
        let mut head = Vec::with_capacity(HEAD_BYTES);
        (&mut file).take(HEAD_BYTES as u64).read_to_end(&mut head)?;
        content.clear();
        if head.len() == HEAD_BYTES {
            let (length, checksum) = (word(&head[..4]) as usize, word(&head[4..]));
            if (1..=RECORD_BYTES_MAX).contains(&length) {
                (&mut file).take(length as u64).read_to_end(&mut content)?;
            }
            if content.len() == length && length > 0 && crc32fast::hash(&content) == checksum {
                let is_mark = content.starts_with(&MARK);
                match postcard::from_bytes(&content) {
                    _ if is_mark => {}
                    Ok(record) => each(record),
                    // The checksum is right: another version wrote it.
                    Err(_) => return Ok(End::Damaged { at }),
                }
                at += (HEAD_BYTES + length) as u64;
                continue;
            }
        }
        let mut rest = head;
        rest.append(&mut content);
        file.read_to_end(&mut rest)?;
        if rest.iter().all(|byte| *byte == 0) {
            return Ok(End::Clean { bytes: at });
        }
        return Ok(if vouched_for(&rest, at) {
            End::Damaged { at }
        } else {
            End::Torn { good_bytes: at }
        });
    }
}

/// Whether a mark in `rest` says that the file had been synced beyond `at`.
fn vouched_for(rest: &[u8], at: u64) -> bool {
    let frame_bytes = HEAD_BYTES + MARK.len() + 8;
    (0..rest.len().saturating_sub(frame_bytes - 1)).any(|start| {
        let frame = &rest[start..start + frame_bytes];
        let content = &frame[HEAD_BYTES..];
        content.starts_with(&MARK)
            && crc32fast::hash(content) == word(&frame[4..HEAD_BYTES])
            && content[MARK.len()..]
                .try_into()
                .is_ok_and(|synced| u64::from_le_bytes(synced) > at)
    })
}

fn word(bytes: &[u8]) -> u32 {
    bytes.try_into().map_or(0, u32::from_le_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file of three batches with one record each, and where each batch begins.
    fn file() -> (Vec<u8>, Vec<usize>) {
        let mut file = MAGIC.to_vec();
        let mut starts = Vec::new();
        for below in 1..=3 {
            starts.push(file.len());
            let synced = file.len() as u64;
            file.extend(mark(synced));
            append(&mut file, &Record::Purged { queue: 1, below });
        }
        (file, starts)
    }

    fn read_all(file: &[u8]) -> (Vec<u64>, End) {
        let mut seen = Vec::new();
        let end = read(file, |record| {
            if let Record::Purged { below, .. } = record {
                seen.push(below);
            }
        })
        .unwrap();
        (seen, end)
    }

    #[test]
    fn a_whole_file_gives_all_its_records() {
        let (file, _) = file();
        assert_eq!(
            read_all(&file),
            (
                vec![1, 2, 3],
                End::Clean {
                    bytes: file.len() as u64
                }
            )
        );
    }

    #[test]
    fn a_last_batch_cut_anywhere_is_cut_off() {
        let (file, starts) = file();
        for length in starts[2] + 1..file.len() {
            let (seen, end) = read_all(&file[..length]);
            assert_eq!(seen, [1, 2], "cut at {length}");
            let mark_bytes = mark(0).len();
            let good = if length < starts[2] + mark_bytes {
                starts[2]
            } else {
                starts[2] + mark_bytes
            };
            let expected = if length == good {
                End::Clean { bytes: good as u64 }
            } else {
                End::Torn {
                    good_bytes: good as u64,
                }
            };
            assert_eq!(end, expected, "cut at {length}");
        }
    }

    #[test]
    fn a_changed_byte_before_the_last_batch_is_damage() {
        let (file, starts) = file();
        for at in MAGIC.len()..starts[2] {
            let mut damaged = file.clone();
            damaged[at] ^= 0x40;
            let (_, end) = read_all(&damaged);
            assert!(matches!(end, End::Damaged { .. }), "byte {at}: {end:?}");
        }
    }

    #[test]
    fn a_changed_byte_in_the_last_batch_is_a_torn_end() {
        let (file, starts) = file();
        for at in starts[2]..file.len() {
            let mut torn = file.clone();
            torn[at] ^= 0x40;
            assert!(matches!(read_all(&torn).1, End::Torn { .. }), "byte {at}");
        }
    }

    #[test]
    fn zeros_written_ahead_of_the_records_are_not_read() {
        let (mut file, _) = file();
        let bytes = file.len() as u64;
        file.extend([0; 4_096]);
        assert_eq!(read_all(&file), (vec![1, 2, 3], End::Clean { bytes }));
    }
}
