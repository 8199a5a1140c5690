//! Whether an invoice adds up (promise P5), by the standard's own rules. It is asked before anything is written.

use rust_decimal::Decimal;
use steelyard_domain::tax::PriceMode;

use crate::model::{Direction, Invoice, Line, Tax, TaxTotal};

/// The rule of what only the buyer sees: the standard knows amounts without tax alone.
const SHOWN: &str = "P5";

/// A sum that is not what it says, with the rule that it breaks.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{number}: {rule}: {what} is {says}, and should be {should}")]
pub struct Unbalanced {
    /// The invoice.
    pub number: String,
    /// A rule of EN 16931-1, or of Peppol BIS 3; `P5` for what the buyer is shown.
    pub rule: &'static str,
    /// Which sum.
    pub what: String,
    /// What the invoice says.
    pub says: Decimal,
    /// What its parts add up to.
    pub should: Decimal,
}

/// Adds everything up again.
///
/// # Errors
/// The first sum that is not what its parts add up to.
pub fn check(invoice: &Invoice) -> Result<(), Unbalanced> {
    let check = Check(invoice);
    check.adjustments()?;
    check.lines()?;
    check.taxes()?;
    check.totals()?;
    check.shown()
}

struct Check<'a>(&'a Invoice);

impl Check<'_> {
    fn expect(
        &self,
        rule: &'static str,
        what: impl FnOnce() -> String,
        says: Decimal,
        should: Decimal,
    ) -> Result<(), Unbalanced> {
        if says == should {
            return Ok(());
        }
        Err(Unbalanced {
            number: self.0.number.clone(),
            rule,
            what: what(),
            says,
            should,
        })
    }

    /// Allowances and charges are added up as they are written: in whole minor units.
    fn adjustments(&self) -> Result<(), Unbalanced> {
        for (line, number) in self.0.lines.iter().zip(1..) {
            for adjustment in &line.adjustments {
                let (what, rule) = match adjustment.direction {
                    Direction::Allowance => ("an allowance", "BR-DEC-24"),
                    Direction::Charge => ("a charge", "BR-DEC-27"),
                };
                let what = || format!("{what} of line {number}");
                self.adjustment(rule, what, adjustment.amount, adjustment.shown)?;
            }
        }
        for adjustment in &self.0.adjustments {
            let (what, rule) = match adjustment.direction {
                Direction::Allowance => ("an allowance on the whole", "BR-DEC-01"),
                Direction::Charge => ("a charge on the whole", "BR-DEC-05"),
            };
            let what = || what.to_owned();
            self.adjustment(rule, what, adjustment.amount, adjustment.shown)?;
        }
        Ok(())
    }

    fn adjustment(
        &self,
        rule: &'static str,
        what: impl Fn() -> String,
        amount: Decimal,
        shown: Decimal,
    ) -> Result<(), Unbalanced> {
        let round = |amount| self.0.currency.round(amount);
        self.expect(rule, &what, amount, round(amount))?;
        let should = match self.0.prices {
            PriceMode::Net => amount,
            PriceMode::Gross => round(shown),
        };
        self.expect(SHOWN, || as_shown(&what()), shown, should)
    }

    fn lines(&self) -> Result<(), Unbalanced> {
        for (line, number) in self.0.lines.iter().zip(1..) {
            let should = self.0.currency.round(line_exact(line));
            let what = || format!("line {number}");
            self.expect("PEPPOL-EN16931-R120", what, line.net, should)?;
        }
        Ok(())
    }

    fn taxes(&self) -> Result<(), Unbalanced> {
        let currency = self.0.currency;
        for total in &self.0.taxes {
            let what = || format!("net at {} %", total.tax.percent);
            self.expect("BR-S-08", what, total.net, net_under(self.0, total.tax))?;
            let exact = total.net * total.tax.percent / Decimal::ONE_HUNDRED;
            // Prices that hold the tax are rounded with it, so their tax may be a minor unit off.
            let unit = Decimal::new(1, currency.minor_digits());
            if (total.amount - exact).abs() > unit {
                let what = || format!("tax at {} %", total.tax.percent);
                self.expect("BR-CO-17", what, total.amount, currency.round(exact))?;
            }
        }
        Ok(())
    }

    fn totals(&self) -> Result<(), Unbalanced> {
        let Invoice {
            lines,
            adjustments,
            taxes,
            totals,
            ..
        } = self.0;
        let adjusted = |direction| -> Decimal {
            let of = adjustments.iter();
            of.filter(|a| a.direction == direction)
                .map(|a| a.amount)
                .sum()
        };
        let sum = |of: fn(&TaxTotal) -> Decimal| -> Decimal { taxes.iter().map(of).sum() };
        let lines: Decimal = lines.iter().map(|line| line.net).sum();
        let (allowances, charges) = (adjusted(Direction::Allowance), adjusted(Direction::Charge));
        for (rule, what, says, should) in [
            ("BR-CO-10", "the lines' sum", totals.lines, lines),
            (
                "BR-CO-11",
                "the allowances' sum",
                totals.allowances,
                allowances,
            ),
            ("BR-CO-12", "the charges' sum", totals.charges, charges),
            (
                "BR-CO-13",
                "the net total",
                totals.net,
                lines - allowances + charges,
            ),
            (
                "BR-CO-13",
                "the net total by rate",
                totals.net,
                sum(|t| t.net),
            ),
            ("BR-CO-14", "the tax", totals.tax, sum(|t| t.amount)),
            (
                "BR-CO-15",
                "the gross total",
                totals.gross,
                totals.net + totals.tax,
            ),
            (
                "BR-CO-16",
                "what is owed",
                totals.payable,
                totals.gross - totals.prepaid,
            ),
        ] {
            self.expect(rule, || what.to_owned(), says, should)?;
        }
        Ok(())
    }

    /// What is printed: price × quantity, allowances and charges come to the line, and the lines to the total.
    fn shown(&self) -> Result<(), Unbalanced> {
        let invoice = self.0;
        let without_tax = invoice.prices == PriceMode::Net;
        for (line, number) in invoice.lines.iter().zip(1..) {
            let what = || as_shown(&format!("line {number}"));
            let shown = &line.shown;
            let price = Decimal::from(line.quantity) * shown.unit_price;
            let adjustments = line.adjustments.iter();
            let adjusted: Decimal = adjustments.map(|a| a.direction.signed(a.shown)).sum();
            let should = invoice.currency.round(price) + adjusted;
            self.expect(SHOWN, what, shown.total, should)?;
            if without_tax {
                self.expect(SHOWN, what, shown.total, line.net)?;
            }
        }
        let lines: Decimal = invoice.lines.iter().map(|line| line.shown.total).sum();
        let adjustments = invoice.adjustments.iter();
        let adjusted: Decimal = adjustments.map(|a| a.direction.signed(a.shown)).sum();
        let totals = &invoice.totals;
        let (what, says) = if without_tax {
            ("the net total", totals.net)
        } else {
            ("the gross total", totals.gross)
        };
        let what = || as_shown(what);
        self.expect(SHOWN, what, says, lines + adjusted)
    }
}

fn as_shown(what: &str) -> String {
    format!("{what} as it is shown")
}

/// What a line comes to before it is rounded.
fn line_exact(line: &Line) -> Decimal {
    let price = Decimal::from(line.quantity) * line.unit_price;
    let adjustments = line.adjustments.iter();
    let adjusted: Decimal = adjustments.map(|a| a.direction.signed(a.amount)).sum();
    price + adjusted
}

/// What is taxed under one category and rate.
#[must_use]
pub fn net_under(invoice: &Invoice, tax: Tax) -> Decimal {
    let lines = invoice.lines.iter().filter(|line| line.tax == tax);
    let lines: Decimal = lines.map(|line| line.net).sum();
    let adjustments = invoice.adjustments.iter().filter(|a| a.tax == tax);
    let adjusted: Decimal = adjustments.map(|a| a.direction.signed(a.amount)).sum();
    lines + adjusted
}
