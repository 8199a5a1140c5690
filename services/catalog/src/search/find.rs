//! Finding products.

use sqlx::{PgPool, Row as _};
use steelyard_domain::product::Language;

use super::meant::{Meant, Wanted};

/// Products that a search looks at: of more, those that the index gives first.
const HITS_MAX: i64 = 1_000;
/// What a SKU that was typed whole or in part is worth, beside a rank below a million.
const SKU_RANK: i64 = 2_000_000;
const SKU_PART_RANK: i64 = 1_000_000;

/// What a search found, best first: the products that a list shows, with their ranks.
#[derive(Debug, Default)]
pub(crate) struct Hits {
    pub(crate) skus: Vec<String>,
    pub(crate) ranks: Vec<i64>,
}

/// Products of which all words are found, or whose SKU begins with the text. With `all`, also those that are not for
/// sale.
pub(crate) async fn find(
    pool: &PgPool,
    wanted: &Wanted,
    language: &Language,
    all: bool,
) -> Result<Hits, sqlx::Error> {
    let Meant {
        alternatives,
        config,
    } = wanted.meant(pool, language).await?;
    let part = escaped(&wanted.text.to_lowercase());
    let rows = sqlx::query(
        "WITH meant AS (
             -- Word after word: itself, its neighbours, and the stems of either.
             SELECT string_agg('(' || word::text || ')', ' & ')::tsquery AS query
             -- The same twice would cost the index twice.
             FROM (SELECT CASE WHEN plain::text = stem::text THEN plain ELSE plain || stem END AS word
                   FROM unnest($1::text[]) AS alternatives (words),
                        to_tsquery('simple', words) AS plain,
                        to_tsquery($2::regconfig, words) AS stem) AS words
         ), named AS MATERIALIZED (
             SELECT sku, coalesce(variant_of, sku) AS shown, status = 'active' AS active,
                    CASE WHEN lower(sku) = lower($3) THEN $5::bigint ELSE $6::bigint END AS rank
             FROM products WHERE lower(sku) COLLATE \"C\" LIKE $4 LIMIT $7
         ), told AS MATERIALIZED (
             SELECT shown, active, doc FROM search_docs, meant
             WHERE doc @@ meant.query AND (active OR $8) LIMIT $7
         ), hits AS (
             SELECT shown, rank FROM named WHERE active OR $8
             UNION ALL
             SELECT shown, (1000000 * ts_rank('{0.1, 0.3, 0.6, 1.0}', doc, meant.query, 1))::bigint
             FROM told, meant
         )
         SELECT shown, max(rank) AS rank FROM hits GROUP BY shown ORDER BY rank DESC, shown",
    )
    .bind(&alternatives)
    .bind(config)
    .bind(&wanted.text)
    .bind(format!("{part}%"))
    .bind(SKU_RANK)
    .bind(SKU_PART_RANK)
    .bind(HITS_MAX)
    .bind(all)
    .persistent(false)
    .fetch_all(pool)
    .await?;
    let mut hits = Hits::default();
    for row in rows {
        hits.skus.push(row.try_get("shown")?);
        hits.ranks.push(row.try_get("rank")?);
    }
    Ok(hits)
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

#[cfg(test)]
mod tests {
    use super::escaped;

    #[test]
    fn wildcards_in_a_search_are_letters() {
        assert_eq!(escaped(r"50%_\x"), r"50\%\_\\x");
    }
}
