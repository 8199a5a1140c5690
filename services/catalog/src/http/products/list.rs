//! `GET /internal/products`.

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use percent_encoding::percent_decode_str;
use serde::Deserialize;
use steelyard_domain::fault::{Faults, Invalid};
use steelyard_domain::money::{Currency, UnitPrice};
use steelyard_domain::product::{CATEGORY_CHARS_MAX, Product, ProductPage};
use steelyard_domain::text;
use steelyard_runtime::http::{HttpError, Query};

use super::{App, Include, viewer};
use crate::failure::of_sql;
use crate::http::etag::tagged;
use crate::http::{invalid_query, limit_of, opened, sealed};
use crate::products::{self, Filter, Position, PriceFilter, Selection};
use crate::search::{self, Scope, Wanted};

/// The longest search.
const QUERY_CHARS_MAX: usize = 200;
/// Attributes that a list can be filtered by at once, and values of each.
const ATTRIBUTES_MAX: usize = 10;
const VALUES_MAX: usize = 50;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListQuery {
    q: Option<String>,
    category: Option<String>,
    attributes: Option<String>,
    currency: Option<String>,
    price_min: Option<String>,
    price_max: Option<String>,
    facets: Option<bool>,
    lang: Option<String>,
    country: Option<String>,
    groups: Option<String>,
    limit: Option<u32>,
    cursor: Option<String>,
    include: Option<Include>,
}

pub(crate) async fn list(
    State(app): State<App>,
    asked: HeaderMap,
    Query(query): Query<ListQuery>,
) -> Result<Response, HttpError> {
    let limit = limit_of(query.limit)?;
    let (filter, wanted) = filter(&query)?;
    let viewer = viewer(
        query.include,
        query.lang,
        query.country,
        query.groups.as_deref(),
    )?;
    let of = cursor_list(&filter, query.q.as_deref(), &viewer);
    let of: Vec<&str> = of.iter().map(String::as_str).collect();
    let after: Option<Position> = opened(&of, query.cursor.as_deref())?;
    let pool = app.reads()?;
    let selection = Selection::of(pool, &filter).await;
    let selection = selection.map_err(|error| of_sql(&error))?;
    let hits = match &wanted {
        Some(wanted) => {
            let scope = Scope {
                language: viewer.language.as_ref().unwrap_or(app.language()),
                all: viewer.all,
                labels: &products::labels_asked(&selection),
            };
            let found = search::find(pool, wanted, scope).await;
            Some(found.map_err(|error| of_sql(&error))?)
        }
        None => None,
    };
    // One more than asked for says whether there is a next page.
    let mut found = products::list(
        pool,
        &selection,
        hits.as_ref(),
        &viewer,
        after.as_ref(),
        limit + 1,
    )
    .await
    .map_err(|error| of_sql(&error))?;
    let more = found.len() > limit as usize;
    found.truncate(limit as usize);
    let last = found.last().filter(|_| more);
    let next_cursor = sealed(&of, last.map(|(position, _)| position))?;
    let facets = if query.facets == Some(true) {
        let counted = products::facets(pool, &selection, hits.as_ref(), &viewer).await;
        Some(counted.map_err(|error| of_sql(&error))?)
    } else {
        None
    };
    let mut data: Vec<Product> = found.into_iter().map(|(_, product)| product).collect();
    app.show_images(&mut data).await?;
    let page = ProductPage {
        data,
        next_cursor,
        facets,
    };
    tagged(StatusCode::OK, &asked, &page, None)
}

/// Everything that decides which products a list holds and in which order; absent and empty filters differ.
fn cursor_list(filter: &Filter, q: Option<&str>, viewer: &products::Viewer) -> [String; 5] {
    [
        "products".to_owned(),
        format!("{q:?}"),
        format!("{filter:?}"),
        format!("{:?}", viewer.language),
        viewer.all.to_string(),
    ]
}

fn filter(query: &ListQuery) -> Result<(Filter, Option<Wanted>), HttpError> {
    let mut faults = Faults::default();
    let wanted = wanted(query.q.as_deref(), &mut faults);
    if let Some(category) = &query.category {
        let checked = text::bounded(category, CATEGORY_CHARS_MAX);
        faults.take(|| "query/category".into(), checked);
    }
    let attributes = query.attributes.as_deref().map(attributes);
    let attributes = attributes.and_then(|read| faults.take(|| "query/attributes".into(), read));
    let price = price(query, &mut faults);
    if !faults.is_empty() {
        return Err(invalid_query().with_faults(faults.into_vec()));
    }
    let filter = Filter {
        category: query.category.clone(),
        attributes: attributes.unwrap_or_default(),
        price,
    };
    Ok((filter, wanted))
}

fn wanted(q: Option<&str>, faults: &mut Faults) -> Option<Wanted> {
    let q = q?;
    faults.take(|| "query/q".into(), text::bounded(q, QUERY_CHARS_MAX))?;
    if q.trim().is_empty() {
        return None;
    }
    let read = Wanted::read(q);
    let read = read.map_err(|error| Invalid::new("not_searchable", error.to_string()));
    faults.take(|| "query/q".into(), read)
}

/// `brand:Acme,colour:red|blue`; what stands for itself is percent-encoded.
fn attributes(text: &str) -> Result<Vec<(String, Vec<String>)>, Invalid> {
    let refused = || {
        let detail = format!(
            "must be up to {ATTRIBUTES_MAX} of name:value, with commas between; up to {VALUES_MAX} values with | between"
        );
        Invalid::new("invalid_attributes", detail)
    };
    let decoded = |text: &str| {
        let text = percent_decode_str(text).decode_utf8();
        let text = text.map_err(|_| refused())?;
        text::line(&text, 128)?;
        Ok(text.into_owned())
    };
    let mut all = Vec::new();
    for pair in text.split(',').filter(|pair| !pair.is_empty()) {
        let (name, values) = pair.split_once(':').ok_or_else(refused)?;
        let values: Result<Vec<String>, Invalid> = values.split('|').map(decoded).collect();
        all.push((decoded(name)?, values?));
    }
    let too_many = all.len() > ATTRIBUTES_MAX;
    if too_many || all.iter().any(|(_, values)| values.len() > VALUES_MAX) {
        return Err(refused());
    }
    Ok(all)
}

fn price(query: &ListQuery, faults: &mut Faults) -> Option<PriceFilter> {
    let mut bound = |name: &str, text: &Option<String>| {
        let read = text.as_ref()?.parse::<UnitPrice>();
        faults.take(|| format!("query/{name}"), read)
    };
    let min = bound("price_min", &query.price_min);
    let max = bound("price_max", &query.price_max);
    let currency = query.currency.as_ref().map(|code| code.parse::<Currency>());
    let currency = currency.and_then(|read| faults.take(|| "query/currency".into(), read));
    if query.price_min.is_none() && query.price_max.is_none() {
        return None;
    }
    if query.currency.is_none() {
        let detail = "prices are filtered in one currency: name it";
        faults.add("query/currency", "required", detail);
    }
    if let (Some(min), Some(max)) = (min, max)
        && max < min
    {
        faults.add(
            "query/price_max",
            "out_of_range",
            "must not be below price_min",
        );
    }
    Some(PriceFilter {
        currency: currency?,
        min: min.map(UnitPrice::amount),
        max: max.map(UnitPrice::amount),
    })
}

#[cfg(test)]
mod tests {
    use super::attributes;

    #[test]
    fn attributes_are_names_with_one_value_or_several() {
        let read = |text: &str| attributes(text).map_err(|invalid| invalid.code);
        let pair = |name: &str, values: &[&str]| {
            (
                name.to_owned(),
                values.iter().map(|&value| value.to_owned()).collect(),
            )
        };
        assert_eq!(
            read("brand:Acme%2C%20Ltd,colour:red|blue"),
            Ok(vec![
                pair("brand", &["Acme, Ltd"]),
                pair("colour", &["red", "blue"])
            ])
        );
        assert_eq!(read(""), Ok(vec![]));
        assert_eq!(read("brand"), Err("invalid_attributes"));
        assert_eq!(read("brand:"), Err("required"));
        assert_eq!(read("brand:%FF"), Err("invalid_attributes"));
        assert_eq!(read("brand:a%00"), Err("invalid_character"));
        assert_eq!(read(&"a:b,".repeat(11)), Err("invalid_attributes"));
    }
}
