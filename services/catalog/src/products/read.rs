//! Reading products.

use serde::{Deserialize, Serialize};
use sqlx::postgres::PgRow;
use sqlx::types::Json;
use sqlx::{PgPool, Postgres, QueryBuilder, Row as _};
use steelyard_domain::id::Sku;
use steelyard_domain::product::{Product, ProductStatus};

/// Which products.
#[derive(Debug, Clone, Default)]
pub(crate) struct Filter {
    /// Part of the name, or the beginning of the SKU; case does not count.
    pub(crate) q: Option<String>,
    /// In this category.
    pub(crate) category: Option<String>,
    /// Drafts and archived ones too.
    pub(crate) all: bool,
}

/// Where a page ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Position {
    name: String,
    sku: String,
}

impl Position {
    /// The place of a product in its list.
    pub(crate) fn of(product: &Product) -> Self {
        let (name, sku) = (product.name.clone(), product.sku.as_str().to_owned());
        Self { name, sku }
    }
}

const COLUMNS: &str = "SELECT products.sku, name, description, category, tax_category, status, \
    prices, version, updated_at, on_hand - reserved AS available \
    FROM products JOIN stock ON stock.sku = products.sku";

/// One product.
pub(crate) async fn get(
    pool: &PgPool,
    sku: &Sku,
    all: bool,
) -> Result<Option<Product>, sqlx::Error> {
    let mut query = QueryBuilder::<Postgres>::new(COLUMNS);
    query.push(" WHERE products.sku = ").push_bind(sku.as_str());
    if !all {
        query.push(" AND status = 'active'");
    }
    let row = query.build().fetch_optional(pool).await?;
    row.as_ref().map(product).transpose()
}

/// Up to `limit` products after `after`, by name (code point order) and SKU.
pub(crate) async fn list(
    pool: &PgPool,
    filter: &Filter,
    after: Option<&Position>,
    limit: u32,
) -> Result<Vec<Product>, sqlx::Error> {
    let mut query = QueryBuilder::<Postgres>::new(COLUMNS);
    query.push(" WHERE true");
    if !filter.all {
        query.push(" AND status = 'active'");
    }
    if let Some(category) = &filter.category {
        query.push(" AND category = ").push_bind(category);
    }
    if let Some(q) = &filter.q {
        let q = escaped(q);
        query.push(" AND (name ILIKE ").push_bind(format!("%{q}%"));
        query
            .push(" OR products.sku ILIKE ")
            .push_bind(format!("{q}%"))
            .push(")");
    }
    if let Some(Position { name, sku }) = after {
        query.push(" AND (name, products.sku) > (").push_bind(name);
        query.push(", ").push_bind(sku).push(")");
    }
    query
        .push(" ORDER BY name, products.sku LIMIT ")
        .push_bind(i64::from(limit));
    query
        .build()
        .fetch_all(pool)
        .await?
        .iter()
        .map(product)
        .collect()
}

/// A text that `LIKE` takes as it is.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        if matches!(c, '\\' | '%' | '_') {
            escaped.push('\\');
        }
        escaped.push(c);
    }
    escaped
}

fn product(row: &PgRow) -> Result<Product, sqlx::Error> {
    let unreadable = || sqlx::Error::Decode("a product that the domain does not take".into());
    let Json(prices) = row.try_get("prices")?;
    Ok(Product {
        sku: Sku::try_from(row.try_get::<String, _>("sku")?).map_err(|_| unreadable())?,
        name: row.try_get("name")?,
        description: row.try_get("description")?,
        category: row.try_get("category")?,
        prices,
        tax_category: row.try_get("tax_category")?,
        status: ProductStatus::from_word(row.try_get("status")?).ok_or_else(unreadable)?,
        available: row.try_get("available")?,
        updated_at: row.try_get("updated_at")?,
        version: row.try_get("version")?,
    })
}

#[cfg(test)]
mod tests {
    use super::escaped;

    #[test]
    fn wildcards_in_a_search_are_letters() {
        assert_eq!(escaped(r"50%_\x"), r"50\%\_\\x");
    }
}
