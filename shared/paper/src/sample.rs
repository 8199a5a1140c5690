//! Documents of a shop that does not exist: for previews of a theme, tests and measurements.
#![expect(
    clippy::expect_used,
    reason = "every value is a constant of this file, and tests make all of it"
)]

mod allowances;

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

/// What a sample is like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sample {
    /// How many lines it has.
    pub lines: usize,
    /// Whether its prices hold the tax.
    pub prices: PriceMode,
    /// Whose it is.
    pub buyer: Buyer,
    /// Whether there are allowances and charges, on lines and on the whole.
    pub has_allowances: bool,
}

/// Whom a sample goes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Buyer {
    /// A company in the shop's own country.
    Home,
    /// One in Israel, written from right to left; an export.
    Hebrew,
    /// One in Lebanon, likewise.
    Arabic,
}

impl Sample {
    /// So many lines to a buyer at home, prices without tax.
    #[must_use]
    pub const fn of(lines: usize) -> Self {
        Self {
            lines,
            prices: PriceMode::Net,
            buyer: Buyer::Home,
            has_allowances: false,
        }
    }

    /// The order that the documents are made of. Orders know no allowances.
    #[must_use]
    pub fn order(self) -> Order {
        let goods: Vec<_> = GOODS.iter().cycle().take(self.lines).zip(1_i64..).collect();
        let priced: Vec<PricedLine> = goods
            .iter()
            .map(|((_, price, rate), i)| PricedLine {
                quantity: if *price < "1" { 1_250 } else { i % 7 + 1 },
                unit_price: price.parse().expect("a price"),
                tax_rate: self.buyer.rate(rate).parse().expect("a rate"),
            })
            .collect();
        let currency = "EUR".parse().expect("a currency");
        let totals = Totals::of(&priced, currency, self.prices).expect("small");
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
        let [ship_to, bill_to] = self.buyer.addresses();
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
            prices: self.prices,
            lines: lines.collect(),
            subtotal: totals.subtotal,
            tax_total: totals.tax_total,
            total: totals.total,
            taxes: totals.rates,
            ship_to,
            bill_to: Some(bill_to),
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
    pub fn invoice(self) -> Invoice {
        let invoice = issuer().invoice(&self.order(), numbered("RE-2026-000042"));
        let mut invoice = invoice.expect("an order that adds up");
        if self.has_allowances {
            allowances::put_on(&mut invoice);
        }
        invoice
    }

    /// The credit note that takes the invoice back.
    #[must_use]
    pub fn credit_note(self) -> Invoice {
        issuer().credit_note(&self.invoice(), numbered("RK-2026-000003"))
    }

    /// The delivery note of the order.
    #[must_use]
    pub fn delivery_note(self) -> DeliveryNote {
        issuer().delivery_note(&self.order(), numbered("LS-2026-000041"))
    }
}

impl Buyer {
    /// What goes abroad is not taxed.
    fn rate(self, at_home: &'static str) -> &'static str {
        match self {
            Self::Home => at_home,
            Self::Hebrew | Self::Arabic => "0",
        }
    }

    /// Where the goods go, and the invoice.
    fn addresses(self) -> [Address; 2] {
        let address = |name: &str, line1: &str, place: (&str, &str), country: &str| Address {
            name: name.into(),
            line1: line1.into(),
            line2: None,
            city: place.1.into(),
            postcode: Some(place.0.into()),
            region: None,
            country: country.into(),
            vat_id: None,
        };
        match self {
            Self::Home => {
                let lubeck = ("23552", "Lübeck");
                let ship_to = address("Änne Brömse", "Mengstraße 4", lubeck, "DE");
                let bill_to = address("Brömse & Söhne KG", "Große Petersgrube 21", lubeck, "DE");
                let line2 = Some("Einkauf, 2. OG".into());
                [ship_to, Address { line2, ..bill_to }]
            }
            Self::Hebrew => {
                let haifa = ("3502309", "חיפה");
                [
                    address("מחסן לוי ובניו", "רחוב הנמל 4", haifa, "IL"),
                    address("לוי ובניו בע״מ", "שדרות בן גוריון 12", haifa, "IL"),
                ]
            }
            Self::Arabic => {
                let beirut = ("1103", "بيروت");
                [
                    address("مستودع شركة الأرز", "شارع المرفأ 9", beirut, "LB"),
                    address("شركة الأرز للتجارة ش.م.ل.", "شارع الحمرا 27", beirut, "LB"),
                ]
            }
        }
    }
}

/// An order of so many lines, to a customer in Germany.
#[must_use]
pub fn order(lines: usize) -> Order {
    Sample::of(lines).order()
}

/// Its invoice.
#[must_use]
pub fn invoice(lines: usize) -> Invoice {
    Sample::of(lines).invoice()
}

/// The credit note that takes the invoice back.
#[must_use]
pub fn credit_note(lines: usize) -> Invoice {
    Sample::of(lines).credit_note()
}

/// The delivery note of the order.
#[must_use]
pub fn delivery_note(lines: usize) -> DeliveryNote {
    Sample::of(lines).delivery_note()
}

fn numbered(number: &str) -> Numbered {
    Numbered {
        number: number.into(),
        on: date!(2026 - 11 - 24),
    }
}
