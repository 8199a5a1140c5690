//! Whether an order can be had, decided in memory over stock that is locked.

use std::collections::HashMap;

use steelyard_domain::internal::{PricedLine, ReserveLine, ReserveOrder};
use steelyard_domain::money::UnitPrice;
use steelyard_domain::order::Reason;
use steelyard_domain::product::{Buyer, Price, ProductStatus, price_at};
use steelyard_domain::tax;
use time::OffsetDateTime;

use super::Units;

/// A product with its locked stock.
#[derive(Debug)]
pub(super) struct Item {
    pub(super) name: String,
    pub(super) status: ProductStatus,
    pub(super) tax_category: String,
    pub(super) prices: Vec<Price>,
    /// Falls as the orders of a call are served.
    pub(super) available: i64,
    /// What was there before.
    pub(super) before: i64,
    /// Somebody wants to be told when so few are left.
    pub(super) low_at: Option<i64>,
}

impl Item {
    /// Whether the orders that were served left as little as somebody wants to be told of.
    pub(super) fn became_low(&self) -> bool {
        self.low_at
            .is_some_and(|low_at| self.available <= low_at && low_at < self.before)
    }
}

/// The products of a call, by SKU.
pub(super) type Shelf = HashMap<String, Item>;

/// An order that can be had.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Granted {
    pub(super) lines: Vec<PricedLine>,
    pub(super) units: Units,
}

/// An order that cannot, by its first line that cannot.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Refused {
    pub(super) reason: Reason,
    pub(super) line: usize,
    pub(super) detail: String,
}

/// Prices an order and takes its units off the shelf: all of them, or none. Prices are those of the moment that the
/// order names, or of `now`.
pub(super) fn decide(
    order: &ReserveOrder,
    shelf: &mut Shelf,
    now: OffsetDateTime,
) -> Result<Granted, Refused> {
    let mut granted = Granted {
        lines: Vec::with_capacity(order.lines.len()),
        units: Units::new(),
    };
    for (index, line) in order.lines.iter().enumerate() {
        match take(order, line, shelf, now) {
            Ok((priced, from_stock)) => {
                granted.lines.push(priced);
                if from_stock {
                    let sku = line.sku.as_str().to_owned();
                    *granted.units.entry(sku).or_default() += line.quantity;
                }
            }
            Err((reason, detail)) => {
                for (sku, units) in &granted.units {
                    if let Some(item) = shelf.get_mut(sku) {
                        item.available += units;
                    }
                }
                return Err(Refused {
                    reason,
                    line: index,
                    detail,
                });
            }
        }
    }
    Ok(granted)
}

/// Prices one line and takes its units; says whether it is one of the catalog's own goods.
fn take(
    order: &ReserveOrder,
    line: &ReserveLine,
    shelf: &mut Shelf,
    now: OffsetDateTime,
) -> Result<(PricedLine, bool), (Reason, String)> {
    let sku = &line.sku;
    let unknown = || (Reason::UnknownSku, format!("{sku} is not for sale"));
    let Some(item) = shelf.get_mut(sku.as_str()) else {
        let name = line.name.as_ref().filter(|_| order.prices_authoritative);
        let priced = PricedLine {
            name: name.ok_or_else(unknown)?.clone(),
            unit_price: line.unit_price,
            tax_category: tax::STANDARD.to_owned(),
        };
        return Ok((priced, false));
    };
    let unit_price = if order.prices_authoritative {
        line.unit_price
    } else if item.status == ProductStatus::Active {
        price_as_shown(order, line, item, now)?
    } else {
        return Err(unknown());
    };
    if item.available < line.quantity {
        let (available, asked) = (item.available, line.quantity);
        let detail = format!("{asked} of {sku} asked for, {available} available for this line");
        return Err((Reason::OutOfStock, detail));
    }
    item.available -= line.quantity;
    let priced = PricedLine {
        name: item.name.clone(),
        unit_price,
        tax_category: item.tax_category.clone(),
    };
    Ok((priced, true))
}

/// The catalog's price, if it is the one that the shopper was shown (2.5 is 2.50).
fn price_as_shown(
    order: &ReserveOrder,
    line: &ReserveLine,
    item: &Item,
    now: OffsetDateTime,
) -> Result<UnitPrice, (Reason, String)> {
    let (sku, shown, currency) = (&line.sku, line.unit_price, order.currency);
    let buyer = Buyer {
        country: order.country.as_deref(),
        groups: &order.groups,
    };
    let price = price_at(&item.prices, currency, buyer, order.at.unwrap_or(now));
    let Some(price) = price else {
        let detail = format!("{sku} has no price in {currency}");
        return Err((Reason::CurrencyMismatch, detail));
    };
    if price.amount.amount() != shown.amount() {
        let detail = format!("{sku} costs {} {currency}, not {shown}", price.amount);
        return Err((Reason::PriceChanged, detail));
    }
    Ok(price.amount)
}

#[cfg(test)]
mod tests {
    use super::{Granted, Item, Refused, Shelf};
    use serde_json::json;
    use steelyard_domain::internal::ReserveOrder;
    use steelyard_domain::order::Reason;
    use steelyard_domain::product::ProductStatus;
    use time::{Duration, OffsetDateTime};

    fn decide(order: &ReserveOrder, shelf: &mut Shelf) -> Result<Granted, Refused> {
        super::decide(order, shelf, OffsetDateTime::UNIX_EPOCH)
    }

    fn item(available: i64, status: ProductStatus) -> Item {
        Item {
            name: "A lamp".into(),
            status,
            tax_category: "reduced".into(),
            prices: serde_json::from_value(json!([{"currency": "GBP", "amount": "2.50"}]))
                .expect("prices"),
            available,
            before: available,
            low_at: None,
        }
    }

    fn shelf() -> Shelf {
        Shelf::from([
            ("lamp".into(), item(5, ProductStatus::Active)),
            ("old".into(), item(5, ProductStatus::Archived)),
            ("new".into(), item(5, ProductStatus::Draft)),
        ])
    }

    /// Lines as `(sku, quantity, unit price)`; a SKU `name:x` brings its name along.
    fn order(currency: &str, authoritative: bool, lines: &[(&str, i64, &str)]) -> ReserveOrder {
        let lines: Vec<_> = lines
            .iter()
            .map(|&(sku, quantity, unit_price)| {
                let name = sku.strip_prefix("name:");
                json!({"sku": name.unwrap_or(sku), "quantity": quantity, "unit_price": unit_price, "name": name})
            })
            .collect();
        serde_json::from_value(json!({
            "order_id": uuid::Uuid::nil(), "currency": currency,
            "prices_authoritative": authoritative, "lines": lines,
        }))
        .expect("an order")
    }

    #[test]
    fn a_line_that_cannot_be_had_rejects_its_order_with_reason_and_place() {
        use Reason::{CurrencyMismatch, OutOfStock, PriceChanged, UnknownSku};
        for (currency, line, reason, says) in [
            ("GBP", ("?", 1, "2.5"), UnknownSku, "? is not for sale"),
            ("GBP", ("name:?", 1, "2.5"), UnknownSku, "? is not for sale"),
            ("GBP", ("old", 1, "2.5"), UnknownSku, "old is not for sale"),
            ("GBP", ("new", 1, "2.5"), UnknownSku, "new is not for sale"),
            (
                "EUR",
                ("lamp", 1, "2.5"),
                CurrencyMismatch,
                "lamp has no price in EUR",
            ),
            (
                "GBP",
                ("lamp", 1, "2.51"),
                PriceChanged,
                "lamp costs 2.50 GBP, not 2.51",
            ),
            (
                "GBP",
                ("lamp", 5, "2.5"),
                OutOfStock,
                "5 of lamp asked for, 4 available for this line",
            ),
        ] {
            let mut shelf = shelf();
            // In euros the first line, too, would be refused: it is left out.
            let lines = if currency == "GBP" {
                vec![("lamp", 1, "2.5"), line]
            } else {
                vec![line]
            };
            let refused = decide(&order(currency, false, &lines), &mut shelf).expect_err(says);
            assert_eq!((refused.reason, refused.detail.as_str()), (reason, says));
            assert_eq!(refused.line, lines.len() - 1);
            assert_eq!(shelf["lamp"].available, 5, "what was taken is put back");
        }
    }

    #[test]
    fn lines_of_one_sku_count_together() {
        let lines = [("lamp", 3, "2.5"), ("lamp", 3, "2.5")];
        let refused = decide(&order("GBP", false, &lines), &mut shelf()).expect_err("6 of 5");
        assert_eq!((refused.reason, refused.line), (Reason::OutOfStock, 1));

        let lines = [("lamp", 3, "2.5"), ("lamp", 2, "2.500")];
        let mut shelf = shelf();
        let granted = decide(&order("GBP", false, &lines), &mut shelf).expect("5 of 5");
        assert_eq!(granted.units, [("lamp".into(), 5)].into());
        assert_eq!(shelf["lamp"].available, 0);
        assert_eq!(granted.lines[1].unit_price.to_string(), "2.50");
        assert_eq!(granted.lines[1].tax_category, "reduced");
    }

    #[test]
    fn authoritative_prices_stand_and_named_unknown_goods_are_taken_without_stock() {
        let lines = [
            ("name:POST", 9, "18.00"),
            ("old", 2, "0.001"),
            ("lamp", 5, "99"),
        ];
        let granted = decide(&order("JPY", true, &lines), &mut shelf()).expect("all taken");
        assert_eq!(
            granted.units,
            [("lamp".into(), 5), ("old".into(), 2)].into()
        );
        let priced: Vec<_> = granted
            .lines
            .iter()
            .map(|line| {
                (
                    line.name.as_str(),
                    line.unit_price.to_string(),
                    line.tax_category.as_str(),
                )
            })
            .collect();
        assert_eq!(
            priced,
            [
                ("POST", "18.00".into(), "standard"),
                ("A lamp", "0.001".into(), "reduced"),
                ("A lamp", "99".into(), "reduced"),
            ]
        );
        let nameless = order("GBP", true, &[("POST", 1, "18.00")]);
        let refused = decide(&nameless, &mut shelf()).expect_err("no name");
        assert_eq!(refused.reason, Reason::UnknownSku);
        let too_many = order("GBP", true, &[("lamp", 6, "1")]);
        let refused = decide(&too_many, &mut shelf()).expect_err("no stock");
        assert_eq!(refused.reason, Reason::OutOfStock);
    }

    #[test]
    fn the_price_is_that_of_the_moment_the_order_was_accepted_and_of_its_country() {
        let mut shelf = shelf();
        let prices = json!([
            {"currency": "GBP", "amount": "2.50"},
            {"currency": "GBP", "amount": "2", "valid_from": "1970-01-02T00:00:00Z",
             "valid_until": "1970-01-03T00:00:00Z"},
            {"currency": "GBP", "amount": "3", "list": "country:IE"},
        ]);
        let lamp = shelf.get_mut("lamp").expect("a lamp");
        lamp.prices = serde_json::from_value(prices).expect("prices");
        for (hours, country, shown, charged) in [
            (23, "GB", "2.5", Ok("2.50")),
            (24, "GB", "2.5", Err(Reason::PriceChanged)),
            (24, "GB", "2", Ok("2")),
            (48, "GB", "2", Err(Reason::PriceChanged)),
            (24, "IE", "3", Ok("3")),
        ] {
            let mut order = order("GBP", false, &[("lamp", 1, shown)]);
            order.at = Some(OffsetDateTime::UNIX_EPOCH + Duration::hours(hours));
            order.country = Some(country.to_owned());
            let decided = decide(&order, &mut shelf).map_err(|refused| refused.reason);
            let decided = decided.map(|granted| granted.lines[0].unit_price.to_string());
            assert_eq!(
                decided,
                charged.map(str::to_owned),
                "{hours} h, {country}, {shown}"
            );
        }
    }

    #[test]
    fn little_is_told_of_once() {
        let mut item = item(5, ProductStatus::Active);
        item.low_at = Some(3);
        assert!(!item.became_low());
        item.available = 3;
        assert!(item.became_low());
        item.before = 3;
        item.available = 1;
        assert!(!item.became_low());
    }
}
