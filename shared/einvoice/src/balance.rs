//! Whether an invoice adds up (promise P5), by the standard's own rules. It is asked before anything is written.

use rust_decimal::Decimal;

use crate::model::{Direction, Invoice, Line, Tax, TaxTotal};

/// A sum that is not what it says, with the rule that it breaks.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{number}: {rule}: {what} is {says}, and should be {should}")]
pub struct Unbalanced {
    /// The invoice.
    pub number: String,
    /// A rule of EN 16931-1, or of Peppol BIS 3.
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
    let expect = |rule, what: &dyn Fn() -> String, says: Decimal, should: Decimal| {
        if says == should {
            return Ok(());
        }
        Err(Unbalanced {
            number: invoice.number.clone(),
            rule,
            what: what(),
            says,
            should,
        })
    };
    for (i, line) in invoice.lines.iter().enumerate() {
        let what = || format!("line {}", i + 1);
        let should = invoice.currency.round(line_exact(line));
        expect("PEPPOL-EN16931-R120", &what, line.net, should)?;
    }
    for total in &invoice.taxes {
        let what = || format!("net at {} %", total.tax.percent);
        expect("BR-S-08", &what, total.net, net_under(invoice, total.tax))?;
        let exact = total.net * total.tax.percent / Decimal::ONE_HUNDRED;
        // Prices that hold the tax are rounded with it, so their tax may be a minor unit off.
        let unit = Decimal::new(1, invoice.currency.minor_digits());
        if (total.amount - exact).abs() > unit {
            let what = || format!("tax at {} %", total.tax.percent);
            expect(
                "BR-CO-17",
                &what,
                total.amount,
                invoice.currency.round(exact),
            )?;
        }
    }
    let totals = &invoice.totals;
    let adjusted = |direction| -> Decimal {
        let of = invoice.adjustments.iter();
        of.filter(|a| a.direction == direction)
            .map(|a| a.amount)
            .sum()
    };
    let sum = |of: fn(&TaxTotal) -> Decimal| -> Decimal { invoice.taxes.iter().map(of).sum() };
    let lines: Decimal = invoice.lines.iter().map(|line| line.net).sum();
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
        expect(rule, &|| what.to_owned(), says, should)?;
    }
    Ok(())
}

/// What a line comes to before it is rounded.
fn line_exact(line: &Line) -> Decimal {
    let start = Decimal::from(line.quantity) * line.unit_price;
    line.adjustments.iter().fold(start, |sum, adjustment| {
        signed(sum, adjustment.direction, adjustment.amount)
    })
}

/// What is taxed under one category and rate.
pub(crate) fn net_under(invoice: &Invoice, tax: Tax) -> Decimal {
    let lines = invoice.lines.iter().filter(|line| line.tax == tax);
    let sum: Decimal = lines.map(|line| line.net).sum();
    let adjustments = invoice.adjustments.iter().filter(|a| a.tax == tax);
    adjustments.fold(sum, |sum, a| signed(sum, a.direction, a.amount))
}

fn signed(sum: Decimal, direction: Direction, amount: Decimal) -> Decimal {
    match direction {
        Direction::Allowance => sum - amount,
        Direction::Charge => sum + amount,
    }
}
