//! Filters as they come, and as the database takes them.

use axum::http::StatusCode;
use rust_decimal::Decimal;
use serde::Deserialize;
use steelyard_domain::id::{CustomerId, OrderId};
use steelyard_domain::money::Currency;
use steelyard_domain::text;
use steelyard_runtime::http::HttpError;
use time::Date;
use time::macros::format_description;

use crate::db::{Amount, Filter};
use crate::kind::Kind;
use crate::words;

/// Characters of a number or a search.
const TEXT_CHARS_MAX: usize = 200;

/// As the API has them.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ListQuery {
    customer_id: Option<CustomerId>,
    number: Option<String>,
    kind: Option<Kind>,
    order_id: Option<String>,
    from: Option<String>,
    to: Option<String>,
    currency: Option<String>,
    total_min: Option<String>,
    total_max: Option<String>,
    q: Option<String>,
    pub(super) limit: Option<u32>,
    pub(super) cursor: Option<String>,
}

impl ListQuery {
    /// What a cursor of this list is bound to.
    pub(super) fn name(&self) -> Vec<String> {
        let parts = [
            (
                "customer",
                self.customer_id.as_ref().map(CustomerId::as_str),
            ),
            ("number", self.number.as_deref()),
            ("kind", self.kind.map(Kind::as_str)),
            ("order", self.order_id.as_deref()),
            ("from", self.from.as_deref()),
            ("to", self.to.as_deref()),
            ("currency", self.currency.as_deref()),
            ("min", self.total_min.as_deref()),
            ("max", self.total_max.as_deref()),
            ("q", self.q.as_deref()),
        ];
        let given = parts
            .into_iter()
            .filter_map(|(name, value)| value.map(|value| format!("{name}={value}")));
        std::iter::once("documents".to_owned())
            .chain(given)
            .collect()
    }

    /// The filter; `None` when nothing can match.
    ///
    /// # Errors
    /// 400 with every fault's place.
    pub(super) fn filter(&self) -> Result<Option<Filter>, HttpError> {
        let mut faults = Faults::default();
        for (place, value) in [("number", &self.number), ("q", &self.q)] {
            if let Some(value) = value
                && let Err(invalid) = text::bounded(value, TEXT_CHARS_MAX)
            {
                faults.add(place, invalid.code, invalid.detail);
            }
        }
        let from = faults.day("from", self.from.as_deref());
        let to = faults.day("to", self.to.as_deref());
        let order_id = self.order_id.as_deref().and_then(|text| {
            let read = text.parse::<OrderId>();
            read.map_err(|invalid| faults.add("order_id", invalid.code, invalid.detail))
                .ok()
        });
        let amount = self.amount(&mut faults);
        faults.finish()?;
        let words = self.q.as_deref().map(words::query);
        if words == Some(None) {
            return Ok(None);
        }
        Ok(Some(Filter {
            customer_id: self.customer_id.clone(),
            number: self.number.clone(),
            kind: self.kind,
            order_id: order_id.map(|id| id.0),
            from,
            to,
            amount,
            words: words.flatten(),
        }))
    }

    /// Amounts of different currencies cannot be compared, so it must be named.
    fn amount(&self, faults: &mut Faults) -> Option<Amount> {
        let min = faults.decimal("total_min", self.total_min.as_deref());
        let max = faults.decimal("total_max", self.total_max.as_deref());
        let ranges = self.total_min.is_some() || self.total_max.is_some();
        let Some(currency) = self.currency.as_deref() else {
            if ranges {
                faults.add(
                    "currency",
                    "required",
                    "name the currency of total_min and total_max",
                );
            }
            return None;
        };
        if !ranges {
            faults.add(
                "currency",
                "not_allowed",
                "goes with total_min or total_max",
            );
        }
        let currency = match currency.parse::<Currency>() {
            Ok(currency) => currency.code().to_owned(),
            Err(invalid) => {
                faults.add("currency", invalid.code, invalid.detail);
                return None;
            }
        };
        Some(Amount {
            currency,
            min: min.unwrap_or(Decimal::MIN),
            max: max.unwrap_or(Decimal::MAX),
        })
    }
}

/// What is wrong with a query.
#[derive(Default)]
struct Faults(Vec<(&'static str, &'static str, String)>);

impl Faults {
    fn add(&mut self, place: &'static str, code: &'static str, detail: impl Into<String>) {
        self.0.push((place, code, detail.into()));
    }

    fn day(&mut self, place: &'static str, text: Option<&str>) -> Option<Date> {
        let form = format_description!("[year]-[month]-[day]");
        let day = Date::parse(text?, &form);
        day.map_err(|_| self.add(place, "invalid_value", "must be a day such as 2026-11-24"))
            .ok()
    }

    fn decimal(&mut self, place: &'static str, text: Option<&str>) -> Option<Decimal> {
        let amount = Decimal::from_str_exact(text?);
        amount
            .map_err(|_| self.add(place, "invalid_value", "must be an amount such as 18.36"))
            .ok()
    }

    fn finish(self) -> Result<(), HttpError> {
        if self.0.is_empty() {
            return Ok(());
        }
        let refused = self.0.into_iter().fold(invalid(), |refused, fault| {
            let (place, code, detail) = fault;
            refused.at(format!("query/{place}"), code, detail)
        });
        Err(refused)
    }
}

/// 400, whose places are still to come.
pub(super) fn invalid() -> HttpError {
    HttpError::new(
        StatusCode::BAD_REQUEST,
        "invalid_query",
        "a query parameter cannot be used",
    )
}
