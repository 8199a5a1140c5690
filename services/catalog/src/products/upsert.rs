//! Making and replacing products, one or many, with the stock bookings that come along.

use std::collections::{HashMap, HashSet};

use sqlx::{PgConnection, PgPool};
use steelyard_domain::fault::Fault;
use steelyard_domain::product::{Language, ProductDraft, StockAdjustment};
use time::OffsetDateTime;

use super::level::{Level, became_low, lock_levels, stock_fault};
use super::{family, index, write};
use crate::author::Author;
use crate::events::Events;
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
    /// It cannot be, or its stock booking cannot: neither was done.
    Refused(Fault),
    /// It is not as the condition asks: nothing was done. The version that it has, if it is there.
    Unmet(Option<i64>),
}

/// What must hold of a product for it to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Condition {
    /// Nothing.
    None,
    /// It is not there yet.
    Absent,
    /// It is there.
    Present,
    /// It has one of these versions.
    Versions(Vec<i64>),
}

impl Condition {
    pub(crate) fn is_met(&self, version: Option<i64>) -> bool {
        match self {
            Self::None => true,
            Self::Absent => version.is_none(),
            Self::Present => version.is_some(),
            Self::Versions(versions) => version.is_some_and(|known| versions.contains(&known)),
        }
    }
}

/// What a change needs beside what is changed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pen<'a> {
    /// Who asks for it.
    pub(crate) author: &'a Author,
    /// The shop's own language.
    pub(crate) language: &'a Language,
    /// Who is told of it.
    pub(crate) events: &'a Events,
}

/// Saves one product, if the condition is met.
pub(crate) async fn save(
    pool: &PgPool,
    pen: Pen<'_>,
    draft: ProductDraft,
    condition: &Condition,
) -> Result<Saved, Abort> {
    let drafts = &[draft];
    let work = Upsert::new(pen, drafts, condition);
    let saved = transact(pool, &work).await?.into_iter().next();
    pen.events.wake();
    saved.ok_or_else(|| sqlx::Error::RowNotFound.into())
}

/// Saves `drafts`, which all have different SKUs, in the caller's transaction; one answer per draft, in
/// their order.
pub(crate) async fn upsert(
    connection: &mut PgConnection,
    pen: Pen<'_>,
    drafts: &[ProductDraft],
) -> Result<Vec<Saved>, Abort> {
    let work = Upsert::new(pen, drafts, &Condition::None);
    work.attempt(connection).await
}

struct Upsert<'a> {
    author: &'a Author,
    language: &'a Language,
    events: &'a Events,
    drafts: &'a [ProductDraft],
    condition: &'a Condition,
}

impl<'a> Upsert<'a> {
    const fn new(pen: Pen<'a>, drafts: &'a [ProductDraft], condition: &'a Condition) -> Self {
        let Pen {
            author,
            language,
            events,
        } = pen;
        Self {
            author,
            language,
            events,
            drafts,
            condition,
        }
    }
}

/// A booking that is to be made.
pub(super) struct Booking<'a> {
    pub(super) stock: &'a StockAdjustment,
    /// What could be ordered before.
    before: i64,
    /// What is there afterwards.
    pub(super) level: Level,
}

/// What is known of a product that is to be written, or that has variants.
#[derive(Debug, Clone)]
pub(super) struct Known {
    pub(super) version: i64,
    pub(super) variant_of: Option<String>,
}

impl Work for Upsert<'_> {
    type Output = Vec<Saved>;

    async fn attempt(&self, connection: &mut PgConnection) -> Result<Vec<Saved>, Abort> {
        let stocked = self.drafts.iter().filter(|draft| draft.stock.is_some());
        let stocked: Vec<&str> = stocked.map(|draft| draft.sku.as_str()).collect();
        let mut levels = lock_levels(connection, &stocked).await?;
        let locked: HashSet<String> = levels.keys().cloned().collect();
        let known = lock_products(connection, self.drafts).await?;
        if let [draft] = self.drafts {
            let version = known.get(draft.sku.as_str()).map(|known| known.version);
            if !self.condition.is_met(version) {
                return Ok(vec![Saved::Unmet(version)]);
            }
        }
        let booked_before = booked_before(connection, self.drafts).await?;
        let mut refused: HashMap<&str, Fault> = HashMap::new();
        let mut bookings: HashMap<&str, Booking<'_>> = HashMap::new();
        for draft in self.drafts {
            let sku = draft.sku.as_str();
            let Some(stock) = &draft.stock else { continue };
            if booked_before.contains(sku) {
                continue;
            }
            let level = levels.remove(sku).unwrap_or_default();
            let before = level.available();
            match level.booked(stock) {
                Ok(level) => {
                    let booking = Booking {
                        stock,
                        before,
                        level,
                    };
                    bookings.insert(sku, booking);
                }
                Err(invalid) => drop(refused.insert(sku, stock_fault("/stock", invalid))),
            }
        }
        family::check(connection, self.drafts, &known, &mut refused).await?;
        bookings.retain(|sku, _| !refused.contains_key(sku));

        let mut accepted: Vec<&ProductDraft> = self.drafts.iter().collect();
        accepted.retain(|draft| !refused.contains_key(draft.sku.as_str()));
        accepted.sort_unstable_by_key(|draft| draft.sku.as_str());
        write::categories(connection, self.author, &accepted).await?;
        let now = OffsetDateTime::now_utc();
        let written = write::products(connection, self.author, &accepted, now).await?;
        let is_new = |sku: &str| written.get(sku) == Some(&1);
        let skus = accepted.iter().map(|draft| draft.sku.as_str());
        let created: Vec<&str> = skus.filter(|sku| is_new(sku)).collect();
        // Made by somebody else since the look above: neither it nor its stock is locked.
        let is_locked = |sku: &String| known.contains_key(sku) || is_new(sku);
        let stock_is_locked = |sku: &&str| locked.contains(*sku) || is_new(sku);
        if !written.keys().all(is_locked) || !bookings.keys().all(stock_is_locked) {
            return Err(Abort::Raced);
        }
        write::stock(connection, self.author, &created, &bookings).await?;
        accepted.retain(|draft| written.contains_key(draft.sku.as_str()));
        let before = accepted
            .iter()
            .filter_map(|draft| known.get(draft.sku.as_str()));
        let left: Vec<&str> = before
            .filter_map(|known| known.variant_of.as_deref())
            .collect();
        index::write(connection, self.language, &accepted, &left).await?;
        self.events.changed(connection, &written).await?;
        let low = low(self.drafts, &bookings);
        self.events.low(connection, &low).await?;

        let saved = self.drafts.iter().map(|draft| {
            let sku = draft.sku.as_str();
            let booked = bookings.contains_key(sku);
            match (refused.remove(sku), written.get(sku)) {
                (Some(fault), _) => Saved::Refused(fault),
                (None, Some(1)) => Saved::Created { booked },
                (None, Some(_)) => Saved::Updated { booked },
                (None, None) => Saved::Unchanged { booked },
            }
        });
        Ok(saved.collect())
    }
}

/// Of the bookings that left as little as their draft wants to be told of: what is left.
fn low<'d>(
    drafts: &'d [ProductDraft],
    bookings: &HashMap<&str, Booking<'_>>,
) -> Vec<(&'d str, i64)> {
    let booked = drafts.iter().filter_map(|draft| {
        let Booking { before, level, .. } = bookings.get(draft.sku.as_str())?;
        let available = level.available();
        let is_low = became_low(draft.low_at, *before, available);
        is_low.then_some((draft.sku.as_str(), available))
    });
    booked.collect()
}

/// What is known of the drafts' products and of those that they are variants of, their rows locked
/// in one order: so no two calls give a product two variants alike.
async fn lock_products(
    connection: &mut PgConnection,
    drafts: &[ProductDraft],
) -> Result<HashMap<String, Known>, sqlx::Error> {
    let own = drafts.iter().map(|draft| draft.sku.as_str());
    let variants = drafts.iter().filter_map(|draft| draft.variant.as_ref());
    let skus: Vec<&str> = own
        .chain(variants.map(|variant| variant.of.as_str()))
        .collect();
    let rows: Vec<(String, i64, Option<String>)> = sqlx::query_as(
        "SELECT sku, version, variant_of FROM products WHERE sku = ANY($1)
         ORDER BY sku FOR NO KEY UPDATE",
    )
    .bind(skus)
    .fetch_all(connection)
    .await?;
    let known = |(sku, version, variant_of)| {
        let known = Known {
            version,
            variant_of,
        };
        (sku, known)
    };
    Ok(rows.into_iter().map(known).collect())
}

/// SKUs whose booking's reference stands in the ledger already.
async fn booked_before(
    connection: &mut PgConnection,
    drafts: &[ProductDraft],
) -> Result<HashSet<String>, sqlx::Error> {
    let stocked = drafts
        .iter()
        .filter_map(|draft| Some((draft.sku.as_str(), draft.stock.as_ref()?)));
    let (skus, references): (Vec<&str>, Vec<&str>) = stocked
        .map(|(sku, stock)| (sku, stock.reference.as_str()))
        .unzip();
    if skus.is_empty() {
        return Ok(HashSet::new());
    }
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
