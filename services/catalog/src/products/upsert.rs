//! Making and replacing products, one or many, with the stock bookings that come along.

use std::collections::{HashMap, HashSet};

use sqlx::types::Json;
use sqlx::{PgConnection, PgPool};
use steelyard_domain::product::{Price, ProductDraft, StockAdjustment};

use super::Level;
use crate::transaction::{Abort, Work, transact};

/// What came of one draft.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Saved {
    /// It is new; whether its stock was booked.
    Created { booked: bool },
    /// It changed.
    Updated { booked: bool },
    /// It was as the draft says.
    Unchanged { booked: bool },
    /// Its stock booking would leave less than orders hold: neither was done. Why, in words.
    Refused(String),
}

/// Saves `drafts`, which all have different SKUs, in one transaction; one answer per draft, in
/// their order.
pub(crate) async fn upsert(pool: &PgPool, drafts: &[ProductDraft]) -> Result<Vec<Saved>, Abort> {
    transact(pool, &Upsert { drafts }).await
}

struct Upsert<'a> {
    drafts: &'a [ProductDraft],
}

/// A booking that is to be made.
struct Booking<'a> {
    sku: &'a str,
    stock: &'a StockAdjustment,
}

impl Work for Upsert<'_> {
    type Output = Vec<Saved>;

    async fn attempt(&self, connection: &mut PgConnection) -> Result<Vec<Saved>, Abort> {
        let wanted: Vec<Booking<'_>> = self
            .drafts
            .iter()
            .filter_map(|draft| {
                Some(Booking {
                    sku: draft.sku.as_str(),
                    stock: draft.stock.as_ref()?,
                })
            })
            .collect();
        let levels = lock_levels(connection, &wanted).await?;
        let booked_before = booked_before(connection, &wanted).await?;

        let mut refused: HashMap<&str, String> = HashMap::new();
        let mut bookings: HashMap<&str, &StockAdjustment> = HashMap::new();
        for Booking { sku, stock } in wanted {
            if booked_before.contains(sku) {
                continue;
            }
            match levels
                .get(sku)
                .copied()
                .unwrap_or_default()
                .booked(stock.adjust)
            {
                Ok(_) => drop(bookings.insert(sku, stock)),
                Err(reason) => drop(refused.insert(sku, reason)),
            }
        }

        let mut accepted: Vec<&ProductDraft> = self.drafts.iter().collect();
        accepted.retain(|draft| !refused.contains_key(draft.sku.as_str()));
        accepted.sort_unstable_by_key(|draft| draft.sku.as_str());
        let written = write_products(connection, &accepted).await?;
        let created: Vec<&str> = accepted
            .iter()
            .map(|draft| draft.sku.as_str())
            .filter(|sku| written.get(*sku) == Some(&true))
            .collect();
        // Made by somebody else since the look above: its stock is not locked.
        let is_locked = |sku: &&str| levels.contains_key(*sku) || written.get(*sku) == Some(&true);
        if !bookings.keys().all(is_locked) {
            return Err(Abort::Raced);
        }
        write_stock(connection, &created, &bookings).await?;

        let saved = self.drafts.iter().map(|draft| {
            let sku = draft.sku.as_str();
            let booked = bookings.contains_key(sku);
            match (refused.get(sku), written.get(sku)) {
                (Some(reason), _) => Saved::Refused(reason.clone()),
                (None, Some(true)) => Saved::Created { booked },
                (None, Some(false)) => Saved::Updated { booked },
                (None, None) => Saved::Unchanged { booked },
            }
        });
        Ok(saved.collect())
    }
}

async fn lock_levels(
    connection: &mut PgConnection,
    bookings: &[Booking<'_>],
) -> Result<HashMap<String, Level>, sqlx::Error> {
    if bookings.is_empty() {
        return Ok(HashMap::new());
    }
    let skus: Vec<&str> = bookings.iter().map(|booking| booking.sku).collect();
    let rows: Vec<(String, i64, i64)> = sqlx::query_as(
        "SELECT sku, on_hand, reserved FROM stock WHERE sku = ANY($1)
         ORDER BY sku FOR NO KEY UPDATE",
    )
    .bind(skus)
    .fetch_all(connection)
    .await?;
    let level = |(sku, on_hand, reserved)| (sku, Level { on_hand, reserved });
    Ok(rows.into_iter().map(level).collect())
}

/// SKUs whose booking's reference stands in the ledger already.
async fn booked_before(
    connection: &mut PgConnection,
    bookings: &[Booking<'_>],
) -> Result<HashSet<String>, sqlx::Error> {
    if bookings.is_empty() {
        return Ok(HashSet::new());
    }
    let skus: Vec<&str> = bookings.iter().map(|booking| booking.sku).collect();
    let references: Vec<&str> = bookings
        .iter()
        .map(|b| b.stock.reference.as_str())
        .collect();
    let rows: Vec<String> = sqlx::query_scalar(
        "SELECT sku FROM stock_ledger
         JOIN unnest($1::text[], $2::text[]) AS wanted (sku, reference) USING (sku, reference)",
    )
    .bind(skus)
    .bind(references)
    .fetch_all(connection)
    .await?;
    Ok(rows.into_iter().collect())
}

/// Writes products and answers which were made (true) or changed (false); what was as it should be
/// is left out.
async fn write_products(
    connection: &mut PgConnection,
    drafts: &[&ProductDraft],
) -> Result<HashMap<String, bool>, sqlx::Error> {
    let column = |of: fn(&ProductDraft) -> &str| drafts.iter().map(|d| of(d)).collect::<Vec<_>>();
    let optional = |of: fn(&ProductDraft) -> Option<&str>| {
        drafts.iter().map(|draft| of(draft)).collect::<Vec<_>>()
    };
    let prices: Vec<Json<Vec<Price>>> = drafts.iter().map(|draft| Json(prices(draft))).collect();
    let rows: Vec<(String, bool)> = sqlx::query_as(
        "INSERT INTO products (sku, name, description, category, tax_category, status, prices)
         SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[],
                              $6::text[], $7::jsonb[])
         ON CONFLICT (sku) DO UPDATE
         SET name = excluded.name, description = excluded.description,
             category = excluded.category, tax_category = excluded.tax_category,
             status = excluded.status, prices = excluded.prices,
             version = products.version + 1, updated_at = now()
         WHERE (products.name, products.description, products.category, products.tax_category,
                products.status, products.prices)
               IS DISTINCT FROM
               (excluded.name, excluded.description, excluded.category, excluded.tax_category,
                excluded.status, excluded.prices)
         RETURNING sku, version = 1",
    )
    .bind(column(|draft| draft.sku.as_str()))
    .bind(column(|draft| &draft.name))
    .bind(optional(|draft| draft.description.as_deref()))
    .bind(optional(|draft| draft.category.as_deref()))
    .bind(column(|draft| &draft.tax_category))
    .bind(column(|draft| draft.status.as_str()))
    .bind(prices)
    .fetch_all(connection)
    .await?;
    Ok(rows.into_iter().collect())
}

/// Sorted, so that the same prices in another order are no change.
fn prices(draft: &ProductDraft) -> Vec<Price> {
    let mut prices = draft.prices.clone();
    prices.sort_unstable_by_key(|price| price.currency.code());
    prices
}

/// Gives new products their stock row and makes the bookings.
async fn write_stock(
    connection: &mut PgConnection,
    created: &[&str],
    bookings: &HashMap<&str, &StockAdjustment>,
) -> Result<(), sqlx::Error> {
    if !created.is_empty() {
        sqlx::query("INSERT INTO stock (sku) SELECT unnest($1::text[])")
            .bind(created)
            .execute(&mut *connection)
            .await?;
    }
    if bookings.is_empty() {
        return Ok(());
    }
    let skus: Vec<&str> = bookings.keys().copied().collect();
    let stock = || bookings.values();
    sqlx::query(
        "WITH booking AS (
             SELECT * FROM unnest($1::text[], $2::text[], $3::bigint[], $4::text[])
                           AS booking (sku, reference, adjust, reason)
         ), booked AS (
             INSERT INTO stock_ledger (sku, reference, adjust, reason) SELECT * FROM booking
         )
         UPDATE stock SET on_hand = on_hand + adjust FROM booking WHERE stock.sku = booking.sku",
    )
    .bind(skus)
    .bind(stock().map(|s| s.reference.as_str()).collect::<Vec<_>>())
    .bind(stock().map(|s| s.adjust).collect::<Vec<_>>())
    .bind(stock().map(|s| s.reason.as_deref()).collect::<Vec<_>>())
    .execute(connection)
    .await?;
    Ok(())
}
