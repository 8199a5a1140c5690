//! Who looks, and what they see of a product.

use sqlx::Row as _;
use sqlx::postgres::PgRow;
use sqlx::types::Json;
use steelyard_domain::id::Sku;
use steelyard_domain::product::{
    Buyer, Language, Price, Product, ProductStatus, ProductVariant, Translations, prices_at,
    translated,
};
use time::OffsetDateTime;

use super::read::Rows;

/// Who looks at products, and when.
#[derive(Debug, Clone)]
pub(crate) struct Viewer {
    /// One of those who change them: drafts and archived ones too, and all prices.
    pub(crate) all: bool,
    /// The language that words shall be in.
    pub(crate) language: Option<Language>,
    /// Where the goods would go.
    pub(crate) country: Option<String>,
    /// The customer's groups.
    pub(crate) groups: Vec<String>,
    /// Prices of this moment.
    pub(crate) at: OffsetDateTime,
}

/// The columns that [`Viewer::product`] reads, with the tables that they are in.
pub(super) const COLUMNS: &str = "SELECT products.sku, name, description, category, tax_category, \
    status, prices, translations, attributes, variant_of, options, version, updated_at, \
    on_hand - reserved AS available \
    FROM products JOIN stock ON stock.sku = products.sku";

impl Viewer {
    /// One of those who change products.
    pub(crate) fn office() -> Self {
        Self {
            all: true,
            language: None,
            country: None,
            groups: Vec::new(),
            at: OffsetDateTime::now_utc(),
        }
    }

    /// The rows that they see.
    pub(super) const fn rows(&self) -> Rows {
        if self.all { Rows::All } else { Rows::ForSale }
    }

    /// The rows that they see, by the indexes that have them.
    pub(super) const fn lists(&self) -> &'static [Rows] {
        if self.all {
            &[Rows::ForSale, Rows::Others]
        } else {
            &[Rows::ForSale]
        }
    }

    /// A row as they see it.
    pub(super) fn product(&self, row: &PgRow) -> Result<Product, sqlx::Error> {
        let Json(translations): Json<Translations> = row.try_get("translations")?;
        let language = self.language.as_ref();
        let name = translated(&translations, language, |words| words.name.as_deref());
        let told = translated(&translations, language, |words| {
            words.description.as_deref()
        });
        let Json(attributes) = row.try_get("attributes")?;
        let Json(options) = row.try_get("options")?;
        let variant_of: Option<String> = row.try_get("variant_of")?;
        Ok(Product {
            sku: sku(row.try_get("sku")?)?,
            name: match name {
                Some((_, name)) => name.to_owned(),
                None => row.try_get("name")?,
            },
            description: match told {
                Some((_, description)) => Some(description.to_owned()),
                None => row.try_get("description")?,
            },
            language: name.map(|(language, _)| language.clone()),
            category: row.try_get("category")?,
            prices: self.prices(row)?,
            tax_category: row.try_get("tax_category")?,
            status: ProductStatus::from_word(row.try_get("status")?).ok_or_else(unreadable)?,
            attributes,
            variant_of: variant_of.map(sku).transpose()?,
            options,
            variants: Vec::new(),
            images: Vec::new(),
            available: row.try_get("available")?,
            updated_at: row.try_get("updated_at")?,
            version: row.try_get("version")?,
        })
    }

    /// A row as the variant that it is.
    pub(super) fn variant(&self, row: &PgRow) -> Result<ProductVariant, sqlx::Error> {
        let Json(options) = row.try_get("options")?;
        Ok(ProductVariant {
            sku: sku(row.try_get("sku")?)?,
            options,
            prices: self.prices(row)?,
            images: Vec::new(),
            available: row.try_get("available")?,
        })
    }

    fn prices(&self, row: &PgRow) -> Result<Vec<Price>, sqlx::Error> {
        let Json(prices): Json<Vec<Price>> = row.try_get("prices")?;
        if self.all {
            return Ok(prices);
        }
        let buyer = Buyer {
            country: self.country.as_deref(),
            groups: &self.groups,
        };
        let shown = prices_at(&prices, buyer, self.at).into_iter().map(|price| {
            // Until when it lasts, and not for whom else it would be.
            Price {
                valid_until: price.valid_until,
                ..Price::regular(price.currency, price.amount)
            }
        });
        Ok(shown.collect())
    }
}

fn sku(text: String) -> Result<Sku, sqlx::Error> {
    Sku::try_from(text).map_err(|_| unreadable())
}

fn unreadable() -> sqlx::Error {
    sqlx::Error::Decode("a product that the domain does not take".into())
}
