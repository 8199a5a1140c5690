//! How long documents are kept, by kind and country.

use std::collections::BTreeMap;

use serde::Deserialize;
use time::Date;

use crate::kind::Kind;

/// Years of each kind; a kind that is not named has those of the default.
type Years = BTreeMap<Kind, u16>;

/// Longest time that a rule may say, in years.
const YEARS_MAX: u16 = 100;

/// The rules: `services/documents/retention.example.toml` says how they are written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retention {
    /// The country of documents that name none.
    home: String,
    default: Years,
    countries: BTreeMap<String, Years>,
}

/// Rules that cannot be.
#[derive(Debug, thiserror::Error)]
pub enum InvalidRetention {
    /// No TOML, or not of this form; says where.
    #[error(transparent)]
    Form(#[from] toml::de::Error),
    /// A kind has no default.
    #[error("[default] says nothing of {}", .0.as_str())]
    NoDefault(Kind),
    /// A country that is no code, or years that nobody means.
    #[error("[{country}]: {why}")]
    Country {
        /// The name of the table.
        country: String,
        /// What is wrong.
        why: &'static str,
    },
}

#[derive(Debug, Deserialize)]
struct Written {
    home: String,
    default: Years,
    #[serde(flatten)]
    countries: BTreeMap<String, Years>,
}

/// One rule, as the database is told it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// The document's kind.
    pub kind: Kind,
    /// Its country; none for all that have no rule of their own.
    pub country: Option<String>,
    /// Full years after the year of issue.
    pub years: i32,
}

impl Retention {
    /// Reads rules.
    ///
    /// # Errors
    /// See [`InvalidRetention`].
    pub fn parse(text: &str) -> Result<Self, InvalidRetention> {
        let written: Written = toml::from_str(text)?;
        for kind in Kind::ALL {
            if !written.default.contains_key(&kind) {
                return Err(InvalidRetention::NoDefault(kind));
            }
        }
        let is_code = |text: &str| text.len() == 2 && text.bytes().all(|b| b.is_ascii_uppercase());
        let tables = written
            .countries
            .iter()
            .chain([(&written.home, &written.default)]);
        for (country, years) in tables {
            let why = if !is_code(country) {
                "must be a code of ISO 3166-1 such as DE"
            } else if years.values().any(|years| *years > YEARS_MAX) {
                "must be 0 to 100 years"
            } else {
                continue;
            };
            let country = country.clone();
            return Err(InvalidRetention::Country { country, why });
        }
        Ok(Self {
            home: written.home,
            default: written.default,
            countries: written.countries,
        })
    }

    /// The country of documents that name none.
    #[must_use]
    pub fn home(&self) -> &str {
        &self.home
    }

    /// All rules.
    pub fn rules(&self) -> impl Iterator<Item = Rule> {
        let default = self.default.iter().map(|(kind, years)| (None, kind, years));
        let named = self.countries.iter().flat_map(|(country, years)| {
            let country = Some(country.clone());
            years
                .iter()
                .map(move |(kind, years)| (country.clone(), kind, years))
        });
        default.chain(named).map(|(country, kind, years)| Rule {
            kind: *kind,
            country,
            years: i32::from(*years),
        })
    }

    /// The last day on which a document is kept.
    #[must_use]
    pub fn keep_until(&self, kind: Kind, country: Option<&str>, issued_on: Date) -> Date {
        let country = country.unwrap_or(&self.home);
        let own = self
            .countries
            .get(country)
            .and_then(|years| years.get(&kind));
        let years = own
            .or_else(|| self.default.get(&kind))
            .copied()
            .unwrap_or(YEARS_MAX);
        let year = issued_on.year() + i32::from(years);
        Date::from_calendar_date(year, time::Month::December, 31).unwrap_or(Date::MAX)
    }
}

#[cfg(test)]
mod tests {
    use time::macros::date;

    use super::Retention;
    use crate::kind::Kind;

    const EXAMPLE: &str = include_str!("../../retention.example.toml");

    #[test]
    fn the_example_says_for_each_kind_and_country_how_long() {
        let rules = Retention::parse(EXAMPLE).expect("rules");
        let until = |kind, country| rules.keep_until(kind, country, date!(2026 - 01 - 05));
        assert_eq!(until(Kind::Invoice, Some("DE")), date!(2034 - 12 - 31));
        assert_eq!(until(Kind::Invoice, None), date!(2034 - 12 - 31));
        assert_eq!(until(Kind::Invoice, Some("US")), date!(2036 - 12 - 31));
        assert_eq!(until(Kind::DeliveryNote, Some("DE")), date!(2032 - 12 - 31));
        assert_eq!(until(Kind::DeliveryNote, Some("FR")), date!(2036 - 12 - 31));
        assert_eq!(rules.rules().count(), 3 + 2 + 1 + 2);
    }

    #[test]
    fn rules_that_cannot_be_are_told_by_their_place() {
        let said = |text: &str| Retention::parse(text).expect_err("a fault").to_string();
        let base = "home = \"DE\"\n[default]\ninvoice = 1\ncredit_note = 1\ndelivery_note = 1\n";
        assert!(Retention::parse(base).is_ok());
        assert_eq!(
            said(&base.replace("credit_note = 1\n", "")),
            "[default] says nothing of credit_note"
        );
        assert!(said(&format!("{base}[DE]\nreceipt = 1\n")).contains("receipt"));
        assert_eq!(
            said(&format!("{base}[Germany]\ninvoice = 1\n")),
            "[Germany]: must be a code of ISO 3166-1 such as DE"
        );
        assert_eq!(
            said(&format!("{base}[DE]\ninvoice = 1000\n")),
            "[DE]: must be 0 to 100 years"
        );
    }
}
