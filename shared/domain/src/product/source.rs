//! A product as those who change it see it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::ToSchema;

use super::{Price, ProductStatus, Translations};
use crate::id::Sku;

/// A product whole, in the form that `PUT` and import take; a line of the export. Stock is not in
/// it: it is booked, not set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ProductSource {
    /// Stock-keeping unit.
    pub sku: Sku,
    /// What it is called in the shop's own language.
    pub name: String,
    /// What it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The code of its category.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub category: Option<String>,
    /// All prices: every currency, list and time.
    pub prices: Vec<Price>,
    /// Tax category.
    pub tax_category: String,
    /// Whether it is for sale.
    pub status: ProductStatus,
    /// Name and description in other languages.
    #[serde(default, skip_serializing_if = "Translations::is_empty")]
    pub translations: Translations,
    /// What can be filtered by.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub attributes: BTreeMap<String, String>,
    /// The product that it is a variant of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant_of: Option<Sku>,
    /// What sets it apart from its siblings.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub options: BTreeMap<String, String>,
    /// `stock.low` is told when so few units or fewer are left.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub low_at: Option<i64>,
}

/// A change of a product.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Change {
    /// The version that it made.
    pub version: i64,
    /// When.
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
    /// Who asked for it: the subject of their token; null when that was not written down.
    pub by: Option<String>,
    /// The product as the store held it before; null when it was new.
    #[schema(value_type = Option<Object>)]
    pub before: Option<serde_json::Value>,
}
