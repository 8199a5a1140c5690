//! A page of products, with counts.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Product;

/// One page of a list of products.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ProductPage {
    /// The entries.
    pub data: Vec<Product>,
    /// Give it as `cursor` for the next page; null on the last.
    pub next_cursor: Option<String>,
    /// Counts over all pages, if they were asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub facets: Option<Facets>,
}

/// How many products of a list have what.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Facets {
    /// Products that were counted.
    pub products: i64,
    /// False when there are more than were counted (10,000), or than a search looks at (1,000): the counts are of that
    /// part.
    pub is_exact: bool,
    /// By category, most first, at most 50.
    pub categories: Vec<FacetCount>,
    /// By attribute or option and its value, most first, at most 50 of each.
    pub attributes: BTreeMap<String, Vec<FacetCount>>,
}

/// How many products have one value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FacetCount {
    /// The value, or the category's code.
    pub value: String,
    /// So many products.
    pub products: i64,
}
