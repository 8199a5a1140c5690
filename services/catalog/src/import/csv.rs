//! Cuts a stream of bytes into records of CSV, keeping at most one record.

use csv_core::{ReadRecordResult, Reader};

/// Fields of one record.
const FIELDS_MAX: usize = 1_024;

/// A record, or the news that one was too long to be kept.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Record<'a> {
    /// Its fields, without quotes.
    Fields(Vec<&'a [u8]>),
    /// Skipped up to its end.
    TooLong,
}

/// Holds the beginning of a record whose end has not come yet.
pub(super) struct Records {
    reader: Reader,
    text: Vec<u8>,
    ends: Vec<usize>,
    /// How much of `text` and `ends` belongs to the record at hand.
    texts: usize,
    fields: usize,
    too_long: bool,
    /// Line feeds before the record at hand, and within it.
    before: u64,
    within: u64,
    is_begun: bool,
}

impl Records {
    /// For records of up to `bytes_max` bytes.
    pub(super) fn new(bytes_max: usize) -> Self {
        Self {
            reader: Reader::new(),
            text: vec![0; bytes_max],
            ends: vec![0; FIELDS_MAX],
            texts: 0,
            fields: 0,
            too_long: false,
            before: 0,
            within: 0,
            is_begun: false,
        }
    }

    /// The next record that ends within `rest`, with the number of its first line from 1; `rest` moves behind it.
    /// When none ends there, `rest` is taken in whole. An empty `rest` is the end of everything.
    pub(super) fn next(&mut self, rest: &mut &[u8]) -> Option<(u64, Record<'_>)> {
        let is_end = rest.is_empty();
        loop {
            // Blank lines before a record are no part of it.
            if !self.is_begun {
                let blank = rest
                    .iter()
                    .take_while(|b| matches!(b, b'\n' | b'\r'))
                    .count();
                self.before += feeds(&rest[..blank]);
                *rest = &rest[blank..];
                self.is_begun = !rest.is_empty();
            }
            if rest.is_empty() && !is_end {
                return None;
            }
            let (text, ends) = (&mut self.text[self.texts..], &mut self.ends[self.fields..]);
            let (result, taken, written, ended) = self.reader.read_record(rest, text, ends);
            self.within += feeds(&rest[..taken]);
            *rest = &rest[taken..];
            self.texts += written;
            self.fields += ended;
            match result {
                ReadRecordResult::InputEmpty if is_end => {}
                ReadRecordResult::InputEmpty => return None,
                ReadRecordResult::OutputFull | ReadRecordResult::OutputEndsFull => {
                    self.too_long = true;
                    (self.texts, self.fields) = (0, 0);
                }
                ReadRecordResult::Record => return Some(self.give()),
                ReadRecordResult::End => return None,
            }
        }
    }

    /// Bytes that it holds memory for.
    #[cfg(test)]
    pub(super) fn capacity_bytes(&self) -> usize {
        self.text.capacity() + self.ends.capacity() * size_of::<usize>()
    }

    fn give(&mut self) -> (u64, Record<'_>) {
        let number = self.before + 1;
        self.before += std::mem::take(&mut self.within);
        self.is_begun = false;
        let (texts, fields) = (
            std::mem::take(&mut self.texts),
            std::mem::take(&mut self.fields),
        );
        if std::mem::take(&mut self.too_long) {
            return (number, Record::TooLong);
        }
        let mut begin = 0;
        let cut = self.ends[..fields].iter().map(|&end| {
            let field = &self.text[begin..end.min(texts)];
            begin = end;
            field
        });
        (number, Record::Fields(cut.collect()))
    }
}

fn feeds(bytes: &[u8]) -> u64 {
    bytes.iter().filter(|&&byte| byte == b'\n').count() as u64
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, proptest};

    use super::{Record, Records};

    type Owned = (u64, Option<Vec<String>>);

    fn records(chunks: &[&[u8]], bytes_max: usize) -> Vec<Owned> {
        let mut cutter = Records::new(bytes_max);
        let mut all = Vec::new();
        let owned = |(number, record): (u64, Record<'_>)| match record {
            Record::Fields(fields) => {
                let text = |field: &&[u8]| String::from_utf8_lossy(field).into_owned();
                (number, Some(fields.iter().map(text).collect()))
            }
            Record::TooLong => (number, None),
        };
        for chunk in chunks.iter().filter(|chunk| !chunk.is_empty()) {
            let mut rest = *chunk;
            while !rest.is_empty() {
                let Some(record) = cutter.next(&mut rest) else {
                    break;
                };
                all.push(owned(record));
            }
        }
        while let Some(record) = cutter.next(&mut &[][..]) {
            all.push(owned(record));
        }
        let bytes_max = bytes_max + super::FIELDS_MAX * size_of::<usize>();
        assert!(cutter.capacity_bytes() <= bytes_max, "memory is bounded");
        all
    }

    fn fields(number: u64, fields: &[&str]) -> Owned {
        (
            number,
            Some(fields.iter().map(|&field| field.to_owned()).collect()),
        )
    }

    #[test]
    fn quotes_hold_commas_and_line_feeds_and_lines_are_counted() {
        let csv = b"a,b\r\n\n\"1,\n2\",\"say \"\"x\"\"\"\nlast,";
        let expected = [
            fields(1, &["a", "b"]),
            fields(3, &["1,\n2", "say \"x\""]),
            fields(5, &["last", ""]),
        ];
        assert_eq!(records(&[csv], 100), expected);
    }

    #[test]
    fn a_record_that_is_too_long_is_skipped_and_the_next_ones_are_read() {
        let csv = [b"a,".as_slice(), &[b'x'; 200], b"\nb,c\n"].concat();
        assert_eq!(records(&[&csv], 100), [(1, None), fields(2, &["b", "c"])]);
        let commas = [vec![b','; 2_000], b"\nb,c".to_vec()].concat();
        assert_eq!(
            records(&[&commas], 100),
            [(1, None), fields(2, &["b", "c"])]
        );
    }

    proptest! {
        #[test]
        fn records_are_the_same_wherever_the_chunks_are_cut(
            bytes in proptest::collection::vec(
                proptest::sample::select(b"ab,\"\n\r".as_slice()), 0..60),
            cuts in proptest::collection::vec(any::<proptest::sample::Index>(), 0..6),
        ) {
            let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
            cuts.extend([0, bytes.len()]);
            cuts.sort_unstable();
            let chunks: Vec<&[u8]> = cuts.windows(2).map(|cut| &bytes[cut[0]..cut[1]]).collect();
            assert_eq!(records(&chunks, 20), records(&[&bytes], 20));
        }
    }
}
