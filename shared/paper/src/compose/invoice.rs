//! An invoice or a credit note as a letter.

use rust_decimal::Decimal;
use steelyard_domain::tax::PriceMode;
use steelyard_einvoice::model::{Adjustment, Category, Direction, Invoice, Kind, Line, TaxTotal};

use super::address;
use super::letter::{Carried, Letter, Paragraph, Row, Sum, SumWeight, Table, Under};
use crate::numbers;
use crate::theme::{Column, Language, Theme, Word, in_fours};

/// The letter.
pub(crate) fn invoice<'a>(invoice: &'a Invoice, theme: &Theme, language: &Language) -> Letter<'a> {
    let writer = Writer { invoice, language };
    Letter {
        seller: &invoice.seller,
        account: invoice.payment.account.as_ref(),
        title: writer.title(),
        recipient: address::lines(
            &invoice.buyer.name,
            &invoice.buyer.address,
            &invoice.seller.address.country,
            language,
        ),
        facts: writer.facts(),
        before: writer.before(),
        table: writer.table(&theme.settings.table.columns.0),
        sums: writer.sums(),
        after: writer.after(),
    }
}

struct Writer<'a> {
    invoice: &'a Invoice,
    language: &'a Language,
}

impl Writer<'_> {
    fn is_credit(&self) -> bool {
        self.invoice.kind == Kind::CreditNote
    }

    /// A word of an invoice, or the one of a credit note.
    fn either(&self, invoice: Word, credit_note: Word) -> String {
        let word = if self.is_credit() {
            credit_note
        } else {
            invoice
        };
        self.language.word(word).to_owned()
    }

    fn word(&self, word: Word) -> String {
        self.language.word(word).to_owned()
    }

    fn money(&self, amount: Decimal) -> String {
        numbers::money(self.language, amount, self.invoice.currency)
    }

    fn amount(&self, amount: Decimal) -> String {
        numbers::amount(self.language, amount, self.invoice.currency)
    }

    fn percent(&self, percent: Decimal) -> String {
        numbers::number(self.language, percent.normalize())
    }

    fn title(&self) -> String {
        let word = self.either(Word::Invoice, Word::CreditNote);
        format!("{word} {}", self.invoice.number)
    }

    fn facts(&self) -> Vec<(String, String)> {
        let invoice = self.invoice;
        let date = |date| numbers::date(self.language, date);
        let optional = |text: &Option<String>| text.clone().unwrap_or_default();
        vec![
            (
                self.either(Word::NumberInvoice, Word::NumberCreditNote),
                invoice.number.clone(),
            ),
            (self.word(Word::Date), date(invoice.issued_on)),
            (self.word(Word::SupplyDate), date(invoice.delivery.on)),
            (
                self.word(Word::DueDate),
                invoice.payment.due_on.map(date).unwrap_or_default(),
            ),
            (self.word(Word::Order), invoice.order_number.clone()),
            (self.word(Word::Customer), optional(&invoice.buyer.id)),
            (
                self.word(Word::BuyerReference),
                optional(&invoice.buyer_reference),
            ),
            (self.word(Word::BuyerVatId), optional(&invoice.buyer.vat_id)),
        ]
    }

    fn before(&self) -> Vec<Paragraph> {
        let mut before = Vec::new();
        if let Some(preceding) = &self.invoice.preceding {
            let date = numbers::date(self.language, preceding.issued_on);
            let slots = [("number", preceding.number.as_str()), ("date", &date)];
            before.push(Paragraph::Plain(
                self.language.phrase(Word::TakesBack, &slots),
            ));
        }
        let opening = self.either(Word::OpeningInvoice, Word::OpeningCreditNote);
        before.push(Paragraph::Plain(opening));
        let (buyer, delivery) = (&self.invoice.buyer, &self.invoice.delivery);
        if delivery.address != buyer.address || delivery.name != buyer.name {
            let from = &self.invoice.seller.address.country;
            before.push(Paragraph::Labelled(
                self.word(Word::DeliverTo),
                address::inline(&delivery.name, &delivery.address, from, self.language),
            ));
        }
        before
    }

    fn table(&self, columns: &[Column]) -> Table {
        let label = |&column: &Column| {
            let word = match column {
                Column::Position => Word::ColumnPosition,
                Column::Sku => Word::ColumnSku,
                Column::Name => Word::ColumnName,
                Column::Quantity => Word::ColumnQuantity,
                Column::UnitPrice => Word::ColumnUnitPrice,
                Column::Tax => Word::ColumnTax,
                Column::Total => Word::ColumnTotal,
            };
            (column, self.word(word))
        };
        let mut running = Decimal::ZERO;
        let rows = self.invoice.lines.iter().zip(1..);
        let rows = rows.map(|(line, position)| self.row(columns, line, position, &mut running));
        Table {
            columns: columns.iter().map(label).collect(),
            rows: rows.collect(),
            carried: Some(Carried {
                forward: self.word(Word::CarriedForward),
                brought: self.word(Word::BroughtForward),
            }),
        }
    }

    /// A line as quantity × price, and under it what is taken off and put on: the column of totals adds up as it stands.
    fn row(&self, columns: &[Column], line: &Line, position: u32, running: &mut Decimal) -> Row {
        let listed = listed(line);
        let cells = columns.iter();
        let cells = cells.map(|&column| self.cell(column, line, position, listed));
        *running += listed;
        let row = Row {
            cells: cells.collect(),
            running: self.amount(*running),
            under: Vec::new(),
        };
        let under = line.adjustments.iter().map(|adjustment| {
            let amount = adjustment.direction.signed(adjustment.shown);
            *running += amount;
            let reason = self.reason(&adjustment.reason, adjustment.direction);
            self.under(columns, reason, amount, *running)
        });
        Row {
            under: under.collect(),
            ..row
        }
    }

    fn under(
        &self,
        columns: &[Column],
        reason: String,
        amount: Decimal,
        running: Decimal,
    ) -> Under {
        let (label, amount) = if columns.contains(&Column::Total) {
            (reason, self.amount(amount))
        } else {
            (format!("{reason} {}", self.money(amount)), String::new())
        };
        Under {
            label,
            amount,
            running: self.amount(running),
        }
    }

    fn cell(&self, column: Column, line: &Line, position: u32, listed: Decimal) -> String {
        match column {
            Column::Position => position.to_string(),
            Column::Sku => line.sku.clone(),
            Column::Name => line.name.clone(),
            Column::Quantity => numbers::number(self.language, line.quantity.into()),
            Column::UnitPrice => {
                numbers::price(self.language, line.shown.unit_price, self.invoice.currency)
            }
            Column::Tax => format!("{}\u{a0}%", self.percent(line.tax.percent)),
            Column::Total => self.amount(listed),
        }
    }

    /// Why less or more is asked for; which of the two, when nobody says why.
    fn reason(&self, reason: &str, direction: Direction) -> String {
        if !reason.trim().is_empty() {
            return reason.to_owned();
        }
        self.word(match direction {
            Direction::Allowance => Word::Allowance,
            Direction::Charge => Word::Charge,
        })
    }

    /// An allowance or a charge on the whole. Where there are several rates, it says under which it falls.
    fn adjustment(&self, adjustment: &Adjustment) -> Sum {
        let mut label = self.reason(&adjustment.reason, adjustment.direction);
        if let Some(of) = &adjustment.of {
            let (percent, base) = (self.percent(of.percent), self.money(of.base));
            // The base is without tax, and would not be found among prices with it.
            let word = match self.invoice.prices {
                PriceMode::Net => Word::ByPercentOf,
                PriceMode::Gross => Word::ByPercent,
            };
            // What others wrote goes in last: it is no phrase.
            let slots = [("percent", &*percent), ("base", &base), ("reason", &label)];
            label = self.language.phrase(word, &slots);
        }
        if self.invoice.taxes.len() > 1 {
            let percent = self.percent(adjustment.tax.percent);
            let slots = [("percent", &*percent), ("reason", &label)];
            label = self.language.phrase(Word::AtTax, &slots);
        }
        Sum {
            label,
            amount: self.money(adjustment.direction.signed(adjustment.shown)),
            weight: SumWeight::Plain,
        }
    }

    fn sums(&self) -> Vec<Sum> {
        let totals = &self.invoice.totals;
        let plain = |label: String, amount: String| Sum {
            label,
            amount,
            weight: SumWeight::Plain,
        };
        let strong = |label: String, amount: Decimal| Sum {
            label,
            amount: self.money(amount),
            weight: SumWeight::Strong,
        };
        let tax = |word: Word, total: &TaxTotal| {
            let (percent, net) = (self.percent(total.tax.percent), self.money(total.net));
            let slots = [("percent", percent.as_str()), ("net", net.as_str())];
            plain(self.language.phrase(word, &slots), self.money(total.amount))
        };
        let taxes = |word| self.invoice.taxes.iter().map(move |total| tax(word, total));
        let with_tax = self.invoice.prices == PriceMode::Gross;
        let mut sums = Vec::new();
        if !self.invoice.adjustments.is_empty() {
            let lines = self.invoice.lines.iter().map(|line| line.shown.total);
            sums.push(plain(self.word(Word::Subtotal), self.money(lines.sum())));
            let adjustments = self.invoice.adjustments.iter();
            sums.extend(adjustments.map(|adjustment| self.adjustment(adjustment)));
        }
        if !with_tax {
            sums.push(plain(self.word(Word::NetTotal), self.money(totals.net)));
            sums.extend(taxes(Word::TaxOn));
        }
        let total = self.either(Word::Total, Word::Credited);
        sums.push(strong(total, totals.gross));
        if with_tax {
            sums.extend(taxes(Word::TaxIn));
        }
        if !totals.prepaid.is_zero() {
            sums.push(plain(self.word(Word::Prepaid), self.money(-totals.prepaid)));
            sums.push(strong(self.word(Word::Payable), totals.payable));
        }
        sums
    }

    fn after(&self) -> Vec<Paragraph> {
        let mut after: Vec<Paragraph> = self.reasons().into_iter().map(Paragraph::Plain).collect();
        after.extend(self.payment());
        after.extend(self.invoice.notes.iter().cloned().map(Paragraph::Plain));
        let closing = self.either(Word::ClosingInvoice, Word::ClosingCreditNote);
        after.push(Paragraph::Plain(closing));
        after
    }

    /// Why a part is not taxed, once per reason.
    fn reasons(&self) -> Vec<String> {
        let word = |category| match category {
            Category::Standard => None,
            Category::Zero => Some(Word::NoTaxZero),
            Category::Exempt => Some(Word::NoTaxExempt),
            Category::ReverseCharge => Some(Word::NoTaxReverseCharge),
            Category::IntraCommunity => Some(Word::NoTaxIntraCommunity),
            Category::Export => Some(Word::NoTaxExport),
        };
        let taxes = self.invoice.taxes.iter();
        taxes
            .filter_map(|total| word(total.tax.category))
            .map(|w| self.word(w))
            .collect()
    }

    fn payment(&self) -> Vec<Paragraph> {
        let (payment, owed) = (&self.invoice.payment, self.invoice.totals.payable);
        let mut said = Vec::new();
        if self.is_credit() {
            said.extend(payment.terms.clone().map(Paragraph::Plain));
            return said;
        }
        if owed.is_zero() {
            return vec![Paragraph::Plain(self.word(Word::IsPaid))];
        }
        let amount = self.money(owed);
        let reference = payment.reference.clone().unwrap_or_default();
        let date = payment.due_on.map(|on| numbers::date(self.language, on));
        let word = if date.is_some() {
            Word::PleasePay
        } else {
            Word::PleasePaySomeDay
        };
        let slots = [
            ("amount", amount.as_str()),
            ("reference", &reference),
            ("date", date.as_deref().unwrap_or_default()),
        ];
        let pairs = payment.account.as_ref().map(|account| {
            let holder = account.holder.clone();
            let pairs = [
                (
                    Word::AccountHolder,
                    holder.unwrap_or_else(|| self.invoice.seller.name.clone()),
                ),
                (Word::Iban, in_fours(&account.iban)),
                (Word::Bic, account.bic.clone().unwrap_or_default()),
                (Word::Bank, account.bank.clone().unwrap_or_default()),
            ];
            pairs.map(|(word, value)| (self.word(word), value)).into()
        });
        said.push(Paragraph::Pairs {
            lead: self.language.phrase(word, &slots),
            pairs: pairs.unwrap_or_default(),
        });
        said.extend(payment.terms.clone().map(Paragraph::Plain));
        said
    }
}

/// What a line comes to before anything is taken off or put on.
fn listed(line: &Line) -> Decimal {
    let adjustments = line.adjustments.iter();
    let adjusted: Decimal = adjustments.map(|a| a.direction.signed(a.shown)).sum();
    line.shown.total - adjusted
}
