//! What stands on the pages.

use rust_decimal::Decimal;
use steelyard_paper::sample;

use crate::press;
use crate::reader::{plain, read_one};

#[test]
fn an_invoice_says_everything_in_the_language_that_was_asked_for() {
    let invoice = sample::invoice(3);
    for (language, says) in [
        (
            "de",
            [
                "Rechnung RE-2026-000042",
                "24.11.2026",
                "Gesamtbetrag",
                "Fällig am",
                "Seite 1 von 1",
            ],
        ),
        (
            "en",
            [
                "Invoice RE-2026-000042",
                "24 November 2026",
                "Total",
                "Due date",
                "Page 1 of 1",
            ],
        ),
        (
            "fr",
            [
                "Facture RE-2026-000042",
                "24/11/2026",
                "Total TTC",
                "Échéance",
                "Page 1 sur 1",
            ],
        ),
        (
            "pl",
            [
                "Faktura RE-2026-000042",
                "24.11.2026",
                "Razem brutto",
                "Termin płatności",
                "Strona 1 z 1",
            ],
        ),
    ] {
        let pdf = press().invoice(&invoice, language).unwrap();
        assert!(pdf.missing.is_empty(), "{language}: {:?}", pdf.missing);
        let Some(found) = read_one(&pdf.bytes) else {
            return;
        };
        let text = plain(&found.pages.join(" "));
        for words in says {
            assert!(text.contains(words), "{language}: no {words:?} in {text}");
        }
        assert!(text.contains("DE02 1203 0000 0000 2020 51"), "{text}");
    }
}

#[test]
fn a_credit_note_names_its_invoice_and_a_delivery_note_has_no_prices() {
    let note = press().invoice(&sample::credit_note(3), "en").unwrap();
    let delivery = press()
        .delivery_note(&sample::delivery_note(3), "en")
        .unwrap();
    let Some(found) = read_one(&note.bytes) else {
        return;
    };
    let text = plain(&found.pages[0]);
    assert!(
        text.contains("Takes back invoice RE-2026-000042 of 24 November 2026."),
        "{text}"
    );
    assert!(
        text.contains("Credited to you") && !text.contains("Please pay"),
        "{text}"
    );

    let text = plain(&read_one(&delivery.bytes).unwrap().pages[0]);
    assert!(text.contains("Delivery note LS-2026-000041"), "{text}");
    assert!(
        text.contains("STH-0003") && !text.contains('€') && !text.contains("34.90"),
        "{text}"
    );
}

#[test]
fn eleven_hundred_lines_go_over_pages_with_carried_totals() {
    let invoice = sample::invoice(1_114);
    let pdf = press().invoice(&invoice, "en").unwrap();
    let Some(found) = read_one(&pdf.bytes) else {
        return;
    };
    let pages: Vec<String> = found.pages.iter().map(|page| plain(page)).collect();
    assert_eq!(pages.len(), pdf.pages);
    assert!(pages.len() > 20, "{} pages", pages.len());

    let after = |page: &str, word: &str| -> Option<Decimal> {
        let rest = page.split_once(word)?.1.trim_start();
        rest.split(' ').next()?.replace(',', "").parse().ok()
    };
    let mut lines = invoice.lines.iter();
    let mut sum = Decimal::ZERO;
    let mut carried = None;
    for (i, page) in pages.iter().enumerate() {
        assert!(
            page.contains(&format!("Page {} of {}", i + 1, pages.len())),
            "{page}"
        );
        assert_eq!(after(page, "Brought forward"), carried, "page {}", i + 1);
        let count = page.matches("STH-").count();
        sum += lines
            .by_ref()
            .take(count)
            .map(|line| line.shown.total)
            .sum::<Decimal>();
        carried = after(page, "Carried forward");
        assert_eq!(carried.is_none(), lines.len() == 0, "page {}", i + 1);
        assert_eq!(carried.unwrap_or(sum), sum, "page {}", i + 1);
    }
    assert!(lines.next().is_none(), "lines are missing");
    assert_eq!(sum, invoice.totals.lines);
}

#[test]
fn names_of_any_length_direction_and_script_are_printed() {
    let mut invoice = sample::invoice(3);
    invoice.lines[0].name = "word ".repeat(2_000);
    invoice.lines[1].name = "x".repeat(10_000);
    invoice.lines[2].name = "مصباح مكتب (LED) 40 واط".to_owned();
    invoice.buyer.name = "חברת הדוגמה בע״מ".to_owned();
    invoice.buyer.address.line1 = "Οδός Ερμού 15, Київ вул. Хрещатик 1 ".repeat(40);
    let pdf = press().invoice(&invoice, "en").unwrap();
    assert!(pdf.missing.is_empty(), "{:?}", pdf.missing);
    let Some(found) = read_one(&pdf.bytes) else {
        return;
    };
    let text = plain(&found.pages.join(" "));
    let names: usize = text.matches("word").count();
    assert_eq!(names, 2_000);
    assert!(text.matches('x').count() >= 10_000);
    assert!(text.contains("Οδός Ερμού 15, Київ"), "the address is there");
    assert!(pdf.pages > 3);
}

#[test]
fn what_no_font_can_show_is_marked_and_named() {
    let mut invoice = sample::invoice(1);
    invoice.lines[0].name = "Tea bowl 茶碗 🍵".to_owned();
    let pdf = press().invoice(&invoice, "en").unwrap();
    let missing: String = pdf.missing.iter().collect();
    assert_eq!(missing, "碗茶🍵");
    let Some(found) = read_one(&pdf.bytes) else {
        return;
    };
    assert_eq!(found.faults, Vec::<String>::new());
    assert!(
        plain(&found.pages[0]).contains("Tea bowl �� �"),
        "{}",
        found.pages[0]
    );
    let data = &found.attachments["factur-x.xml"].text;
    assert!(data.contains("Tea bowl 茶碗 🍵"));
}

#[test]
fn sums_that_do_not_fit_go_to_the_next_page_together_and_with_the_last_line() {
    // Some length of the table leaves too little room for the sums, whatever the sizes are.
    for lines in 14..24 {
        let pdf = press().invoice(&sample::invoice(lines), "en").unwrap();
        let Some(found) = read_one(&pdf.bytes) else {
            return;
        };
        let sums = |page: &String| page.contains("Total excl. VAT");
        let on = found.pages.iter().position(sums).unwrap();
        let page = plain(&found.pages[on]);
        for words in ["STH-", "VAT 7 % on", "VAT 19 % on", "Total "] {
            assert!(
                page.contains(words),
                "{lines} lines: {words:?} is torn off: {page}"
            );
        }
    }
}
