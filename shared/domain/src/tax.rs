//! Tax rates per category and destination country, from a table that a shop edits (TOML).
//!
//! ```toml
//! prices = "net"                       # or "gross": unit prices hold the tax
//!
//! [rates.DE]
//! standard = "19"                      # percent
//! reduced = "7"
//! ```
//!
//! A country that the table does not name is an export, rated zero. A category that a country does
//! not name is rated `standard`, so each country must name that.

use std::collections::BTreeMap;

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Whether unit prices hold the tax.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum PriceMode {
    /// Tax is added on top (business customers).
    Net,
    /// Tax is in the price (consumers).
    Gross,
}

/// The category that every country names.
pub const STANDARD: &str = "standard";

/// Rates by country and category.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaxTable {
    prices: PriceMode,
    rates: BTreeMap<String, BTreeMap<String, Decimal>>,
}

/// Why a table cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TaxTableError {
    /// Not TOML, or not of this shape.
    #[error("the tax table is not readable: {0}")]
    Toml(#[from] toml::de::Error),
    /// A key under `[rates]` is not a country code.
    #[error("[rates.{0}]: a country is an ISO 3166-1 alpha-2 code in capitals")]
    Country(String),
    /// A country without `standard`.
    #[error("[rates.{0}] has no `standard` rate")]
    NoStandard(String),
    /// A rate that is no percentage.
    #[error("[rates.{country}] {category} = {rate}: must be 0 to 100 with at most two decimals")]
    Rate {
        /// The country.
        country: String,
        /// The category.
        category: String,
        /// What it says.
        rate: Decimal,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    prices: PriceMode,
    rates: BTreeMap<String, BTreeMap<String, Decimal>>,
}

impl TaxTable {
    /// The table that comes with Steelyard: the standard rates of the EU's members and the UK,
    /// prices net.
    pub const DEFAULT_TOML: &'static str = include_str!("../tax-rates.toml");

    /// Reads and checks a table.
    ///
    /// # Errors
    /// See [`TaxTableError`]; it names the key that is wrong.
    pub fn parse(toml: &str) -> Result<Self, TaxTableError> {
        let File { prices, rates } = toml::from_str(toml)?;
        for (country, categories) in &rates {
            if country.len() != 2 || !country.bytes().all(|b| b.is_ascii_uppercase()) {
                return Err(TaxTableError::Country(country.clone()));
            }
            if !categories.contains_key(STANDARD) {
                return Err(TaxTableError::NoStandard(country.clone()));
            }
            for (category, &rate) in categories {
                let percent = Decimal::ZERO..=Decimal::ONE_HUNDRED;
                if !percent.contains(&rate) || rate.normalize().scale() > 2 {
                    let (country, category) = (country.clone(), category.clone());
                    return Err(TaxTableError::Rate {
                        country,
                        category,
                        rate,
                    });
                }
            }
        }
        Ok(Self { prices, rates })
    }

    /// Whether the shop's prices hold the tax.
    #[must_use]
    pub fn prices(&self) -> PriceMode {
        self.prices
    }

    /// The rate, in percent, for goods of `category` that go to `country`.
    #[must_use]
    pub fn rate(&self, country: &str, category: &str) -> Decimal {
        self.rates
            .get(country)
            .and_then(|rates| rates.get(category).or_else(|| rates.get(STANDARD)))
            .copied()
            .unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::{PriceMode, TaxTable};

    #[test]
    fn the_table_that_comes_along_is_valid_and_names_the_eu_and_the_uk() {
        let table = TaxTable::parse(TaxTable::DEFAULT_TOML).expect("valid");
        assert_eq!(table.prices(), PriceMode::Net);
        for (country, percent) in [
            ("GB", "20"),
            ("DE", "19"),
            ("HU", "27"),
            ("LU", "17"),
            ("FI", "25.5"),
        ] {
            assert_eq!(
                table.rate(country, "standard").to_string(),
                percent,
                "{country}"
            );
        }
        assert_eq!(table.rates.len(), 28);
    }

    #[test]
    fn an_unknown_country_is_an_export_and_an_unknown_category_is_standard() {
        let table =
            TaxTable::parse("prices = \"gross\"\n[rates.DE]\nstandard = \"19\"\nreduced = \"7\"")
                .expect("valid");
        assert!(table.rate("AU", "standard").is_zero());
        assert_eq!(table.rate("DE", "books").to_string(), "19");
        assert_eq!(table.rate("DE", "reduced").to_string(), "7");
    }

    #[test]
    fn a_faulty_table_is_refused_with_the_key_that_is_wrong() {
        for (toml, says) in [
            (
                "prices = \"net\"\n[rates.de]\nstandard = \"19\"",
                "[rates.de]",
            ),
            (
                "prices = \"net\"\n[rates.DE]\nreduced = \"7\"",
                "no `standard`",
            ),
            (
                "prices = \"net\"\n[rates.DE]\nstandard = \"190\"",
                "standard = 190",
            ),
            ("prices = \"both\"\n[rates]", "both"),
            ("[rates]", "prices"),
        ] {
            let error = TaxTable::parse(toml).expect_err(toml).to_string();
            assert!(error.contains(says), "{error}");
        }
    }
}
