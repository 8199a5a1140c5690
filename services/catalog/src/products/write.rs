//! The statements that write products; each takes a whole set.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use sqlx::PgConnection;
use sqlx::types::Json;
use steelyard_domain::product::{LOCATION_DEFAULT, Price, ProductDraft, StockAdjustment};
use time::{OffsetDateTime, UtcOffset};

use super::index::labels;
use super::upsert::Booking;
use crate::author::Author;

/// Makes the categories that the drafts name and that are not there.
pub(super) async fn categories(
    connection: &mut PgConnection,
    author: &Author,
    drafts: &[&ProductDraft],
) -> Result<(), sqlx::Error> {
    let named: BTreeSet<&str> = drafts
        .iter()
        .filter_map(|draft| draft.category.as_deref())
        .collect();
    if named.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "INSERT INTO categories (code, name, created_by)
         SELECT code, code, $2 FROM unnest($1::text[]) AS named (code)
         ON CONFLICT (code) DO NOTHING",
    )
    .bind(Vec::from_iter(named))
    .bind(author.name())
    .execute(connection)
    .await?;
    Ok(())
}

/// Writes products and answers the versions that they have now; what was as it should be is left out. What was changed
/// goes to the audit as it was before.
pub(super) async fn products<'d>(
    connection: &mut PgConnection,
    author: &Author,
    drafts: &[&'d ProductDraft],
    now: OffsetDateTime,
) -> Result<HashMap<String, i64>, sqlx::Error> {
    let column = |of: fn(&ProductDraft) -> &str| drafts.iter().map(|d| of(d)).collect::<Vec<_>>();
    let optional = |of: fn(&ProductDraft) -> Option<&str>| {
        drafts.iter().map(|draft| of(draft)).collect::<Vec<_>>()
    };
    let prices: Vec<Json<Vec<Price>>> = drafts.iter().map(|draft| Json(prices(draft))).collect();
    let translations: Vec<_> = drafts
        .iter()
        .map(|draft| Json(&draft.translations))
        .collect();
    let attributes: Vec<_> = drafts.iter().map(|draft| Json(&draft.attributes)).collect();
    let none = BTreeMap::new();
    let options_of = |draft: &'d ProductDraft| draft.variant.as_ref().map(|v| &v.options);
    let options: Vec<_> = drafts
        .iter()
        .map(|draft| Json(options_of(draft).unwrap_or(&none)))
        .collect();
    let indexed = drafts.iter().map(|draft| {
        let (labels, due_at) = labels(&draft.prices, &draft.attributes, options_of(draft), now);
        (Json(labels), due_at)
    });
    let (labels, due_at): (Vec<_>, Vec<_>) = indexed.unzip();
    let rows: Vec<(String, i64)> = sqlx::query_as(
        "WITH given AS (
             SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[],
                                  $6::text[], $7::jsonb[], $8::jsonb[], $9::jsonb[], $10::text[],
                                  $11::jsonb[], $12::bigint[], $13::jsonb[], $14::timestamptz[])
                           AS given (sku, name, description, category, tax_category, status, prices,
                                     translations, attributes, variant_of, options, low_at, labels,
                                     due_at)
         ), before AS (
             SELECT products.* FROM products JOIN given ON products.sku = given.sku
         ), written AS (
             INSERT INTO products (sku, name, description, category, tax_category, status, prices,
                                   translations, attributes, variant_of, options, low_at, labels,
                                   facets, due_at, indexed_version, created_by)
             SELECT sku, name, description, category, tax_category, status, prices, translations,
                    attributes, variant_of, options, low_at,
                    ARRAY(SELECT jsonb_array_elements_text(labels)),
                    ARRAY(SELECT jsonb_array_elements_text(labels)), due_at, 1, $15
             FROM given
             ON CONFLICT (sku) DO UPDATE
             SET name = excluded.name, description = excluded.description,
                 category = excluded.category, tax_category = excluded.tax_category,
                 status = excluded.status, prices = excluded.prices,
                 translations = excluded.translations, attributes = excluded.attributes,
                 variant_of = excluded.variant_of, options = excluded.options,
                 low_at = excluded.low_at, labels = excluded.labels, facets = excluded.facets,
                 due_at = excluded.due_at, version = products.version + 1,
                 indexed_version = products.version + 1, updated_at = now()
             WHERE (products.name, products.description, products.category, products.tax_category,
                    products.status, products.prices, products.translations, products.attributes,
                    products.variant_of, products.options, products.low_at)
                   IS DISTINCT FROM
                   (excluded.name, excluded.description, excluded.category, excluded.tax_category,
                    excluded.status, excluded.prices, excluded.translations, excluded.attributes,
                    excluded.variant_of, excluded.options, excluded.low_at)
             RETURNING sku, version
         ), kept AS (
             INSERT INTO changes (kind, subject, version, by, before)
             SELECT 'product', written.sku, written.version, $15,
                    to_jsonb(before) - '{labels,facets,due_at,indexed_version}'::text[]
             FROM written JOIN before ON before.sku = written.sku
         )
         SELECT sku, version FROM written",
    )
    .bind(column(|draft| draft.sku.as_str()))
    .bind(column(|draft| &draft.name))
    .bind(optional(|draft| draft.description.as_deref()))
    .bind(optional(|draft| draft.category.as_deref()))
    .bind(column(|draft| &draft.tax_category))
    .bind(column(|draft| draft.status.as_str()))
    .bind(prices)
    .bind(translations)
    .bind(attributes)
    .bind(optional(|draft| {
        draft.variant.as_ref().map(|v| v.of.as_str())
    }))
    .bind(options)
    .bind(drafts.iter().map(|draft| draft.low_at).collect::<Vec<_>>())
    .bind(labels)
    .bind(due_at)
    .bind(author.name())
    .fetch_all(connection)
    .await?;
    Ok(rows.into_iter().collect())
}

/// Sorted and in UTC, so that the same prices in another order or zone are no change.
fn prices(draft: &ProductDraft) -> Vec<Price> {
    let mut prices = draft.prices.clone();
    for price in &mut prices {
        for moment in [&mut price.valid_from, &mut price.valid_until] {
            *moment = moment.map(|moment| moment.to_offset(UtcOffset::UTC));
        }
    }
    prices.sort_by(|a, b| {
        let key = |p: &Price| (p.currency.code(), p.valid_from, p.valid_until);
        key(a).cmp(&key(b)).then_with(|| a.list.cmp(&b.list))
    });
    prices
}

/// Gives new products their stock row and makes the bookings.
pub(super) async fn stock(
    connection: &mut PgConnection,
    author: &Author,
    created: &[&str],
    bookings: &HashMap<&str, Booking<'_>>,
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
    let of = |of: fn(&StockAdjustment) -> &str| {
        bookings
            .values()
            .map(|booking| of(booking.stock))
            .collect::<Vec<_>>()
    };
    let stock = || bookings.values().map(|booking| booking.stock);
    sqlx::query(
        "WITH booking AS (
             SELECT * FROM unnest($1::text[], $2::text[], $3::bigint[], $4::text[], $5::text[])
                           AS booking (sku, reference, adjust, reason, location)
         ), booked AS (
             INSERT INTO stock_ledger (sku, reference, adjust, reason, location, booked_by)
             SELECT *, $6 FROM booking
         )
         UPDATE stock SET on_hand = on_hand + adjust FROM booking WHERE stock.sku = booking.sku",
    )
    .bind(skus)
    .bind(of(|stock| &stock.reference))
    .bind(stock().map(|stock| stock.adjust).collect::<Vec<_>>())
    .bind(
        stock()
            .map(|stock| stock.reason.as_deref())
            .collect::<Vec<_>>(),
    )
    .bind(of(|stock| &stock.location))
    .bind(author.name())
    .execute(&mut *connection)
    .await?;
    elsewhere(connection, bookings).await
}

/// Writes the levels of places other than the main one, which has the rest.
async fn elsewhere(
    connection: &mut PgConnection,
    bookings: &HashMap<&str, Booking<'_>>,
) -> Result<(), sqlx::Error> {
    let away = |(sku, booking): (&&'_ str, &Booking<'_>)| {
        let location = booking.stock.location.clone();
        let is_away = location != LOCATION_DEFAULT;
        is_away.then(|| ((*sku).to_owned(), booking.level.at(&location), location))
    };
    let rows: Vec<(String, i64, String)> = bookings.iter().filter_map(away).collect();
    if rows.is_empty() {
        return Ok(());
    }
    let skus: Vec<&str> = rows.iter().map(|(sku, ..)| sku.as_str()).collect();
    let units: Vec<i64> = rows.iter().map(|(_, units, _)| *units).collect();
    let locations: Vec<&str> = rows
        .iter()
        .map(|(.., location)| location.as_str())
        .collect();
    sqlx::query(
        "INSERT INTO stock_at (sku, location, on_hand)
         SELECT * FROM unnest($1::text[], $2::text[], $3::bigint[])
         ON CONFLICT (sku, location) DO UPDATE SET on_hand = excluded.on_hand",
    )
    .bind(skus)
    .bind(locations)
    .bind(units)
    .execute(connection)
    .await?;
    Ok(())
}
