//! What comes off the press, as others read it.
#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod pages;
mod reader;
mod themes;

use steelyard_einvoice::cii;
use steelyard_einvoice::model::Invoice;
use steelyard_paper::{Press, Theme, sample};

fn press() -> Press {
    Press::new(Theme::plain()).unwrap()
}

fn documents() -> Vec<(String, Vec<u8>, Option<Invoice>)> {
    let press = press();
    let mut documents = Vec::new();
    for language in ["de", "en", "fr", "pl"] {
        for invoice in [sample::invoice(3), sample::credit_note(3)] {
            let pdf = press.invoice(&invoice, language).unwrap();
            let name = format!("{}-{language}.pdf", invoice.number);
            documents.push((name, pdf.bytes, Some(invoice)));
        }
        let note = sample::delivery_note(3);
        let pdf = press.delivery_note(&note, language).unwrap();
        documents.push((format!("{}-{language}.pdf", note.number), pdf.bytes, None));
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
    let invoice = sample::invoice(40);
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

#[test]
fn an_invoice_that_does_not_add_up_is_not_printed() {
    let mut invoice = sample::invoice(2);
    invoice.totals.gross += rust_decimal::Decimal::ONE;
    let error = press().invoice(&invoice, "en").unwrap_err().to_string();
    assert!(error.contains("BR-CO-15"), "{error}");
}
