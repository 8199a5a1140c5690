//! Reading products.

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use sqlx::{PgPool, Postgres, QueryBuilder, Row as _};
use steelyard_domain::id::Sku;
use steelyard_domain::money::Currency;
use steelyard_domain::product::Product;

use super::index::{label, price_labels};
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
/// Without hits: by name (code point order, in the shop's own language) and SKU. An index holds this order, for the
/// whole shop and for each category, so a late page costs what the first does; of a category with others below it,
/// each of these gives a page and the first of them all are taken; the same for the values of an attribute, where that is all
/// that is asked for. With hits: these only, best first.
pub(crate) async fn list(
    pool: &PgPool,
    filter: &Filter,
    hits: Option<&Hits>,
    viewer: &Viewer,
    after: Option<&Position>,
    limit: u32,
) -> Result<Vec<(Position, Product)>, sqlx::Error> {
    let below = match &filter.category {
        Some(category) => Some(below(pool, category).await?),
        None => None,
    };
    let mut keys = QueryBuilder::<Postgres>::new("WITH keys AS (SELECT sku AS key, rank FROM (");
    match (hits, &below) {
        (Some(hits), below) => {
            ranked(&mut keys, hits);
            conditions(&mut keys, filter, viewer);
            if let Some(below) = below {
                keys.push(" AND category = ANY(").push_bind(below).push(")");
            }
            if let Some(Position::Ranked { rank, sku }) = after {
                keys.push(" AND (-rank, sku) > (").push_bind(-rank);
                keys.push(", ").push_bind(sku).push(")");
            }
            keys.push(" ORDER BY rank DESC, sku LIMIT ")
                .push_bind(i64::from(limit));
        }
        (None, Some(below)) => {
            let in_one = " AND category = below.code";
            keys.push("SELECT page.* FROM unnest(").push_bind(below);
            keys.push("::text[]) AS below (code) CROSS JOIN LATERAL (");
            by_name(&mut keys, filter, viewer, after, limit, in_one);
            keys.push(") AS page ORDER BY name, sku LIMIT ")
                .push_bind(i64::from(limit));
        }
        (None, None) => match only_attribute(filter, viewer) {
            Some(labels) => by_label(&mut keys, labels, after, limit),
            None => by_name(&mut keys, filter, viewer, after, limit, ""),
        },
    }
    keys.push(") AS found) ");
    keys.push(COLUMNS.replacen("SELECT ", "SELECT keys.rank, ", 1));
    keys.push(" JOIN keys ON keys.key = products.sku");
    keys.push(if hits.is_some() {
        " ORDER BY keys.rank DESC, products.sku"
    } else {
        " ORDER BY products.name, products.sku"
    });
    // Planned for these values: which index is best depends on how many products a filter leaves.
    let rows = keys.build().persistent(false).fetch_all(pool).await?;
    let entry = |row| {
        let product = viewer.product(row)?;
        let sku = product.sku.as_str().to_owned();
        let position = if hits.is_some() {
            let rank = row.try_get("rank")?;
            Position::Ranked { rank, sku }
        } else {
            let name = row.try_get("name")?;
            Position::Named { name, sku }
        };
        Ok((position, product))
    };
    rows.iter().map(entry).collect()
}

/// The labels of which one must be had, if a shopper asks for nothing else: there is an index of these lists.
fn only_attribute(filter: &Filter, viewer: &Viewer) -> Option<Vec<String>> {
    let [(name, values)] = filter.attributes.as_slice() else {
        return None;
    };
    (!viewer.all && filter.price.is_none())
        .then(|| values.iter().map(|value| label(name, value)).collect())
}

/// The keys of a list of products with one of these labels: of each label a page, and the first of them all.
fn by_label(
    query: &mut QueryBuilder<Postgres>,
    labels: Vec<String>,
    after: Option<&Position>,
    limit: u32,
) {
    let limit = i64::from(limit);
    query
        .push("SELECT page.name, page.sku, 0::bigint AS rank FROM unnest(")
        .push_bind(labels);
    query.push(
        "::text[]) AS wanted (label) CROSS JOIN LATERAL (
             SELECT name, sku FROM listed WHERE listed.label = wanted.label",
    );
    later(query, after);
    query
        .push(" ORDER BY name, sku LIMIT ")
        .push_bind(limit)
        // A product whose variants have several of the labels is listed once.
        .push(") AS page GROUP BY page.name, page.sku ORDER BY page.name, page.sku LIMIT ")
        .push_bind(limit);
}

/// Only what comes after this position of a list by name.
fn later(query: &mut QueryBuilder<Postgres>, after: Option<&Position>) {
    if let Some(Position::Named { name, sku }) = after {
        query.push(" AND (name, sku) > (").push_bind(name.clone());
        query.push(", ").push_bind(sku.clone()).push(")");
    }
}

/// The keys of a list by name, with a condition more.
fn by_name(
    query: &mut QueryBuilder<Postgres>,
    filter: &Filter,
    viewer: &Viewer,
    after: Option<&Position>,
    limit: u32,
    condition: &'static str,
) {
    query.push("SELECT name, sku, 0::bigint AS rank FROM products WHERE variant_of IS NULL");
    conditions(query, filter, viewer);
    query.push(condition);
    later(query, after);
    query
        .push(" ORDER BY name, sku LIMIT ")
        .push_bind(i64::from(limit));
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

/// What a filter and a viewer ask of a row of `products`, categories aside.
pub(super) fn conditions(query: &mut QueryBuilder<Postgres>, filter: &Filter, viewer: &Viewer) {
    if !viewer.all {
        query.push(" AND status = 'active'");
    }
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

/// A category and those below it.
pub(super) async fn below(pool: &PgPool, category: &str) -> Result<Vec<String>, sqlx::Error> {
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
