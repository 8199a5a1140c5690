//! Rows into files, off the threads that wait for others.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::RwLock;
use sha2::{Digest, Sha256};
use steelyard_paper::{Pdf, Press, RenderError};
use uuid::Uuid;

use crate::db::Stored;
use crate::kept::kept;
use crate::model::{Document, Model};

use super::store::File;

/// Makes files of documents under the theme that is in force; clones share it.
#[derive(Debug, Clone, Default)]
pub struct Printer(Arc<RwLock<Option<Arc<Press>>>>);

/// Which documents could not be rendered, and why.
pub(super) type Refused = HashMap<Uuid, String>;

/// What comes out of a set.
#[derive(Default)]
pub(super) struct Printed {
    pub(super) files: Vec<File>,
    pub(super) refused: Refused,
}

impl Printer {
    /// A printer under this theme. The default one has none yet, and prints nothing.
    #[must_use]
    pub fn new(press: Press) -> Self {
        let printer = Self::default();
        printer.take(press);
        printer
    }

    /// From now on under this theme; what is being printed is printed under the one before.
    pub fn take(&self, press: Press) {
        *self.0.write() = Some(Arc::new(press));
    }

    /// What it prints with, once it has a theme.
    #[must_use]
    pub fn press(&self) -> Option<Arc<Press>> {
        self.0.read().clone()
    }

    /// Renders all of them on a thread where it delays nobody; nothing without a theme.
    pub(super) async fn print(&self, documents: Vec<Document>) -> Option<Printed> {
        if documents.is_empty() {
            return Some(Printed::default());
        }
        let press = self.press()?;
        let ids: Vec<Uuid> = documents.iter().map(|document| document.id).collect();
        let printed = tokio::task::spawn_blocking(move || print(&press, documents)).await;
        Some(printed.unwrap_or_else(|panic| {
            Printed {
                refused: ids
                    .iter()
                    .map(|&id| (id, format!("rendering panicked: {panic}")))
                    .collect(),
                ..Printed::default()
            }
        }))
    }
}

fn print(press: &Press, documents: Vec<Document>) -> Printed {
    let mut printed = Printed::default();
    for document in documents {
        let began = std::time::Instant::now();
        match render(press, &document) {
            Ok(pdf) => {
                metrics::histogram!("documents_render_seconds").record(began.elapsed());
                if !pdf.missing.is_empty() {
                    let number = document.model.number();
                    tracing::warn!(document = %document.id, number, missing = ?pdf.missing, "no font has these characters");
                }
                printed.files.push(file(&document, pdf));
            }
            Err(error) => {
                let reason = format!("document {} cannot be rendered: {error}", document.id);
                printed.refused.insert(document.id, reason);
            }
        }
    }
    printed
}

fn render(press: &Press, document: &Document) -> Result<Pdf, RenderError> {
    match &document.model {
        Model::Invoice(invoice) => press.invoice(invoice, &document.language),
        Model::DeliveryNote(note) => press.delivery_note(note, &document.language),
    }
}

fn file(document: &Document, pdf: Pdf) -> File {
    File {
        kept: kept(document.kind.as_str(), Some(document.country())),
        stored: Stored {
            id: document.id,
            key: document.object_key(),
            sha256: Sha256::digest(&pdf.bytes).into(),
            size_bytes: i64::try_from(pdf.bytes.len()).unwrap_or(i64::MAX),
            pages: i32::try_from(pdf.pages).ok(),
        },
        bytes: Bytes::from(pdf.bytes),
    }
}
