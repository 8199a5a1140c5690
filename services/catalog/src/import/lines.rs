//! Cuts a stream of bytes into lines, keeping at most one line.

/// A line, or the news that one was too long to be kept.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Piece<'a> {
    /// Without its line feed.
    Line(&'a [u8]),
    /// Skipped up to its end.
    TooLong,
}

/// Holds the beginning of a line whose end has not come yet.
#[derive(Debug)]
pub(super) struct LineSplitter {
    bytes_max: usize,
    number: u64,
    begun: Vec<u8>,
    /// The bytes of `begun` were given out as a line: it begins anew.
    given: bool,
    too_long: bool,
}

impl LineSplitter {
    /// For lines of up to `bytes_max` bytes.
    pub(super) fn new(bytes_max: usize) -> Self {
        Self {
            bytes_max,
            number: 0,
            begun: Vec::new(),
            given: false,
            too_long: false,
        }
    }

    /// The next line that ends within `rest`, with its number from 1; `rest` moves behind it. When
    /// none ends there, `rest` is taken in whole.
    pub(super) fn next<'s, 'r: 's>(&'s mut self, rest: &mut &'r [u8]) -> Option<(u64, Piece<'s>)> {
        if std::mem::take(&mut self.given) {
            self.begun.clear();
        }
        let Some(end) = rest.iter().position(|&byte| byte == b'\n') else {
            self.keep(rest);
            *rest = &[];
            return None;
        };
        let part = &rest[..end];
        *rest = &rest[end + 1..];
        self.number += 1;
        if self.begun.is_empty() && !self.too_long && part.len() <= self.bytes_max {
            return Some((self.number, Piece::Line(part)));
        }
        self.keep(part);
        Some((self.number, self.give()))
    }

    /// What came after the last line feed.
    pub(super) fn finish(&mut self) -> Option<(u64, Piece<'_>)> {
        if std::mem::take(&mut self.given) {
            self.begun.clear();
        }
        if self.begun.is_empty() && !self.too_long {
            return None;
        }
        self.number += 1;
        Some((self.number, self.give()))
    }

    /// Bytes that it holds memory for.
    #[cfg(test)]
    pub(super) fn capacity_bytes(&self) -> usize {
        self.begun.capacity()
    }

    fn keep(&mut self, part: &[u8]) {
        if self.too_long || self.begun.len() + part.len() > self.bytes_max {
            self.too_long = true;
            self.begun.clear();
        } else {
            self.begun.extend_from_slice(part);
        }
    }

    fn give(&mut self) -> Piece<'_> {
        if std::mem::take(&mut self.too_long) {
            return Piece::TooLong;
        }
        self.given = true;
        Piece::Line(&self.begun)
    }
}

#[cfg(test)]
mod tests {
    use super::{LineSplitter, Piece};
    use proptest::prelude::{any, proptest};

    fn split(chunks: &[&[u8]], bytes_max: usize) -> Vec<(u64, Option<Vec<u8>>)> {
        let mut splitter = LineSplitter::new(bytes_max);
        let mut lines = Vec::new();
        let owned = |(number, piece): (u64, Piece<'_>)| match piece {
            Piece::Line(line) => (number, Some(line.to_vec())),
            Piece::TooLong => (number, None),
        };
        for chunk in chunks {
            let mut rest = *chunk;
            while let Some(line) = splitter.next(&mut rest) {
                lines.push(owned(line));
            }
        }
        lines.extend(splitter.finish().map(owned));
        assert!(
            splitter.capacity_bytes() <= bytes_max.max(8) * 2,
            "memory is bounded"
        );
        lines
    }

    #[test]
    fn a_line_that_is_too_long_is_skipped_and_the_next_ones_are_read() {
        let lines = split(&[b"ab\nabcde", b"fgh", b"ij\n\nxyz", b"\nlast"], 4);
        let line = |text: &str| Some(text.as_bytes().to_vec());
        let expected = [
            (1, line("ab")),
            (2, None),
            (3, line("")),
            (4, line("xyz")),
            (5, line("last")),
        ];
        assert_eq!(lines, expected);
        assert_eq!(split(&[b"abcde", b"x"], 4), [(1, None)]);
        assert_eq!(split(&[b"", b"\n"], 4), [(1, line(""))]);
    }

    proptest! {
        #[test]
        fn lines_are_the_same_wherever_the_chunks_are_cut(
            bytes in proptest::collection::vec(proptest::sample::select(b"ab\n".as_slice()), 0..60),
            cuts in proptest::collection::vec(any::<proptest::sample::Index>(), 0..6),
        ) {
            let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
            cuts.extend([0, bytes.len()]);
            cuts.sort_unstable();
            let chunks: Vec<&[u8]> = cuts.windows(2).map(|cut| &bytes[cut[0]..cut[1]]).collect();
            assert_eq!(split(&chunks, 5), split(&[&bytes], 5));
        }
    }
}
