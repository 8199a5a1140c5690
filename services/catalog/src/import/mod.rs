//! Bulk import of products: NDJSON or CSV, read as it comes, saved in sets.
//!
//! Reading and saving go on beside each other, with one set between them. Lines take effect in their order, also
//! those of one SKU. A named import keeps, in the transactions that save its products, how far it came: sent again
//! it goes on from there.

mod columns;
mod csv;
mod format;
mod lines;
mod named;
mod read;
mod save;
mod set;

use bytes::Bytes;
use futures_util::Stream;
use sqlx::PgPool;
use steelyard_domain::fault::Fault;
use steelyard_domain::product::ImportReport;
use tokio::sync::mpsc;

pub(crate) use self::format::Format;
pub(crate) use self::named::{Name, progress};

use crate::products::Pen;
use crate::transaction::Abort;

/// Longer lines (of CSV: records) are refused, and not kept.
pub(crate) const LINE_BYTES_MAX: usize = 64 * 1024;

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
    /// The first record of a CSV does not name columns that can be used; nothing was saved.
    #[error("the columns cannot be used")]
    Columns(Vec<Fault>),
    /// What was sent under this name before was something else.
    #[error("another body was sent under this name")]
    Differs,
    /// The same import is being sent somewhere else.
    #[error("the same import is under way elsewhere")]
    Overtaken,
    /// The database did not do its part.
    #[error(transparent)]
    Database(#[from] Abort),
}

/// An import as it was asked for.
#[derive(Debug, Clone)]
pub(crate) struct Order {
    pub(crate) format: Format,
    /// Under which it can be resumed.
    pub(crate) name: Option<Name>,
    pub(crate) bytes_max: u64,
}

/// Saves the products of `body`. A line that cannot be used is reported and stops no other.
pub(crate) async fn import<E>(
    pool: &PgPool,
    pen: Pen<'_>,
    body: impl Stream<Item = Result<Bytes, E>> + Unpin,
    order: &Order,
) -> Result<ImportReport, ImportFailure> {
    let begun = match &order.name {
        Some(name) => named::begin(pool, pen.author, name).await?,
        None => named::Begun::default(),
    };
    let (sets, saving) = mpsc::channel(1);
    let mut saver = save::Saver::new(pool, pen, order.name.as_ref(), &begun);
    let (read, saved) = tokio::join!(
        read::read(body, order, &begun, sets),
        saver.save_all(saving)
    );
    saved?;
    let lines = saver.lines();
    match read {
        Ok(()) => {}
        Err(read::Ended::TooLarge) => return Err(ImportFailure::TooLarge { lines }),
        Err(read::Ended::BrokenOff) => return Err(ImportFailure::BrokenOff { lines }),
        Err(read::Ended::Columns(faults)) => return Err(ImportFailure::Columns(faults)),
        Err(read::Ended::Differs) => return Err(ImportFailure::Differs),
    }
    saver.finish().await
}
