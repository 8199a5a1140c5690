//! Allowances and charges: what is printed adds up for whoever reads it.

use std::path::Path;

use rust_decimal::Decimal;
use steelyard_domain::tax::PriceMode;
use steelyard_einvoice::model::{Adjustment, Direction, Invoice, Line};
use steelyard_paper::{Press, Theme, sample};

use crate::reader::{plain, read_one};
use crate::{allowances, press};

/// Numbers as English writes them.
fn number(word: &str) -> Decimal {
    let digits = word.replace([',', '€'], "").replace('\u{2212}', "-");
    let number = digits.parse();
    number.unwrap_or_else(|_| panic!("{word:?} is no number"))
}

/// The number that stands behind a label.
fn after(text: &str, label: &str) -> Option<Decimal> {
    let (_, rest) = text.split_once(&format!("{label} "))?;
    rest.split(' ').next().map(number)
}

/// The pages of an invoice in English, as a person reads them.
fn pages(invoice: &Invoice) -> Option<Vec<String>> {
    let pdf = press().invoice(invoice, "en").unwrap();
    let found = read_one(&pdf.bytes)?;
    assert_eq!(found.faults, Vec::<String>::new());
    Some(found.pages.iter().map(|page| plain(page)).collect())
}

/// With names that no line is broken for.
fn named_shortly(mut invoice: Invoice) -> Invoice {
    for line in &mut invoice.lines {
        line.name = "Thing".to_owned();
    }
    invoice
}

/// A line as it is printed.
struct Printed {
    quantity: Decimal,
    price: Decimal,
    amount: Decimal,
    /// What stands under it.
    under: Vec<Decimal>,
}

impl Printed {
    fn find(text: &str, line: &Line) -> Self {
        let (_, rest) = text.split_once(&format!("{} Thing ", line.sku)).unwrap();
        let [quantity, price, _, percent, amount] =
            *rest.splitn(6, ' ').take(5).collect::<Vec<_>>()
        else {
            panic!("{} is not whole: {rest}", line.sku)
        };
        assert_eq!(percent, "%");
        let mut rest = rest.splitn(6, ' ').nth(5).unwrap();
        let mut under = Vec::new();
        for adjustment in &line.adjustments {
            let behind = rest.strip_prefix(&adjustment.reason).unwrap().trim_start();
            let (amount, behind) = behind.split_once(' ').unwrap();
            under.push(number(amount));
            rest = behind;
        }
        Self {
            quantity: number(quantity),
            price: number(price),
            amount: number(amount),
            under,
        }
    }

    /// What the line comes to, if its own numbers are right.
    fn total(&self, invoice: &Invoice) -> Decimal {
        let price = invoice.currency.round(self.quantity * self.price);
        assert_eq!(self.amount, price, "{} × {}", self.quantity, self.price);
        self.amount + self.under.iter().sum::<Decimal>()
    }
}

#[test]
fn what_is_taken_off_and_put_on_adds_up_as_it_is_printed() {
    for prices in [PriceMode::Net, PriceMode::Gross] {
        let invoice = named_shortly(allowances(8, prices).invoice());
        let Some(pages) = pages(&invoice) else {
            return;
        };
        let text = pages.join(" ");
        let lines = invoice.lines.iter();
        let totals = lines.map(|line| Printed::find(&text, line).total(&invoice));
        let lines: Decimal = totals.sum();
        let after = |label: &str| {
            after(&text, label).unwrap_or_else(|| panic!("{prices:?}: no {label:?} in {text}"))
        };
        assert_eq!(after("Subtotal"), lines, "{text}");
        let sale = match prices {
            PriceMode::Net => "Autumn sale of balances, 25 % of €292.00 (VAT 19 %)",
            PriceMode::Gross => "Autumn sale of balances, 25 % (VAT 19 %)",
        };
        let labels = [sale, "Book token (VAT 7 %)", "Freight (VAT 19 %)"];
        let adjusted = lines + labels.map(after).iter().sum::<Decimal>();
        let (_, total) = text.rsplit_once("Total ").unwrap();
        let total = number(total.split(' ').next().unwrap());
        let mut of_rates = Decimal::ZERO;
        for percent in ["7", "19"] {
            let label = match prices {
                PriceMode::Net => format!("VAT {percent} % on"),
                PriceMode::Gross => format!("VAT {percent} % included, on"),
            };
            let (_, rest) = text.split_once(&label).unwrap();
            let mut numbers = rest.split_whitespace().map(number);
            let (net, tax) = (numbers.next().unwrap(), numbers.next().unwrap());
            let exact = net * number(percent) / Decimal::ONE_HUNDRED;
            assert!((tax - exact).abs() <= Decimal::new(1, 2), "{tax} of {net}");
            of_rates += net + tax;
        }
        assert_eq!(of_rates, total, "{text}");
        match prices {
            PriceMode::Net => assert_eq!(after("Total excl. VAT"), adjusted),
            PriceMode::Gross => assert_eq!(total, adjusted),
        }
        assert_eq!(total, invoice.totals.gross);
    }
}

#[test]
fn carried_totals_hold_what_is_taken_off_and_put_on() {
    let invoice = named_shortly(allowances(130, PriceMode::Gross).invoice());
    let Some(pages) = pages(&invoice) else {
        return;
    };
    assert!(pages.len() > 3);
    let mut lines = invoice.lines.iter().peekable();
    let (mut sum, mut carried) = (Decimal::ZERO, None);
    for page in &pages {
        assert_eq!(after(page, "Brought forward"), carried, "{page}");
        while let Some(line) = lines.next_if(|line| page.contains(&line.sku)) {
            sum += Printed::find(page, line).total(&invoice);
        }
        carried = after(page, "Carried forward");
        assert_eq!(carried.is_none(), lines.peek().is_none(), "{page}");
        assert_eq!(carried.unwrap_or(sum), sum, "{page}");
    }
    let last = pages.last().unwrap();
    assert_eq!(after(last, "Subtotal"), Some(sum), "{last}");
}

#[test]
fn a_line_that_no_page_could_hold_is_carried_with_what_of_it_was_printed() {
    let mut invoice = allowances(1, PriceMode::Net).invoice();
    invoice.lines[0].name = "word ".repeat(2_000);
    let Some(pages) = pages(&invoice) else {
        return;
    };
    let mut sum = Decimal::ZERO;
    for page in &pages {
        for (words, amount) in [
            ("148.00 19 % 296.00", 296),
            ("Slightly scratched \u{2212}4.00", -4),
        ] {
            if page.contains(words) {
                sum += Decimal::from(amount);
            }
        }
        let carried = after(page, "Carried forward");
        assert_eq!(carried.unwrap_or(sum), sum, "{page}");
    }
    assert!(pages[0].contains("Carried forward 296.00"), "{}", pages[0]);
    assert_eq!(sum, invoice.lines[0].net);
}

#[test]
fn allowances_and_charges_are_named_in_every_language() {
    let invoice = allowances(3, PriceMode::Net).invoice();
    for (language, says) in [
        (
            "de",
            [
                "Slightly scratched −4,00",
                "Zwischensumme 691,10 €",
                "Autumn sale of balances, 25 % von 292,00 € (USt 19 %) −73,00 €",
                "Freight (USt 19 %) 12,00 €",
                "Summe netto 627,10 €",
                "Gesamtbetrag 729,86 €",
            ],
        ),
        (
            "en",
            [
                "Slightly scratched −4.00",
                "Subtotal €691.10",
                "Autumn sale of balances, 25 % of €292.00 (VAT 19 %) −€73.00",
                "Freight (VAT 19 %) €12.00",
                "Total excl. VAT €627.10",
                "Total €729.86",
            ],
        ),
        (
            "fr",
            [
                "Slightly scratched −4,00",
                "Sous-total 691,10 €",
                "Autumn sale of balances, 25 % de 292,00 € (TVA 19 %) −73,00 €",
                "Freight (TVA 19 %) 12,00 €",
                "Total HT 627,10 €",
                "Total TTC 729,86 €",
            ],
        ),
        (
            "pl",
            [
                "Slightly scratched −4,00",
                "Suma częściowa 691,10 €",
                "Autumn sale of balances, 25 % od 292,00 € (VAT 19 %) −73,00 €",
                "Freight (VAT 19 %) 12,00 €",
                "Razem netto 627,10 €",
                "Razem brutto 729,86 €",
            ],
        ),
    ] {
        let pdf = press().invoice(&invoice, language).unwrap();
        let Some(found) = read_one(&pdf.bytes) else {
            return;
        };
        let text = plain(&found.pages.join(" "));
        for words in says {
            assert!(text.contains(words), "{language}: no {words:?} in {text}");
        }
    }
}

/// What a theme with this `theme.toml` prints.
fn printed(theme: &str, invoice: &Invoice, language: &str) -> Option<String> {
    let files = [("theme.toml".to_owned(), theme.as_bytes().to_vec())].into();
    let theme = Theme::of_files(Path::new("a theme"), &files).unwrap();
    let pdf = Press::new(theme).unwrap().invoice(invoice, language);
    let found = read_one(&pdf.unwrap().bytes)?;
    Some(plain(&found.pages.join(" ")))
}

#[test]
fn whoever_says_no_reason_is_told_which_it_is() {
    let mut invoice = allowances(3, PriceMode::Net).invoice();
    invoice.lines[0].adjustments[0].reason = String::new();
    for adjustment in &mut invoice.adjustments {
        adjustment.reason = " ".to_owned();
    }
    // This theme's Spanish is not finished: what it does not say is English.
    let theme = "[wording.es.words]\ninvoice = \"Factura\"\n";
    for (language, says) in [
        (
            "de",
            [
                "Nachlass −4,00",
                "Nachlass (USt 7 %)",
                "Zuschlag (USt 19 %)",
            ],
        ),
        (
            "es",
            [
                "Allowance −4.00",
                "Allowance (VAT 7 %)",
                "Charge (VAT 19 %)",
            ],
        ),
    ] {
        let Some(text) = printed(theme, &invoice, language) else {
            return;
        };
        for words in says {
            assert!(text.contains(words), "{language}: no {words:?} in {text}");
        }
    }
}

#[test]
fn a_table_without_totals_says_with_the_reason_how_much_it_is() {
    let invoice = allowances(4, PriceMode::Net).invoice();
    let theme = "[table]\ncolumns = [\"name\", \"quantity\", \"unit_price\"]\n";
    let Some(text) = printed(theme, &invoice, "en") else {
        return;
    };
    for words in [
        "Slightly scratched −€4.00",
        "End of the roll −€2.00",
        "Cut to length €5.00",
    ] {
        assert!(text.contains(words), "no {words:?} in {text}");
    }
}

/// A euro more under the first line's tax, which is 19 %.
fn charge(invoice: &mut Invoice, reason: String) {
    let euro = Decimal::new(100, 2);
    let tax = Decimal::new(19, 2);
    invoice.adjustments.push(Adjustment {
        direction: Direction::Charge,
        amount: euro,
        shown: euro,
        of: None,
        reason,
        tax: invoice.lines[0].tax,
    });
    invoice.taxes[0].net += euro;
    invoice.taxes[0].amount += tax;
    let totals = &mut invoice.totals;
    totals.charges += euro;
    totals.net += euro;
    totals.tax += tax;
    totals.gross += euro + tax;
    totals.payable += euro + tax;
}

#[test]
fn charges_without_number_and_reasons_without_end_are_printed_whole() {
    let mut invoice = sample::invoice(2);
    for number in 0..90 {
        charge(&mut invoice, format!("Charge-{number}."));
    }
    charge(&mut invoice, "because ".repeat(1_250));
    let Some(pages) = pages(&invoice) else {
        return;
    };
    let text = pages.join(" ");
    for number in 0..90 {
        let printed = after(&text, &format!("Charge-{number}."));
        assert_eq!(printed, Some(Decimal::ONE));
    }
    assert_eq!(text.matches("because").count(), 1_250);
    let (_, total) = text.rsplit_once("Total ").unwrap();
    let total = number(total.split(' ').next().unwrap());
    assert_eq!(total, invoice.totals.gross);
    assert!(pages.len() > 3);
}
