//! Products as those who change them see them.

use sqlx::postgres::PgRow;
use sqlx::types::Json;
use sqlx::{PgConnection, PgExecutor, PgPool, Row as _};
use steelyard_domain::id::Sku;
use steelyard_domain::product::{ProductSource, ProductStatus};

const COLUMNS: &str = "sku, name, description, category, prices, tax_category, status, \
    translations, attributes, variant_of, options, low_at, version";

/// A product whole, with its version.
pub(crate) async fn source_of(
    executor: impl PgExecutor<'_>,
    sku: &Sku,
) -> Result<Option<(ProductSource, i64)>, sqlx::Error> {
    let statement = format!("SELECT {COLUMNS} FROM products WHERE sku = $1");
    let row = sqlx::query(sqlx::AssertSqlSafe(statement))
        .bind(sku.as_str())
        .fetch_optional(executor)
        .await?;
    row.map(|row| Ok((source(&row)?, row.try_get("version")?)))
        .transpose()
}

/// Up to `limit` products after `after`, by SKU: products that have variants and all others first, then the variants,
/// so that an import of them in this order finds each variant's product.
pub(crate) async fn export_after(
    pool: &PgPool,
    after: Option<&(bool, String)>,
    limit: u32,
) -> Result<Vec<ProductSource>, sqlx::Error> {
    let is_variant = after.is_some_and(|(is_variant, _)| *is_variant);
    let condition = if is_variant {
        "variant_of IS NOT NULL"
    } else {
        "variant_of IS NULL"
    };
    let statement = format!(
        "SELECT {COLUMNS} FROM products WHERE {condition} AND ($1::text IS NULL OR sku > $1)
         ORDER BY sku LIMIT $2"
    );
    let rows = sqlx::query(sqlx::AssertSqlSafe(statement))
        .bind(after.map(|(_, sku)| sku.as_str()))
        .bind(i64::from(limit))
        .fetch_all(pool)
        .await?;
    rows.iter().map(source).collect()
}

/// Products whose labels and search are to be made anew, their rows locked; those that another transaction has are
/// left to it.
pub(super) async fn stale(
    connection: &mut PgConnection,
    limit: u32,
) -> Result<Vec<(ProductSource, i64)>, sqlx::Error> {
    let statement = format!(
        "SELECT {COLUMNS} FROM products
         WHERE sku IN (
             (SELECT sku FROM products WHERE indexed_version IS DISTINCT FROM version LIMIT $1)
             UNION
             (SELECT sku FROM products WHERE due_at <= now() ORDER BY due_at LIMIT $1)
         )
         ORDER BY sku LIMIT $1 FOR NO KEY UPDATE SKIP LOCKED"
    );
    let rows = sqlx::query(sqlx::AssertSqlSafe(statement))
        .bind(i64::from(limit))
        .fetch_all(connection)
        .await?;
    rows.iter()
        .map(|row| Ok((source(row)?, row.try_get("version")?)))
        .collect()
}

fn source(row: &PgRow) -> Result<ProductSource, sqlx::Error> {
    let unreadable = || sqlx::Error::Decode("a product that the domain does not take".into());
    let sku = |text: String| Sku::try_from(text).map_err(|_| unreadable());
    let variant_of: Option<String> = row.try_get("variant_of")?;
    let Json(prices) = row.try_get("prices")?;
    let Json(translations) = row.try_get("translations")?;
    let Json(attributes) = row.try_get("attributes")?;
    let Json(options) = row.try_get("options")?;
    Ok(ProductSource {
        sku: sku(row.try_get("sku")?)?,
        name: row.try_get("name")?,
        description: row.try_get("description")?,
        category: row.try_get("category")?,
        prices,
        tax_category: row.try_get("tax_category")?,
        status: ProductStatus::from_word(row.try_get("status")?).ok_or_else(unreadable)?,
        translations,
        attributes,
        variant_of: variant_of.map(sku).transpose()?,
        options,
        low_at: row.try_get("low_at")?,
    })
}
