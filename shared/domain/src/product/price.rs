//! Prices: in many currencies, for some buyers, at some times; and the one that applies.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::ToSchema;

use crate::fault::{Faults, Invalid};
use crate::money::{Currency, UnitPrice};

/// Prices that a product may have, of all currencies, lists and times together.
pub const PRICES_MAX: usize = 500;
/// The longest name of a customer group.
const GROUP_CHARS_MAX: usize = 64;

/// A price in one currency.
///
/// A price without dates is the regular one of its currency and list. One with dates goes before
/// it while it is in force; two of them may not be in force at once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Price {
    /// ISO 4217 code.
    pub currency: Currency,
    /// Of one unit, net or gross by the shop's setting.
    pub amount: UnitPrice,
    /// For whom: `country:CH` or `group:trade`; for everyone when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, example = "country:CH")]
    pub list: Option<PriceList>,
    /// In force from this moment on.
    #[serde(
        default,
        with = "time::serde::rfc3339::option",
        skip_serializing_if = "Option::is_none"
    )]
    pub valid_from: Option<OffsetDateTime>,
    /// In force before this moment, and no longer from it on.
    #[serde(
        default,
        with = "time::serde::rfc3339::option",
        skip_serializing_if = "Option::is_none"
    )]
    pub valid_until: Option<OffsetDateTime>,
}

impl Price {
    /// A regular price for everyone.
    #[must_use]
    pub const fn regular(currency: Currency, amount: UnitPrice) -> Self {
        Self {
            currency,
            amount,
            list: None,
            valid_from: None,
            valid_until: None,
        }
    }

    /// Whether it has a beginning or an end.
    #[must_use]
    pub const fn is_dated(&self) -> bool {
        self.valid_from.is_some() || self.valid_until.is_some()
    }

    /// Whether it is in force at this moment: from its beginning on, up to its end but not at it.
    #[must_use]
    pub fn is_valid(&self, at: OffsetDateTime) -> bool {
        self.valid_from.is_none_or(|from| from <= at)
            && self.valid_until.is_none_or(|until| at < until)
    }
}

/// For whom a price is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum PriceList {
    /// Goods that go to this country (ISO 3166-1 alpha-2).
    Country(String),
    /// Customers of this group, whoever says so.
    Group(String),
}

impl TryFrom<String> for PriceList {
    type Error = Invalid;

    fn try_from(text: String) -> Result<Self, Invalid> {
        let refused = || {
            Invalid::new(
                "invalid_price_list",
                "must be \"country:\" and two capital letters, or \"group:\" and up to 64 of a-z, 0-9, - and _",
            )
        };
        match text.split_once(':') {
            Some(("country", code)) if is_country(code) => Ok(Self::Country(code.to_owned())),
            Some(("group", name)) if is_group(name) => Ok(Self::Group(name.to_owned())),
            _ => Err(refused()),
        }
    }
}

impl From<PriceList> for String {
    fn from(list: PriceList) -> Self {
        match list {
            PriceList::Country(code) => format!("country:{code}"),
            PriceList::Group(name) => format!("group:{name}"),
        }
    }
}

/// Whether this has the form of a country's code.
#[must_use]
pub fn is_country(code: &str) -> bool {
    code.len() == 2 && code.bytes().all(|b| b.is_ascii_uppercase())
}

/// Whether this can be the name of a customer group.
#[must_use]
pub fn is_group(name: &str) -> bool {
    (1..=GROUP_CHARS_MAX).contains(&name.len())
        && name
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_')
}

/// Who is to pay.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Buyer<'a> {
    /// Where the goods go.
    pub country: Option<&'a str>,
    /// The customer's groups.
    pub groups: &'a [String],
}

/// The price that applies to a buyer at a time: that of a group of theirs (the lowest, of several
/// groups), else that of their country, else that for everyone. Within a list a price with dates
/// that is in force goes before the regular one.
#[must_use]
pub fn price_at<'p>(
    prices: &'p [Price],
    currency: Currency,
    buyer: Buyer<'_>,
    at: OffsetDateTime,
) -> Option<&'p Price> {
    let in_list = |is_list: &dyn Fn(Option<&PriceList>) -> bool| {
        prices
            .iter()
            .filter(|price| {
                price.currency == currency && price.is_valid(at) && is_list(price.list.as_ref())
            })
            .max_by_key(|price| price.is_dated())
    };
    let of_group = |group: &String| {
        in_list(&|list| matches!(list, Some(PriceList::Group(name)) if name == group))
    };
    let of_groups = buyer.groups.iter().filter_map(of_group);
    of_groups
        .min_by_key(|price| price.amount)
        .or_else(|| {
            let country = buyer.country?;
            in_list(&|list| matches!(list, Some(PriceList::Country(code)) if code == country))
        })
        .or_else(|| in_list(&|list| list.is_none()))
}

/// The prices that apply to a buyer at a time: at most one per currency, sorted by it.
#[must_use]
pub fn prices_at<'p>(prices: &'p [Price], buyer: Buyer<'_>, at: OffsetDateTime) -> Vec<&'p Price> {
    let mut currencies: Vec<Currency> = prices.iter().map(|price| price.currency).collect();
    currencies.sort_unstable_by_key(|currency| currency.code());
    currencies.dedup();
    currencies
        .into_iter()
        .filter_map(|currency| price_at(prices, currency, buyer, at))
        .collect()
}

/// The next moment after `at` at which a price comes into force or ends.
#[must_use]
pub fn next_change(prices: &[Price], at: OffsetDateTime) -> Option<OffsetDateTime> {
    prices
        .iter()
        .flat_map(|price| [price.valid_from, price.valid_until])
        .flatten()
        .filter(|moment| *moment > at)
        .min()
}

/// Names prices that cannot stand beside each other, and those that are never in force.
pub(super) fn check(prices: &[Price], faults: &mut Faults) {
    if prices.len() > PRICES_MAX {
        let detail = format!("at most {PRICES_MAX} prices");
        faults.add("/prices", "too_many", detail);
        return;
    }
    for (i, price) in prices.iter().enumerate() {
        if let (Some(from), Some(until)) = (price.valid_from, price.valid_until)
            && until <= from
        {
            let detail = "must be later than valid_from";
            faults.add(format!("/prices/{i}/valid_until"), "out_of_range", detail);
        }
    }
    let mut order: Vec<usize> = (0..prices.len()).collect();
    let list = |i: usize| (prices[i].currency.code(), &prices[i].list);
    // Undated ones first, then by their beginning; one without a beginning has begun.
    order.sort_by_key(|&i| (list(i), prices[i].is_dated(), prices[i].valid_from));
    // Of the dated ones of the list at hand, the one that ends last.
    let mut last: Option<usize> = None;
    for pair in order.windows(2) {
        let (before, i) = (pair[0], pair[1]);
        if list(before) != list(i) {
            last = None;
            continue;
        }
        if !prices[i].is_dated() {
            let detail = format!(
                "one price without dates per currency and list; /prices/{before} is one, too"
            );
            faults.add(format!("/prices/{i}/currency"), "duplicate", detail);
            continue;
        }
        if prices[before].is_dated() && last.is_none_or(|last| ends_later(prices, before, last)) {
            last = Some(before);
        }
        if let Some(last) = last
            && overlaps(&prices[last], &prices[i])
        {
            let detail = format!("begins before /prices/{last} of the same currency and list ends");
            faults.add(format!("/prices/{i}/valid_from"), "overlapping", detail);
        }
    }
}

fn ends_later(prices: &[Price], one: usize, other: usize) -> bool {
    match (prices[one].valid_until, prices[other].valid_until) {
        (_, None) => false,
        (None, _) => true,
        (Some(one), Some(other)) => one > other,
    }
}

/// Whether a price is in force at the beginning of a later one.
fn overlaps(earlier: &Price, later: &Price) -> bool {
    match (earlier.valid_until, later.valid_from) {
        (Some(until), Some(from)) => from < until,
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use time::{Duration, OffsetDateTime};

    use super::{Buyer, Price, PriceList, check, next_change, price_at};
    use crate::fault::Faults;
    use crate::money::{Currency, UnitPrice};

    fn day(number: i64) -> OffsetDateTime {
        OffsetDateTime::UNIX_EPOCH + Duration::days(number)
    }

    fn currency(code: &str) -> Currency {
        code.parse().expect("a currency")
    }

    fn price(amount: &str, list: Option<&str>, from: Option<i64>, until: Option<i64>) -> Price {
        let list = list.map(|list| PriceList::try_from(list.to_owned()).expect("a list"));
        let amount: UnitPrice = amount.parse().expect("an amount");
        Price {
            list,
            valid_from: from.map(day),
            valid_until: until.map(day),
            ..Price::regular(currency("GBP"), amount)
        }
    }

    fn faults(prices: &[Price]) -> Vec<(String, String)> {
        let mut faults = Faults::default();
        check(prices, &mut faults);
        let named = faults.into_vec().into_iter();
        named
            .map(|fault| (fault.pointer, fault.code.into_owned()))
            .collect()
    }

    #[test]
    fn a_groups_price_goes_before_a_countrys_and_that_before_everyones() {
        let prices = [
            price("10", None, None, None),
            price("8", None, Some(10), Some(20)),
            price("9", Some("country:CH"), None, None),
            price("7", Some("group:trade"), None, None),
            price("6", Some("group:staff"), Some(10), None),
        ];
        let groups = ["trade".to_owned(), "staff".to_owned()];
        for (country, groups, at, amount) in [
            (None, &groups[..0], 9, "10"),
            (None, &groups[..0], 10, "8"),
            (Some("DE"), &groups[..0], 19, "8"),
            (Some("DE"), &groups[..0], 20, "10"),
            (Some("CH"), &groups[..0], 15, "9"),
            (Some("CH"), &groups[..1], 15, "7"),
            (Some("CH"), &groups[..], 9, "7"),
            (Some("CH"), &groups[..], 15, "6"),
        ] {
            let found = price_at(&prices, currency("GBP"), Buyer { country, groups }, day(at));
            let found = found.map(|price| price.amount.to_string());
            assert_eq!(
                found.as_deref(),
                Some(amount),
                "{country:?} {groups:?} {at}"
            );
        }
        let other = price_at(&prices, currency("EUR"), Buyer::default(), day(0));
        assert_eq!(other, None);
        assert_eq!(next_change(&prices, day(9)), Some(day(10)));
        assert_eq!(next_change(&prices, day(10)), Some(day(20)));
        assert_eq!(next_change(&prices, day(20)), None);
    }

    #[test]
    fn periods_that_overlap_are_refused_with_their_place() {
        let fault = |i: usize, field: &str, code: &str| {
            vec![(format!("/prices/{i}/{field}"), code.to_owned())]
        };
        for (prices, expected) in [
            (
                vec![price("1", None, None, None), price("2", None, None, None)],
                fault(1, "currency", "duplicate"),
            ),
            (
                vec![
                    price("1", None, Some(5), Some(9)),
                    price("2", None, Some(1), Some(6)),
                ],
                fault(0, "valid_from", "overlapping"),
            ),
            // A long one covers two that do not touch each other.
            (
                vec![
                    price("1", None, Some(1), Some(9)),
                    price("2", None, Some(9), None),
                    price("3", None, Some(3), Some(4)),
                    price("4", None, Some(10), Some(11)),
                ],
                [
                    fault(2, "valid_from", "overlapping"),
                    fault(3, "valid_from", "overlapping"),
                ]
                .concat(),
            ),
            (
                vec![price("1", None, Some(5), Some(5))],
                fault(0, "valid_until", "out_of_range"),
            ),
            (
                vec![
                    price("1", None, None, Some(5)),
                    price("2", None, None, Some(3)),
                ],
                fault(1, "valid_from", "overlapping"),
            ),
        ] {
            assert_eq!(faults(&prices), expected, "{prices:?}");
        }
        let fine = [
            price("1", None, None, None),
            price("2", None, Some(1), Some(5)),
            price("3", None, Some(5), None),
            price("4", Some("group:trade"), Some(1), Some(9)),
            price("5", Some("country:GB"), Some(1), Some(9)),
        ];
        assert_eq!(faults(&fine), []);
    }

    #[test]
    fn a_list_has_one_spelling() {
        for bad in [
            "country:ch",
            "country:CHE",
            "group:",
            "group:A b",
            "trade",
            "",
            "x:CH",
        ] {
            assert!(PriceList::try_from(bad.to_owned()).is_err(), "{bad}");
        }
        let list = PriceList::try_from("group:trade-2".to_owned()).expect("a list");
        assert_eq!(String::from(list), "group:trade-2");
    }

    fn any_price() -> impl Strategy<Value = Price> {
        let list = prop_oneof![
            Just(None),
            Just(Some("country:CH")),
            Just(Some("group:trade"))
        ];
        let end = || proptest::option::of(0..30_i64);
        let parts = (
            "[1-9]",
            proptest::sample::select(vec!["GBP", "EUR"]),
            list,
            end(),
            end(),
        );
        parts.prop_map(|(amount, code, list, from, until)| Price {
            currency: currency(code),
            ..price(&amount, list, from, until)
        })
    }

    proptest! {
        #[test]
        fn of_prices_that_pass_the_check_just_one_applies_whatever_their_order(
            prices in proptest::collection::vec(any_price(), 0..8),
            at in -1..31_i64,
            country in proptest::option::of(proptest::sample::select(vec!["CH", "DE"])),
            is_trade in any::<bool>(),
        ) {
            prop_assume!(faults(&prices).is_empty());
            let groups: Vec<String> = is_trade.then(|| "trade".to_owned()).into_iter().collect();
            let buyer = Buyer { country, groups: &groups };
            let (gbp, at) = (currency("GBP"), day(at));
            let found = price_at(&prices, gbp, buyer, at);
            let mut reversed = prices.clone();
            reversed.reverse();
            prop_assert_eq!(found, price_at(&reversed, gbp, buyer, at));

            // What is in force for the buyer, by how much it is meant for them.
            let meant = |price: &Price| match &price.list {
                None => Some(0),
                Some(PriceList::Country(code)) => (country == Some(code)).then_some(1),
                Some(PriceList::Group(_)) => is_trade.then_some(2),
            };
            let best = prices
                .iter()
                .filter(|price| price.currency == gbp && price.is_valid(at))
                .filter_map(|price| Some((meant(price)?, price.is_dated())))
                .max();
            prop_assert_eq!(found.and_then(|price| Some((meant(price)?, price.is_dated()))), best);
        }

        #[test]
        fn between_two_changes_the_price_stays(
            prices in proptest::collection::vec(any_price(), 0..8),
            at in -1..31_i64,
        ) {
            prop_assume!(faults(&prices).is_empty());
            let of = |at| price_at(&prices, currency("GBP"), Buyer::default(), at);
            let at = day(at);
            let end = next_change(&prices, at).unwrap_or(day(40));
            prop_assert_eq!(of(at), of(end - Duration::nanoseconds(1)));
        }
    }
}
