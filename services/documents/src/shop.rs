//! The shop as its documents need to know it: `shop.toml`.
//!
//! ```toml
//! payment_days = 14
//! credit_terms = "Set off against open invoices, or refunded."
//!
//! [seller]
//! name = "Stalhof Handelskontor GmbH"
//! vat_id = "DE123456789"
//! address = { line1 = "An der Obertrave 12", postcode = "23552", city = "Lübeck", country = "DE" }
//!
//! [account]
//! iban = "DE02120300000000202051"
//!
//! [numbers]                            # {year} and {number}, which has at least six digits
//! invoice = "RE-{year}-{number}"
//! credit_note = "RK-{year}-{number}"
//! delivery_note = "LS-{year}-{number}"
//!
//! [languages]                          # by the country of the buyer
//! default = "en"
//! DE = "de"
//! ```

use std::collections::BTreeMap;

use serde::Deserialize;
use steelyard_domain::order::Order;
use steelyard_einvoice::issue::{Issuer, PAYMENT_DAYS_MAX};
use steelyard_einvoice::model::{Account, Party};

use crate::kind::Kind;

/// A shop for demonstrations, with every setting explained.
pub const EXAMPLE: &str = include_str!("../shop.example.toml");
/// The entry of an order's `metadata` that says in which language its buyer reads.
pub const LANGUAGE: &str = "language";
/// Digits of a number, at least.
const NUMBER_DIGITS: usize = 6;

/// The file.
#[derive(Debug, Clone)]
pub struct Shop {
    /// Who issues, and on which terms.
    pub issuer: Issuer,
    numbers: BTreeMap<Kind, Pattern>,
    languages: BTreeMap<String, String>,
}

/// Why a shop's file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ShopError {
    /// Not TOML, or not as such a file is.
    #[error(transparent)]
    Toml(#[from] toml::de::Error),
    /// Too long to pay.
    #[error("payment_days: at most {PAYMENT_DAYS_MAX}")]
    PaymentDays,
    /// A kind has no pattern, or two have the same.
    #[error("[numbers]: each of invoice, credit_note and delivery_note needs a pattern of its own")]
    Numbers,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    seller: Party,
    #[serde(default)]
    account: Option<Account>,
    payment_days: u16,
    #[serde(default)]
    terms: Option<String>,
    credit_terms: String,
    #[serde(default)]
    notes: Vec<String>,
    numbers: BTreeMap<Kind, Pattern>,
    #[serde(default)]
    languages: BTreeMap<String, String>,
}

/// `RE-{year}-{number}`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
struct Pattern(String);

impl TryFrom<String> for Pattern {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        for slot in ["{year}", "{number}"] {
            if text.matches(slot).count() != 1 {
                return Err(format!(
                    "{text:?} must have {slot} once: numbers begin anew each year"
                ));
            }
        }
        Ok(Self(text))
    }
}

impl Shop {
    /// Reads and checks the file.
    ///
    /// # Errors
    /// See [`ShopError`].
    pub fn parse(text: &str) -> Result<Self, ShopError> {
        let File {
            seller,
            account,
            payment_days,
            terms,
            credit_terms,
            notes,
            numbers,
            languages,
        } = toml::from_str(text)?;
        let issuer = Issuer {
            seller,
            account,
            payment_days,
            terms,
            credit_terms,
            notes,
        };
        if issuer.payment_days > PAYMENT_DAYS_MAX {
            return Err(ShopError::PaymentDays);
        }
        let mut patterns: Vec<&str> = numbers.values().map(|pattern| pattern.0.as_str()).collect();
        patterns.sort_unstable();
        patterns.dedup();
        if patterns.len() != Kind::ALL.len() {
            return Err(ShopError::Numbers);
        }
        Ok(Self {
            issuer,
            numbers,
            languages,
        })
    }

    /// The number of a document: the n-th of its kind in a year.
    #[must_use]
    pub fn number(&self, kind: Kind, year: i32, n: i64) -> String {
        let pattern = self.numbers.get(&kind).map_or("{year}-{number}", |p| &p.0);
        pattern
            .replace("{year}", &year.to_string())
            .replace("{number}", &format!("{n:0NUMBER_DIGITS$}"))
    }

    /// The language of an order's documents.
    #[must_use]
    pub fn language(&self, order: &Order) -> String {
        let buyer = order.bill_to.as_ref().unwrap_or(&order.ship_to);
        let by_country = || self.languages.get(&buyer.country);
        order
            .metadata
            .get(LANGUAGE)
            .or_else(by_country)
            .or_else(|| self.languages.get("default"))
            .map_or_else(|| "en".to_owned(), |tag| tag.chars().take(35).collect())
    }
}
