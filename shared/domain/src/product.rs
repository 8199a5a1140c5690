//! Products as the API takes and shows them.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::ToSchema;

use crate::fault::{Fault, Faults};
use crate::id::Sku;
use crate::money::{Currency, UnitPrice};
use crate::{object, text};

/// A product.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Product {
    /// Stock-keeping unit.
    pub sku: Sku,
    /// What it is called.
    pub name: String,
    /// What it is.
    pub description: Option<String>,
    /// Where it stands in the shop.
    pub category: Option<String>,
    /// One price per currency.
    pub prices: Vec<Price>,
    /// Which of the destination country's rates applies: `standard`, `reduced`, …
    pub tax_category: String,
    /// Whether it is for sale.
    pub status: ProductStatus,
    /// Units that can be ordered now: on hand less reserved.
    pub available: i64,
    /// When product or price last changed.
    #[serde(with = "time::serde::rfc3339")]
    pub updated_at: OffsetDateTime,
    /// Counts the changes, from 1.
    pub version: i64,
}

/// A price in one currency.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Price {
    /// ISO 4217 code.
    pub currency: Currency,
    /// Of one unit, net or gross by the shop's setting.
    pub amount: UnitPrice,
}

/// Whether a product is for sale.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ProductStatus {
    /// Being prepared; shoppers do not see it.
    Draft,
    /// For sale.
    Active,
    /// No longer for sale.
    Archived,
}

impl ProductStatus {
    /// The word in the API and in the store.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Draft => "draft",
            Self::Active => "active",
            Self::Archived => "archived",
        }
    }

    /// Reads the word back.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Draft, Self::Active, Self::Archived]
            .into_iter()
            .find(|s| s.as_str() == word)
    }
}

/// The body of `PUT /v1/products/{sku}`, and with its `sku` a line of the import.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ProductBody {
    /// Stock-keeping unit: needed in an import; in a `PUT` the path says it.
    #[schema(max_length = 64)]
    pub sku: Option<String>,
    /// What it is called.
    #[schema(max_length = 256)]
    pub name: String,
    /// What it is.
    #[schema(max_length = 10000)]
    pub description: Option<String>,
    /// Where it stands in the shop.
    #[schema(max_length = 128)]
    pub category: Option<String>,
    /// One price per currency, at most 50.
    #[schema(max_items = 50)]
    #[serde(deserialize_with = "object::many")]
    pub prices: Vec<Price>,
    /// `standard` when left out.
    #[schema(max_length = 32)]
    pub tax_category: Option<String>,
    /// `active` when left out.
    pub status: Option<ProductStatus>,
    /// A goods receipt or correction to book along with it, once per `reference`.
    #[serde(default, deserialize_with = "object::maybe")]
    pub stock: Option<StockAdjustmentBody>,
}

/// The body of `POST /v1/products/{sku}/stock-adjustments`.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct StockAdjustmentBody {
    /// Units that came in (positive) or went (negative).
    #[schema(minimum = -1_000_000_000, maximum = 1_000_000_000)]
    pub adjust: i64,
    /// Books the adjustment once per SKU and reference, whatever is sent again.
    #[schema(max_length = 128)]
    pub reference: String,
    /// Words for people.
    #[schema(max_length = 256)]
    pub reason: Option<String>,
}

/// A product that was checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProductDraft {
    /// Stock-keeping unit.
    pub sku: Sku,
    /// What it is called.
    pub name: String,
    /// What it is.
    pub description: Option<String>,
    /// Where it stands in the shop.
    pub category: Option<String>,
    /// One price per currency.
    pub prices: Vec<Price>,
    /// Tax category.
    pub tax_category: String,
    /// Whether it is for sale.
    pub status: ProductStatus,
    /// A stock booking along with it.
    pub stock: Option<StockAdjustment>,
}

/// A stock booking that was checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StockAdjustment {
    /// Units, not zero.
    pub adjust: i64,
    /// Once per SKU and reference.
    pub reference: String,
    /// Words for people.
    pub reason: Option<String>,
}

/// Units that one booking may move.
pub const ADJUST_MAX: i64 = 1_000_000_000;
/// Words that stand where a SKU does in the paths of the API (`/v1/products/import`): no product can have them.
pub const RESERVED_SKUS: [&str; 2] = ["import", "export"];
/// Currencies in which a product may have a price.
pub const PRICES_MAX: usize = 50;

impl ProductBody {
    /// Checks everything and names every fault. `path_sku` is the SKU of a `PUT`'s path.
    ///
    /// # Errors
    /// All faults found, each with its JSON pointer.
    pub fn check(self, path_sku: Option<Sku>) -> Result<ProductDraft, Vec<Fault>> {
        let mut faults = Faults::default();
        let sku = match (path_sku, self.sku) {
            (Some(path), Some(body)) if path.as_str() != body => {
                faults.add(
                    "/sku",
                    "mismatch",
                    "must be the SKU of the path, or be left out",
                );
                None
            }
            (Some(path), _) => Some(path),
            (None, Some(body)) => faults.take(|| "/sku".into(), Sku::try_from(body)),
            (None, None) => {
                faults.add("/sku", "required", "an import line names its SKU");
                None
            }
        };
        if let Some(word) = sku
            .as_ref()
            .and_then(|sku| RESERVED_SKUS.into_iter().find(|word| sku.as_str() == *word))
        {
            faults.add(
                "/sku",
                "reserved",
                format!("{word} is a word of the API's paths; choose another SKU"),
            );
        }
        faults.take(|| "/name".into(), text::line(&self.name, 256));
        if let Some(description) = &self.description {
            // Line breaks are the one control that a description needs.
            let plain = description.replace(['\n', '\r', '\t'], " ");
            faults.take(|| "/description".into(), text::bounded(&plain, 10_000));
        }
        if let Some(category) = &self.category {
            faults.take(|| "/category".into(), text::line(category, 128));
        }
        let tax_category = self
            .tax_category
            .unwrap_or_else(|| crate::tax::STANDARD.to_owned());
        faults.take(|| "/tax_category".into(), text::line(&tax_category, 32));
        if self.prices.len() > PRICES_MAX {
            faults.add(
                "/prices",
                "too_many",
                format!("at most {PRICES_MAX} prices"),
            );
        }
        for (i, price) in self.prices.iter().enumerate().take(PRICES_MAX) {
            if self.prices[..i]
                .iter()
                .any(|other| other.currency == price.currency)
            {
                faults.add(
                    format!("/prices/{i}/currency"),
                    "duplicate",
                    "one price per currency",
                );
            }
        }
        let stock = self
            .stock
            .and_then(|stock| stock.check_at("/stock", &mut faults));
        match sku {
            Some(sku) if faults.is_empty() => Ok(ProductDraft {
                sku,
                name: self.name,
                description: self.description,
                category: self.category,
                prices: self.prices,
                tax_category,
                status: self.status.unwrap_or(ProductStatus::Active),
                stock,
            }),
            _ => Err(faults.into_vec()),
        }
    }
}

impl StockAdjustmentBody {
    /// Checks the body.
    ///
    /// # Errors
    /// Every fault with its place.
    pub fn check(self) -> Result<StockAdjustment, Vec<Fault>> {
        let mut faults = Faults::default();
        self.check_at("", &mut faults)
            .ok_or_else(|| faults.into_vec())
    }

    fn check_at(self, at: &str, faults: &mut Faults) -> Option<StockAdjustment> {
        if self.adjust == 0 || !(-ADJUST_MAX..=ADJUST_MAX).contains(&self.adjust) {
            faults.add(
                format!("{at}/adjust"),
                "out_of_range",
                format!("must be -{ADJUST_MAX} to {ADJUST_MAX} and not 0"),
            );
        }
        faults.take(
            || format!("{at}/reference"),
            text::line(&self.reference, 128),
        );
        if let Some(reason) = &self.reason {
            faults.take(|| format!("{at}/reason"), text::line(reason, 256));
        }
        faults.is_empty().then_some(StockAdjustment {
            adjust: self.adjust,
            reference: self.reference,
            reason: self.reason,
        })
    }
}

/// What a stock booking led to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct StockLevel {
    /// Stock-keeping unit.
    pub sku: Sku,
    /// Units in the warehouse.
    pub on_hand: i64,
    /// Of them held for confirmed orders.
    pub reserved: i64,
    /// The rest.
    pub available: i64,
    /// False when the reference had been booked before.
    pub booked: bool,
}

/// What an import led to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ImportReport {
    /// Lines read, blank ones left out.
    pub lines: u64,
    /// Products that are new.
    pub created: u64,
    /// Products that changed.
    pub updated: u64,
    /// Products that were as the line says.
    pub unchanged: u64,
    /// Stock bookings made (each reference once).
    pub stock_booked: u64,
    /// Lines that were refused; the others stand.
    pub failed: u64,
    /// The first of them, at most [`Self::ERRORS_MAX`].
    pub errors: Vec<ImportError>,
}

impl ImportReport {
    /// How many refused lines an answer lists.
    pub const ERRORS_MAX: usize = 1_000;
}

/// A refused line of an import.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ImportError {
    /// Counted from 1.
    pub line: u64,
    /// What is wrong with it.
    pub errors: Vec<Fault>,
}

#[cfg(test)]
mod tests {
    use super::ProductBody;

    #[test]
    fn a_sku_that_no_path_could_name_is_refused() {
        for sku in ["import", "export"] {
            let body = format!(r#"{{"sku":"{sku}","name":"A book","prices":[]}}"#);
            let body: ProductBody = serde_json::from_str(&body).expect("a body");
            let faults = body.check(None).expect_err(sku);
            assert_eq!(
                (faults[0].pointer.as_str(), &*faults[0].code),
                ("/sku", "reserved")
            );
        }
    }
}
