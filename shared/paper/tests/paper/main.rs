//! What comes off the press, as others read it.
#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod adjustments;
mod pages;
mod reader;
mod themes;

use rust_decimal::Decimal;
use steelyard_domain::tax::PriceMode;
use steelyard_domain::totals::{PricedLine, Totals};
use steelyard_einvoice::cii;
use steelyard_einvoice::issue::Numbered;
use steelyard_einvoice::model::Invoice;
use steelyard_paper::sample::{self, Sample};
use steelyard_paper::{Press, Theme};
use time::macros::date;

fn press() -> Press {
    Press::new(Theme::plain()).unwrap()
}

/// A sample with allowances and charges, on lines and on the whole.
fn allowances(lines: usize, prices: PriceMode) -> Sample {
    Sample {
        prices,
        has_allowances: true,
        ..Sample::of(lines)
    }
}

fn abroad(buyer: sample::Buyer) -> Sample {
    Sample {
        buyer,
        ..Sample::of(3)
    }
}

fn documents() -> Vec<(String, Vec<u8>, Option<Invoice>)> {
    let press = press();
    let mut documents = Vec::new();
    for language in ["de", "en", "fr", "pl"] {
        for (kind, invoice) in [
            ("invoice", sample::invoice(3)),
            ("credit-note", sample::credit_note(3)),
            ("allowances", allowances(3, PriceMode::Net).invoice()),
            ("gross", allowances(3, PriceMode::Gross).credit_note()),
            ("hebrew", abroad(sample::Buyer::Hebrew).invoice()),
            ("arabic", abroad(sample::Buyer::Arabic).invoice()),
        ] {
            let pdf = press.invoice(&invoice, language).unwrap();
            assert!(pdf.missing.is_empty(), "{kind}: {:?}", pdf.missing);
            documents.push((format!("{kind}-{language}.pdf"), pdf.bytes, Some(invoice)));
        }
        let note = sample::delivery_note(3);
        let pdf = press.delivery_note(&note, language).unwrap();
        documents.push((format!("delivery-note-{language}.pdf"), pdf.bytes, None));
    }
    documents
}

#[test]
fn every_document_is_pdf_a_3b_with_its_fonts_in_it() {
    let documents = documents();
    let files: Vec<_> = documents
        .iter()
        .map(|(name, bytes, _)| (name.clone(), bytes.as_slice()))
        .collect();
    let Some(found) = reader::read(&files) else {
        return;
    };
    for (name, found) in found {
        assert_eq!(found.faults, Vec::<String>::new(), "{name}");
        assert_eq!(found.version, "1.7", "{name}");
        assert_eq!(
            (found.part.as_deref(), found.conformance.as_deref()),
            (Some("3"), Some("B")),
            "{name}"
        );
        assert_eq!(found.intents, ["/GTS_PDFA1"], "{name}");
        assert!(!found.fonts.is_empty(), "{name}");
        for (font, embedded, copies) in found.fonts {
            assert!(embedded && copies, "{name}: {font}");
        }
    }
}

#[test]
fn an_invoice_carries_itself_as_data_and_its_metadata_say_so() {
    let documents = documents();
    let files: Vec<_> = documents
        .iter()
        .map(|(name, bytes, _)| (name.clone(), bytes.as_slice()))
        .collect();
    let Some(found) = reader::read(&files) else {
        return;
    };
    for (name, _, invoice) in &documents {
        let found = &found[name];
        let Some(invoice) = invoice else {
            assert!(
                found.attachments.is_empty() && found.fx.is_empty(),
                "{name}"
            );
            continue;
        };
        let attached = &found.attachments[cii::FILE_NAME];
        assert_eq!(
            attached.text.as_bytes(),
            cii::write(invoice).unwrap(),
            "{name}"
        );
        assert_eq!(attached.relationship, "/Alternative", "{name}");
        assert_eq!(attached.kind, "/text/xml", "{name}");
        let said: Vec<_> = found
            .fx
            .iter()
            .map(|(k, v)| (k.as_str(), v.as_str()))
            .collect();
        let expected = [
            ("ConformanceLevel", "EN 16931"),
            ("DocumentFileName", "factur-x.xml"),
            ("DocumentType", "INVOICE"),
            ("Version", "1.0"),
        ];
        assert_eq!(said, expected, "{name}");
        assert!(
            found.declared.iter().eq(found.fx.keys()),
            "{name}: {:?}",
            found.declared
        );
    }
}

#[test]
fn the_same_document_gives_the_same_bytes_on_any_press() {
    let invoice = allowances(40, PriceMode::Net).invoice();
    let one = press().invoice(&invoice, "de").unwrap().bytes;
    let press = press();
    assert_eq!(press.invoice(&invoice, "de").unwrap().bytes, one);
    let threads: Vec<_> = std::thread::scope(|scope| {
        let print = || press.invoice(&invoice, "de").unwrap().bytes;
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(print)).collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .collect()
    });
    assert!(threads.iter().all(|bytes| *bytes == one));
    assert_ne!(press.invoice(&invoice, "fr").unwrap().bytes, one);
}

#[test]
fn a_currency_that_the_standard_cannot_hold_is_printed_without_data() {
    // Its tax is exact to the cent, so it adds up in fils too.
    let mut invoice = sample::invoice(1);
    invoice.currency = "BHD".parse().unwrap();
    let Some(found) = reader::read_one(&press().invoice(&invoice, "en").unwrap().bytes) else {
        return;
    };
    assert!(found.attachments.is_empty() && found.fx.is_empty());
    assert!(found.pages[0].contains("BHD"), "{}", found.pages[0]);
}

/// An invoice of one line in this currency and category of the tax table, without tax, into this country.
fn untaxed(currency: &str, category: &str, to: &str, vat_id: Option<&str>) -> Invoice {
    let mut order = sample::order(1);
    let line = &mut order.lines[0];
    line.unit_price = "1200".parse().unwrap();
    line.tax_rate = Decimal::ZERO;
    line.tax_category = category.to_owned();
    let priced = PricedLine {
        quantity: line.quantity,
        unit_price: line.unit_price,
        tax_rate: line.tax_rate,
    };
    order.currency = currency.parse().unwrap();
    let totals = Totals::of(&[priced], order.currency, PriceMode::Net).unwrap();
    line.line_total = totals.lines[0].line_total;
    line.tax = totals.lines[0].tax;
    (order.subtotal, order.tax_total) = (totals.subtotal, totals.tax_total);
    (order.total, order.taxes) = (totals.total, totals.rates);
    let addresses = order.bill_to.iter_mut().chain([&mut order.ship_to]);
    for address in addresses {
        address.country = to.to_owned();
        address.vat_id = vat_id.map(str::to_owned);
    }
    let numbered = Numbered {
        number: "RE-1".to_owned(),
        on: date!(2026 - 11 - 24),
    };
    sample::issuer().invoice(&order, numbered).unwrap()
}

#[test]
fn what_is_not_taxed_says_why_in_the_words_of_the_law() {
    let buyer = Some("FR40303265045");
    for (category, to, vat_id, german, english) in [
        (
            "reverse_charge",
            "DE",
            Some("DE987654321"),
            "Steuerschuldnerschaft des Leistungsempfängers",
            "Reverse charge: the customer is liable for the VAT",
        ),
        (
            "exempt",
            "DE",
            None,
            "Steuerfreie Leistung",
            "Exempt from VAT",
        ),
        (
            "standard",
            "FR",
            buyer,
            "Steuerfreie innergemeinschaftliche Lieferung",
            "Zero-rated intra-Community supply",
        ),
        (
            "standard",
            "GB",
            None,
            "Steuerfreie Ausfuhrlieferung",
            "Export, zero-rated for VAT",
        ),
    ] {
        let invoice = untaxed("EUR", category, to, vat_id);
        for (language, sentence) in [("de", german), ("en", english)] {
            let pdf = press().invoice(&invoice, language).unwrap();
            let Some(found) = reader::read_one(&pdf.bytes) else {
                return;
            };
            let said = found.pages[0].split_whitespace().collect::<Vec<_>>();
            let said = said.join(" ");
            assert!(said.contains(sentence), "{category} to {to}: {said}");
            assert_eq!(found.faults, Vec::<String>::new());
        }
    }
}

#[test]
fn a_currency_without_decimals_is_printed_without_them() {
    let pdf = press().invoice(&untaxed("JPY", "standard", "JP", None), "en");
    let Some(found) = reader::read_one(&pdf.unwrap().bytes) else {
        return;
    };
    let said = &found.pages[0];
    assert!(
        said.contains("2,400") && !said.contains("2,400.00"),
        "{said}"
    );
    assert!(!found.attachments.is_empty(), "the standard can hold it");
}

#[test]
fn an_invoice_that_does_not_add_up_is_not_printed() {
    let mut invoice = sample::invoice(2);
    invoice.totals.gross += rust_decimal::Decimal::ONE;
    let error = press().invoice(&invoice, "en").unwrap_err().to_string();
    assert!(error.contains("BR-CO-15"), "{error}");
}
