//! Pages of lists and searches.

use std::collections::HashMap;

use serde_json::Value;
use sqlx::types::Json;
use sqlx::{PgPool, Postgres, QueryBuilder};
use steelyard_domain::product::Product;

use super::lists::{Lists, Way, begin, sparsest};
use super::read::{Position, Rows, Selection, conditions, later, ranked};
use super::viewer::{COLUMNS, Viewer};
use crate::search::Hits;

/// Rows of a list that are looked at for one of a page: at first, and where many are known to match.
const LOOKED_AT_EACH: i64 = 5;
const FARTHER_EACH: i64 = 100;
/// So many that match are few: they are read and put in order.
const FEW_MAX: i64 = 1_000;

type Page = Vec<(Position, Product)>;

/// Where a product stands in what was asked for.
#[derive(Debug, sqlx::FromRow)]
struct Key {
    name: String,
    sku: String,
    /// Of a hit; of a few, how many they are.
    rank: i64,
}

/// A page that somebody asks for.
pub(super) struct Asked<'a> {
    pub(super) pool: &'a PgPool,
    pub(super) selection: &'a Selection<'a>,
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
                self.selection.conditions(query, self.viewer.rows());
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
        let mut found = Vec::new();
        for rows in self.viewer.lists() {
            found.extend(match rows {
                Rows::ForSale => self.for_sale().await?,
                Rows::Others | Rows::All => self.others().await?,
            });
        }
        found.sort_unstable_by(|one, other| (&one.name, &one.sku).cmp(&(&other.name, &other.sku)));
        found.truncate(self.limit as usize);
        let position = |Key { name, sku, .. }| Position::Named { name, sku };
        self.shown(found, position).await
    }

    async fn for_sale(&self) -> Result<Vec<Key>, sqlx::Error> {
        match Way::of(self.selection.filter, self.selection.below.as_ref()) {
            Way::All(lists) => self.first_of(&lists).await,
            Way::Some(lists) => self.in_common(lists).await,
            Way::Other => self.keys(|query| self.by_plan(query, Rows::ForSale)).await,
        }
    }

    /// What is not for sale is seldom much, and no list of it is kept.
    async fn others(&self) -> Result<Vec<Key>, sqlx::Error> {
        if let Some(found) = self.few(Rows::Others).await? {
            return Ok(found);
        }
        self.keys(|query| self.by_plan(query, Rows::Others)).await
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
    fn by_plan(&self, query: &mut QueryBuilder<Postgres>, rows: Rows) {
        let limit = i64::from(self.limit);
        let by_name = " ORDER BY name, sku LIMIT ";
        match &self.selection.below {
            Some(below) => {
                query
                    .push("SELECT page.* FROM unnest(")
                    .push_bind(below.clone());
                query.push("::text[]) AS below (code) CROSS JOIN LATERAL (");
                self.in_any_category(query, rows);
                query
                    .push(" AND category = below.code")
                    .push(by_name)
                    .push_bind(limit);
                query.push(") AS page").push(by_name).push_bind(limit);
            }
            None => {
                self.matching(query, rows);
                query.push(by_name).push_bind(limit);
            }
        }
    }

    /// What these lists have in common. If that is little, it is all found and put in order; if it is much, a page is full
    /// after a look at a part of one list. Which of the two goes first is Postgres's guess, and no more than that.
    async fn in_common(&self, lists: Vec<Lists>) -> Result<Vec<Key>, sqlx::Error> {
        let limit = i64::from(self.limit);
        let guessed_few = self.guessed().await? < FEW_MAX;
        if guessed_few && let Some(found) = self.few(Rows::ForSale).await? {
            return Ok(found);
        }
        let rows = LOOKED_AT_EACH * limit;
        let Some(lists) = sparsest(self.pool, lists, self.after, rows).await? else {
            return Ok(Vec::new());
        };
        let found = self.keys(|query| self.walk(query, &lists, rows)).await?;
        if self.is_full(&found) {
            return Ok(found);
        }
        if !guessed_few && let Some(found) = self.few(Rows::ForSale).await? {
            return Ok(found);
        }
        let rows = FARTHER_EACH * limit;
        let found = self.keys(|query| self.walk(query, &lists, rows)).await?;
        if self.is_full(&found) {
            return Ok(found);
        }
        self.keys(|query| {
            query.push("WITH matching AS MATERIALIZED (");
            self.matching(query, Rows::ForSale);
            query
                .push(") SELECT * FROM matching ORDER BY name, sku LIMIT ")
                .push_bind(limit);
        })
        .await
    }

    /// How many products Postgres thinks match.
    async fn guessed(&self) -> Result<i64, sqlx::Error> {
        let mut query = QueryBuilder::<Postgres>::new("EXPLAIN (FORMAT JSON) ");
        self.matching(&mut query, Rows::ForSale);
        let plan: Json<Value> = query
            .build_query_scalar()
            .persistent(false)
            .fetch_one(self.pool)
            .await?;
        let rows = plan.pointer("/0/Plan/Plan Rows").and_then(Value::as_i64);
        Ok(rows.unwrap_or(i64::MAX))
    }

    /// The first of all that matches, unless that is more than a few.
    async fn few(&self, rows: Rows) -> Result<Option<Vec<Key>>, sqlx::Error> {
        let found = self
            .keys(|query| {
                query.push("WITH few AS MATERIALIZED (");
                self.matching(query, rows);
                query
                    .push(" LIMIT ")
                    .push_bind(FEW_MAX)
                    .push(
                        ") SELECT name, sku, (SELECT count(*) FROM few) AS rank FROM few
                           ORDER BY name, sku LIMIT ",
                    )
                    .push_bind(i64::from(self.limit));
            })
            .await?;
        let is_all = found.first().is_none_or(|key| key.rank < FEW_MAX);
        Ok(is_all.then_some(found))
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
        self.selection.conditions(query, Rows::ForSale);
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

    /// The keys of what is asked for, in no order.
    fn matching(&self, query: &mut QueryBuilder<Postgres>, rows: Rows) {
        self.in_any_category(query, rows);
        self.selection.category(query);
    }

    fn in_any_category(&self, query: &mut QueryBuilder<Postgres>, rows: Rows) {
        query.push("SELECT name, sku, 0::bigint AS rank FROM products WHERE variant_of IS NULL");
        conditions(query, self.selection.filter, rows);
        later(query, self.after);
    }
}
