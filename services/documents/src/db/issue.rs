//! Numbers and documents, in one transaction.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use rust_decimal::Decimal;
use sqlx::{PgConnection, PgPool};
use steelyard_domain::id::OrderId;
use steelyard_store::inbox::{self, Message, Seen};
use time::Date;
use uuid::Uuid;

use super::months;
use crate::kind::Kind;
use crate::model::{Document, Model};
use crate::shop::Shop;

/// An event, and the document that it asks for, without a number yet.
#[derive(Debug)]
pub struct Asked {
    /// The event as the inbox knows it.
    pub message: Message,
    /// The id that its document has or would have.
    pub document_id: Uuid,
    /// What is to be issued; nothing for an event that asks for none.
    pub document: Option<Document>,
}

/// What became of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Issued {
    /// Its document, if it asked for one, is there: now, or since an earlier delivery.
    Done,
    /// Another event took effect under this id.
    Conflict,
}

const INSERT: &str = "
    WITH models AS (INSERT INTO models (id, model) SELECT * FROM unnest($1::uuid[], $11::json[]))
    INSERT INTO documents (id, issued_on, kind, number, customer_id, order_id, currency, total, language, words)
    SELECT id, issued_on, kind, number, customer_id, order_id, currency, total, language, to_tsvector('simple', words)
    FROM unnest($1::uuid[], $2::date[], $3::text[], $4::text[], $5::text[], $6::uuid[], $7::text[], $8::numeric[],
                $9::text[], $10::text[])
         AS d (id, issued_on, kind, number, customer_id, order_id, currency, total, language, words)";

/// Locks the row of a kind and year until the commit.
const TAKE: &str = "
    INSERT INTO series (kind, year, last) SELECT $1, $2, $3
    ON CONFLICT (kind, year) DO UPDATE SET last = series.last + excluded.last
    RETURNING last";

/// Issues what is asked for, all or nothing, each event once; one answer per event.
///
/// # Errors
/// Those of Postgres; nothing is issued then, unless the connection broke during the commit itself: the
/// inbox tells when the event comes again.
pub async fn issue(pool: &PgPool, shop: &Shop, asked: &mut [Asked]) -> sqlx::Result<Vec<Issued>> {
    // On their own: a month that is made inside would lock the table while its numbers are waited for.
    let documents = asked.iter().filter_map(|asked| asked.document.as_ref());
    let months: BTreeSet<Date> = documents
        .map(|d| months::first_of_month(d.model.issued_on()))
        .collect();
    for month in months {
        months::make(pool, month).await?;
    }
    let mut transaction = pool.begin().await?;
    let messages: Vec<Message> = asked.iter().map(|asked| asked.message).collect();
    let seen = inbox::record(&mut transaction, &messages).await?;
    let mut fresh: Vec<&mut Document> = asked
        .iter_mut()
        .zip(&seen)
        .filter(|(_, seen)| **seen == Seen::New)
        .filter_map(|(asked, _)| asked.document.as_mut())
        .collect();
    number(&mut transaction, shop, &mut fresh).await?;
    insert(&mut transaction, &fresh).await?;
    transaction.commit().await?;
    let issued = seen.into_iter().map(|seen| match seen {
        Seen::New | Seen::Duplicate => Issued::Done,
        Seen::Conflict => Issued::Conflict,
    });
    Ok(issued.collect())
}

/// Takes numbers, and gives them in the order of the events. Every worker takes its kinds in the same order, so none
/// waits for another in a circle.
async fn number(
    connection: &mut PgConnection,
    shop: &Shop,
    fresh: &mut [&mut Document],
) -> sqlx::Result<()> {
    let mut wanted: BTreeMap<(Kind, i32), i64> = BTreeMap::new();
    for document in fresh.iter() {
        *wanted.entry(series(document)).or_default() += 1;
    }
    let mut next = BTreeMap::new();
    for (&(kind, year), &count) in &wanted {
        let last: i64 = sqlx::query_scalar(TAKE)
            .bind(kind.as_str())
            .bind(year)
            .bind(count)
            .fetch_one(&mut *connection)
            .await?;
        next.insert((kind, year), last - count + 1);
    }
    // A set may hold a credit note right behind its invoice, which had no number when the note was made.
    let mut invoices: HashMap<OrderId, String> = HashMap::new();
    for document in fresh {
        let (kind, year) = series(document);
        let Some(n) = next.get_mut(&(kind, year)) else {
            continue;
        };
        let number = shop.number(kind, year, *n);
        *n += 1;
        match kind {
            Kind::Invoice => {
                invoices.insert(document.order_id, number.clone());
            }
            Kind::CreditNote => {
                let invoice = invoices.get(&document.order_id);
                if !document.model.name_invoice(invoice) {
                    return Err(sqlx::Error::Encode(
                        "a credit note without its invoice".into(),
                    ));
                }
            }
            Kind::DeliveryNote => {}
        }
        document.model.set_number(number);
    }
    Ok(())
}

fn series(document: &Document) -> (Kind, i32) {
    (document.kind, document.model.issued_on().year())
}

async fn insert(connection: &mut PgConnection, fresh: &[&mut Document]) -> sqlx::Result<()> {
    if fresh.is_empty() {
        return Ok(());
    }
    let totals = fresh.iter().map(|document| match &document.model {
        Model::Invoice(invoice) => (Some(invoice.currency.code()), Some(invoice.totals.gross)),
        Model::DeliveryNote(_) => (None, None),
    });
    let (currencies, totals): (Vec<Option<&str>>, Vec<Option<Decimal>>) = totals.unzip();
    let models: Vec<String> = fresh
        .iter()
        .map(|document| serde_json::to_string(&document.model))
        .collect::<Result<_, _>>()
        .map_err(|error| sqlx::Error::Encode(error.into()))?;
    let all =
        |of: fn(&Document) -> String| -> Vec<String> { fresh.iter().map(|d| of(d)).collect() };
    sqlx::query(INSERT)
        .bind(fresh.iter().map(|d| d.id).collect::<Vec<_>>())
        .bind(
            fresh
                .iter()
                .map(|d| d.model.issued_on())
                .collect::<Vec<_>>(),
        )
        .bind(all(|d| d.kind.as_str().to_owned()))
        .bind(all(|d| d.model.number().to_owned()))
        .bind(all(|d| d.customer_id.as_str().to_owned()))
        .bind(fresh.iter().map(|d| d.order_id.0).collect::<Vec<_>>())
        .bind(currencies)
        .bind(totals)
        .bind(all(|d| d.language.clone()))
        .bind(all(|d| d.model.words()))
        .bind(models)
        .execute(connection)
        .await?;
    Ok(())
}
