//! Lines that are saved together.

use std::collections::HashSet;

use steelyard_domain::fault::Fault;
use steelyard_domain::id::Sku;
use steelyard_domain::product::ProductDraft;

/// Lines of one transaction.
const LINES_MAX: u64 = 500;
/// Text that waits for its transaction, so that few long lines weigh no more than many short ones.
const BYTES_MAX: usize = 1024 * 1024;

/// How far an import came.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Place {
    /// Bytes of the body.
    pub(super) bytes: u64,
    /// Lines of it, counted by line feeds.
    pub(super) lines: u64,
    /// SHA-256 of these bytes; empty when nobody wants to know.
    pub(super) digest: Vec<u8>,
}

/// Lines that are saved together.
#[derive(Debug, Default)]
pub(super) struct Set {
    /// Of different SKUs: one statement cannot write a row twice, and the later line must win.
    pub(super) drafts: Vec<ProductDraft>,
    /// The drafts' lines.
    pub(super) numbers: Vec<u64>,
    /// Lines that cannot be used.
    pub(super) refused: Vec<(u64, Vec<Fault>)>,
    /// Lines that were not blank.
    pub(super) count: u64,
    /// Where its last line ends.
    pub(super) end: Place,
    skus: HashSet<Sku>,
    bytes: usize,
}

impl Set {
    /// Whether a product cannot be added because it is in it already.
    pub(super) fn has(&self, sku: &Sku) -> bool {
        self.skus.contains(sku)
    }

    pub(super) fn add(&mut self, number: u64, draft: ProductDraft, bytes: usize) {
        self.count += 1;
        self.bytes += bytes;
        self.skus.insert(draft.sku.clone());
        self.drafts.push(draft);
        self.numbers.push(number);
    }

    pub(super) fn refuse(&mut self, number: u64, faults: Vec<Fault>) {
        self.count += 1;
        self.refused.push((number, faults));
    }

    pub(super) fn is_full(&self) -> bool {
        self.count >= LINES_MAX || self.bytes > BYTES_MAX
    }
}
