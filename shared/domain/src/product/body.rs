//! A product as it is given, and the checks that make a draft of it.

use std::collections::BTreeMap;

use serde::Deserialize;
use utoipa::ToSchema;

use super::category::CATEGORY_CHARS_MAX;
use super::language::{self, Translations, Words};
use super::price::{self, Price};
use super::stock::{ADJUST_MAX, StockAdjustment, StockAdjustmentBody};
use super::{ProductSource, ProductStatus};
use crate::fault::{Fault, Faults, Invalid};
use crate::id::Sku;
use crate::{object, text};

/// Words that stand where a SKU does in the paths of the API (`/v1/products/import`): no product can have them.
pub const RESERVED_SKUS: [&str; 3] = ["import", "imports", "export"];
/// Attributes that a product may have.
const ATTRIBUTES_MAX: usize = 50;
/// Options that set a variant apart.
const OPTIONS_MAX: usize = 5;
/// The longest name of an attribute or option.
const NAME_CHARS_MAX: usize = 64;
/// The longest value of one.
const VALUE_CHARS_MAX: usize = 128;

/// The body of `PUT /v1/products/{sku}`, and with its `sku` a line of the import.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ProductBody {
    /// Stock-keeping unit: needed in an import; in a `PUT` the path says it.
    #[schema(max_length = 64)]
    pub sku: Option<String>,
    /// What it is called, in the shop's own language.
    #[schema(max_length = 256)]
    pub name: String,
    /// What it is.
    #[schema(max_length = 10000)]
    pub description: Option<String>,
    /// Where it stands in the shop: the code of a category. One that is not there yet is made, at
    /// the top of the tree and with its code as its name.
    #[schema(max_length = 128)]
    pub category: Option<String>,
    /// At most 500, of all currencies, lists and times together.
    #[schema(max_items = 500)]
    #[serde(deserialize_with = "object::many")]
    pub prices: Vec<Price>,
    /// `standard` when left out.
    #[schema(max_length = 32)]
    pub tax_category: Option<String>,
    /// `active` when left out.
    pub status: Option<ProductStatus>,
    /// Name and description in other languages, by their tags (`de`, `pt-BR`), at most 100.
    #[serde(default)]
    pub translations: BTreeMap<String, Words>,
    /// What can be filtered by: brand, material, …; at most 50. Names are of `a-z`, `0-9` and `_`.
    #[serde(default)]
    pub attributes: BTreeMap<String, String>,
    /// The product that this one is a variant of; it must be there, or come before it in an import.
    #[schema(max_length = 64)]
    pub variant_of: Option<String>,
    /// What sets a variant apart: size, colour, …; at most 5. All variants of a product have the
    /// same names, and no two the same values.
    #[serde(default)]
    pub options: BTreeMap<String, String>,
    /// Tell (`stock.low`) when so few units or fewer are left.
    #[schema(minimum = 0, maximum = 1_000_000_000)]
    pub low_at: Option<i64>,
    /// A goods receipt or correction to book along with it, once per `reference`.
    #[serde(default, deserialize_with = "object::maybe")]
    pub stock: Option<StockAdjustmentBody>,
}

/// A product that was checked. Whether what it refers to is there is the store's to say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProductDraft {
    /// Stock-keeping unit.
    pub sku: Sku,
    /// What it is called.
    pub name: String,
    /// What it is.
    pub description: Option<String>,
    /// The code of its category.
    pub category: Option<String>,
    /// All prices.
    pub prices: Vec<Price>,
    /// Tax category.
    pub tax_category: String,
    /// Whether it is for sale.
    pub status: ProductStatus,
    /// Words in other languages.
    pub translations: Translations,
    /// What can be filtered by.
    pub attributes: BTreeMap<String, String>,
    /// What it is a variant of, and what sets it apart.
    pub variant: Option<Variant>,
    /// When to tell that stock is low.
    pub low_at: Option<i64>,
    /// A stock booking along with it.
    pub stock: Option<StockAdjustment>,
}

/// What makes a product a variant of another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Variant {
    /// The product that has variants.
    pub of: Sku,
    /// At least one.
    pub options: BTreeMap<String, String>,
}

impl ProductBody {
    /// Checks everything and names every fault. `path_sku` is the SKU of a `PUT`'s path.
    ///
    /// # Errors
    /// All faults found, each with its JSON pointer.
    pub fn check(self, path_sku: Option<Sku>) -> Result<ProductDraft, Vec<Fault>> {
        let mut faults = Faults::default();
        let sku = sku(path_sku, self.sku, &mut faults);
        faults.take(|| "/name".into(), text::line(&self.name, 256));
        if let Some(description) = &self.description {
            faults.take(|| "/description".into(), language::prose(description));
        }
        if let Some(category) = &self.category {
            let checked = text::line(category, CATEGORY_CHARS_MAX);
            faults.take(|| "/category".into(), checked);
        }
        let tax_category = self
            .tax_category
            .unwrap_or_else(|| crate::tax::STANDARD.to_owned());
        faults.take(|| "/tax_category".into(), text::line(&tax_category, 32));
        price::check(&self.prices, &mut faults);
        let translations = language::check(self.translations, &mut faults);
        pairs("attributes", &self.attributes, ATTRIBUTES_MAX, &mut faults);
        let variant = variant(sku.as_ref(), self.variant_of, self.options, &mut faults);
        if let Some(low_at) = self.low_at
            && !(0..=ADJUST_MAX).contains(&low_at)
        {
            let detail = format!("must be 0 to {ADJUST_MAX}");
            faults.add("/low_at", "out_of_range", detail);
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
                translations,
                attributes: self.attributes,
                variant,
                low_at: self.low_at,
                stock,
            }),
            _ => Err(faults.into_vec()),
        }
    }
}

fn sku(path: Option<Sku>, body: Option<String>, faults: &mut Faults) -> Option<Sku> {
    let sku = match (path, body) {
        (Some(path), Some(body)) if path.as_str() != body => {
            let detail = "must be the SKU of the path, or be left out";
            faults.add("/sku", "mismatch", detail);
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
        let detail = format!("{word} is a word of the API's paths; choose another SKU");
        faults.add("/sku", "reserved", detail);
    }
    sku
}

fn variant(
    sku: Option<&Sku>,
    of: Option<String>,
    options: BTreeMap<String, String>,
    faults: &mut Faults,
) -> Option<Variant> {
    pairs("options", &options, OPTIONS_MAX, faults);
    let Some(of) = of else {
        if !options.is_empty() {
            let detail = "only a variant has options; name its product in variant_of";
            faults.add("/options", "not_a_variant", detail);
        }
        return None;
    };
    if options.is_empty() {
        let detail = "say what sets the variant apart";
        faults.add("/options", "required", detail);
    }
    if sku.is_some_and(|sku| sku.as_str() == of) {
        let detail = "a product is no variant of itself";
        faults.add("/variant_of", "cycle", detail);
    }
    let of = faults.take(|| "/variant_of".into(), Sku::try_from(of))?;
    Some(Variant { of, options })
}

/// Checks names and values.
fn pairs(field: &str, given: &BTreeMap<String, String>, count_max: usize, faults: &mut Faults) {
    if given.len() > count_max {
        let detail = format!("at most {count_max} {field}");
        faults.add(format!("/{field}"), "too_many", detail);
        return;
    }
    for (name, value) in given {
        let at = || format!("/{field}/{}", language::escaped(name));
        faults.take(at, pair_name(name));
        faults.take(at, text::line(value, VALUE_CHARS_MAX));
    }
}

fn pair_name(name: &str) -> Result<(), Invalid> {
    let is_letter = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
    if (1..=NAME_CHARS_MAX).contains(&name.len()) && name.bytes().all(is_letter) {
        return Ok(());
    }
    let detail = format!("a name is 1 to {NAME_CHARS_MAX} of a-z, 0-9 and _");
    Err(Invalid::new("invalid_name", detail))
}

impl From<ProductDraft> for ProductSource {
    fn from(draft: ProductDraft) -> Self {
        let (variant_of, options) = match draft.variant {
            Some(Variant { of, options }) => (Some(of), options),
            None => (None, BTreeMap::new()),
        };
        Self {
            sku: draft.sku,
            name: draft.name,
            description: draft.description,
            category: draft.category,
            prices: draft.prices,
            tax_category: draft.tax_category,
            status: draft.status,
            translations: draft.translations,
            attributes: draft.attributes,
            variant_of,
            options,
            low_at: draft.low_at,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::ProductBody;
    use crate::product::{ProductDraft, ProductSource};

    fn check(body: Value) -> Result<ProductDraft, Vec<(String, String)>> {
        let body: ProductBody = serde_json::from_value(body).expect("a body");
        body.check(None).map_err(|faults| {
            let named = faults.into_iter();
            named
                .map(|fault| (fault.pointer, fault.code.into_owned()))
                .collect()
        })
    }

    #[test]
    fn a_sku_that_no_path_could_name_is_refused() {
        for sku in ["import", "imports", "export"] {
            let refused = check(json!({"sku": sku, "name": "A book", "prices": []}));
            let expected = ("/sku".to_owned(), "reserved".to_owned());
            assert_eq!(refused.expect_err(sku)[0], expected);
        }
    }

    #[test]
    fn what_a_product_cannot_be_is_refused_with_its_place() {
        for (field, value, place, code) in [
            ("options", json!({"size": "M"}), "/options", "not_a_variant"),
            ("variant_of", json!("b"), "/options", "required"),
            (
                "attributes",
                json!({"Brand": "A"}),
                "/attributes/Brand",
                "invalid_name",
            ),
            (
                "attributes",
                json!({"brand": " "}),
                "/attributes/brand",
                "required",
            ),
            (
                "translations",
                json!({"x/y": {}}),
                "/translations/x~1y",
                "invalid_language",
            ),
            (
                "translations",
                json!({"de": {"name": ""}}),
                "/translations/de/name",
                "required",
            ),
            ("low_at", json!(-1), "/low_at", "out_of_range"),
            (
                "stock",
                json!({"adjust": 1, "reference": "r", "location": "Main Street"}),
                "/stock/location",
                "invalid_location",
            ),
        ] {
            let mut body = json!({"sku": "a", "name": "A", "prices": []});
            body[field] = value;
            let refused = check(body).expect_err(place);
            assert_eq!(refused[0], (place.to_owned(), code.to_owned()));
        }
        let own = json!({"sku": "a", "name": "A", "prices": [], "variant_of": "a",
            "options": {"size": "M"}});
        assert_eq!(check(own).expect_err("itself")[0].1, "cycle");
    }

    #[test]
    fn what_is_exported_can_be_imported_and_is_the_same() {
        let draft = check(json!({
            "sku": "SHIRT-M", "name": "A shirt", "description": "Two\nlines", "category": "shirts",
            "prices": [
                {"currency": "GBP", "amount": "2.50"},
                {"currency": "CHF", "amount": "3", "list": "country:CH",
                 "valid_from": "2026-01-01T00:00:00Z", "valid_until": "2026-02-01T00:00:00Z"},
            ],
            "tax_category": "reduced", "status": "draft",
            "translations": {"de": {"name": "Ein Hemd"}},
            "attributes": {"brand": "Acme"}, "variant_of": "SHIRT", "options": {"size": "M"},
            "low_at": 3,
        }))
        .expect("a draft");
        let source = ProductSource::from(draft.clone());
        let line = serde_json::to_value(&source).expect("JSON");
        assert_eq!(check(line), Ok(draft));
    }
}
