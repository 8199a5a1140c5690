//! Reading products.

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use sqlx::{PgPool, Postgres, QueryBuilder, Row as _};
use steelyard_domain::id::Sku;
use steelyard_domain::money::Currency;
use steelyard_domain::product::Product;

use super::index::{label, price_labels};
use super::lists::TOGETHER_MAX;
use super::pages::Asked;
use super::viewer::{COLUMNS, Viewer};
use crate::search::Hits;

/// Categories below one that a list looks into.
const BELOW_MAX: i64 = 2_000;

/// Which products.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Filter {
    /// In this category or one below it.
    pub(crate) category: Option<String>,
    /// Of each name one of the values.
    pub(crate) attributes: Vec<(String, Vec<String>)>,
    /// With a price for everyone, in force, within bounds.
    pub(crate) price: Option<PriceFilter>,
}

/// Bounds of a price; both count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PriceFilter {
    pub(crate) currency: Currency,
    pub(crate) min: Option<Decimal>,
    pub(crate) max: Option<Decimal>,
}

/// A filter, and what its category stands for.
#[derive(Debug)]
pub(crate) struct Selection<'a> {
    pub(super) filter: &'a Filter,
    /// The category and those below it.
    pub(super) below: Option<Vec<String>>,
}

impl<'a> Selection<'a> {
    /// Looks the category up, once for all that is asked with this filter.
    ///
    /// # Errors
    /// Those of Postgres.
    pub(crate) async fn of(pool: &PgPool, filter: &'a Filter) -> Result<Self, sqlx::Error> {
        let below = match &filter.category {
            Some(category) => Some(below(pool, category).await?),
            None => None,
        };
        Ok(Self { filter, below })
    }

    /// What a filter asks of a row of `products`, of these.
    pub(super) fn conditions(&self, query: &mut QueryBuilder<Postgres>, rows: Rows) {
        conditions(query, self.filter, rows);
        self.category(query);
    }

    /// What its category asks of a row.
    pub(super) fn category(&self, query: &mut QueryBuilder<Postgres>) {
        if let Some(below) = &self.below {
            in_categories(query, below);
        }
    }
}

/// Rows of `products`. What is for sale and what is not have indexes of their own, so a list of both is two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rows {
    /// What shoppers see.
    ForSale,
    /// Drafts, and what was archived.
    Others,
    /// Both.
    All,
}

/// Where a page ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Position {
    /// Of a list by name.
    Named { name: String, sku: String },
    /// Of a search, best first.
    Ranked { rank: i64, sku: String },
}

/// One product, with its variants.
pub(crate) async fn get(
    pool: &PgPool,
    sku: &Sku,
    viewer: &Viewer,
) -> Result<Option<Product>, sqlx::Error> {
    let mut query = QueryBuilder::<Postgres>::new(COLUMNS);
    query
        .push(" WHERE (products.sku = ")
        .push_bind(sku.as_str());
    query
        .push(" OR variant_of = ")
        .push_bind(sku.as_str())
        .push(")");
    if !viewer.all {
        query.push(" AND status = 'active'");
    }
    query.push(" ORDER BY products.sku");
    let rows = query.build().fetch_all(pool).await?;
    let mut product = None;
    let mut variants = Vec::new();
    for row in &rows {
        if row.try_get::<&str, _>("sku")? == sku.as_str() {
            product = Some(viewer.product(row)?);
        } else {
            variants.push(viewer.variant(row)?);
        }
    }
    Ok(product.map(|product| Product {
        variants,
        ..product
    }))
}

/// Up to `limit` products after `after`, each with its position. Variants are left out: their products stand for them.
///
/// Without hits: by name (code point order, in the shop's own language) and SKU. Indexes hold this order, for the
/// whole shop and for each category, attribute and price step, so a late page costs what the first does. With hits:
/// these only, best first.
pub(crate) async fn list(
    pool: &PgPool,
    selection: &Selection<'_>,
    hits: Option<&Hits>,
    viewer: &Viewer,
    after: Option<&Position>,
    limit: u32,
) -> Result<Vec<(Position, Product)>, sqlx::Error> {
    let asked = Asked {
        pool,
        selection,
        viewer,
        after,
        limit,
    };
    match hits {
        Some(hits) => asked.of_hits(hits).await,
        None => asked.by_name().await,
    }
}

/// Only what comes after this position of a list by name.
pub(super) fn later(query: &mut QueryBuilder<Postgres>, after: Option<&Position>) {
    if let Some(Position::Named { name, sku }) = after {
        query.push(" AND (name, sku) > (").push_bind(name.clone());
        query.push(", ").push_bind(sku.clone()).push(")");
    }
}

/// The products that a search found, with their ranks; conditions may follow.
pub(super) fn ranked(query: &mut QueryBuilder<Postgres>, hits: &Hits) {
    query
        .push("SELECT name, products.sku, hit.rank FROM unnest(")
        .push_bind(hits.skus.clone())
        .push("::text[], ")
        .push_bind(hits.ranks.clone())
        .push(
            "::bigint[]) AS hit (shown, rank) JOIN products ON products.sku = hit.shown WHERE true",
        );
}

/// What a filter asks of a row of `products`, of these; categories aside.
pub(super) fn conditions(query: &mut QueryBuilder<Postgres>, filter: &Filter, rows: Rows) {
    query.push(match rows {
        Rows::ForSale => " AND status = 'active'",
        Rows::Others => " AND status <> 'active'",
        Rows::All => "",
    });
    for (name, values) in &filter.attributes {
        let labels: Vec<String> = values.iter().map(|value| label(name, value)).collect();
        query.push(" AND facets && ").push_bind(labels);
    }
    if let Some(PriceFilter { currency, min, max }) = &filter.price {
        // Near the bounds by the index, then exactly.
        let code = currency.code();
        query
            .push(" AND facets && ")
            .push_bind(price_labels(code, *min, *max));
        query
            .push(" AND EXISTS (SELECT FROM unnest(facets) AS label WHERE starts_with(label, ")
            .push_bind(format!("${code}="))
            .push(") AND substr(label, 6)::numeric BETWEEN ")
            .push_bind(min.unwrap_or(Decimal::ZERO))
            .push(" AND ")
            .push_bind(max.unwrap_or(Decimal::MAX))
            .push(")");
    }
}

/// Only what is in one of these categories.
fn in_categories(query: &mut QueryBuilder<Postgres>, categories: &[String]) {
    if categories.len() <= TOGETHER_MAX {
        // So the index of labels has it.
        query.push(" AND ARRAY[category] && ");
        query.push_bind(categories.to_vec());
    } else {
        query.push(" AND category = ANY(");
        query.push_bind(categories.to_vec()).push(")");
    }
}

/// A category and those below it.
async fn below(pool: &PgPool, category: &str) -> Result<Vec<String>, sqlx::Error> {
    sqlx::query_scalar(
        "WITH RECURSIVE below AS (
             SELECT $1::text COLLATE \"C\" AS code
             UNION
             SELECT categories.code FROM categories JOIN below ON categories.parent = below.code
         ) SELECT code FROM below LIMIT $2",
    )
    .bind(category)
    .bind(BELOW_MAX)
    .fetch_all(pool)
    .await
}
