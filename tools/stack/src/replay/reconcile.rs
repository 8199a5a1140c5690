//! The books after a replay: what the file says against what the orders say.

use std::collections::BTreeMap;
use std::fmt::Write;

use rust_decimal::{Decimal, RoundingStrategy};
use time::OffsetDateTime;

use super::file::{Books, Invoice, Skip};
use super::send::Sent;
use super::settle::State;

/// Net sums of one month.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Month {
    invoices: u64,
    file: Decimal,
    orders: Decimal,
}

/// Everything that a replay came to.
#[derive(Debug, Default)]
pub(super) struct Report {
    rows: u64,
    invoices: usize,
    skipped: BTreeMap<Skip, u64>,
    sent: u64,
    refused: BTreeMap<String, u64>,
    confirmed: u64,
    /// Settled in any other way, by status and reason.
    otherwise: BTreeMap<String, u64>,
    unsettled: u64,
    unknown: BTreeMap<String, u64>,
    conflicts: u64,
    months: BTreeMap<String, Month>,
    /// The first few troubles, in words.
    examples: Vec<String>,
}

const EXAMPLES_MAX: usize = 5;

impl Report {
    /// Draws it up. `states` belong to the invoices that were taken, in their order.
    pub(super) fn new(books: &Books, sent: &[Sent<'_>], states: Vec<State>) -> Self {
        let mut report = Self {
            rows: books.rows,
            invoices: books.invoices.len(),
            ..Self::default()
        };
        for skip in books.invoices.iter().filter_map(|invoice| invoice.skip) {
            *report.skipped.entry(skip).or_default() += 1;
        }
        let mut states = states.into_iter();
        for Sent { invoice, outcome } in sent {
            let month = report.months.entry(month(invoice.placed_at)).or_default();
            month.invoices += 1;
            month.file += net(invoice);
            match outcome {
                Err(error) => {
                    *report.refused.entry(error.code().to_owned()).or_default() += 1;
                    report.example(format!("{}: {error}", invoice.number));
                }
                Ok(_) => {
                    report.sent += 1;
                    let state = states.next().unwrap_or(State::Unsettled);
                    report.settled(invoice, state);
                }
            }
        }
        report
    }

    fn settled(&mut self, invoice: &Invoice, state: State) {
        match state {
            State::Unsettled => {
                self.unsettled += 1;
                self.example(format!("{}: still accepted", invoice.number));
            }
            State::Unknown(error) => {
                *self.unknown.entry(error.code().to_owned()).or_default() += 1;
                self.example(format!("{}: {error}", invoice.number));
            }
            State::Settled(answer) => {
                if !answer.conflicts.is_empty() {
                    self.conflicts += 1;
                    self.example(format!(
                        "{}: another order under the same number came earlier",
                        invoice.number
                    ));
                }
                if answer.status == "rejected" || answer.status == "cancelled" {
                    let reason = answer.reason.as_deref().unwrap_or("no reason");
                    *self
                        .otherwise
                        .entry(format!("{}: {reason}", answer.status))
                        .or_default() += 1;
                    self.example(format!("{}: {} ({reason})", invoice.number, answer.status));
                    return;
                }
                self.confirmed += 1;
                // By the order's own date, not by the file's: both must agree.
                let placed_at = answer.placed_at.unwrap_or(OffsetDateTime::UNIX_EPOCH);
                self.months.entry(month(placed_at)).or_default().orders += answer.subtotal;
            }
        }
    }

    fn example(&mut self, words: String) {
        if self.examples.len() < EXAMPLES_MAX {
            self.examples.push(words);
        }
    }

    /// Whether everything that was to be sent is settled, and the orders' sums equal the file's to the cent.
    pub(super) fn balances(&self) -> bool {
        self.unsettled == 0
            && self.unknown.is_empty()
            && self.refused.is_empty()
            && self.conflicts == 0
            && self.months.values().all(|month| month.file == month.orders)
    }

    /// The table for people.
    pub(super) fn table(&self) -> String {
        let mut table = String::new();
        let mut row = |label: &str, value: String| {
            let _ = writeln!(table, "  {label:<46}{value:>16}");
        };
        row("rows read", grouped(self.rows));
        row("invoices", grouped(self.invoices as u64));
        for (skip, count) in &self.skipped {
            row(&format!("  skipped: {}", skip.words()), grouped(*count));
        }
        row("sent", grouped(self.sent));
        for (code, count) in &self.refused {
            row(&format!("  not taken: {code}"), grouped(*count));
        }
        row("confirmed", grouped(self.confirmed));
        for (status, count) in &self.otherwise {
            row(&format!("  {status}"), grouped(*count));
        }
        for (code, count) in &self.unknown {
            row(&format!("  not to be read: {code}"), grouped(*count));
        }
        row("unsettled", grouped(self.unsettled));
        if self.conflicts > 0 {
            row("in conflict with an earlier order", grouped(self.conflicts));
        }
        let _ = writeln!(
            table,
            "\n  {:<10}{:>10}{:>18}{:>18}{:>16}",
            "net", "invoices", "file", "orders", "difference"
        );
        for (name, month) in &self.months {
            let _ = writeln!(
                table,
                "  {name:<10}{:>10}{:>18}{:>18}{:>16}",
                grouped(month.invoices),
                money(month.file),
                money(month.orders),
                money(month.orders - month.file)
            );
        }
        for example in &self.examples {
            let _ = writeln!(table, "  ! {example}");
        }
        table
    }
}

pub(super) fn month(at: OffsetDateTime) -> String {
    format!("{}-{:02}", at.year(), u8::from(at.month()))
}

/// Σ quantity × price, each line rounded half-up to the penny: the rule by which orders are summed.
fn net(invoice: &Invoice) -> Decimal {
    invoice
        .lines
        .iter()
        .map(|line| {
            (Decimal::from(line.quantity) * line.unit_price)
                .round_dp_with_strategy(2, RoundingStrategy::MidpointAwayFromZero)
        })
        .sum()
}

/// `769905.74` → `769,905.74`.
pub(super) fn money(amount: Decimal) -> String {
    let text = format!("{amount:.2}");
    let (sign, digits) = text
        .strip_prefix('-')
        .map_or(("", text.as_str()), |digits| ("-", digits));
    let (whole, cents) = digits.split_once('.').unwrap_or((digits, "00"));
    format!(
        "{sign}{}.{cents}",
        grouped(whole.parse().unwrap_or_default())
    )
}

pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_grouped_by_thousands() {
        assert_eq!(money(Decimal::new(76_990_574, 2)), "769,905.74");
        assert_eq!(money(Decimal::new(-12_345, 1)), "-1,234.50");
        assert_eq!(grouped(999), "999");
        assert_eq!(grouped(1_000_000), "1,000,000");
    }
}
