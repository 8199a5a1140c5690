//! A manifest line by line, with where each begins, in bounded memory.
//!
//! A row is one line. CSV may put line breaks into quoted fields; a manifest may not, so that a stray quote spoils its own
//! line and not all that follow, and so that a place in the file is enough to go on from.

use bytes::{Buf as _, Bytes};

use super::source::{Source, SourceError};

/// A longer line is a fault; its rest is passed over.
pub const LINE_BYTES_MAX: usize = 16 * 1024;
/// Read at once.
const CHUNK_BYTES: u64 = 1 << 20;

/// A line of a manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line {
    /// The first has number 1.
    pub(super) number: u64,
    /// Where the next one begins.
    pub(super) end: u64,
    /// Without its line break; `None` when it is longer than [`LINE_BYTES_MAX`].
    pub(super) text: Option<Vec<u8>>,
}

impl Line {
    pub(super) fn is_blank(&self) -> bool {
        self.text
            .as_ref()
            .is_some_and(|text| text.iter().all(u8::is_ascii_whitespace))
    }
}

/// Reads lines from a place on.
#[derive(Debug)]
pub(super) struct Lines {
    source: Source,
    name: String,
    bytes: u64,
    /// Where `chunk` begins.
    at: u64,
    chunk: Bytes,
    next: u64,
}

impl Lines {
    /// From `offset`, where line `number` begins, in a file of `bytes`.
    pub(super) fn new(source: &Source, name: &str, bytes: u64, offset: u64, number: u64) -> Self {
        Self {
            source: source.clone(),
            name: name.to_owned(),
            bytes,
            at: offset,
            chunk: Bytes::new(),
            next: number,
        }
    }

    /// Which line comes next.
    pub(super) const fn number(&self) -> u64 {
        self.next
    }

    /// The next line, `None` at the end. After an error it may be asked again.
    pub(super) async fn next(&mut self) -> Result<Option<Line>, SourceError> {
        // Nothing is taken before the whole line is there, so that an error loses nothing.
        let (mut at, mut chunk) = (self.at, self.chunk.clone());
        let mut text = Some(Vec::new());
        loop {
            if chunk.is_empty() {
                if at >= self.bytes {
                    break;
                }
                let end = self.bytes.min(at + CHUNK_BYTES);
                chunk = self.source.read_at(&self.name, at..end).await?;
                if chunk.is_empty() {
                    // Shorter than it was when the import began.
                    return Err(SourceError::Changed(self.name.clone()));
                }
            }
            let newline = memchr::memchr(b'\n', &chunk);
            let length = newline.unwrap_or(chunk.len());
            push(&mut text, &chunk[..length]);
            let taken = length + usize::from(newline.is_some());
            chunk.advance(taken);
            at += taken as u64;
            if newline.is_some() {
                break;
            }
        }
        if at == self.at {
            return Ok(None);
        }
        if let Some(text) = &mut text
            && text.last() == Some(&b'\r')
        {
            text.pop();
        }
        let number = self.next;
        (self.at, self.chunk, self.next) = (at, chunk, number + 1);
        Ok(Some(Line {
            number,
            end: at,
            text,
        }))
    }
}

/// Adds to a line unless it is too long.
fn push(text: &mut Option<Vec<u8>>, more: &[u8]) {
    if let Some(sofar) = text {
        if sofar.len() + more.len() > LINE_BYTES_MAX {
            *text = None;
        } else {
            sofar.extend_from_slice(more);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{LINE_BYTES_MAX, Line, Lines};
    use crate::import::source::Source;

    async fn read(content: &[u8], offset: u64, number: u64) -> Vec<Line> {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("m.csv"), content).expect("written");
        let source = Source::folder(folder.path()).expect("a folder");
        let mut lines = Lines::new(&source, "m.csv", content.len() as u64, offset, number);
        let mut all = Vec::new();
        while let Some(line) = lines.next().await.expect("readable") {
            all.push(line);
        }
        all
    }

    fn line(number: u64, end: u64, text: &str) -> Line {
        Line {
            number,
            end,
            text: Some(text.as_bytes().to_vec()),
        }
    }

    #[tokio::test]
    async fn lines_know_where_they_end_whatever_ends_them() {
        let all = read(b"a\r\n\nb\nc", 0, 1).await;
        let expected = [
            line(1, 3, "a"),
            line(2, 4, ""),
            line(3, 6, "b"),
            line(4, 7, "c"),
        ];
        assert_eq!(all, expected);
        assert!(all[1].is_blank() && !all[0].is_blank());
        assert_eq!(read(b"a\r\n\nb\nc", 4, 3).await, expected[2..]);
        assert_eq!(read(b"", 0, 1).await, []);
    }

    #[tokio::test]
    async fn a_line_of_many_chunks_is_passed_over_and_the_next_one_is_read() {
        let mut content = b"first\n".to_vec();
        content.resize(content.len() + 3 * (1 << 20), b'x');
        content.extend_from_slice(b"\nlast");
        let all = read(&content, 0, 1).await;
        let texts: Vec<_> = all.iter().map(|line| line.text.as_deref()).collect();
        assert_eq!(texts, [Some(b"first".as_slice()), None, Some(b"last")]);
        assert_eq!(all[2].number, 3);
        let longest = [vec![b'y'; LINE_BYTES_MAX], b"\n".to_vec()].concat();
        assert!(read(&longest, 0, 1).await[0].text.is_some());
    }
}
