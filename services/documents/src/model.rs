//! A document as it is stored.

use serde::{Deserialize, Serialize};
use steelyard_domain::id::{CustomerId, OrderId};
use steelyard_einvoice::model::{DeliveryNote, Invoice};
use time::Date;
use uuid::Uuid;

use crate::kind::Kind;

/// All that a document says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Model {
    /// An invoice or a credit note.
    Invoice(Box<Invoice>),
    /// A delivery note.
    DeliveryNote(Box<DeliveryNote>),
}

impl Model {
    /// Gives it its number.
    pub(crate) fn set_number(&mut self, number: String) {
        match self {
            Self::Invoice(invoice) => invoice.set_number(number),
            Self::DeliveryNote(note) => note.number = number,
        }
    }

    /// Names the invoice that a credit note takes back, if it could not be named before; whether it is named now.
    pub(crate) fn name_invoice(&mut self, number: Option<&String>) -> bool {
        let Self::Invoice(note) = self else {
            return false;
        };
        let Some(preceding) = &mut note.preceding else {
            return false;
        };
        if let (true, Some(number)) = (preceding.number.is_empty(), number) {
            preceding.number.clone_from(number);
        }
        !preceding.number.is_empty()
    }

    /// Its number.
    #[must_use]
    pub fn number(&self) -> &str {
        match self {
            Self::Invoice(invoice) => &invoice.number,
            Self::DeliveryNote(note) => &note.number,
        }
    }

    /// The day that it bears.
    #[must_use]
    pub fn issued_on(&self) -> Date {
        match self {
            Self::Invoice(invoice) => invoice.issued_on,
            Self::DeliveryNote(note) => note.issued_on,
        }
    }
}

/// A document.
#[derive(Debug, Clone, PartialEq)]
pub struct Document {
    /// The event that it was issued for.
    pub id: Uuid,
    /// What it is.
    pub kind: Kind,
    /// Whose it is.
    pub customer_id: CustomerId,
    /// Of which order.
    pub order_id: OrderId,
    /// In which language it is rendered.
    pub language: String,
    /// What it says.
    pub model: Model,
}

impl Document {
    /// Where its file lies: `{kind}/{yyyy}/{mm}/{customer}/{id}.pdf`.
    #[must_use]
    pub fn object_key(&self) -> String {
        let on = self.model.issued_on();
        format!(
            "{}/{:04}/{:02}/{}/{}.pdf",
            self.kind.as_str(),
            on.year(),
            u8::from(on.month()),
            safe(self.customer_id.as_str()),
            self.id
        )
    }
}

/// A customer's id as one part of a key: no slash, no dots that climb.
fn safe(text: &str) -> String {
    use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
    const KEPT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_');
    utf8_percent_encode(text, KEPT).to_string()
}

#[cfg(test)]
mod tests {
    use super::safe;

    #[test]
    fn a_customers_id_stays_one_part_of_a_key() {
        assert_eq!(safe("17850"), "17850");
        assert_eq!(safe("../a b/ö"), "%2E%2E%2Fa%20b%2F%C3%B6");
    }
}
