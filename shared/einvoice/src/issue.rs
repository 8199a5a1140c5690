//! Makes the documents of an order. The order's amounts are taken as they are, never computed again: what is
//! computed is only what the order does not say, the price without tax of a line whose price holds it.

use std::collections::BTreeMap;

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use steelyard_domain::money::Currency;
use steelyard_domain::order::{Address, Order, OrderLine, PaymentStatus};
use steelyard_domain::tax::PriceMode;
use time::{Date, Duration};

use crate::balance::{self, Unbalanced};
use crate::model::{
    Account, Category, Contact, Delivery, DeliveryNote, Endpoint, Invoice, Item, Kind, Line, Party,
    Payment, PostalAddress, Preceding, Shown, Tax, TaxTotal, Totals,
};
use crate::treatment::Trade;

/// The entry of an order's `metadata` that becomes the buyer's reference (BT-10).
pub const BUYER_REFERENCE: &str = "buyer_reference";
/// The longest time to pay that can be set.
pub const PAYMENT_DAYS_MAX: u16 = 365;
/// Finer than any price without tax has to be: 1,000,000 pieces at half of this differ by 0.00005.
const NET_PRICE_DIGITS_MAX: u32 = 10;

/// Who issues, and on which terms.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Issuer {
    /// The shop.
    pub seller: Party,
    /// Where invoices are paid to.
    #[serde(default)]
    pub account: Option<Account>,
    /// Days from the issue to the due date, up to [`PAYMENT_DAYS_MAX`].
    pub payment_days: u16,
    /// Terms of payment in words.
    #[serde(default)]
    pub terms: Option<String>,
    /// What becomes of a credit, in words.
    pub credit_terms: String,
    /// Words on every invoice.
    #[serde(default)]
    pub notes: Vec<String>,
}

/// A number and the day on which it was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Numbered {
    /// The document's number.
    pub number: String,
    /// The day.
    pub on: Date,
}

impl Issuer {
    /// The invoice of a confirmed order.
    ///
    /// # Errors
    /// When the order's own amounts do not add up.
    pub fn invoice(&self, order: &Order, numbered: Numbered) -> Result<Invoice, Unbalanced> {
        let buyer = order.bill_to.as_ref().unwrap_or(&order.ship_to);
        let buyer = party(buyer, order);
        let trade = Trade {
            from: &self.seller.address.country,
            to: &order.ship_to.country,
            to_business: buyer.vat_id.is_some(),
        };
        let lines: Vec<Line> = order.lines.iter().map(|l| line(order, l, trade)).collect();
        let paid = order.payment_status == PaymentStatus::Paid;
        let prepaid = if paid { order.total } else { Decimal::ZERO };
        let zero = order.currency.round(Decimal::ZERO);
        let invoice = Invoice {
            kind: Kind::Invoice,
            currency: order.currency,
            prices: order.prices,
            order_number: order_number(order),
            buyer_reference: order.metadata.get(BUYER_REFERENCE).cloned(),
            preceding: None,
            notes: self.notes.clone(),
            seller: self.seller.clone(),
            buyer,
            delivery: delivery(order, numbered.on),
            payment: Payment {
                account: self.account.clone(),
                reference: Some(numbered.number.clone()),
                terms: self.terms.clone(),
                due_on: numbered
                    .on
                    .checked_add(Duration::days(self.payment_days.into())),
            },
            taxes: taxes(order, &lines, trade),
            lines,
            adjustments: Vec::new(),
            totals: Totals {
                lines: order.subtotal,
                allowances: zero,
                charges: zero,
                net: order.subtotal,
                tax: order.tax_total,
                gross: order.total,
                prepaid: order.currency.round(prepaid),
                payable: order.currency.round(order.total - prepaid),
            },
            number: numbered.number,
            issued_on: numbered.on,
        };
        balance::check(&invoice)?;
        Ok(invoice)
    }

    /// The credit note that takes an invoice back whole: orders are cancelled and returned whole.
    #[must_use]
    pub fn credit_note(&self, invoice: &Invoice, numbered: Numbered) -> Invoice {
        let zero = invoice.currency.round(Decimal::ZERO);
        Invoice {
            kind: Kind::CreditNote,
            number: numbered.number,
            issued_on: numbered.on,
            preceding: Some(Preceding {
                number: invoice.number.clone(),
                issued_on: invoice.issued_on,
            }),
            payment: Payment {
                terms: Some(self.credit_terms.clone()),
                ..Payment::default()
            },
            totals: Totals {
                prepaid: zero,
                payable: invoice.totals.gross,
                ..invoice.totals.clone()
            },
            ..invoice.clone()
        }
    }

    /// The delivery note of an order that was shipped.
    #[must_use]
    pub fn delivery_note(&self, order: &Order, numbered: Numbered) -> DeliveryNote {
        let buyer = order.bill_to.as_ref().unwrap_or(&order.ship_to);
        let shipped = order.history.iter().rev();
        let mut shipped = shipped.filter(|entry| entry.command == "order.ship");
        DeliveryNote {
            order_number: order_number(order),
            seller: self.seller.clone(),
            buyer: party(buyer, order),
            delivery: delivery(order, numbered.on),
            tracking: shipped.find_map(|entry| entry.note.clone()),
            items: order.lines.iter().map(item).collect(),
            number: numbered.number,
            issued_on: numbered.on,
        }
    }
}

/// The shop's own number, which the buyer knows too; else the id.
fn order_number(order: &Order) -> String {
    let reference = order.reference.clone();
    reference.unwrap_or_else(|| order.id.to_string())
}

/// VAT law asks for the day of supply. An order names none, so it is the day of issue.
fn delivery(order: &Order, on: Date) -> Delivery {
    Delivery {
        name: order.ship_to.name.clone(),
        address: postal(&order.ship_to),
        on,
    }
}

fn item(line: &OrderLine) -> Item {
    Item {
        sku: line.sku.as_str().to_owned(),
        name: line.name.clone(),
        quantity: line.quantity,
    }
}

fn line(order: &Order, line: &OrderLine, trade: Trade<'_>) -> Line {
    let shown = Shown {
        unit_price: line.unit_price.amount(),
        total: line.line_total,
    };
    let (unit_price, net) = match order.prices {
        PriceMode::Net => (shown.unit_price, line.line_total),
        PriceMode::Gross => {
            let net = line.line_total - line.tax;
            (net_price(net, line.quantity, order.currency), net)
        }
    };
    Line {
        sku: line.sku.as_str().to_owned(),
        name: line.name.clone(),
        quantity: line.quantity,
        unit_price,
        adjustments: Vec::new(),
        net,
        tax: Tax {
            percent: line.tax_rate.normalize(),
            category: trade.category(line.tax_rate, &line.tax_category),
        },
        shown,
    }
}

/// The shortest price of one piece that comes to `net` when it is multiplied and rounded.
fn net_price(net: Decimal, quantity: i64, currency: Currency) -> Decimal {
    let pieces = Decimal::from(quantity.max(1));
    let exact = net / pieces;
    (currency.minor_digits()..NET_PRICE_DIGITS_MAX)
        .map(|digits| exact.round_dp(digits))
        .find(|&price| currency.round(price * pieces) == net)
        .unwrap_or_else(|| exact.round_dp(NET_PRICE_DIGITS_MAX))
}

/// The order's sums per rate. Those of a rate of zero are told apart by category, as the standard wants.
fn taxes(order: &Order, lines: &[Line], trade: Trade<'_>) -> Vec<TaxTotal> {
    let mut nets: BTreeMap<Tax, Decimal> = BTreeMap::new();
    for line in lines {
        *nets.entry(line.tax).or_default() += line.net;
    }
    let amount_of = |percent: Decimal| {
        let mut of_rate = order.taxes.iter();
        of_rate
            .find(|total| total.rate.normalize() == percent)
            .map_or(Decimal::ZERO, |total| total.tax)
    };
    let total = |(tax, net): (Tax, Decimal)| TaxTotal {
        tax,
        net: order.currency.round(net),
        amount: order.currency.round(match tax.category {
            Category::Standard => amount_of(tax.percent),
            _ => Decimal::ZERO,
        }),
        exemption: trade.exemption(tax.category),
    };
    nets.into_iter().map(total).collect()
}

fn party(address: &Address, order: &Order) -> Party {
    let given = address.vat_id.as_deref();
    let vat_id = given.and_then(|text| vat_id(text, &address.country));
    let registration = given.filter(|_| vat_id.is_none()).map(str::to_owned);
    let email = order.email.clone();
    Party {
        id: Some(order.customer_id.as_str().to_owned()),
        name: address.name.clone(),
        address: postal(address),
        endpoint: endpoint(vat_id.as_deref(), email.as_deref()),
        vat_id,
        registration,
        contact: email.map(|email| Contact {
            name: None,
            phone: None,
            email: Some(email),
        }),
    }
}

fn postal(address: &Address) -> PostalAddress {
    PostalAddress {
        line1: address.line1.clone(),
        line2: address.line2.clone(),
        city: address.city.clone(),
        postcode: address.postcode.clone(),
        region: address.region.clone(),
        country: address.country.clone(),
    }
}

/// A VAT id as the standard wants it (BR-CO-09), with its country in front. What has none is a number of another
/// kind.
fn vat_id(text: &str, country: &str) -> Option<String> {
    let id: String = text
        .chars()
        .filter(|c| c.is_ascii_alphanumeric())
        .map(|c| c.to_ascii_uppercase())
        .collect();
    let prefix = id.get(..2)?;
    let known = prefix == country || prefix == "EL" || prefix == "XI" || scheme(prefix).is_some();
    (known && id.len() > 4).then_some(id)
}

/// Where an electronic invoice reaches the buyer: by VAT id in the Peppol network, else by e-mail.
fn endpoint(vat_id: Option<&str>, email: Option<&str>) -> Option<Endpoint> {
    let by_vat = vat_id.and_then(|id| Some((scheme(id.get(..2)?)?, id)));
    by_vat
        .or_else(|| email.map(|email| ("EM", email)))
        .map(|(scheme, id)| Endpoint {
            scheme: scheme.to_owned(),
            id: id.to_owned(),
        })
}

/// The code of a country's VAT ids in the Electronic Address Scheme list of EN 16931.
fn scheme(country: &str) -> Option<&'static str> {
    Some(match country {
        "AT" => "9914",
        "BE" => "9925",
        "BG" => "9926",
        "CY" => "9928",
        "CZ" => "9929",
        "DE" => "9930",
        "EE" => "9931",
        "EL" | "GR" => "9933",
        "ES" => "9920",
        "FR" => "9957",
        "GB" => "9932",
        "HR" => "9934",
        "HU" => "9910",
        "IE" => "9935",
        "IT" => "0211",
        "LT" => "9937",
        "LU" => "9938",
        "LV" => "9939",
        "MT" => "9943",
        "NL" => "9944",
        "PL" => "9945",
        "PT" => "9946",
        "RO" => "9947",
        "SE" => "9955",
        "SI" => "9949",
        "SK" => "9950",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::{net_price, vat_id};
    use rust_decimal::Decimal;

    #[test]
    fn a_price_without_tax_is_as_short_as_its_line_allows() {
        let eur = "EUR".parse().expect("a currency");
        let amount = |text: &str| text.parse::<Decimal>().expect("a number");
        for (net, quantity, price) in [
            ("100.00", 1, "100.00"),
            ("25.20", 3, "8.40"),
            ("10.00", 3, "3.333"),
            ("840336.13", 1_000_000, "0.84033613"),
        ] {
            assert_eq!(net_price(amount(net), quantity, eur), amount(price));
        }
    }

    #[test]
    fn a_vat_id_is_told_from_other_numbers() {
        assert_eq!(
            vat_id("de 123.456.789", "DE").as_deref(),
            Some("DE123456789")
        );
        assert_eq!(
            vat_id("CHE-123.456.788", "CH").as_deref(),
            Some("CHE123456788")
        );
        assert_eq!(vat_id("EL094259216", "GR").as_deref(), Some("EL094259216"));
        assert_eq!(vat_id("12345678", "PL"), None);
        assert_eq!(vat_id("ÄÖ", "DE"), None);
    }
}
