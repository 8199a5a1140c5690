//! What an invoice says. The fields name their business term (BT) or group (BG) of EN 16931-1.
//!
//! All of it is plain data that serializes: it is stored with its number, and every file is made of it.

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use steelyard_domain::money::Currency;
use steelyard_domain::tax::PriceMode;
use time::Date;

use crate::date::iso;

/// An invoice or a credit note. Amounts of a credit note are positive: its kind says which way they go.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Invoice {
    /// Which of the two (BT-3).
    pub kind: Kind,
    /// Unique per seller (BT-1).
    pub number: String,
    /// BT-2.
    #[serde(with = "iso")]
    pub issued_on: Date,
    /// In which all amounts are (BT-5).
    pub currency: Currency,
    /// Whether [`Line::shown`] holds tax. Everything else is without.
    pub prices: PriceMode,
    /// The number under which the buyer ordered (BT-13).
    pub order_number: String,
    /// What a public buyer asks to be named, a Leitweg-ID for one (BT-10).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub buyer_reference: Option<String>,
    /// The invoice that a credit note takes back (BG-3).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preceding: Option<Preceding>,
    /// Words to the buyer (BT-22).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// BG-4.
    pub seller: Party,
    /// BG-7.
    pub buyer: Party,
    /// Where the goods go, and the date of supply (BG-13).
    pub delivery: Delivery,
    /// How it is to be paid (BG-16, BT-9, BT-20).
    pub payment: Payment,
    /// BG-25.
    pub lines: Vec<Line>,
    /// Allowances and charges on the whole (BG-20, BG-21).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub adjustments: Vec<Adjustment>,
    /// One per category and rate (BG-23).
    pub taxes: Vec<TaxTotal>,
    /// BG-22.
    pub totals: Totals,
}

impl Invoice {
    /// Gives it its number, which is also what a payment is to name. For whoever makes a document first and takes
    /// its number last, so that no number is taken in vain.
    pub fn set_number(&mut self, number: String) {
        if self.payment.reference.is_some() {
            self.payment.reference = Some(number.clone());
        }
        self.number = number;
    }
}

/// Which way the money goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// The buyer owes.
    Invoice,
    /// The seller owes.
    CreditNote,
}

impl Kind {
    /// The UNTDID 1001 code.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Invoice => "380",
            Self::CreditNote => "381",
        }
    }
}

/// The invoice that is taken back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Preceding {
    /// BT-25.
    pub number: String,
    /// BT-26.
    #[serde(with = "iso")]
    pub issued_on: Date,
}

/// A seller or a buyer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Party {
    /// Under which the other side knows them: the buyer's customer id (BT-46).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// BT-27, BT-44.
    pub name: String,
    /// BG-5, BG-8.
    pub address: PostalAddress,
    /// With its country's letters in front (BT-31, BT-48).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vat_id: Option<String>,
    /// Number in a register, or a tax number that is no VAT id (BT-30, BT-47).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub registration: Option<String>,
    /// BG-6, BG-9.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contact: Option<Contact>,
    /// Where electronic invoices go (BT-34, BT-49).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<Endpoint>,
}

/// An address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PostalAddress {
    /// Street and number.
    pub line1: String,
    /// Further line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line2: Option<String>,
    /// City.
    pub city: String,
    /// Postcode.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub postcode: Option<String>,
    /// State, province or county.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// ISO 3166-1 alpha-2.
    pub country: String,
}

/// Whom to ask.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Contact {
    /// Person or department.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Telephone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phone: Option<String>,
    /// E-mail.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
}

/// An electronic address with its scheme.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Endpoint {
    /// A code of the EAS list: `9930` for a German VAT id, `EM` for e-mail.
    pub scheme: String,
    /// The address.
    pub id: String,
}

/// Where the goods go.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delivery {
    /// To whom (BT-70).
    pub name: String,
    /// BG-15.
    pub address: PostalAddress,
    /// Date of supply (BT-72).
    #[serde(with = "iso")]
    pub on: Date,
}

/// How an invoice is to be paid. All empty on a credit note.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Payment {
    /// Where to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<Account>,
    /// What the transfer should name (BT-83).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
    /// BT-20.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub terms: Option<String>,
    /// BT-9.
    #[serde(default, with = "iso::option", skip_serializing_if = "Option::is_none")]
    pub due_on: Option<Date>,
}

/// A bank account (BG-17).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Account {
    /// BT-84.
    pub iban: String,
    /// BT-86.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bic: Option<String>,
    /// Whose it is, when not the seller's (BT-85).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub holder: Option<String>,
    /// The bank's name, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bank: Option<String>,
}

/// One line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// Stock-keeping unit (BT-155).
    pub sku: String,
    /// BT-153.
    pub name: String,
    /// BT-129, in pieces.
    pub quantity: i64,
    /// Without tax (BT-146).
    pub unit_price: Decimal,
    /// Allowances and charges on the line (BG-27, BG-28); their tax is the line's.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub adjustments: Vec<LineAdjustment>,
    /// `quantity × unit_price`, less allowances, plus charges, without tax (BT-131).
    pub net: Decimal,
    /// BG-30.
    pub tax: Tax,
    /// Price and total as the order showed them.
    pub shown: Shown,
}

/// A line's price and total as the buyer saw them: with tax when the shop's prices hold it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shown {
    /// Of one piece.
    pub unit_price: Decimal,
    /// Of the line, less its allowances, plus its charges.
    pub total: Decimal,
}

/// Less or more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// Taken off.
    Allowance,
    /// Put on.
    Charge,
}

impl Direction {
    /// What an amount adds to a sum.
    #[must_use]
    pub fn signed(self, amount: Decimal) -> Decimal {
        match self {
            Self::Allowance => -amount,
            Self::Charge => amount,
        }
    }
}

/// A line's allowance or charge.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LineAdjustment {
    /// Less or more.
    pub direction: Direction,
    /// How much, without tax (BT-136, BT-141).
    pub amount: Decimal,
    /// How much the buyer sees: with tax when the shop's prices hold it.
    pub shown: Decimal,
    /// Why (BT-139, BT-144).
    pub reason: String,
}

/// An allowance or a charge on the whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Adjustment {
    /// Less or more.
    pub direction: Direction,
    /// How much, without tax (BT-92, BT-99).
    pub amount: Decimal,
    /// How much the buyer sees: with tax when the shop's prices hold it.
    pub shown: Decimal,
    /// Of what and how many percent, when it was computed so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub of: Option<PercentOf>,
    /// Why (BT-97, BT-104).
    pub reason: String,
    /// Under which tax.
    pub tax: Tax,
}

/// How an adjustment was computed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PercentOf {
    /// Percent.
    pub percent: Decimal,
    /// Of this amount, without tax.
    pub base: Decimal,
}

/// Category and rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Tax {
    /// Percent.
    pub percent: Decimal,
    /// Under which rule.
    pub category: Category,
}

/// The UNCL 5305 categories that Steelyard issues.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Category {
    /// S: taxed.
    Standard,
    /// Z: taxed at zero.
    Zero,
    /// E: exempt.
    Exempt,
    /// AE: the buyer owes the tax.
    ReverseCharge,
    /// K: to a business in another member state.
    IntraCommunity,
    /// G: out of the tax area.
    Export,
}

impl Category {
    /// The code.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Standard => "S",
            Self::Zero => "Z",
            Self::Exempt => "E",
            Self::ReverseCharge => "AE",
            Self::IntraCommunity => "K",
            Self::Export => "G",
        }
    }
}

/// The sum of one category and rate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaxTotal {
    /// Which.
    pub tax: Tax,
    /// What is taxed (BT-116).
    pub net: Decimal,
    /// The tax (BT-117).
    pub amount: Decimal,
    /// Why there is none (BT-120, BT-121).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exemption: Option<Exemption>,
}

/// Why no tax is due.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exemption {
    /// A code of the VATEX list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// In words.
    pub text: String,
}

/// The sums.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// Σ of the lines (BT-106).
    pub lines: Decimal,
    /// Σ of the allowances on the whole (BT-107).
    pub allowances: Decimal,
    /// Σ of the charges on the whole (BT-108).
    pub charges: Decimal,
    /// Without tax (BT-109).
    pub net: Decimal,
    /// Tax (BT-110).
    pub tax: Decimal,
    /// With tax (BT-112).
    pub gross: Decimal,
    /// Paid before (BT-113).
    pub prepaid: Decimal,
    /// Still owed (BT-115).
    pub payable: Decimal,
}

/// What comes with the goods: no amounts, so no EN 16931.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeliveryNote {
    /// Unique per seller.
    pub number: String,
    /// When the goods went out.
    #[serde(with = "iso")]
    pub issued_on: Date,
    /// The number under which the buyer ordered.
    pub order_number: String,
    /// Who sends.
    pub seller: Party,
    /// Who ordered.
    pub buyer: Party,
    /// Where the goods go.
    pub delivery: Delivery,
    /// The carrier's number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tracking: Option<String>,
    /// What is in the parcel.
    pub items: Vec<Item>,
}

/// One kind of goods in a parcel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Item {
    /// Stock-keeping unit.
    pub sku: String,
    /// What it is called.
    pub name: String,
    /// Pieces.
    pub quantity: i64,
}
