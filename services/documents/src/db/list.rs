//! Lists and searches, newest first, a page as fast as any other.
//!
//! Ids sort by the time of issue, and partitions are ranges of ids, so a list is read span by span, the newest first, and
//! opens few partitions. Some indexes end in the id and have the order of the list. Those of words and amounts have not, and
//! how many documents match is not known before: so the newest documents are looked through first, which finds what many
//! match, and only then the index is asked ([decision 44](../../../../docs/decisions/0044-searches-begin-with-the-newest.md)).

use rust_decimal::Decimal;
use sqlx::{PgPool, Postgres, QueryBuilder};
use steelyard_domain::id::CustomerId;
use time::{Date, OffsetDateTime};
use uuid::Uuid;

use super::months::first_of_month;
use crate::kind::Kind;

/// How many of the newest documents a search looks through before it asks an index.
const NEWEST: u32 = 1_000;
/// The spans that a list is read in: so many whole months before the month of the newest document; then comes the rest.
const SPANS_MONTHS: &[u8] = &[1, 13];
/// Of few: whose documents they are does not come every month.
const SPANS_OF_FEW: &[u8] = &[13];
/// Of a search: what it finds of a year is put in order, so less than a year is tried before.
const SPANS_OF_SEARCH: &[u8] = &[1, 4, 13];
/// What is read of a document.
const COLUMNS: &str = "id, issued_on, kind, number, customer_id, order_id, currency, total, language, stored_at, \
                       content_type, size_bytes, pages, sha256, object_key, created_at, pack_id, \
                       readable_until, removed_at";

/// Which documents a list holds.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// This customer's.
    pub customer_id: Option<CustomerId>,
    /// Those with this number.
    pub number: Option<String>,
    /// Those of this kind.
    pub kind: Option<Kind>,
    /// Those of this order.
    pub order_id: Option<Uuid>,
    /// Those that bear this day or a later one.
    pub from: Option<Date>,
    /// Those that bear this day or an earlier one.
    pub to: Option<Date>,
    /// Those that come to so much.
    pub amount: Option<Amount>,
    /// Those with these words, as [`crate::words::query`] writes them.
    pub words: Option<String>,
}

/// A range of amounts, bounds included. It always has both: by one alone Postgres, which does not know the values when it
/// plans, would take a third of all for a match, and leave the index alone.
#[derive(Debug, Clone)]
pub struct Amount {
    /// In this currency.
    pub currency: String,
    /// At least.
    pub min: Decimal,
    /// At most.
    pub max: Decimal,
}

/// A document as lists know it.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct Listed {
    /// Its id.
    pub id: Uuid,
    /// The day that it bears.
    pub issued_on: Date,
    /// What it is.
    pub kind: String,
    /// The number that it bears.
    pub number: String,
    /// Whose it is.
    pub customer_id: String,
    /// Of which order.
    pub order_id: Option<Uuid>,
    /// Of `total`.
    pub currency: Option<String>,
    /// What it comes to.
    pub total: Option<Decimal>,
    /// BCP 47.
    pub language: Option<String>,
    /// Since when its file is there.
    pub stored_at: Option<OffsetDateTime>,
    /// What its file is.
    pub content_type: String,
    /// Of the file.
    pub size_bytes: Option<i64>,
    /// Of the file.
    pub pages: Option<i32>,
    /// Of the file.
    pub sha256: Option<Vec<u8>>,
    /// Where the file lies.
    pub object_key: Option<String>,
    /// When it came here.
    pub created_at: OffsetDateTime,
    /// The pack that it is archived in.
    pub pack_id: Option<Uuid>,
    /// Until when the file of an archived one can be read.
    pub readable_until: Option<OffsetDateTime>,
    /// When its retention time was over.
    pub removed_at: Option<OffsetDateTime>,
}

/// One document; with a customer, only if it is theirs.
///
/// # Errors
/// Those of Postgres.
pub async fn get(
    pool: &PgPool,
    id: Uuid,
    customer: Option<&CustomerId>,
) -> sqlx::Result<Option<Listed>> {
    let mut query = QueryBuilder::<Postgres>::new("SELECT ");
    query.push(COLUMNS).push(" FROM documents WHERE id = ");
    query.push_bind(id);
    if let Some(customer) = customer {
        query
            .push(" AND customer_id = ")
            .push_bind(customer.as_str());
    }
    query.build_query_as().fetch_optional(pool).await
}

/// Up to `rows_max` documents, newest first, older than `before`.
///
/// # Errors
/// Those of Postgres.
pub async fn list(
    pool: &PgPool,
    filter: &Filter,
    before: Option<Uuid>,
    rows_max: u32,
) -> sqlx::Result<Vec<Listed>> {
    let ids = Ids::of(filter, before);
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    if filter.is_of_one() {
        return in_order(pool, filter, &ids, rows_max).await;
    }
    let is_of_few = filter.customer_id.is_some();
    let is_in_order = is_of_few || (filter.words.is_none() && filter.amount.is_none());
    let spans = if is_of_few {
        ids.spans(ids.latest(), SPANS_OF_FEW)
    } else if is_in_order {
        ids.spans(ids.latest(), SPANS_MONTHS)
    } else {
        // A shop may have been closed for a while: its newest are as good a sample as another's.
        match newest_of(pool, &ids).await? {
            Some(id) => ids.spans(day_of(id), SPANS_OF_SEARCH),
            None => return Ok(Vec::new()),
        }
    };
    if let (false, Some(newest)) = (is_in_order, spans.first()) {
        let found = of_the_newest(pool, filter, &newest.ids, rows_max).await?;
        if found.len() == rows_max as usize {
            return Ok(found);
        }
    }
    let mut found: Vec<Listed> = Vec::new();
    for span in &spans {
        found.extend(if is_in_order {
            in_order(pool, filter, &span.ids, rows_max).await?
        } else {
            by_an_index(pool, filter, span, rows_max).await?
        });
        if found.len() >= rows_max as usize {
            break;
        }
    }
    found.truncate(rows_max as usize);
    Ok(found)
}

impl Filter {
    /// Whether it names something that just a few documents have, whenever they were issued.
    const fn is_of_one(&self) -> bool {
        self.number.is_some() || self.order_id.is_some()
    }
}

/// A range of ids: at least, and below.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Ids {
    least: Option<Uuid>,
    below: Option<Uuid>,
}

impl Ids {
    fn of(filter: &Filter, before: Option<Uuid>) -> Self {
        // After the last day that there is nothing is later.
        let until = filter.to.and_then(Date::next_day).map(first_id);
        let below = match (until, before) {
            (Some(until), Some(before)) => Some(until.min(before)),
            (one, other) => one.or(other),
        };
        Self {
            least: filter.from.map(first_id),
            below,
        }
    }

    fn is_empty(&self) -> bool {
        matches!((self.least, self.below), (Some(least), Some(below)) if least >= below)
    }

    /// The last day that a document of it can be of.
    fn latest(&self) -> Date {
        match self.below {
            Some(below) => day_of(below),
            None => OffsetDateTime::now_utc().date(),
        }
    }

    /// Back from the month of the `newest`, without gaps. Of the last the lower bound is the whole's.
    fn spans(self, newest: Date, months: &[u8]) -> Vec<Span> {
        let (mut spans, mut below) = (Vec::new(), self.below);
        for &months in months {
            let least = months_before(newest, months).map(first_id);
            let Some(least) = least.filter(|least| below.is_none_or(|below| *least < below)) else {
                break;
            };
            if self.least.is_some_and(|whole| whole >= least) {
                break;
            }
            let ids = Self {
                least: Some(least),
                below,
            };
            spans.push(Span {
                ids,
                is_short: true,
            });
            below = Some(least);
        }
        let ids = Self {
            least: self.least,
            below,
        };
        let is_short = spans.len() < months.len() && self.least.is_some();
        spans.push(Span { ids, is_short });
        spans
    }

    /// Whether it is of whole months, as partitions are.
    fn is_of_months(&self) -> bool {
        let mut bounds = self.least.iter().chain(&self.below);
        bounds.all(|id| day_of(*id).day() == 1 && first_id(day_of(*id)) == *id)
    }
}

/// A part of a range.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Span {
    ids: Ids,
    /// Whether it is of few months.
    is_short: bool,
}

/// The first day of the month that is so many before a date's.
fn months_before(date: Date, months: u8) -> Option<Date> {
    let mut first = first_of_month(date);
    for _ in 0..months {
        first = first_of_month(first.previous_day()?);
    }
    Some(first)
}

/// The least id of a day: what the schema's `first_id` says.
fn first_id(day: Date) -> Uuid {
    let millis = day.midnight().assume_utc().unix_timestamp() * 1_000;
    // Days before 1970 have no ids.
    let millis = u64::try_from(millis).unwrap_or(0);
    Uuid::from_u128(u128::from(millis) << 80)
}

/// The day of an id.
fn day_of(id: Uuid) -> Date {
    let millis = id.as_u128() >> 80;
    let seconds = i64::try_from(millis / 1_000).unwrap_or(i64::MAX);
    OffsetDateTime::from_unix_timestamp(seconds).map_or(Date::MAX, OffsetDateTime::date)
}

fn within(query: &mut QueryBuilder<Postgres>, ids: &Ids) {
    if let Some(least) = ids.least {
        query.push(" AND id >= ").push_bind(least);
    }
    if let Some(below) = ids.below {
        query.push(" AND id < ").push_bind(below);
    }
}

/// Only the conditions that apply, so that each combination has a plan of its own.
fn matching(query: &mut QueryBuilder<Postgres>, filter: &Filter) {
    if let Some(customer) = &filter.customer_id {
        query
            .push(" AND customer_id = ")
            .push_bind(customer.as_str());
    }
    if let Some(number) = &filter.number {
        query.push(" AND number = ").push_bind(number.as_str());
    }
    if let Some(kind) = filter.kind {
        // Written out, so that a plan that is kept is for a kind that many are, or few.
        query.push(format_args!(" AND kind = '{}'", kind.as_str()));
    }
    if let Some(order) = filter.order_id {
        query.push(" AND order_id = ").push_bind(order);
    }
    if let Some(amount) = &filter.amount {
        query
            .push(" AND currency = ")
            .push_bind(amount.currency.as_str());
        query.push(" AND total >= ").push_bind(amount.min);
        query.push(" AND total <= ").push_bind(amount.max);
    }
    if let Some(words) = &filter.words {
        query.push(" AND words @@ to_tsquery('simple', ");
        query.push_bind(words.as_str()).push(")");
    }
}

/// The limit is written out: a plan for any limit would be one for a tenth of the table.
fn newest_first(query: &mut QueryBuilder<Postgres>, rows_max: u32) {
    query.push(" ORDER BY id DESC LIMIT ").push(rows_max);
}

/// The newest document of a range, whether it matches or not. Most often it is of these days, and few months are opened.
async fn newest_of(pool: &PgPool, ids: &Ids) -> sqlx::Result<Option<Uuid>> {
    let spans = ids.spans(ids.latest(), SPANS_MONTHS);
    for span in spans {
        let mut query = QueryBuilder::<Postgres>::new("SELECT id FROM documents WHERE true");
        within(&mut query, &span.ids);
        newest_first(&mut query, 1);
        let newest = query.build_query_scalar().fetch_optional(pool).await?;
        if newest.is_some() {
            return Ok(newest);
        }
    }
    Ok(None)
}

/// Those that match, in the order of an index.
async fn in_order(
    pool: &PgPool,
    filter: &Filter,
    ids: &Ids,
    rows_max: u32,
) -> sqlx::Result<Vec<Listed>> {
    let mut query = QueryBuilder::<Postgres>::new("SELECT ");
    query.push(COLUMNS).push(" FROM documents WHERE true");
    within(&mut query, ids);
    matching(&mut query, filter);
    newest_first(&mut query, rows_max);
    query.build_query_as().fetch_all(pool).await
}

/// Those that match of the newest: a page, when many do.
async fn of_the_newest(
    pool: &PgPool,
    filter: &Filter,
    ids: &Ids,
    rows_max: u32,
) -> sqlx::Result<Vec<Listed>> {
    let mut query = QueryBuilder::<Postgres>::new("SELECT ");
    query.push(COLUMNS).push(" FROM (SELECT ");
    query
        .push(COLUMNS)
        .push(", words FROM documents WHERE true");
    within(&mut query, ids);
    newest_first(&mut query, NEWEST);
    query.push(") newest WHERE true");
    matching(&mut query, filter);
    newest_first(&mut query, rows_max);
    query.build_query_as().fetch_all(pool).await
}

/// All that match in a span are found by their index, and then sorted: few do, or the newest would have been enough.
async fn by_an_index(
    pool: &PgPool,
    filter: &Filter,
    span: &Span,
    rows_max: u32,
) -> sqlx::Result<Vec<Listed>> {
    let mut query = QueryBuilder::<Postgres>::new("WITH found AS MATERIALIZED (SELECT ");
    query.push(COLUMNS).push(" FROM documents WHERE true");
    let is_of_months = span.ids.is_of_months();
    if is_of_months || span.is_short {
        // Written out, so that the plan is made for these months only, and does not take the bounds, which it could not
        // weigh, for the narrowest condition.
        for (bound, id) in [(">=", span.ids.least), ("<", span.ids.below)] {
            if let Some(id) = id {
                query.push(format_args!(" AND id {bound} '{id}'"));
            }
        }
    }
    matching(&mut query, filter);
    query.push(") SELECT * FROM found WHERE true");
    if !is_of_months && !span.is_short {
        within(&mut query, &span.ids);
    }
    newest_first(&mut query, rows_max);
    // A plan for whole months is good for a month; one that begins at some document is not worth keeping.
    let is_kept = is_of_months || !span.is_short;
    let query = query.build_query_as().persistent(is_kept);
    query.fetch_all(pool).await
}

#[cfg(test)]
mod tests {
    use time::macros::date;
    use uuid::Uuid;

    use super::{Filter, Ids, SPANS_OF_SEARCH, day_of, first_id, months_before};

    #[test]
    fn a_day_and_its_least_id_tell_each_other() {
        let day = date!(2026 - 12 - 01);
        // What `first_id` of the schema makes of the day.
        let id = "01a22ee6-b000-0000-0000-000000000000";
        assert_eq!(first_id(day).to_string(), id);
        assert_eq!(day_of(first_id(day)), day);
        assert_eq!(first_id(date!(1969 - 01 - 01)), Uuid::nil());
        assert_eq!(day_of(Uuid::max()), date!(9999 - 12 - 31));
    }

    #[test]
    fn spans_follow_each_other_without_gaps_from_the_newest_to_the_oldest() {
        let filters = [
            (None, None),
            (Some(date!(2026 - 11 - 20)), Some(date!(2026 - 11 - 24))),
            (Some(date!(2026 - 03 - 01)), Some(date!(2026 - 11 - 24))),
            (Some(date!(2020 - 01 - 01)), None),
            (None, Some(date!(1970 - 01 - 02))),
            (None, Some(date!(9999 - 12 - 31))),
        ];
        for (from, to) in filters {
            for before in [None, Some(first_id(date!(2026 - 11 - 22)))] {
                let filter = Filter {
                    from,
                    to,
                    ..Filter::default()
                };
                let whole = Ids::of(&filter, before);
                let spans = whole.spans(whole.latest(), SPANS_OF_SEARCH);
                assert_eq!(spans.first().map(|span| span.ids.below), Some(whole.below));
                assert_eq!(spans.last().map(|span| span.ids.least), Some(whole.least));
                for pair in spans.windows(2) {
                    assert_eq!(pair[0].ids.least, pair[1].ids.below);
                    assert!(pair[0].is_short);
                    assert!(pair[1].ids.below.is_some_and(|id| day_of(id).day() == 1));
                }
                assert!(spans.iter().all(|span| !span.ids.is_empty()), "{spans:?}");
            }
        }
    }

    #[test]
    fn a_span_begins_with_a_month() {
        let newest = date!(2026 - 01 - 31);
        assert_eq!(months_before(newest, 1), Some(date!(2025 - 12 - 01)));
        assert_eq!(months_before(newest, 13), Some(date!(2024 - 12 - 01)));
        let whole = Ids::of(&Filter::default(), None);
        let spans = whole.spans(newest, SPANS_OF_SEARCH);
        assert!(spans.iter().all(|span| span.ids.is_of_months()));
        let cursor = first_id(newest);
        let spans = Ids::of(&Filter::default(), Some(cursor)).spans(newest, SPANS_OF_SEARCH);
        let are_of_months: Vec<bool> = spans.iter().map(|span| span.ids.is_of_months()).collect();
        assert_eq!(are_of_months, [false, true, true, true]);
    }

    #[test]
    fn a_period_that_ends_before_it_begins_holds_nothing() {
        let filter = Filter {
            from: Some(date!(2026 - 11 - 25)),
            to: Some(date!(2026 - 11 - 24)),
            ..Filter::default()
        };
        assert!(Ids::of(&filter, None).is_empty());
    }
}
