//! What the clients sent, what they were answered, and when.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use parking_lot::Mutex;
use serde::Serialize;
use uuid::Uuid;

/// Oddities that are kept word for word; further ones are only counted.
const ODDITIES_MAX: usize = 500;

/// What a request asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Asked {
    /// The order of the visit.
    Place,
    /// The same once more.
    Again,
    /// Something else under the same key.
    OtherBody,
    /// To call it off.
    Cancel,
    /// To note its payment.
    Pay,
    /// To note that it shipped.
    Ship,
    /// To note that it came back, with the goods on the shelf or not.
    Return {
        /// On the shelf.
        restock: bool,
    },
}

/// One request under one idempotency key, however often it was sent.
#[derive(Clone, Debug, Serialize)]
pub struct Entry {
    /// The visit that it belongs to, which says everything about the order: see [`crate::shop::Shop::visit`].
    pub visit: u64,
    /// Whose order.
    pub customer: u32,
    /// What was asked for.
    pub asked: Asked,
    /// When it was first sent, from the beginning of the run.
    pub sent: Duration,
    /// When it was accepted; `None`: never.
    pub accepted: Option<Duration>,
    /// How often it was sent.
    pub tries: u32,
    /// The order that the answer named.
    pub order_id: Option<Uuid>,
    /// The command that the answer named; an order's own is not told.
    pub command_id: Option<Uuid>,
}

/// A goods receipt, booked once however often it was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Receipt {
    /// Which product.
    pub product: u16,
    /// Units that came in.
    pub units: i64,
    /// Whether the answer said that it is booked.
    pub booked: bool,
}

/// How answers were, without regard to what they were about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Answers {
    /// 2xx.
    pub good: u64,
    /// 503 and 429 as documented: the client came again.
    pub come_again: u64,
    /// 404 for an order that was accepted: neither receipt nor order could be seen yet.
    pub not_seen_yet: u64,
    /// No answer, or half of one.
    pub broken: u64,
}

/// An answer that should not have been.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Oddity {
    /// Which request.
    pub request: String,
    /// What is wrong with its answer.
    pub what: String,
}

/// Everything that the clients know.
#[derive(Debug, Default)]
pub struct Record {
    /// Requests, in the order in which they came to an end.
    pub entries: Vec<Entry>,
    /// Goods receipts.
    pub receipts: Vec<Receipt>,
    /// How answers were.
    pub answers: Answers,
    /// Answers that should not have been.
    pub oddities: Vec<Oddity>,
    /// How many there were.
    pub oddities_count: u64,
}

/// Takes the record, and writes it to a file for whoever has to look something up.
#[derive(Debug)]
pub struct Journal {
    began: Instant,
    kept: Mutex<Kept>,
}

#[derive(Debug)]
struct Kept {
    record: Record,
    accepted: u64,
    file: BufWriter<File>,
}

impl Journal {
    /// An empty journal that begins now, with its file (JSON lines) at `path`.
    ///
    /// # Errors
    /// When the file cannot be made.
    pub fn begin(path: &Path) -> anyhow::Result<Self> {
        let file =
            File::create(path).with_context(|| format!("cannot write {}", path.display()))?;
        Ok(Self {
            began: Instant::now(),
            kept: Mutex::new(Kept {
                record: Record::default(),
                accepted: 0,
                file: BufWriter::new(file),
            }),
        })
    }

    /// The time since the beginning.
    #[must_use]
    pub fn now(&self) -> Duration {
        self.began.elapsed()
    }

    /// A request came to its end.
    pub fn entry(&self, entry: Entry) {
        let mut kept = self.kept.lock();
        kept.line(&entry);
        kept.accepted += u64::from(entry.accepted.is_some());
        kept.record.entries.push(entry);
    }

    /// A goods receipt came to its end.
    pub fn receipt(&self, receipt: Receipt) {
        let mut kept = self.kept.lock();
        kept.line(&receipt);
        kept.record.receipts.push(receipt);
    }

    /// Counts an answer.
    pub fn answer(&self, count: impl FnOnce(&mut Answers)) {
        count(&mut self.kept.lock().record.answers);
    }

    /// An answer that should not have been.
    pub fn odd(&self, request: String, what: String) {
        let mut kept = self.kept.lock();
        kept.record.oddities_count += 1;
        let oddity = Oddity { request, what };
        kept.line(&oddity);
        if kept.record.oddities.len() < ODDITIES_MAX {
            kept.record.oddities.push(oddity);
        }
    }

    /// Requests accepted so far.
    #[must_use]
    pub fn accepted(&self) -> u64 {
        self.kept.lock().accepted
    }

    /// The record, and the end of the file.
    pub fn end(&self) -> Record {
        let mut kept = self.kept.lock();
        // The file helps people; the check goes by memory.
        let _ = kept.file.flush();
        std::mem::take(&mut kept.record)
    }
}

impl Kept {
    fn line(&mut self, what: &impl Serialize) {
        if let Ok(line) = serde_json::to_string(what) {
            let _ = writeln!(self.file, "{line}");
        }
    }
}
