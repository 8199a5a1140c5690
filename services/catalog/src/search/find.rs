//! Finding products.

use std::collections::HashSet;

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

/// What is in no sample, by the hash of the SKU; each part has an index of its names, which is asked by just these words.
const NOT_SAMPLED: [&str; 3] = [
    "'4', '5', '6', '7'",
    "'8', '9', 'a', 'b'",
    "'c', 'd', 'e', 'f'",
];

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

    /// These, and then the others that are not among them.
    fn before(mut self, others: Self) -> Self {
        let known: HashSet<String> = self.skus.iter().cloned().collect();
        for (sku, rank) in others.skus.into_iter().zip(others.ranks) {
            if !known.contains(&sku) {
                self.skus.push(sku);
                self.ranks.push(rank);
            }
        }
        self.are_cut |= others.are_cut;
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
    let by_sku = by_sku(pool, &wanted.text, scope.all).await?;
    let meant = wanted.meant(pool, scope.language).await?;
    // What a SKU is worth no words are.
    Ok(by_sku.before(by_words(pool, &meant, scope).await?))
}

/// Products whose SKU begins with the text: the whole SKU is the first of them.
async fn by_sku(pool: &PgPool, text: &str, all: bool) -> Result<Hits, sqlx::Error> {
    let text = text.to_lowercase();
    let (skus, ranks, are_cut) = sqlx::query_as(
        "WITH found AS MATERIALIZED (
             SELECT coalesce(variant_of, sku) AS shown, status = 'active' AS active,
                    CASE WHEN lower(sku) = $1 THEN $2::bigint ELSE $3::bigint END AS rank
             FROM products WHERE lower(sku) COLLATE \"C\" LIKE $4
             ORDER BY lower(sku) COLLATE \"C\" LIMIT $5
         )
         SELECT coalesce(array_agg(shown ORDER BY rank DESC, shown), '{}'),
                coalesce(array_agg(rank ORDER BY rank DESC, shown), '{}'),
                (SELECT count(*) FROM found) >= $5
         FROM (SELECT shown, max(rank) AS rank FROM found WHERE active OR $6 GROUP BY shown) AS best",
    )
    .bind(&text)
    .bind(SKU_RANK)
    .bind(SKU_PART_RANK)
    .bind(format!("{}%", escaped(&text)))
    .bind(SKUS_MAX)
    .bind(all)
    .fetch_one(pool)
    .await?;
    Ok(Hits {
        skus,
        ranks,
        are_cut,
    })
}

/// Products of which all words are found, best first.
async fn by_words(pool: &PgPool, meant: &Meant, scope: Scope<'_>) -> Result<Hits, sqlx::Error> {
    let is_sampled = !scope.all && scope.labels.is_empty();
    let mut query = QueryBuilder::<Postgres>::new("");
    push_meant(&mut query, meant);
    if is_sampled {
        push_sampled_docs(&mut query);
    } else {
        push_docs(&mut query, scope);
    }
    query.push(format_args!(
        ", hits AS (
             SELECT shown, (1000000 * ts_rank('{{0.1, 0.3, 0.6, 1.0}}', doc, meant.query, 1))::bigint AS rank
             FROM docs, meant
         )
         SELECT coalesce(array_agg(shown ORDER BY rank DESC, shown), '{{}}'),
                coalesce(array_agg(rank ORDER BY rank DESC, shown), '{{}}'),
                (SELECT count(*) FROM docs) >= {HITS_MAX}
         FROM (SELECT shown, max(rank) AS rank FROM hits GROUP BY shown) AS best"
    ));
    // Of many parts, and planning takes as long as reading. The words make no difference to the plan: labels do.
    let query = query.build_query_as().persistent(is_sampled);
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
    query.push(format_args!(
        ", sample AS MATERIALIZED (
             SELECT sku, shown, doc FROM search_sample_0, meant WHERE {NAMED}
             UNION ALL
             SELECT sku, shown, doc FROM search_sample_1, meant WHERE {NAMED}
             LIMIT {HITS_MAX}
         ), names AS MATERIALIZED (
             -- The sample is a quarter.
             SELECT 4 * count(*) AS count FROM sample
         ), described AS MATERIALIZED (
             SELECT sku, shown, doc FROM search_sample_0, meant
             WHERE (SELECT count <= {FEW_MAX} FROM names) AND {DESCRIBED} LIMIT {HITS_MAX}
         ), known AS MATERIALIZED (
             -- The smaller tier is a sixteenth.
             SELECT count + 16 * (SELECT count(*) FROM described) <= {FEW_MAX} AS are_few FROM names
         ), docs AS MATERIALIZED (
             SELECT sku, shown, doc FROM sample
             UNION ALL
             SELECT sku, shown, doc FROM search_docs, meant
             WHERE (SELECT are_few FROM known) AND doc @@ meant.query AND active
             AND sku NOT IN (SELECT sku FROM sample)"
    ));
    for part in NOT_SAMPLED {
        query.push(format_args!(
            " UNION ALL
             SELECT sku, shown, doc FROM search_docs, meant
             WHERE NOT (SELECT are_few FROM known) AND {NAMED} AND active AND left(md5(sku), 1) IN ({part})"
        ));
    }
    query.push(format_args!(
        " UNION ALL
             SELECT sku, shown, doc FROM described WHERE NOT (SELECT are_few FROM known)
             UNION ALL
             SELECT sku, shown, doc FROM search_docs, meant
             WHERE NOT (SELECT are_few FROM known) AND {DESCRIBED} AND active
             AND ((SELECT count > {FEW_MAX} FROM names) OR sample_tier(sku) IS DISTINCT FROM 0)
             LIMIT {HITS_MAX}
         )"
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
