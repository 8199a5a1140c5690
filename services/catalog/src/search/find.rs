//! Finding products.

use sqlx::{PgPool, Postgres, QueryBuilder};
use steelyard_domain::product::Language;

use super::meant::{Meant, Wanted};

/// Products that a search finds by their words.
const HITS_MAX: i64 = 1_000;
/// Products that it finds by how their SKUs begin.
const SKUS_MAX: i64 = 200;
/// So many are few: all of them are read, in one go. By what the sample has of them, they are surely fewer than
/// [`HITS_MAX`].
const FEW_MAX: i64 = 500;
/// What a SKU that was typed whole or in part is worth, beside a rank below a million.
const SKU_RANK: i64 = 2_000_000;
const SKU_PART_RANK: i64 = 1_000_000;

/// Products that have the words in their name or values, and those that have them nowhere else than in descriptions.
const NAMED: &str = "ts_filter(doc, '{a,b}') @@ meant.query";
const DESCRIBED: &str = "doc @@ meant.query AND NOT (ts_filter(doc, '{a,b}') @@ meant.query)";

/// Where a search looks.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scope<'a> {
    /// Whose stems count, too.
    pub(crate) language: &'a Language,
    /// Also what is not for sale.
    pub(crate) all: bool,
    /// Of each of these sets, what is shown has a label.
    pub(crate) labels: &'a [Vec<String>],
}

/// What a search found, best first: the products that a list shows, with their ranks.
#[derive(Debug, Clone, Default)]
pub(crate) struct Hits {
    pub(crate) skus: Vec<String>,
    pub(crate) ranks: Vec<i64>,
    /// There may be more, which were not looked for.
    pub(crate) are_cut: bool,
}

impl Hits {
    /// Those that come after this one.
    pub(crate) fn after(mut self, rank: i64, sku: &str) -> Self {
        let is_later = |(hit, &of): (&String, &i64)| (-of, hit.as_str()) > (-rank, sku);
        let first = self.skus.iter().zip(&self.ranks).position(is_later);
        let first = first.unwrap_or(self.skus.len());
        self.skus.drain(..first);
        self.ranks.drain(..first);
        self
    }

    /// The first of them, and the others.
    pub(crate) fn split(mut self, count: usize) -> (Self, Self) {
        let count = count.min(self.skus.len());
        let others = Self {
            skus: self.skus.split_off(count),
            ranks: self.ranks.split_off(count),
            are_cut: self.are_cut,
        };
        (self, others)
    }
}

/// Products of which all words are found, or whose SKU begins with the text.
///
/// Of more than a thousand, those that have the words in their name or values go before those that have them in a
/// description only; which of either, is chance.
pub(crate) async fn find(
    pool: &PgPool,
    wanted: &Wanted,
    scope: Scope<'_>,
) -> Result<Hits, sqlx::Error> {
    let meant = wanted.meant(pool, scope.language).await?;
    let mut query = QueryBuilder::<Postgres>::new("");
    push_meant(&mut query, &meant);
    push_skus(&mut query, &wanted.text);
    if scope.all || !scope.labels.is_empty() {
        push_docs(&mut query, scope);
    } else {
        push_sampled_docs(&mut query);
    }
    query
        .push(
            ", hits AS (
                 SELECT shown, rank FROM by_sku WHERE active OR ",
        )
        .push_bind(scope.all)
        .push(
            " UNION ALL
                 SELECT shown, (1000000 * ts_rank('{0.1, 0.3, 0.6, 1.0}', doc, meant.query, 1))::bigint
                 FROM docs, meant
             )
             SELECT coalesce(array_agg(shown ORDER BY rank DESC, shown), '{}'),
                    coalesce(array_agg(rank ORDER BY rank DESC, shown), '{}'),
                    (SELECT count(*) FROM docs) >= ",
        )
        .push_bind(HITS_MAX)
        .push(" OR (SELECT count(*) FROM by_sku) >= ")
        .push_bind(SKUS_MAX)
        .push(" FROM (SELECT shown, max(rank) AS rank FROM hits GROUP BY shown) AS best");
    let query = query.build_query_as().persistent(false);
    let (skus, ranks, are_cut) = query.fetch_one(pool).await?;
    Ok(Hits {
        skus,
        ranks,
        are_cut,
    })
}

/// Word after word: itself, its neighbours, and the stems of either.
fn push_meant(query: &mut QueryBuilder<Postgres>, meant: &Meant) {
    query
        .push(
            "WITH meant AS (
                 SELECT string_agg('(' || word::text || ')', ' & ')::tsquery AS query
                 -- The same twice would cost the index twice.
                 FROM (SELECT CASE WHEN plain::text = stem::text THEN plain ELSE plain || stem END AS word
                       FROM unnest(",
        )
        .push_bind(meant.alternatives.clone())
        .push("::text[]) AS alternatives (words), to_tsquery('simple', words) AS plain, to_tsquery(")
        .push_bind(meant.config)
        .push("::regconfig, words) AS stem) AS words)");
}

/// Products whose SKU begins with the text: the whole SKU is the first of them.
fn push_skus(query: &mut QueryBuilder<Postgres>, text: &str) {
    query
        .push(
            ", by_sku AS MATERIALIZED (
                 SELECT sku, coalesce(variant_of, sku) AS shown, status = 'active' AS active,
                        CASE WHEN lower(sku) = ",
        )
        .push_bind(text.to_lowercase())
        .push(" THEN ")
        .push_bind(SKU_RANK)
        .push("::bigint ELSE ")
        .push_bind(SKU_PART_RANK)
        .push("::bigint END AS rank FROM products WHERE lower(sku) COLLATE \"C\" LIKE ")
        .push_bind(format!("{}%", escaped(&text.to_lowercase())))
        .push(" ORDER BY lower(sku) COLLATE \"C\" LIMIT ")
        .push_bind(SKUS_MAX)
        .push(")");
}

/// Of all products, within the scope.
fn push_docs(query: &mut QueryBuilder<Postgres>, scope: Scope<'_>) {
    query.push(", docs AS MATERIALIZED (");
    for (place, words) in [NAMED, DESCRIBED].into_iter().enumerate() {
        if place > 0 {
            query.push(" UNION ALL ");
        }
        // The index of all words has the labels, too.
        query
            .push("SELECT sku, shown, doc FROM search_docs, meant WHERE doc @@ meant.query AND ")
            .push(words);
        if !scope.all {
            query.push(" AND active");
        }
        for labels in scope.labels {
            query.push(" AND labels && ").push_bind(labels.clone());
        }
    }
    query.push(" LIMIT ").push_bind(HITS_MAX).push(")");
}

/// Of all for sale. The parts of a `UNION ALL` are read one after the other, until there are enough (decision 48).
fn push_sampled_docs(query: &mut QueryBuilder<Postgres>) {
    query.push(format!(
        ", sample AS MATERIALIZED (
             SELECT sku, shown, doc FROM search_sample_0, meant WHERE {NAMED}
             UNION ALL
             SELECT sku, shown, doc FROM search_sample_1, meant WHERE {NAMED}
             LIMIT {HITS_MAX}
         ), described AS MATERIALIZED (
             SELECT sku, shown, doc FROM search_sample_0, meant
             WHERE (SELECT count(*) < {HITS_MAX} FROM sample) AND {DESCRIBED} LIMIT {HITS_MAX}
         ), known AS MATERIALIZED (
             -- The sample is a quarter, its smaller tier a sixteenth.
             SELECT 4 * (SELECT count(*) FROM sample) + 16 * (SELECT count(*) FROM described) <= {FEW_MAX} AS are_few
         ), docs AS MATERIALIZED (
             SELECT sku, shown, doc FROM sample
             UNION ALL
             SELECT sku, shown, doc FROM search_docs, meant
             WHERE (SELECT are_few FROM known) AND doc @@ meant.query AND active
             AND sku NOT IN (SELECT sku FROM sample)
             UNION ALL
             SELECT sku, shown, doc FROM search_docs, meant
             WHERE NOT (SELECT are_few FROM known) AND {NAMED} AND active AND sample_tier(sku) IS NULL
             UNION ALL
             SELECT sku, shown, doc FROM described WHERE NOT (SELECT are_few FROM known)
             UNION ALL
             SELECT sku, shown, doc FROM search_docs, meant
             WHERE NOT (SELECT are_few FROM known) AND {DESCRIBED} AND active
             AND sample_tier(sku) IS DISTINCT FROM 0
             LIMIT {HITS_MAX}
         )",
    ));
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
