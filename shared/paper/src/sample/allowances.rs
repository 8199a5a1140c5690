//! Allowances and charges on a sample. They are whole euros without tax, so their tax has no fraction of a cent, in
//! prices with tax and without.

use rust_decimal::Decimal;
use steelyard_domain::money::Currency;
use steelyard_domain::tax::PriceMode;
use steelyard_einvoice::balance::net_under;
use steelyard_einvoice::model::{
    Adjustment,
    Direction::{self, Allowance, Charge},
    Invoice, LineAdjustment, PercentOf, Tax, Totals,
};

use super::GOODS;

/// On lines, by their place among the goods.
const ON_LINES: [(usize, Direction, i64, &str); 3] = [
    (0, Allowance, 4, "Slightly scratched"),
    (3, Allowance, 2, "End of the roll"),
    (3, Charge, 5, "Cut to length"),
];
/// The line under whose tax it falls, which way, whole euros, how many percent they are of what, and why.
type OnAll = (usize, Direction, i64, Option<(i64, i64)>, &'static str);
/// On the whole.
const ON_ALL: [OnAll; 3] = [
    (0, Allowance, 73, Some((25, 292)), "Autumn sale of balances"),
    (2, Allowance, 3, None, "Book token"),
    (0, Charge, 12, None, "Freight"),
];

pub(super) fn put_on(invoice: &mut Invoice) {
    let terms = Terms::of(invoice);
    for (line, place) in invoice.lines.iter_mut().zip((0..GOODS.len()).cycle()) {
        let on_line = ON_LINES.into_iter().filter(|on_line| on_line.0 == place);
        for (_, direction, euros, reason) in on_line {
            let (amount, shown) = terms.amounts(euros, line.tax);
            line.net += direction.signed(amount);
            line.shown.total += direction.signed(shown);
            line.adjustments.push(LineAdjustment {
                direction,
                amount,
                shown,
                reason: reason.to_owned(),
            });
        }
    }
    let on_all = ON_ALL
        .iter()
        .filter_map(|&(line, direction, euros, of, reason)| {
            let tax = invoice.lines.get(line)?.tax;
            let (amount, shown) = terms.amounts(euros, tax);
            Some(Adjustment {
                direction,
                amount,
                shown,
                of: of.map(|(percent, base)| PercentOf {
                    percent: percent.into(),
                    base: terms.currency.round(base.into()),
                }),
                reason: reason.to_owned(),
                tax,
            })
        });
    invoice.adjustments = on_all.collect();
    add_up(invoice);
}

/// In which amounts are given.
struct Terms {
    currency: Currency,
    prices: PriceMode,
}

impl Terms {
    fn of(invoice: &Invoice) -> Self {
        Self {
            currency: invoice.currency,
            prices: invoice.prices,
        }
    }

    /// Without tax, and as the buyer sees it.
    fn amounts(&self, euros: i64, tax: Tax) -> (Decimal, Decimal) {
        let amount = Decimal::from(euros);
        let with_tax = amount + amount * tax.percent / Decimal::ONE_HUNDRED;
        let shown = match self.prices {
            PriceMode::Net => amount,
            PriceMode::Gross => with_tax,
        };
        (self.currency.round(amount), self.currency.round(shown))
    }
}

/// The sums anew. The tax changes by what whole euros are taxed with, so it is as exact as before.
fn add_up(invoice: &mut Invoice) {
    let currency = invoice.currency;
    let taxes = invoice.taxes.iter();
    let nets: Vec<Decimal> = taxes.map(|total| net_under(invoice, total.tax)).collect();
    for (total, net) in invoice.taxes.iter_mut().zip(nets) {
        let tax = (net - total.net) * total.tax.percent / Decimal::ONE_HUNDRED;
        total.amount = currency.round(total.amount + tax);
        total.net = net;
    }
    let of = |direction| -> Decimal {
        let adjustments = invoice.adjustments.iter();
        let adjustments = adjustments.filter(|adjustment| adjustment.direction == direction);
        adjustments.map(|adjustment| adjustment.amount).sum()
    };
    let (allowances, charges) = (of(Allowance), of(Charge));
    let lines: Decimal = invoice.lines.iter().map(|line| line.net).sum();
    let tax: Decimal = invoice.taxes.iter().map(|total| total.amount).sum();
    let net = lines - allowances + charges;
    invoice.totals = Totals {
        lines,
        allowances,
        charges,
        net,
        tax,
        gross: net + tax,
        payable: net + tax - invoice.totals.prepaid,
        prepaid: invoice.totals.prepaid,
    };
}
