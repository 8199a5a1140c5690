//! Reading a body: lines or records, each a product or refused.

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _};
use sha2::{Digest as _, Sha256};
use steelyard_domain::fault::Fault;
use steelyard_domain::product::{ProductBody, ProductDraft};
use steelyard_runtime::http::parse_json;
use tokio::sync::mpsc;

use super::columns::Columns;
use super::csv::{Record, Records};
use super::format::Format;
use super::lines::{LineSplitter, Piece};
use super::named::Begun;
use super::set::{Place, Set};
use super::{LINE_BYTES_MAX, Order};

/// Why a body was not read to its end.
#[derive(Debug)]
pub(super) enum Ended {
    TooLarge,
    BrokenOff,
    Columns(Vec<Fault>),
    Differs,
}

/// Reads a body and gives its lines in sets, up to its end or until nobody takes them any more.
pub(super) async fn read<E>(
    mut body: impl Stream<Item = Result<Bytes, E>> + Unpin,
    order: &Order,
    begun: &Begun,
    sets: mpsc::Sender<Set>,
) -> Result<(), Ended> {
    let mut reading = Reading {
        cutter: Cutter::new(order.format),
        // What was taken before is read again, to see that it is the same, and to know a CSV's columns.
        is_checked: begun.place.bytes == 0,
        begun: begun.place.clone(),
        hash: order.name.is_some().then(Sha256::new),
        place: Place::default(),
        set: Set::default(),
        sets,
    };
    let mut bytes: u64 = 0;
    let ended = loop {
        let Some(chunk) = body.next().await else {
            break reading.finish().await;
        };
        let Ok(chunk) = chunk else {
            break Err(Ended::BrokenOff);
        };
        bytes = bytes.saturating_add(chunk.len() as u64);
        if bytes > order.bytes_max {
            break Err(Ended::TooLarge);
        }
        match reading.take(&chunk).await {
            Ok(true) => {}
            Ok(false) => return Ok(()),
            Err(ended) => break Err(ended),
        }
    };
    // What was read until here stands.
    if matches!(ended, Ok(()) | Err(Ended::TooLarge | Ended::BrokenOff)) {
        reading.give().await;
    }
    ended
}

/// What cuts a body into lines or records.
enum Cutter {
    Ndjson(LineSplitter),
    Csv(Box<Records>, Option<Columns>),
}

impl Cutter {
    fn new(format: Format) -> Self {
        match format {
            Format::Ndjson => Self::Ndjson(LineSplitter::new(LINE_BYTES_MAX)),
            Format::Csv => Self::Csv(Box::new(Records::new(LINE_BYTES_MAX)), None),
        }
    }

    /// What the next line or record is; `None` when it does not end within `rest`.
    fn next(&mut self, rest: &mut &[u8], is_end: bool) -> Result<Option<Line>, Ended> {
        match self {
            Self::Ndjson(splitter) => {
                let piece = if is_end {
                    splitter.finish()
                } else {
                    splitter.next(rest)
                };
                Ok(piece.map(|(number, piece)| of_piece(number, &piece)))
            }
            Self::Csv(records, columns) => match (records.next(rest), &columns) {
                (None, _) => Ok(None),
                (Some((number, Record::TooLong)), _) => Ok(Some(too_long(number))),
                (Some((number, Record::Fields(fields))), Some(columns)) => {
                    let bytes = fields.iter().map(|field| field.len()).sum();
                    let parsed = columns.product(&fields);
                    Ok(Some(Line {
                        number,
                        bytes,
                        parsed: Some(parsed),
                    }))
                }
                (Some((number, Record::Fields(fields))), None) => {
                    *columns = Some(Columns::read(&fields).map_err(Ended::Columns)?);
                    Ok(Some(Line {
                        number,
                        bytes: 0,
                        parsed: None,
                    }))
                }
            },
        }
    }
}

/// A line that was read.
struct Line {
    number: u64,
    bytes: usize,
    /// `None` for what is no product: a blank line, a header.
    parsed: Option<Result<ProductDraft, Vec<Fault>>>,
}

fn of_piece(number: u64, piece: &Piece<'_>) -> Line {
    let Piece::Line(line) = piece else {
        return too_long(number);
    };
    // A byte order mark is no part of the first line.
    let line = if number == 1 {
        line.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(line)
    } else {
        line
    };
    Line {
        number,
        bytes: line.len(),
        parsed: (!line.trim_ascii().is_empty()).then(|| parse_line(line)),
    }
}

fn too_long(number: u64) -> Line {
    let detail = format!("a line has at most {LINE_BYTES_MAX} bytes");
    Line {
        number,
        bytes: 0,
        parsed: Some(Err(vec![fault("too_long", detail)])),
    }
}

struct Reading {
    cutter: Cutter,
    begun: Place,
    /// What was taken before is what was sent again.
    is_checked: bool,
    hash: Option<Sha256>,
    place: Place,
    set: Set,
    sets: mpsc::Sender<Set>,
}

impl Reading {
    /// Reads a piece of the body. False when nobody takes the lines any more.
    async fn take(&mut self, chunk: &[u8]) -> Result<bool, Ended> {
        let mut rest = chunk;
        while !rest.is_empty() {
            let before = rest;
            let line = self.cutter.next(&mut rest, false)?;
            let taken = &before[..before.len() - rest.len()];
            self.advance(taken);
            let Some(line) = line else { continue };
            if !self.line(line).await? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// What came after the last line feed.
    async fn finish(&mut self) -> Result<(), Ended> {
        while let Some(line) = self.cutter.next(&mut &[][..], true)? {
            if !self.line(line).await? {
                break;
            }
        }
        if self.is_checked {
            Ok(())
        } else {
            Err(Ended::Differs)
        }
    }

    fn advance(&mut self, taken: &[u8]) {
        self.place.bytes += taken.len() as u64;
        self.place.lines += taken.iter().filter(|&&byte| byte == b'\n').count() as u64;
        if let Some(hash) = &mut self.hash {
            hash.update(taken);
        }
    }

    async fn line(&mut self, line: Line) -> Result<bool, Ended> {
        if self.place.bytes < self.begun.bytes {
            // It was saved before.
            return Ok(true);
        }
        if !self.is_checked {
            // The last of these must end where the import had come to.
            self.is_checked = self.place.bytes == self.begun.bytes;
            if !self.is_checked || self.digest() != self.begun.digest {
                return Err(Ended::Differs);
            }
            return Ok(true);
        }
        let (number, bytes) = (line.number, line.bytes);
        let Some(parsed) = line.parsed else {
            return Ok(true);
        };
        let repeats = |draft: &ProductDraft| self.set.has(&draft.sku);
        if parsed.as_ref().is_ok_and(repeats) && !self.give().await {
            return Ok(false);
        }
        match parsed {
            Ok(draft) => self.set.add(number, draft, bytes),
            Err(faults) => self.set.refuse(number, faults),
        }
        self.set.end = Place {
            digest: self.digest(),
            ..self.place
        };
        if self.set.is_full() {
            return Ok(self.give().await);
        }
        Ok(true)
    }

    fn digest(&self) -> Vec<u8> {
        let hash = self.hash.clone();
        hash.map(|hash| hash.finalize().to_vec())
            .unwrap_or_default()
    }

    /// Gives the set away. False when nobody takes it.
    async fn give(&mut self) -> bool {
        let set = std::mem::take(&mut self.set);
        if set.count == 0 {
            return true;
        }
        self.sets.send(set).await.is_ok()
    }
}

/// A fault of the whole line.
pub(super) fn fault(code: &'static str, detail: impl Into<String>) -> Fault {
    Fault {
        pointer: String::new(),
        code: code.into(),
        detail: detail.into(),
    }
}

fn parse_line(line: &[u8]) -> Result<ProductDraft, Vec<Fault>> {
    if let Err(error) = std::str::from_utf8(line) {
        return Err(vec![fault(
            "invalid_utf8",
            format!("the line is not UTF-8: {error}"),
        )]);
    }
    parse_product(line)
}

pub(super) fn parse_product(line: &[u8]) -> Result<ProductDraft, Vec<Fault>> {
    let body: ProductBody = parse_json(line).map_err(|error| error.faults().to_vec())?;
    body.check(None)
}

#[cfg(test)]
mod tests {
    use super::{Cutter, Format, LINE_BYTES_MAX, Line};

    fn capacity_bytes(cutter: &Cutter) -> usize {
        match cutter {
            Cutter::Ndjson(splitter) => splitter.capacity_bytes(),
            Cutter::Csv(records, _) => records.capacity_bytes(),
        }
    }

    #[test]
    fn of_a_line_that_does_not_end_no_more_is_kept_than_a_line_may_have() {
        let piece = "x".repeat(1 << 20);
        // A field of CSV in quotes goes on over line feeds.
        let lines = "x\n".repeat(1 << 19);
        for (format, begin, piece, end) in [
            (Format::Ndjson, "{\"name\": \"", &piece, "\"}\n"),
            (Format::Csv, "name,", &piece, "\n"),
            (Format::Csv, "\"name", &lines, "\"\n"),
        ] {
            let mut cutter = Cutter::new(format);
            let pieces = [begin].into_iter().chain([piece.as_str(); 16]);
            for piece in pieces {
                let mut rest = piece.as_bytes();
                let line = cutter.next(&mut rest, false).expect("it can be read");
                assert!(line.is_none() && rest.is_empty(), "it is taken in");
                let kept = capacity_bytes(&cutter);
                assert!(kept <= 2 * LINE_BYTES_MAX, "{kept} bytes");
            }
            let line = cutter.next(&mut end.as_bytes(), false);
            let refused = line.expect("it can be read").expect("it ends");
            let Line {
                number: 1,
                parsed: Some(Err(faults)),
                ..
            } = refused
            else {
                panic!("it is refused, as the first line");
            };
            assert_eq!(faults[0].code, "too_long");
        }
    }
}
