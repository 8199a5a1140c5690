//! Bulk import of products: NDJSON, read as it comes, saved in sets.

mod lines;

use std::collections::HashSet;

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _};
use sqlx::PgPool;
use steelyard_domain::fault::Fault;
use steelyard_domain::id::Sku;
use steelyard_domain::product::{ImportError, ImportReport, ProductBody, ProductDraft};
use steelyard_runtime::http::parse_json;

use self::lines::{LineSplitter, Piece};
use crate::products::{Saved, upsert};
use crate::transaction::Abort;

/// Longer lines are refused, and not kept.
pub(crate) const LINE_BYTES_MAX: usize = 64 * 1024;
/// Products saved in one transaction.
const SET_LINES_MAX: usize = 500;
/// Text that waits for its transaction, so that few long lines weigh no more than many short ones.
const SET_BYTES_MAX: usize = 1024 * 1024;
/// Faults that the report names of one line.
const LINE_FAULTS_MAX: usize = 10;
/// Characters of a fault's place and of its words in the report.
const FAULT_CHARS_MAX: usize = 256;

/// Why an import ended early. What was saved until then stands, and sending it again finds it
/// unchanged.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ImportFailure {
    /// The body has more bytes than allowed; lines taken until then.
    #[error("the import is too large")]
    TooLarge { lines: u64 },
    /// The body broke off; lines taken until then.
    #[error("the import broke off")]
    BrokenOff { lines: u64 },
    /// The database did not do its part.
    #[error(transparent)]
    Database(#[from] Abort),
}

/// Saves the products of `body`, one JSON object a line. A line that cannot be used is reported and
/// stops no other. Lines take effect in their order, also those of one SKU.
pub(crate) async fn import<E>(
    pool: &PgPool,
    body: impl Stream<Item = Result<Bytes, E>> + Unpin,
    bytes_max: u64,
) -> Result<ImportReport, ImportFailure> {
    let mut body = body;
    let mut import = Import {
        pool,
        set: Set::default(),
        report: ImportReport::default(),
    };
    let mut splitter = LineSplitter::new(LINE_BYTES_MAX);
    let mut bytes: u64 = 0;
    while let Some(chunk) = body.next().await {
        let Ok(chunk) = chunk else {
            import.save().await?;
            return Err(ImportFailure::BrokenOff {
                lines: import.report.lines,
            });
        };
        bytes = bytes.saturating_add(chunk.len() as u64);
        if bytes > bytes_max {
            import.save().await?;
            return Err(ImportFailure::TooLarge {
                lines: import.report.lines,
            });
        }
        let mut rest = &*chunk;
        while let Some((number, piece)) = splitter.next(&mut rest) {
            import.take(number, piece).await?;
        }
    }
    if let Some((number, piece)) = splitter.finish() {
        import.take(number, piece).await?;
    }
    import.save().await?;
    Ok(import.report)
}

/// An import on its way.
struct Import<'a> {
    pool: &'a PgPool,
    set: Set,
    report: ImportReport,
}

/// Lines that will be saved together.
#[derive(Default)]
struct Set {
    drafts: Vec<ProductDraft>,
    numbers: Vec<u64>,
    skus: HashSet<Sku>,
    bytes: usize,
}

impl Import<'_> {
    async fn take(&mut self, number: u64, piece: Piece<'_>) -> Result<(), Abort> {
        let line = match piece {
            Piece::TooLong => {
                self.report.lines += 1;
                let detail = format!("a line has at most {LINE_BYTES_MAX} bytes");
                self.refuse(number, vec![fault("too_long", detail)]);
                return Ok(());
            }
            Piece::Line(line) => line,
        };
        // A byte order mark is no part of the first line.
        let line = if number == 1 {
            line.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(line)
        } else {
            line
        };
        if line.trim_ascii().is_empty() {
            return Ok(());
        }
        self.report.lines += 1;
        match parse(line) {
            Err(faults) => self.refuse(number, faults),
            Ok(draft) => {
                // One statement cannot write a row twice; and the later line must win.
                if self.set.skus.contains(&draft.sku) {
                    self.save().await?;
                }
                self.set.bytes += line.len();
                self.set.skus.insert(draft.sku.clone());
                self.set.drafts.push(draft);
                self.set.numbers.push(number);
                if self.set.drafts.len() == SET_LINES_MAX || self.set.bytes > SET_BYTES_MAX {
                    self.save().await?;
                }
            }
        }
        Ok(())
    }

    async fn save(&mut self) -> Result<(), Abort> {
        let set = std::mem::take(&mut self.set);
        if set.drafts.is_empty() {
            return Ok(());
        }
        let saved = upsert(self.pool, &set.drafts).await?;
        for (number, saved) in set.numbers.into_iter().zip(saved) {
            let (count, booked) = match saved {
                Saved::Created { booked } => (&mut self.report.created, booked),
                Saved::Updated { booked } => (&mut self.report.updated, booked),
                Saved::Unchanged { booked } => (&mut self.report.unchanged, booked),
                Saved::Refused(detail) => {
                    let mut fault = fault("stock_reserved", detail);
                    fault.pointer = "/stock/adjust".to_owned();
                    self.refuse(number, vec![fault]);
                    continue;
                }
            };
            *count += 1;
            self.report.stock_booked += u64::from(booked);
        }
        Ok(())
    }

    fn refuse(&mut self, line: u64, mut errors: Vec<Fault>) {
        self.report.failed += 1;
        if self.report.errors.len() < ImportReport::ERRORS_MAX {
            // Faults repeat what they complain of, and a line may be one long field name.
            errors.truncate(LINE_FAULTS_MAX);
            for Fault {
                pointer, detail, ..
            } in &mut errors
            {
                clip(pointer);
                clip(detail);
            }
            self.report.errors.push(ImportError { line, errors });
        }
    }
}

fn clip(text: &mut String) {
    if let Some((end, _)) = text.char_indices().nth(FAULT_CHARS_MAX) {
        text.truncate(end);
        text.push('…');
    }
}

/// A fault of the whole line.
fn fault(code: &'static str, detail: impl Into<String>) -> Fault {
    Fault {
        pointer: String::new(),
        code: code.into(),
        detail: detail.into(),
    }
}

fn parse(line: &[u8]) -> Result<ProductDraft, Vec<Fault>> {
    if let Err(error) = std::str::from_utf8(line) {
        return Err(vec![fault(
            "invalid_utf8",
            format!("the line is not UTF-8: {error}"),
        )]);
    }
    let body: ProductBody = parse_json(line).map_err(|error| error.faults().to_vec())?;
    body.check(None)
}
