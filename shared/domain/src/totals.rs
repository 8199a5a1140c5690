//! Sums that add up: lines to rates, rates to the order, to the cent (promise P5).
//!
//! Tax is computed once per rate over the rate's sum, as EN 16931 asks (BR-S-09), and then shared
//! out to the lines by cumulative rounding, so that Σ line tax = rate tax whatever the lines are.

use std::collections::BTreeMap;

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::money::{Currency, UnitPrice};
use crate::tax::PriceMode;

/// What is needed of a line to add it up.
#[derive(Debug, Clone, Copy)]
pub struct PricedLine {
    /// Units.
    pub quantity: i64,
    /// Price of one.
    pub unit_price: UnitPrice,
    /// Percent.
    pub tax_rate: Decimal,
}

/// What comes out for one line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LineTotal {
    /// `quantity × unit_price`, rounded half-up; with tax when prices are gross.
    pub line_total: Decimal,
    /// The line's share of its rate's tax.
    pub tax: Decimal,
}

/// The sum over all lines of one rate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RateTotal {
    /// Percent.
    #[schema(value_type = String, example = "20")]
    pub rate: Decimal,
    /// Σ without tax.
    #[schema(value_type = String, example = "15.30")]
    pub net: Decimal,
    /// Tax on it.
    #[schema(value_type = String, example = "3.06")]
    pub tax: Decimal,
}

/// What comes out for an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Totals {
    /// One per line, in the lines' order.
    pub lines: Vec<LineTotal>,
    /// One per rate, rising.
    pub rates: Vec<RateTotal>,
    /// Σ net of the rates.
    pub subtotal: Decimal,
    /// Σ tax of the rates.
    pub tax_total: Decimal,
    /// Their sum.
    pub total: Decimal,
}

/// An order too large to be added up exactly.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the order's amounts exceed what can be added up exactly")]
pub struct TooLarge;

impl Totals {
    /// Adds up an order's lines.
    ///
    /// # Errors
    /// [`TooLarge`] on overflow; the limits on lines, quantities and prices rule it out.
    pub fn of(lines: &[PricedLine], currency: Currency, mode: PriceMode) -> Result<Self, TooLarge> {
        let mut running: BTreeMap<Decimal, Running> = BTreeMap::new();
        let mut line_totals = Vec::with_capacity(lines.len());
        for line in lines {
            let exact = Decimal::from(line.quantity)
                .checked_mul(line.unit_price.amount())
                .ok_or(TooLarge)?;
            let line_total = currency.round(exact);
            let rate = running
                .entry(line.tax_rate.normalize())
                .or_insert(Running::new(currency));
            let tax = rate.add(line_total, line.tax_rate, currency, mode)?;
            line_totals.push(LineTotal { line_total, tax });
        }
        let zero = currency.round(Decimal::ZERO);
        let (mut rates, mut subtotal, mut tax_total) =
            (Vec::with_capacity(running.len()), zero, zero);
        for (rate, sum) in running {
            let net = match mode {
                PriceMode::Net => sum.lines,
                PriceMode::Gross => sum.lines - sum.tax,
            };
            subtotal = subtotal.checked_add(net).ok_or(TooLarge)?;
            tax_total = tax_total.checked_add(sum.tax).ok_or(TooLarge)?;
            rates.push(RateTotal {
                rate,
                net,
                tax: sum.tax,
            });
        }
        let total = subtotal.checked_add(tax_total).ok_or(TooLarge)?;
        Ok(Self {
            lines: line_totals,
            rates,
            subtotal,
            tax_total,
            total,
        })
    }
}

/// The sum of one rate so far.
struct Running {
    lines: Decimal,
    tax: Decimal,
}

impl Running {
    fn new(currency: Currency) -> Self {
        let zero = currency.round(Decimal::ZERO);
        Self {
            lines: zero,
            tax: zero,
        }
    }

    /// Adds a line and gives its share: what the rate's rounded tax grew by.
    fn add(
        &mut self,
        line_total: Decimal,
        rate: Decimal,
        currency: Currency,
        mode: PriceMode,
    ) -> Result<Decimal, TooLarge> {
        self.lines = self.lines.checked_add(line_total).ok_or(TooLarge)?;
        let base = match mode {
            PriceMode::Net => Decimal::ONE_HUNDRED,
            PriceMode::Gross => Decimal::ONE_HUNDRED + rate,
        };
        let exact = self.lines.checked_mul(rate).ok_or(TooLarge)? / base;
        let grown = currency.round(exact);
        let share = grown - self.tax;
        self.tax = grown;
        Ok(share)
    }
}

#[cfg(test)]
mod tests {
    use super::{PricedLine, Totals};
    use crate::tax::PriceMode;
    use proptest::prelude::{Just, Strategy, prop_oneof, proptest};
    use rust_decimal::Decimal;

    fn line(quantity: i64, price: &str, rate: &str) -> PricedLine {
        PricedLine {
            quantity,
            unit_price: price.parse().expect("a price"),
            tax_rate: rate.parse().expect("a rate"),
        }
    }

    fn text(totals: &Totals) -> (String, String, String) {
        (
            totals.subtotal.to_string(),
            totals.tax_total.to_string(),
            totals.total.to_string(),
        )
    }

    #[test]
    fn net_prices_add_tax_once_per_rate() {
        let gbp = "GBP".parse().expect("a currency");
        let lines = [
            line(6, "2.55", "20"),
            line(1, "0.33", "20"),
            line(3, "1.005", "5"),
        ];
        let totals = Totals::of(&lines, gbp, PriceMode::Net).expect("small");
        // 15.30 + 0.33 at 20 % = 3.126; 3.02 (3.015 half-up) at 5 % = 0.151
        assert_eq!(
            text(&totals),
            ("18.65".into(), "3.28".into(), "21.93".into())
        );
        assert_eq!(totals.rates.len(), 2);
    }

    #[test]
    fn gross_prices_hold_the_tax() {
        let eur = "EUR".parse().expect("a currency");
        let totals = Totals::of(&[line(1, "119", "19")], eur, PriceMode::Gross).expect("small");
        assert_eq!(
            text(&totals),
            ("100.00".into(), "19.00".into(), "119.00".into())
        );
    }

    #[test]
    fn the_largest_order_that_is_allowed_adds_up() {
        let jpy = "BHD".parse().expect("a currency");
        let lines = vec![line(1_000_000, "999999999.9999", "25.5"); 2_000];
        for mode in [PriceMode::Net, PriceMode::Gross] {
            let totals = Totals::of(&lines, jpy, mode).expect("within the limits");
            assert_eq!(totals.subtotal + totals.tax_total, totals.total);
        }
    }

    fn any_line() -> impl Strategy<Value = PricedLine> {
        let rate = prop_oneof![Just("0"), Just("5"), Just("7"), Just("20"), Just("25.5")];
        (1i64..50, 0u32..99_999, 0u32..4, rate).prop_map(|(quantity, digits, scale, rate)| {
            PricedLine {
                quantity,
                unit_price: crate::money::UnitPrice::from_decimal(Decimal::new(
                    digits.into(),
                    scale,
                ))
                .expect("a price"),
                tax_rate: rate.parse().expect("a rate"),
            }
        })
    }

    proptest! {
        #[test]
        fn lines_add_up_to_rates_and_rates_to_the_order(
            lines in proptest::collection::vec(any_line(), 1..60),
            gross in proptest::bool::ANY,
        ) {
            let mode = if gross { PriceMode::Gross } else { PriceMode::Net };
            let eur = "EUR".parse().expect("a currency");
            let totals = Totals::of(&lines, eur, mode).expect("small");
            let of_lines: Decimal = totals.lines.iter().map(|l| l.line_total).sum();
            let tax_of_lines: Decimal = totals.lines.iter().map(|l| l.tax).sum();
            assert_eq!(tax_of_lines, totals.tax_total);
            assert_eq!(of_lines, if gross { totals.total } else { totals.subtotal });
            assert_eq!(totals.subtotal + totals.tax_total, totals.total);
            for rate in &totals.rates {
                let tax: Decimal = lines.iter().zip(&totals.lines)
                    .filter(|(line, _)| line.tax_rate.normalize() == rate.rate)
                    .map(|(_, total)| total.tax).sum();
                assert_eq!(tax, rate.tax);
                let exact = rate.net * rate.rate / Decimal::ONE_HUNDRED;
                assert!((exact - rate.tax).abs() <= Decimal::new(1, 2), "{rate:?}");
            }
            assert!(totals.lines.iter().all(|l| l.tax >= Decimal::ZERO && l.tax.scale() == 2));
        }
    }
}
