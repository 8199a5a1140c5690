//! Products as the API takes and shows them.

mod body;
mod category;
mod import;
mod language;
mod list;
mod price;
mod source;
mod stock;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::ToSchema;

use crate::id::Sku;
use crate::media::ProductImage;

pub use body::{ProductBody, ProductDraft, RESERVED_SKUS, Variant};
pub use category::{
    CATEGORIES_MAX, CATEGORY_CHARS_MAX, CATEGORY_DEPTH_MAX, Category, CategoryBody, CategoryDraft,
};
pub use import::{ImportError, ImportProgress, ImportReport};
pub use language::{LANGUAGES_MAX, Language, Translations, Words, translated};
pub use list::{FacetCount, Facets, ProductPage};
pub use price::{
    Buyer, PRICES_MAX, Price, PriceList, is_country, is_group, next_change, price_at, prices_at,
};
pub use source::{Change, ProductSource};
pub use stock::{
    ADJUST_MAX, LOCATION_DEFAULT, Stock, StockAdjustment, StockAdjustmentBody, StockAt,
    StockBooking, StockLevel,
};

/// A product.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Product {
    /// Stock-keeping unit.
    pub sku: Sku,
    /// What it is called, in the language asked for if it has words in it.
    pub name: String,
    /// What it is.
    pub description: Option<String>,
    /// The language of the name; left out when it is the shop's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub language: Option<Language>,
    /// Where it stands in the shop: the code of a category.
    pub category: Option<String>,
    /// The price that applies now to the buyer who was named, one per currency. Where a product is shown to those who
    /// change it: all of its prices.
    pub prices: Vec<Price>,
    /// Which of the destination country's rates applies: `standard`, `reduced`, …
    pub tax_category: String,
    /// Whether it is for sale.
    pub status: ProductStatus,
    /// What can be filtered by: brand, material, …
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub attributes: BTreeMap<String, String>,
    /// The product that it is a variant of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant_of: Option<Sku>,
    /// What sets it apart from its siblings: size, colour, …
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub options: BTreeMap<String, String>,
    /// Its variants, where one product is shown; a list leaves them out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub variants: Vec<ProductVariant>,
    /// Its pictures, in the order in which they are shown.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub images: Vec<ProductImage>,
    /// Units that can be ordered now: on hand less reserved.
    pub available: i64,
    /// When product or price last changed.
    #[serde(with = "time::serde::rfc3339")]
    pub updated_at: OffsetDateTime,
    /// Counts the changes, from 1.
    pub version: i64,
}

/// A variant of a product, as it is shown with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ProductVariant {
    /// Its own stock-keeping unit.
    pub sku: Sku,
    /// What sets it apart.
    pub options: BTreeMap<String, String>,
    /// Like those of a product.
    pub prices: Vec<Price>,
    /// Its own pictures, beside those of its product.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub images: Vec<ProductImage>,
    /// Units that can be ordered now.
    pub available: i64,
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
