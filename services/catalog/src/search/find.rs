//! Finding products.

use sqlx::PgPool;
use steelyard_domain::product::Language;

use super::meant::{Meant, Wanted};

/// Products that a search finds: of more, those whose name or values have the words go first, as the sample gives them,
/// then any.
const HITS_MAX: i64 = 1_000;
/// What a SKU that was typed whole or in part is worth, beside a rank below a million.
const SKU_RANK: i64 = 2_000_000;
const SKU_PART_RANK: i64 = 1_000_000;

/// What a search found, best first: the products that a list shows, with their ranks.
#[derive(Debug, Clone, Default)]
pub(crate) struct Hits {
    pub(crate) skus: Vec<String>,
    pub(crate) ranks: Vec<i64>,
}

impl Hits {
    /// Those that come after this one.
    pub(crate) fn after(self, rank: i64, sku: &str) -> Self {
        let Self {
            mut skus,
            mut ranks,
        } = self;
        let is_later = |(hit, &of): (&String, &i64)| (-of, hit.as_str()) > (-rank, sku);
        let first = skus.iter().zip(&ranks).position(is_later);
        let first = first.unwrap_or(skus.len());
        skus.drain(..first);
        ranks.drain(..first);
        Self { skus, ranks }
    }

    /// The first of them, and the others.
    pub(crate) fn split(self, count: usize) -> (Self, Self) {
        let Self {
            mut skus,
            mut ranks,
        } = self;
        let count = count.min(skus.len());
        let others = Self {
            skus: skus.split_off(count),
            ranks: ranks.split_off(count),
        };
        (Self { skus, ranks }, others)
    }
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
    let (skus, ranks) = sqlx::query_as(
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
         ), sampled AS MATERIALIZED (
             -- One after the other, until there are enough.
             SELECT sku, shown, doc FROM (
                 SELECT sku, shown, doc FROM search_sample_0, meant
                 WHERE ts_filter(doc, '{a,b}') @@ meant.query
                 UNION ALL
                 SELECT sku, shown, doc FROM search_sample_1, meant
                 WHERE ts_filter(doc, '{a,b}') @@ meant.query
                 UNION ALL
                 SELECT sku, shown, doc FROM search_sample_0, meant
                 WHERE doc @@ meant.query AND NOT ts_filter(doc, '{a,b}') @@ meant.query
             ) AS tiers
             -- There are no others than those for sale.
             WHERE NOT $8 LIMIT $7
         ), told AS MATERIALIZED (
             -- As many as are missing: most often none.
             SELECT sku, shown, doc FROM search_docs, meant
             WHERE doc @@ meant.query AND (active OR $8) AND sku NOT IN (SELECT sku FROM sampled)
             LIMIT (SELECT $7 - count(*) FROM sampled)
         ), hits AS (
             SELECT shown, rank FROM named WHERE active OR $8
             UNION ALL
             SELECT shown, (1000000 * ts_rank('{0.1, 0.3, 0.6, 1.0}', doc, meant.query, 1))::bigint
             FROM (SELECT * FROM sampled UNION ALL SELECT * FROM told) AS docs, meant
         )
         SELECT coalesce(array_agg(shown ORDER BY rank DESC, shown), '{}'),
                coalesce(array_agg(rank ORDER BY rank DESC, shown), '{}')
         FROM (SELECT shown, max(rank) AS rank FROM hits GROUP BY shown ORDER BY rank DESC, shown LIMIT $7) AS best",
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
    .fetch_one(pool)
    .await?;
    Ok(Hits { skus, ranks })
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
