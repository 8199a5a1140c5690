//! Texts with slots: `{seller.name}`. Which slots there are is checked when the theme is read.

use serde::Deserialize;
use serde::de::IntoDeserializer;
use serde::de::value::StrDeserializer;
use steelyard_einvoice::model::{Account, Party};

use super::words::{Language, Word};

/// A text with slots.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct Template(Vec<Part>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Slot(Slot),
}

/// What can stand in braces.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub(crate) enum Slot {
    #[serde(rename = "seller.name")]
    Name,
    #[serde(rename = "seller.line1")]
    Line1,
    #[serde(rename = "seller.line2")]
    Line2,
    #[serde(rename = "seller.postcode")]
    Postcode,
    #[serde(rename = "seller.city")]
    City,
    #[serde(rename = "seller.region")]
    Region,
    #[serde(rename = "seller.country")]
    Country,
    #[serde(rename = "seller.vat_id")]
    VatId,
    #[serde(rename = "seller.registration")]
    Registration,
    #[serde(rename = "seller.contact")]
    Contact,
    #[serde(rename = "seller.phone")]
    Phone,
    #[serde(rename = "seller.email")]
    Email,
    #[serde(rename = "account.holder")]
    Holder,
    #[serde(rename = "account.iban")]
    Iban,
    #[serde(rename = "account.bic")]
    Bic,
    #[serde(rename = "account.bank")]
    Bank,
    #[serde(skip)]
    Word(Word),
}

/// What the slots are filled from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Filling<'a> {
    pub(crate) seller: &'a Party,
    pub(crate) account: Option<&'a Account>,
    pub(crate) language: &'a Language,
}

impl Template {
    /// A template of our own.
    pub(super) fn fixed(text: &'static str) -> Self {
        // What is wrong with it would show as text.
        Self::try_from(text.to_owned()).unwrap_or_else(|_| Self(vec![Part::Text(text.to_owned())]))
    }

    /// The text, or `None` when it has slots and all of them are empty: "VAT no." alone says nothing.
    pub(crate) fn fill(&self, from: Filling<'_>) -> Option<String> {
        let (mut text, mut slots, mut filled) = (String::new(), 0, 0);
        for part in &self.0 {
            match part {
                Part::Text(part) => text.push_str(part),
                Part::Slot(Slot::Word(word)) => text.push_str(from.language.word(*word)),
                Part::Slot(slot) => {
                    slots += 1;
                    if let Some(value) = slot.value(from) {
                        filled += 1;
                        text.push_str(&value);
                    }
                }
            }
        }
        (slots == 0 || filled > 0).then(|| text.trim().to_owned())
    }
}

impl Slot {
    fn parse(name: &str) -> Result<Self, String> {
        let Some(word) = name.strip_prefix("word.") else {
            return Self::deserialize(named(name)).map_err(|error| error.to_string());
        };
        let word = Word::deserialize(named(word)).map_err(|error| error.to_string())?;
        Ok(Self::Word(word))
    }

    fn value(self, from: Filling<'_>) -> Option<String> {
        let Filling {
            seller,
            account,
            language,
        } = from;
        let address = &seller.address;
        let contact = seller.contact.as_ref();
        match self {
            Self::Name => Some(seller.name.clone()),
            Self::Line1 => Some(address.line1.clone()),
            Self::Line2 => address.line2.clone(),
            Self::Postcode => address.postcode.clone(),
            Self::City => Some(address.city.clone()),
            Self::Region => address.region.clone(),
            Self::Country => Some(language.country(&address.country).to_owned()),
            Self::VatId => seller.vat_id.clone(),
            Self::Registration => seller.registration.clone(),
            Self::Contact => contact.and_then(|contact| contact.name.clone()),
            Self::Phone => contact.and_then(|contact| contact.phone.clone()),
            Self::Email => contact.and_then(|contact| contact.email.clone()),
            Self::Holder => account.map(|a| a.holder.clone().unwrap_or(seller.name.clone())),
            Self::Iban => account.map(|account| in_fours(&account.iban)),
            Self::Bic => account.and_then(|account| account.bic.clone()),
            Self::Bank => account.and_then(|account| account.bank.clone()),
            Self::Word(word) => Some(language.word(word).to_owned()),
        }
    }
}

/// Reads an enum by the name of a variant, with serde's list of names in the error.
fn named(name: &str) -> StrDeserializer<'_, serde::de::value::Error> {
    name.into_deserializer()
}

/// An IBAN as people read it, kept on one line.
pub(crate) fn in_fours(iban: &str) -> String {
    let mut text = String::with_capacity(iban.len() * 2);
    let letters = iban.chars().filter(|c| !c.is_whitespace());
    for (i, letter) in letters.enumerate() {
        if i > 0 && i % 4 == 0 {
            text.push('\u{a0}');
        }
        text.push(letter);
    }
    text
}

impl TryFrom<String> for Template {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut rest = text.as_str();
        while let Some((before, after)) = rest.split_once('{') {
            let (name, behind) = after
                .split_once('}')
                .ok_or_else(|| format!("a brace is open in {text:?}"))?;
            if !before.is_empty() {
                parts.push(Part::Text(before.to_owned()));
            }
            parts.push(Part::Slot(Slot::parse(name)?));
            rest = behind;
        }
        if !rest.is_empty() {
            parts.push(Part::Text(rest.to_owned()));
        }
        Ok(Self(parts))
    }
}
