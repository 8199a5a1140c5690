//! Invoices of every kind, made of orders that were priced as the orders service prices them.

use std::collections::BTreeMap;

use rust_decimal::Decimal;
use steelyard_domain::id::{CustomerId, IdempotencyKey, OrderId};
use steelyard_domain::order::{
    Address, FulfillmentStatus, Order, OrderLine, OrderStatus, PaymentMethod, PaymentStatus,
};
use steelyard_domain::tax::PriceMode;
use steelyard_domain::totals::{PricedLine, Totals as OrderTotals};
use steelyard_einvoice::issue::{BUYER_REFERENCE, Issuer, Numbered};
use steelyard_einvoice::model::{
    Account, Adjustment, Contact, Direction, Endpoint, Invoice, LineAdjustment, Party, PercentOf,
    PostalAddress, Totals,
};
use time::macros::{date, datetime};

/// A line of a sample: SKU, name, quantity, price, percent, category of the tax table.
pub(crate) type Goods<'a> = (&'a str, &'a str, i64, &'a str, &'a str, &'a str);

pub(crate) const LAMP: Goods<'_> = ("LAMP-01", "Desk lamp", 3, "48.90", "19", "standard");
pub(crate) const SCREWS: Goods<'_> = (
    "SCREW-4",
    "Screws, by the piece",
    1_250,
    "0.0375",
    "19",
    "standard",
);
pub(crate) const BOOK: Goods<'_> = (
    "BOOK-7",
    "Scales & Weights <2nd ed.>",
    2,
    "19.99",
    "7",
    "reduced",
);

pub(crate) fn issuer(country: &str) -> Issuer {
    let (vat_id, scheme, city, postcode) = match country {
        "GB" => ("GB123456789", "9932", "London", "EC4R 3TE"),
        _ => ("DE123456789", "9930", "Lübeck", "23552"),
    };
    Issuer {
        seller: Party {
            id: None,
            name: "Stalhof Handels GmbH".into(),
            address: PostalAddress {
                line1: "Salzspeicher 3".into(),
                line2: None,
                city: city.into(),
                postcode: Some(postcode.into()),
                region: None,
                country: country.into(),
            },
            vat_id: Some(vat_id.into()),
            registration: Some("HRB 4711".into()),
            contact: Some(Contact {
                name: Some("Accounts".into()),
                phone: Some("+49 451 000000".into()),
                email: Some("accounts@stalhof.example".into()),
            }),
            endpoint: Some(Endpoint {
                scheme: scheme.into(),
                id: vat_id.into(),
            }),
        },
        account: Some(Account {
            iban: "DE02120300000000202051".into(),
            bic: Some("BYLADEM1001".into()),
            holder: None,
            bank: None,
        }),
        payment_days: 14,
        terms: None,
        credit_terms: "Set off against open invoices, or refunded.".into(),
        notes: vec!["Goods remain ours until they are paid.".into()],
    }
}

/// An order as the orders service confirms it.
pub(crate) fn order(currency: &str, prices: PriceMode, to: Address, goods: &[Goods<'_>]) -> Order {
    let currency = currency.parse().unwrap();
    let priced: Vec<PricedLine> = goods
        .iter()
        .map(|&(_, _, quantity, price, rate, _)| PricedLine {
            quantity,
            unit_price: price.parse().unwrap(),
            tax_rate: rate.parse().unwrap(),
        })
        .collect();
    let totals = OrderTotals::of(&priced, currency, prices).unwrap();
    let lines = goods.iter().zip(&priced).zip(&totals.lines);
    let lines = lines.map(|((goods, priced), total)| OrderLine {
        sku: goods.0.parse().unwrap(),
        name: goods.1.into(),
        quantity: priced.quantity,
        unit_price: priced.unit_price,
        line_total: total.line_total,
        tax_rate: priced.tax_rate,
        tax_category: goods.5.into(),
        tax: total.tax,
    });
    let customer: CustomerId = "17850".parse().unwrap();
    let key: IdempotencyKey = "536365".parse().unwrap();
    let at = datetime!(2026-11-24 09:30:00 UTC);
    Order {
        id: OrderId::derive("https://id.example", &customer, &key),
        customer_id: customer,
        reference: Some("536365".into()),
        status: OrderStatus::Confirmed,
        payment_status: PaymentStatus::Unpaid,
        fulfillment_status: FulfillmentStatus::Unfulfilled,
        reason: None,
        reason_detail: None,
        currency,
        prices,
        lines: lines.collect(),
        subtotal: totals.subtotal,
        tax_total: totals.tax_total,
        total: totals.total,
        taxes: totals.rates,
        ship_to: to,
        bill_to: None,
        email: Some("buyer@example.com".into()),
        payment_method: PaymentMethod::Invoice,
        metadata: BTreeMap::new(),
        placed_at: at,
        accepted_at: at,
        updated_at: at,
        version: 1,
        sequence: 1,
        history: Vec::new(),
        conflicts: Vec::new(),
        documents: Vec::new(),
    }
}

pub(crate) fn address(country: &str, vat_id: Option<&str>) -> Address {
    Address {
        name: "Änne Müller & Söhne".into(),
        line1: "Hauptstraße 1".into(),
        line2: Some("Hinterhof".into()),
        city: "Musterstadt".into(),
        postcode: Some("12345".into()),
        region: None,
        country: country.into(),
        vat_id: vat_id.map(str::to_owned),
    }
}

pub(crate) fn numbered(number: &str) -> Numbered {
    Numbered {
        number: number.into(),
        on: date!(2026 - 11 - 24),
    }
}

fn issue(order: &Order) -> Invoice {
    issuer("DE")
        .invoice(order, numbered("RE-2026-000042"))
        .unwrap()
}

/// Every kind, by name.
pub(crate) fn all() -> Vec<(&'static str, Invoice)> {
    use PriceMode::{Gross, Net};

    let home = || address("DE", None);
    let several = [LAMP, SCREWS, BOOK, ("MAP", "A map", 1, "5.00", "0", "zero")];
    let standard = issue(&order("EUR", Net, home(), &[LAMP, SCREWS]));
    let allowances = with_allowances(standard.clone());
    let gross = issue(&order("EUR", Gross, home(), &[LAMP, SCREWS]));
    let several_rates = issue(&order("EUR", Net, home(), &several));
    let export = [("LAMP-01", "Desk lamp", 3, "48.90", "0", "standard")];
    let export = issue(&order("EUR", Net, address("AU", None), &export));
    let reverse = [("GOLD", "Gold, 1 g", 5, "118.20", "0", "reverse_charge")];
    let reverse_order = order("EUR", Net, address("DE", Some("DE 987 654 321")), &reverse);
    let within = [("LAMP-01", "Desk lamp", 3, "48.90", "0", "standard")];
    let within = order("EUR", Net, address("FR", Some("FR12345678901")), &within);
    let exempt = [("COURSE", "A course", 1, "250.00", "0", "exempt"), LAMP];
    let mut paid = order("EUR", Gross, home(), &several);
    paid.payment_status = PaymentStatus::Paid;
    let mut public = order("EUR", Net, home(), &[LAMP]);
    public
        .metadata
        .insert(BUYER_REFERENCE.into(), "04011000-12345-34".into());
    let note = |invoice: &Invoice| issuer("DE").credit_note(invoice, numbered("GS-2026-000007"));

    let british = [(
        "85123A",
        "WHITE HANGING HEART T-LIGHT HOLDER",
        6,
        "2.55",
        "20",
        "standard",
    )];
    let british = order("GBP", Net, address("GB", None), &british);
    let yen = [("LAMP-01", "Desk lamp", 3, "7300", "0", "standard")];
    let names: Vec<(String, String)> = (0..1_114)
        .map(|i| (format!("SKU-{i}"), format!("Article number {i}")))
        .collect();
    let long: Vec<Goods<'_>> = names
        .iter()
        .zip(1..)
        .map(|((sku, name), i)| (sku.as_str(), name.as_str(), i, "1.07", "19", "standard"))
        .collect();
    vec![
        ("allowances", allowances.clone()),
        (
            "allowances-in-gross-prices",
            with_allowances_in_prices_with_tax(gross),
        ),
        ("credit-note", note(&standard)),
        ("credit-note-allowances", note(&allowances)),
        ("credit-note-export", note(&export)),
        ("credit-note-several-rates", note(&several_rates)),
        ("exempt", issue(&order("EUR", Net, home(), &exempt))),
        ("export", export),
        (
            "from-britain",
            issuer("GB").invoice(&british, numbered("INV-1")).unwrap(),
        ),
        (
            "gross-prices",
            issue(&order("EUR", Gross, home(), &several)),
        ),
        ("intra-community", issue(&within)),
        ("long", issue(&order("EUR", Net, home(), &long))),
        (
            "odd-names",
            issue(&order("EUR", Net, odd_address(), &[BOOK])),
        ),
        ("paid", issue(&paid)),
        ("public-buyer", issue(&public)),
        ("reverse-charge", issue(&reverse_order)),
        ("several-rates", several_rates),
        ("standard", standard),
        ("yen", issue(&order("JPY", Net, address("JP", None), &yen))),
    ]
}

fn odd_address() -> Address {
    Address {
        name: "\u{5d7}\u{5d1}\u{5e8}\u{5d4} <&> \"quoted\"".into(),
        line1: "x".repeat(10_000),
        ..address("DE", Some("no VAT id"))
    }
}

/// 5 % off, freight on top, and two euros off the first line, added up by hand.
fn with_allowances(mut invoice: Invoice) -> Invoice {
    let round = |amount: Decimal| invoice.currency.round(amount);
    let two = round(Decimal::TWO);
    let line = &mut invoice.lines[0];
    line.adjustments.push(LineAdjustment {
        direction: Direction::Allowance,
        amount: two,
        shown: two,
        reason: "Scratched".into(),
    });
    line.net -= two;
    line.shown.total -= two;
    let tax = line.tax;
    let lines: Decimal = invoice.lines.iter().map(|line| line.net).sum();
    let allowance = round(lines * Decimal::new(5, 2));
    let freight = Decimal::new(690, 2);
    invoice.adjustments = vec![
        Adjustment {
            direction: Direction::Allowance,
            amount: allowance,
            shown: allowance,
            of: Some(PercentOf {
                percent: Decimal::from(5),
                base: lines,
            }),
            reason: "Regular customer".into(),
            tax,
        },
        Adjustment {
            direction: Direction::Charge,
            amount: freight,
            shown: freight,
            of: None,
            reason: "Freight".into(),
            tax,
        },
    ];
    let net = lines - allowance + freight;
    let amount = round(net * tax.percent / Decimal::ONE_HUNDRED);
    adjusted(invoice, net, amount)
}

/// The same where prices hold the tax: of 19 %, ten euros are shown as 11.90.
fn with_allowances_in_prices_with_tax(mut invoice: Invoice) -> Invoice {
    let amount = |text: &str| -> Decimal { text.parse().unwrap() };
    let line = &mut invoice.lines[0];
    line.adjustments.push(LineAdjustment {
        direction: Direction::Allowance,
        amount: amount("2.00"),
        shown: amount("2.38"),
        reason: "Scratched".into(),
    });
    line.net -= amount("2.00");
    line.shown.total -= amount("2.38");
    let tax = line.tax;
    let on_all = [
        (Direction::Allowance, "10.00", "11.90", "Regular customer"),
        (Direction::Charge, "5.00", "5.95", "Freight"),
    ];
    let on_all = on_all.map(|(direction, without, with, reason)| Adjustment {
        direction,
        amount: amount(without),
        shown: amount(with),
        of: None,
        reason: reason.into(),
        tax,
    });
    invoice.adjustments = on_all.into();
    let net = invoice.taxes[0].net - amount("7.00");
    let tax = invoice.taxes[0].amount - amount("1.33");
    adjusted(invoice, net, tax)
}

/// The sums of an invoice of one rate anew.
fn adjusted(mut invoice: Invoice, net: Decimal, tax: Decimal) -> Invoice {
    let of = |direction| -> Decimal {
        let adjustments = invoice.adjustments.iter();
        let adjustments = adjustments.filter(|a| a.direction == direction);
        adjustments.map(|a| a.amount).sum()
    };
    let (allowances, charges) = (of(Direction::Allowance), of(Direction::Charge));
    (invoice.taxes[0].net, invoice.taxes[0].amount) = (net, tax);
    invoice.totals = Totals {
        lines: invoice.lines.iter().map(|line| line.net).sum(),
        allowances,
        charges,
        net,
        tax,
        gross: net + tax,
        payable: net + tax,
        prepaid: invoice.totals.prepaid,
    };
    invoice
}
