//! How many of the products of a list have which attribute or category.

use std::collections::BTreeMap;

use sqlx::{PgPool, Postgres, QueryBuilder};
use steelyard_domain::product::{FacetCount, Facets};

use super::read::{Selection, ranked};
use super::viewer::Viewer;
use crate::search::Hits;

/// Products that are counted; of more, so many of them.
const COUNTED_MAX: i64 = 10_000;
/// Values that are named of one attribute, and categories.
const VALUES_MAX: i64 = 50;

/// Counts of the products that a list holds on all its pages.
pub(crate) async fn facets(
    pool: &PgPool,
    selection: &Selection<'_>,
    hits: Option<&Hits>,
    viewer: &Viewer,
) -> Result<Facets, sqlx::Error> {
    let mut query = QueryBuilder::<Postgres>::new(
        "WITH counted AS MATERIALIZED (SELECT category, facets FROM ",
    );
    match hits {
        Some(hits) => {
            query.push("(");
            ranked(&mut query, hits);
            query.push(") AS hits JOIN products USING (sku) WHERE true");
            selection.conditions(&mut query, viewer.rows());
        }
        None => {
            query.push("(");
            for (place, rows) in viewer.lists().iter().enumerate() {
                query.push(if place > 0 { " UNION ALL " } else { "" });
                query.push("SELECT category, facets FROM products WHERE variant_of IS NULL");
                selection.conditions(&mut query, *rows);
            }
            query.push(") AS listed");
        }
    }
    query.push(" LIMIT ").push_bind(COUNTED_MAX);
    query.push(
        "), labelled AS (
             SELECT split_part(label, '=', 1) AS name, substr(label, strpos(label, '=') + 1) AS value,
                    count(*) AS products
             FROM counted, unnest(facets) AS label
             WHERE NOT starts_with(label, '$') GROUP BY label
             UNION ALL
             SELECT '$category', category, count(*) FROM counted
             WHERE category IS NOT NULL GROUP BY category
             UNION ALL
             SELECT '$all', '', count(*) FROM counted
         ), numbered AS (
             SELECT *, row_number() OVER (PARTITION BY name ORDER BY products DESC, value) AS number
             FROM labelled
         )
         SELECT name, value, products FROM numbered WHERE number <= ",
    );
    query.push_bind(VALUES_MAX).push(" ORDER BY name, number");
    let rows: Vec<(String, String, i64)> = query
        .build_query_as()
        .persistent(false)
        .fetch_all(pool)
        .await?;
    let mut attributes: BTreeMap<String, Vec<FacetCount>> = BTreeMap::new();
    let mut categories = Vec::new();
    let mut all = 0;
    for (name, value, products) in rows {
        let count = FacetCount { value, products };
        match name.as_str() {
            "$all" => all = count.products,
            "$category" => categories.push(count),
            _ => attributes.entry(name).or_default().push(count),
        }
    }
    Ok(Facets {
        products: all,
        is_exact: all < COUNTED_MAX && hits.is_none_or(|hits| !hits.are_cut),
        categories,
        attributes,
    })
}
