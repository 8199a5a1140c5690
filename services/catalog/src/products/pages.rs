//! Pages of lists and searches.

use std::collections::HashMap;

use sqlx::{PgPool, Postgres, QueryBuilder};
use steelyard_domain::product::Product;

use super::lists::{Lists, Way, begin, sparsest};
use super::read::{Filter, Position, conditions, in_categories, later, ranked};
use super::viewer::{COLUMNS, Viewer};
use crate::search::Hits;

/// Rows of a list that are looked at for one of a page: at first, and where many are known to match.
const LOOKED_AT_EACH: i64 = 5;
const FARTHER_EACH: i64 = 100;
/// So many that match are few: they are read and put in order.
const FEW_MAX: i64 = 1_000;

/// What stands for all that matches where ranks are.
const ALL: i64 = 1;

type Page = Vec<(Position, Product)>;

/// Where a product stands in what was asked for.
#[derive(Debug, sqlx::FromRow)]
struct Key {
    name: String,
    sku: String,
    rank: i64,
}

/// A page that somebody asks for.
pub(super) struct Asked<'a> {
    pub(super) pool: &'a PgPool,
    pub(super) filter: &'a Filter,
    /// Its category and those below.
    pub(super) below: Option<Vec<String>>,
    pub(super) viewer: &'a Viewer,
    pub(super) after: Option<&'a Position>,
    pub(super) limit: u32,
}

impl Asked<'_> {
    /// Most often the best few are the page: the others are not looked at before these were.
    pub(super) async fn of_hits(&self, hits: &Hits) -> Result<Page, sqlx::Error> {
        let hits = match self.after {
            Some(Position::Ranked { rank, sku }) => hits.clone().after(*rank, sku),
            _ => hits.clone(),
        };
        let (best, others) = hits.split(2 * self.limit as usize);
        let mut found = Vec::new();
        for hits in [best, others] {
            let left = self.limit as usize - found.len();
            if left == 0 || hits.skus.is_empty() {
                break;
            }
            let keys = self.keys(|query| {
                ranked(query, &hits);
                conditions(query, self.filter, self.viewer);
                self.category(query);
                query
                    .push(" ORDER BY rank DESC, sku LIMIT ")
                    .push_bind(i64::try_from(left).unwrap_or(i64::MAX));
            });
            found.extend(keys.await?);
        }
        let position = |Key { sku, rank, .. }| Position::Ranked { rank, sku };
        self.shown(found, position).await
    }

    pub(super) async fn by_name(&self) -> Result<Page, sqlx::Error> {
        let way = if self.viewer.all {
            Way::Other
        } else {
            Way::of(self.filter, self.below.as_ref())
        };
        let found = match way {
            Way::All(lists) => self.first_of(&lists).await?,
            Way::Some(lists) => self.in_common(lists).await?,
            Way::Other => self.keys(|query| self.anyhow(query)).await?,
        };
        let position = |Key { name, sku, .. }| Position::Named { name, sku };
        self.shown(found, position).await
    }

    /// What these lists begin with.
    async fn first_of(&self, lists: &Lists) -> Result<Vec<Key>, sqlx::Error> {
        let limit = i64::from(self.limit);
        if lists.are_many() {
            // As likely as not these are most of the shop.
            let rows = LOOKED_AT_EACH * limit;
            let found = self.keys(|query| self.walk(query, &Lists::Shop, rows));
            let found = found.await?;
            if self.is_full(&found) {
                return Ok(found);
            }
        }
        self.keys(|query| {
            query.push("SELECT name, sku, 0::bigint AS rank FROM (");
            begin(query, lists, self.after, limit);
            query.push(") AS rows ORDER BY name, sku");
        })
        .await
    }

    /// By what Postgres thinks best; of a category with others below it, each of these gives a page.
    fn anyhow(&self, query: &mut QueryBuilder<Postgres>) {
        let limit = i64::from(self.limit);
        let by_name = " ORDER BY name, sku LIMIT ";
        match &self.below {
            Some(below) => {
                query
                    .push("SELECT page.* FROM unnest(")
                    .push_bind(below.clone());
                query.push("::text[]) AS below (code) CROSS JOIN LATERAL (");
                self.matching(query);
                query
                    .push(" AND category = below.code")
                    .push(by_name)
                    .push_bind(limit);
                query.push(") AS page").push(by_name).push_bind(limit);
            }
            None => {
                self.matching(query);
                query.push(by_name).push_bind(limit);
            }
        }
    }

    /// What these lists have in common. Nobody knows how much that is: so a little is looked at first where it would be
    /// found if it is much, then all of it where that is found if it is little.
    async fn in_common(&self, lists: Vec<Lists>) -> Result<Vec<Key>, sqlx::Error> {
        let limit = i64::from(self.limit);
        let rows = LOOKED_AT_EACH * limit;
        let Some(lists) = sparsest(self.pool, lists, self.after, rows).await? else {
            return Ok(Vec::new());
        };
        let found = self.keys(|query| self.walk(query, &lists, rows)).await?;
        if self.is_full(&found) {
            return Ok(found);
        }
        let found = self
            .keys(|query| self.few_or_farther(query, &lists))
            .await?;
        let is_all = found.first().is_some_and(|key| key.rank == ALL);
        if is_all || self.is_full(&found) {
            return Ok(found);
        }
        self.keys(|query| {
            query.push("WITH matching AS MATERIALIZED (");
            self.matching(query);
            self.category(query);
            query
                .push(") SELECT * FROM matching ORDER BY name, sku LIMIT ")
                .push_bind(limit);
        })
        .await
    }

    /// All that matches, if it is little; else what is farther down these lists.
    fn few_or_farther(&self, query: &mut QueryBuilder<Postgres>, lists: &Lists) {
        let limit = i64::from(self.limit);
        query.push("WITH matching AS MATERIALIZED (");
        self.matching(query);
        self.category(query);
        query
            .push("), few AS MATERIALIZED (SELECT * FROM matching LIMIT ")
            .push_bind(FEW_MAX);
        query
            .push("), known AS MATERIALIZED (SELECT count(*) < ")
            .push_bind(FEW_MAX);
        query
            .push(
                " AS all_of_them FROM few)
                 SELECT * FROM (
                     SELECT name, sku, ",
            )
            .push_bind(ALL)
            .push(
                "::bigint AS rank FROM few WHERE (SELECT all_of_them FROM known)
                     UNION ALL
                     (SELECT * FROM (",
            );
        self.walk(query, lists, FARTHER_EACH * limit);
        query
            .push(
                ") AS walked WHERE NOT (SELECT all_of_them FROM known))
                 ) AS found ORDER BY name, sku LIMIT ",
            )
            .push_bind(limit);
    }

    /// What the filter takes of so many rows of these lists.
    fn walk(&self, query: &mut QueryBuilder<Postgres>, lists: &Lists, rows: i64) {
        query.push("SELECT name, sku, 0::bigint AS rank FROM (");
        begin(query, lists, self.after, rows);
        // One after the other, until the page is full; by SKU, whatever else there is an index for.
        query.push(
            ") AS rows (row_name, row_sku)
             CROSS JOIN LATERAL (SELECT * FROM products WHERE sku = row_sku OFFSET 0) AS product
             WHERE variant_of IS NULL",
        );
        conditions(query, self.filter, self.viewer);
        self.category(query);
        query
            .push(" ORDER BY row_name, row_sku LIMIT ")
            .push_bind(i64::from(self.limit));
    }

    fn is_full(&self, found: &[Key]) -> bool {
        found.len() == self.limit as usize
    }

    /// The keys that a statement gives. It is planned for these values: which index is best depends on how many products a
    /// filter leaves.
    async fn keys(
        &self,
        push: impl FnOnce(&mut QueryBuilder<Postgres>),
    ) -> Result<Vec<Key>, sqlx::Error> {
        let mut query = QueryBuilder::<Postgres>::new("");
        push(&mut query);
        let query = query.build_query_as().persistent(false);
        query.fetch_all(self.pool).await
    }

    /// The products with these keys, in their order.
    async fn shown(
        &self,
        keys: Vec<Key>,
        position: impl Fn(Key) -> Position,
    ) -> Result<Page, sqlx::Error> {
        if keys.is_empty() {
            return Ok(Page::new());
        }
        let skus: Vec<&str> = keys.iter().map(|key| key.sku.as_str()).collect();
        let statement = format!("{COLUMNS} WHERE products.sku = ANY($1)");
        let rows = sqlx::query(sqlx::AssertSqlSafe(statement))
            .bind(skus)
            .fetch_all(self.pool)
            .await?;
        let mut products = HashMap::with_capacity(rows.len());
        for row in &rows {
            let product = self.viewer.product(row)?;
            products.insert(product.sku.as_str().to_owned(), product);
        }
        let entry = |key: Key| {
            let product = products.remove(&key.sku)?;
            Some((position(key), product))
        };
        Ok(keys.into_iter().filter_map(entry).collect())
    }

    /// The keys of what is asked for in any category, in no order.
    fn matching(&self, query: &mut QueryBuilder<Postgres>) {
        query.push("SELECT name, sku, 0::bigint AS rank FROM products WHERE variant_of IS NULL");
        conditions(query, self.filter, self.viewer);
        later(query, self.after);
    }

    fn category(&self, query: &mut QueryBuilder<Postgres>) {
        if let Some(below) = &self.below {
            in_categories(query, below);
        }
    }
}
