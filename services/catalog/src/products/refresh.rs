//! Labels and search of products whose price turned, or that a release before this one wrote.

use std::collections::HashMap;

use sqlx::types::Json;
use sqlx::{PgConnection, PgPool};
use steelyard_domain::id::Sku;
use steelyard_domain::product::{Language, ProductSource, ProductStatus};
use time::OffsetDateTime;

use super::index::{families, labels};
use super::source::stale;
use crate::events::Events;
use crate::search;
use crate::transaction::{Abort, Work, transact};

/// Products of one transaction.
const SET_MAX: u32 = 200;

/// Makes labels and search of up to 200 products anew; answers how many were due.
pub(crate) async fn refresh(
    pool: &PgPool,
    language: &Language,
    events: &Events,
) -> Result<usize, Abort> {
    // Nearly always there is nothing: no transaction for that. In the order of their indexes: without, Postgres takes
    // most products for stale and expects to meet one soon, whatever part of the table it reads.
    let due: Option<String> = sqlx::query_scalar(
        "(SELECT sku FROM products WHERE indexed_version IS DISTINCT FROM version ORDER BY sku LIMIT 1)
         UNION ALL
         (SELECT sku FROM products WHERE due_at <= now() ORDER BY due_at LIMIT 1)
         LIMIT 1",
    )
    .fetch_optional(pool)
    .await?;
    if due.is_none() {
        return Ok(0);
    }
    let count = transact(pool, &Refresh { language, events }).await?;
    events.wake();
    Ok(count)
}

struct Refresh<'a> {
    language: &'a Language,
    events: &'a Events,
}

impl Work for Refresh<'_> {
    type Output = usize;

    async fn attempt(&self, connection: &mut PgConnection) -> Result<usize, Abort> {
        let stale = stale(connection, SET_MAX).await?;
        if stale.is_empty() {
            return Ok(0);
        }
        let now = OffsetDateTime::now_utc();
        let indexed = stale.iter().map(|(product, _)| {
            let options = Some(&product.options);
            let (labels, due_at) = labels(&product.prices, &product.attributes, options, now);
            (Json(labels), due_at)
        });
        let (labels, due_at): (Vec<_>, Vec<_>) = indexed.unzip();
        let skus: Vec<&str> = stale
            .iter()
            .map(|(product, _)| product.sku.as_str())
            .collect();
        sqlx::query(
            "UPDATE products
             SET labels = ARRAY(SELECT jsonb_array_elements_text(made.labels)),
                 facets = ARRAY(SELECT jsonb_array_elements_text(made.labels)),
                 due_at = made.due_at, indexed_version = version
             FROM unnest($1::text[], $2::jsonb[], $3::timestamptz[]) AS made (sku, labels, due_at)
             WHERE products.sku = made.sku",
        )
        .bind(&skus)
        .bind(labels)
        .bind(due_at)
        .execute(&mut *connection)
        .await?;
        let of = stale
            .iter()
            .filter_map(|(product, _)| product.variant_of.as_ref());
        let of: Vec<&str> = of.map(Sku::as_str).collect();
        families(connection, &skus, &of).await?;
        let facts: Vec<_> = stale.iter().map(|(product, _)| facts(product)).collect();
        search::write(connection, self.language, &facts).await?;
        let versions: HashMap<String, i64> = stale
            .iter()
            .map(|(product, version)| (product.sku.as_str().to_owned(), *version))
            .collect();
        self.events.changed(connection, &versions).await?;
        Ok(stale.len())
    }
}

fn facts(product: &ProductSource) -> search::Facts<'_> {
    let sku = product.sku.as_str();
    search::Facts {
        sku,
        shown: product.variant_of.as_ref().map_or(sku, |of| of.as_str()),
        active: product.status == ProductStatus::Active,
        name: &product.name,
        description: product.description.as_deref(),
        translations: &product.translations,
        attributes: &product.attributes,
        options: Some(&product.options),
    }
}
