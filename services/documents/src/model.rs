//! A document as it is stored.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use steelyard_domain::id::{CustomerId, OrderId};
use steelyard_einvoice::model::{DeliveryNote, Invoice};
use time::{Date, OffsetDateTime};
use uuid::Uuid;

use crate::kind::Kind;
use crate::words;

/// Of the text that a search finds a document by; what comes after is not found.
const WORDS_BYTES_MAX: usize = 4_096;

/// The id of an event's document, the same for every delivery: a UUIDv7 of the event's time, so that ids sort by the time
/// of issue and tell their month, with the event's id in place of chance.
#[must_use]
pub fn document_id(at: OffsetDateTime, event: Uuid) -> Uuid {
    let digest = Sha256::digest(event.as_bytes());
    let mut rest = [0; 10];
    rest.copy_from_slice(&digest[..10]);
    // Before 1970 there were no UUIDs; the schema refuses such a date.
    let millis = u64::try_from(at.unix_timestamp_nanos() / 1_000_000).unwrap_or(0);
    uuid::Builder::from_unix_timestamp_millis(millis, &rest).into_uuid()
}

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

    /// What a search finds it by: its number, the order's, the buyer, and what was bought.
    #[must_use]
    pub(crate) fn words(&self) -> String {
        let (order_number, buyer) = match self {
            Self::Invoice(invoice) => (&invoice.order_number, &invoice.buyer),
            Self::DeliveryNote(note) => (&note.order_number, &note.buyer),
        };
        let mut words = String::new();
        let mut add = |word: &str| {
            let room = WORDS_BYTES_MAX.saturating_sub(words.len());
            words.push_str(&word[..word.floor_char_boundary(room)]);
            words.push(' ');
        };
        add(self.number());
        add(order_number);
        add(&buyer.name);
        add(&buyer.address.city);
        match self {
            Self::Invoice(invoice) => invoice.lines.iter().for_each(|line| {
                add(&line.sku);
                add(&line.name);
            }),
            Self::DeliveryNote(note) => {
                note.tracking.iter().for_each(|tracking| add(tracking));
                note.items.iter().for_each(|item| {
                    add(&item.sku);
                    add(&item.name);
                });
            }
        }
        words::cut(&words)
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
    /// Derived from the event that it was issued for: see [`document_id`].
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
    /// The country whose rules it is kept by: its issuer's.
    #[must_use]
    pub fn country(&self) -> &str {
        match &self.model {
            Model::Invoice(invoice) => &invoice.seller.address.country,
            Model::DeliveryNote(note) => &note.seller.address.country,
        }
    }

    /// Where its file lies: `{kind}/{yyyy}/{mm}/{customer}/{id}.pdf`.
    #[must_use]
    pub fn object_key(&self) -> String {
        object_key(
            self.kind,
            self.model.issued_on(),
            &self.customer_id,
            self.id,
        )
    }
}

/// Where the file of a document lies.
pub(crate) fn object_key(kind: Kind, on: Date, customer: &CustomerId, id: Uuid) -> String {
    format!(
        "{}/{:04}/{:02}/{}/{id}.pdf",
        kind.as_str(),
        on.year(),
        u8::from(on.month()),
        safe(customer.as_str()),
    )
}

/// A customer's id as one part of a key: no slash, no dots that climb.
fn safe(text: &str) -> String {
    use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
    const KEPT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_');
    utf8_percent_encode(text, KEPT).to_string()
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;
    use uuid::Uuid;

    use super::{document_id, safe};

    #[test]
    fn ids_sort_by_time_and_are_the_same_for_the_same_event() {
        let event = Uuid::from_u128(7);
        let (one, two) = (
            document_id(datetime!(2026-11-30 23:59:59.999 UTC), event),
            document_id(datetime!(2026-12-01 00:00:00 UTC), event),
        );
        assert!(one < two);
        assert_eq!(one.get_version_num(), 7);
        assert_eq!(
            one,
            document_id(datetime!(2026-11-30 23:59:59.999 UTC), event)
        );
        assert_ne!(
            one,
            document_id(datetime!(2026-11-30 23:59:59.999 UTC), Uuid::from_u128(8))
        );
        // What `first_id` of the schema makes of the day.
        assert!(two.to_string().starts_with("01a22ee6-b000-7"), "{two}");
    }

    #[test]
    fn a_customers_id_stays_one_part_of_a_key() {
        assert_eq!(safe("17850"), "17850");
        assert_eq!(safe("../a b/ö"), "%2E%2E%2Fa%20b%2F%C3%B6");
    }
}
