//! Kinds of documents.

use serde::{Deserialize, Serialize};

/// What a document is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// For a confirmed order.
    Invoice,
    /// Takes an invoice back.
    CreditNote,
    /// Comes with the goods.
    DeliveryNote,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 3] = [Self::Invoice, Self::CreditNote, Self::DeliveryNote];

    /// The word in the store, and the first part of a file's key.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Invoice => "invoice",
            Self::CreditNote => "credit_note",
            Self::DeliveryNote => "delivery_note",
        }
    }
}
