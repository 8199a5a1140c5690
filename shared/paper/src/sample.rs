//! Documents of a shop that does not exist: for previews of a theme, tests and measurements.
#![expect(
    clippy::expect_used,
    reason = "every value is a constant of this file, and tests make all of it"
)]

use std::collections::BTreeMap;

use steelyard_domain::id::{CustomerId, IdempotencyKey, OrderId};
use steelyard_domain::order::{
    Address, FulfillmentStatus, Order, OrderLine, OrderStatus, PaymentMethod, PaymentStatus,
};
use steelyard_domain::tax::PriceMode;
use steelyard_domain::totals::{PricedLine, Totals};
use steelyard_einvoice::issue::{Issuer, Numbered};
use steelyard_einvoice::model::{
    Account, Contact, DeliveryNote, Endpoint, Invoice, Party, PostalAddress,
};
use time::macros::{date, datetime};

/// Name, price and rate; they repeat.
const GOODS: [(&str, &str, &str); 10] = [
    (
        "Steelyard balance, wrought iron, up to 25 kg",
        "148.00",
        "19",
    ),
    (
        "Set of brass weights, 1 g to 1 kg, in a walnut box",
        "86.50",
        "19",
    ),
    (
        "The Hanse in London, 1282–1598, hardback, illustrated, with a fold-out map of the Stalhof",
        "34.90",
        "7",
    ),
    ("Packing twine, hemp, by the metre", "0.0875", "19"),
    ("Rhenish stoneware jug, salt-glazed", "42.00", "19"),
    ("Woollen cloth, Lübeck grey", "23.80", "19"),
    ("Beeswax candles, box of 12", "18.40", "19"),
    ("Merchant’s ledger, 400 pages, ruled", "29.95", "19"),
    ("Salt of Lüneburg, 1 kg", "3.20", "7"),
    ("Sealing wax, red, with brass seal", "16.00", "19"),
];

/// Who issues the samples.
#[must_use]
pub fn issuer() -> Issuer {
    Issuer {
        seller: Party {
            id: None,
            name: "Stalhof Handelskontor GmbH".into(),
            address: PostalAddress {
                line1: "An der Obertrave 12".into(),
                line2: None,
                city: "Lübeck".into(),
                postcode: Some("23552".into()),
                region: None,
                country: "DE".into(),
            },
            vat_id: Some("DE123456789".into()),
            registration: Some("HRB 4711, Lübeck".into()),
            contact: Some(Contact {
                name: Some("Accounts".into()),
                phone: Some("+49 451 000 00 00".into()),
                email: Some("kontor@stalhof.example".into()),
            }),
            endpoint: Some(Endpoint {
                scheme: "9930".into(),
                id: "DE123456789".into(),
            }),
        },
        account: Some(Account {
            iban: "DE02120300000000202051".into(),
            bic: Some("BYLADEM1001".into()),
            holder: None,
            bank: Some("Deutsche Kreditbank".into()),
        }),
        payment_days: 14,
        terms: None,
        credit_terms: "The amount is set off against open invoices, or refunded.".into(),
        notes: Vec::new(),
    }
}

/// An order of so many lines, to a customer in Germany.
#[must_use]
pub fn order(lines: usize) -> Order {
    let goods: Vec<_> = GOODS.iter().cycle().take(lines).zip(1_i64..).collect();
    let priced: Vec<PricedLine> = goods
        .iter()
        .map(|((_, price, rate), i)| PricedLine {
            quantity: if *price < "1" { 1_250 } else { i % 7 + 1 },
            unit_price: price.parse().expect("a price"),
            tax_rate: rate.parse().expect("a rate"),
        })
        .collect();
    let currency = "EUR".parse().expect("a currency");
    let totals = Totals::of(&priced, currency, PriceMode::Net).expect("small");
    let lines = goods.iter().zip(&priced).zip(&totals.lines);
    let lines = lines.map(|((((name, _, rate), i), priced), total)| OrderLine {
        sku: format!("STH-{i:04}").parse().expect("a SKU"),
        name: (*name).into(),
        quantity: priced.quantity,
        unit_price: priced.unit_price,
        line_total: total.line_total,
        tax_rate: priced.tax_rate,
        tax_category: if *rate == "7" { "reduced" } else { "standard" }.into(),
        tax: total.tax,
    });
    let customer: CustomerId = "10482".parse().expect("a customer");
    let key: IdempotencyKey = "sample".parse().expect("a key");
    let at = datetime!(2026-11-24 09:30:00 UTC);
    let address =
        |name: &str, line1: &str, line2: Option<&str>, postcode: &str, city: &str| Address {
            name: name.into(),
            line1: line1.into(),
            line2: line2.map(str::to_owned),
            city: city.into(),
            postcode: Some(postcode.into()),
            region: None,
            country: "DE".into(),
            vat_id: None,
        };
    Order {
        id: OrderId::derive("https://id.example", &customer, &key),
        customer_id: customer,
        reference: Some("WEB-2026-88213".into()),
        status: OrderStatus::Confirmed,
        payment_status: PaymentStatus::Unpaid,
        fulfillment_status: FulfillmentStatus::Unfulfilled,
        reason: None,
        reason_detail: None,
        currency,
        prices: PriceMode::Net,
        lines: lines.collect(),
        subtotal: totals.subtotal,
        tax_total: totals.tax_total,
        total: totals.total,
        taxes: totals.rates,
        ship_to: address("Änne Brömse", "Mengstraße 4", None, "23552", "Lübeck"),
        bill_to: Some(address(
            "Brömse & Söhne KG",
            "Große Petersgrube 21",
            Some("Einkauf, 2. OG"),
            "23552",
            "Lübeck",
        )),
        email: Some("einkauf@broemse.example".into()),
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

/// Its invoice.
#[must_use]
pub fn invoice(lines: usize) -> Invoice {
    let invoice = issuer().invoice(&order(lines), numbered("RE-2026-000042"));
    invoice.expect("an order that adds up")
}

/// The credit note that takes the invoice back.
#[must_use]
pub fn credit_note(lines: usize) -> Invoice {
    issuer().credit_note(&invoice(lines), numbered("RK-2026-000003"))
}

/// The delivery note of the order.
#[must_use]
pub fn delivery_note(lines: usize) -> DeliveryNote {
    issuer().delivery_note(&order(lines), numbered("LS-2026-000041"))
}

fn numbered(number: &str) -> Numbered {
    Numbered {
        number: number.into(),
        on: date!(2026 - 11 - 24),
    }
}
