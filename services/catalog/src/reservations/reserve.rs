//! `POST /internal/reservations`: many orders in one transaction with a fixed number of statements.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use sqlx::types::Json;
use sqlx::{PgConnection, PgPool, Row as _};
use steelyard_domain::internal::{PricedLine, ReserveOrder, ReserveResult};
use steelyard_domain::product::{Price, ProductStatus};
use time::OffsetDateTime;
use uuid::Uuid;

use super::decide::{Granted, Item, Refused, Shelf, decide};
use super::{Units, add, columns};
use crate::events::Events;
use crate::transaction::{Abort, Work, transact};

/// Prices and reserves; one result per order, in their order.
///
/// An order that holds stock already (or did, before it was shipped) is answered as it was then;
/// one that was released stays released. A rejection is not remembered: the same order may be
/// granted when it comes again.
pub(super) async fn reserve(
    pool: &PgPool,
    events: &Events,
    orders: &[ReserveOrder],
) -> Result<Vec<ReserveResult>, Abort> {
    let results = transact(pool, &Reserve { events, orders }).await?;
    events.wake();
    Ok(results)
}

struct Reserve<'a> {
    events: &'a Events,
    orders: &'a [ReserveOrder],
}

impl Work for Reserve<'_> {
    type Output = Vec<ReserveResult>;

    async fn attempt(&self, connection: &mut PgConnection) -> Result<Self::Output, Abort> {
        let mut results = known(connection, self.orders).await?;
        let fresh = fresh(self.orders, &results);
        let mut shelf = look(connection, &fresh, LOCK).await?;
        let granted = serve(&fresh, &mut shelf, &mut results);
        hold(connection, &granted).await?;
        let low = shelf.iter().filter(|(_, item)| item.became_low());
        let low: Vec<(&str, i64)> = low
            .map(|(sku, item)| (sku.as_str(), item.available))
            .collect();
        self.events.low(connection, &low).await?;
        Ok(answer(self.orders, granted, results))
    }
}

/// What [`reserve`] would answer now, read without locks and without a trace: another call may be faster.
pub(crate) async fn quote(
    pool: &PgPool,
    orders: &[ReserveOrder],
) -> Result<Vec<ReserveResult>, Abort> {
    let mut connection = pool.acquire().await?;
    let mut results = known(&mut connection, orders).await?;
    let fresh = fresh(orders, &results);
    let mut shelf = look(&mut connection, &fresh, LOOK).await?;
    let granted = serve(&fresh, &mut shelf, &mut results);
    Ok(answer(orders, granted, results))
}

/// Orders that were not answered before.
fn fresh<'a>(
    orders: &'a [ReserveOrder],
    results: &HashMap<Uuid, ReserveResult>,
) -> Vec<&'a ReserveOrder> {
    let is_new = |order: &&ReserveOrder| !results.contains_key(&order.order_id.0);
    orders.iter().filter(is_new).collect()
}

/// Serves the orders one after the other from the shelf; refusals go to the results.
fn serve(
    fresh: &[&ReserveOrder],
    shelf: &mut Shelf,
    results: &mut HashMap<Uuid, ReserveResult>,
) -> BTreeMap<Uuid, Granted> {
    let mut granted: BTreeMap<Uuid, Granted> = BTreeMap::new();
    let now = OffsetDateTime::now_utc();
    for order in fresh {
        let id = order.order_id.0;
        // An id that stands in the call twice is granted once.
        if granted.contains_key(&id) {
            continue;
        }
        match decide(order, shelf, now) {
            Ok(order) => drop(granted.insert(id, order)),
            Err(Refused {
                reason,
                line,
                detail,
            }) => {
                let rejected = ReserveResult::Rejected {
                    reason,
                    line,
                    detail,
                };
                results.insert(id, rejected);
            }
        }
    }
    granted
}

/// One result per order, in their order.
fn answer(
    orders: &[ReserveOrder],
    granted: BTreeMap<Uuid, Granted>,
    mut results: HashMap<Uuid, ReserveResult>,
) -> Vec<ReserveResult> {
    for (id, Granted { lines, .. }) in granted {
        results.insert(id, ReserveResult::Reserved(lines));
    }
    let answers = orders
        .iter()
        .map(|order| results[&order.order_id.0].clone());
    answers.collect()
}

/// Answers that were given before.
async fn known(
    connection: &mut PgConnection,
    orders: &[ReserveOrder],
) -> Result<HashMap<Uuid, ReserveResult>, sqlx::Error> {
    let ids: Vec<Uuid> = orders.iter().map(|order| order.order_id.0).collect();
    let rows =
        sqlx::query("SELECT order_id, state, lines FROM reservations WHERE order_id = ANY($1)")
            .bind(ids)
            .fetch_all(connection)
            .await?;
    let result = |row: sqlx::postgres::PgRow| {
        let released = row.try_get::<&str, _>("state")? == "released";
        let lines: Option<Json<Vec<PricedLine>>> = row.try_get("lines")?;
        let result = match lines {
            Some(Json(lines)) if !released => ReserveResult::Reserved(lines),
            _ => ReserveResult::Released,
        };
        Ok((row.try_get("order_id")?, result))
    };
    rows.into_iter().map(result).collect()
}

/// The goods of some SKUs.
const LOOK: &str = "
    SELECT stock.sku, on_hand - reserved AS available, name, status, tax_category, prices, low_at
    FROM stock JOIN products ON products.sku = stock.sku
    WHERE stock.sku = ANY($1)";

/// The same, their stock locked in one order.
const LOCK: &str = "
    SELECT stock.sku, on_hand - reserved AS available, name, status, tax_category, prices, low_at
    FROM stock JOIN products ON products.sku = stock.sku
    WHERE stock.sku = ANY($1)
    ORDER BY stock.sku
    FOR NO KEY UPDATE OF stock";

/// The stock that the orders need, by SKU, with the products, by [`LOOK`] or [`LOCK`].
async fn look(
    connection: &mut PgConnection,
    orders: &[&ReserveOrder],
    sql: &'static str,
) -> Result<Shelf, sqlx::Error> {
    let lines = orders.iter().flat_map(|order| &order.lines);
    let skus: BTreeSet<&str> = lines.map(|line| line.sku.as_str()).collect();
    if skus.is_empty() {
        return Ok(Shelf::new());
    }
    let rows = sqlx::query(sql)
        .bind(Vec::from_iter(skus))
        .fetch_all(connection)
        .await?;
    let item = |row: sqlx::postgres::PgRow| {
        let status = ProductStatus::from_word(row.try_get("status")?);
        let Json(prices): Json<Vec<Price>> = row.try_get("prices")?;
        let item = Item {
            name: row.try_get("name")?,
            status: status.ok_or_else(|| sqlx::Error::Decode("not a product's status".into()))?,
            tax_category: row.try_get("tax_category")?,
            prices,
            available: row.try_get("available")?,
            before: row.try_get("available")?,
            low_at: row.try_get("low_at")?,
        };
        Ok((row.try_get("sku")?, item))
    };
    rows.into_iter().map(item).collect()
}

/// Writes what was granted. Another call that wrote one of these orders meanwhile makes this one
/// void: it looks again and finds that answer.
async fn hold(
    connection: &mut PgConnection,
    granted: &BTreeMap<Uuid, Granted>,
) -> Result<(), Abort> {
    if granted.is_empty() {
        return Ok(());
    }
    let mut sum = Units::new();
    granted
        .values()
        .for_each(|order| add(&mut sum, &order.units));
    let (skus, units) = columns(&sum);
    let ids: Vec<Uuid> = granted.keys().copied().collect();
    let units_of: Vec<_> = granted.values().map(|order| Json(&order.units)).collect();
    let lines_of = granted
        .values()
        .map(|order| serde_json::to_string(&order.lines));
    let lines_of: Vec<String> = lines_of
        .collect::<Result<_, _>>()
        .map_err(|error| sqlx::Error::Encode(error.into()))?;
    let written: i64 = sqlx::query_scalar(
        "WITH held AS (
             INSERT INTO reservations (order_id, state, units, lines)
             SELECT id, 'held', units, lines::json
             FROM unnest($1::uuid[], $2::jsonb[], $3::text[]) AS held (id, units, lines)
             ON CONFLICT (order_id) DO NOTHING
             RETURNING order_id
         ), taken AS (
             UPDATE stock SET reserved = reserved + taken.units
             FROM unnest($4::text[], $5::bigint[]) AS taken (sku, units)
             WHERE stock.sku = taken.sku
         )
         SELECT count(*) FROM held",
    )
    .bind(ids)
    .bind(units_of)
    .bind(lines_of)
    .bind(skus)
    .bind(units)
    .fetch_one(connection)
    .await?;
    if usize::try_from(written) == Ok(granted.len()) {
        Ok(())
    } else {
        Err(Abort::Raced)
    }
}
