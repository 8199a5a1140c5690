//! `POST /v1/orders`: the body as it comes ([`PlaceOrderBody`]), and the order once everything in
//! it was checked ([`PlaceOrder`]), which is what travels on the queue.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::ToSchema;

use crate::fault::{Fault, Faults, Invalid};
use crate::id::{CustomerId, Sku};
use crate::money::{Currency, UnitPrice};
use crate::{object, text};

/// Lines an order may have.
pub const LINES_MAX: usize = 2_000;
/// Units a line may ask for.
pub const QUANTITY_MAX: i64 = 1_000_000;
/// Entries of `metadata`.
pub const METADATA_ENTRIES_MAX: usize = 50;

/// The body of `POST /v1/orders`, unchecked but for its shape.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PlaceOrderBody {
    /// Who orders. A `customer` token may leave it out; a `storefront` token must name it.
    #[schema(min_length = 1, max_length = 128, example = "17850")]
    pub customer_id: Option<String>,
    /// ISO 4217 code; must be a currency in which every product has a price.
    #[schema(example = "GBP", pattern = "^[A-Z]{3}$")]
    pub currency: String,
    /// The shop's own number for the order, for people; need not be unique.
    #[schema(min_length = 1, max_length = 64, example = "536365")]
    pub reference: Option<String>,
    /// When the order was placed elsewhere (imports); only with the scope `orders:price`.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub placed_at: Option<String>,
    /// 1 to 2,000 lines; the same SKU may stand on several.
    #[schema(min_items = 1, max_items = 2000)]
    #[serde(deserialize_with = "object::many")]
    pub lines: Vec<PlaceLineBody>,
    /// Where the goods go; its country decides the tax.
    #[serde(deserialize_with = "object::one")]
    pub ship_to: AddressBody,
    /// Where the invoice goes, when that is elsewhere.
    #[serde(default, deserialize_with = "object::maybe")]
    pub bill_to: Option<AddressBody>,
    /// For messages about the order.
    #[schema(
        min_length = 3,
        max_length = 254,
        pattern = "^[^@]+@.+$",
        example = "buyer@example.com"
    )]
    pub email: Option<String>,
    /// How it is paid; `invoice` when left out.
    #[serde(default, deserialize_with = "object::maybe")]
    pub payment: Option<PaymentBody>,
    /// The shop's own notes: up to 50 entries.
    pub metadata: Option<BTreeMap<String, String>>,
}

/// One line of [`PlaceOrderBody`].
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PlaceLineBody {
    /// Stock-keeping unit.
    #[schema(min_length = 1, max_length = 64, example = "85123A")]
    pub sku: String,
    /// Units.
    #[schema(minimum = 1, maximum = 1_000_000, example = 6)]
    pub quantity: i64,
    /// The price of one unit that the shopper was shown.
    #[schema(example = "2.55", pattern = r"^\d{1,9}(\.\d{1,4})?$")]
    pub unit_price: String,
    /// A name for a SKU that the catalog does not know; only with the scope `orders:price`.
    #[schema(min_length = 1, max_length = 256)]
    pub name: Option<String>,
}

/// An address in [`PlaceOrderBody`].
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AddressBody {
    /// Person or company.
    #[schema(min_length = 1, max_length = 128)]
    pub name: String,
    /// Street and number.
    #[schema(min_length = 1, max_length = 128)]
    pub line1: String,
    /// Further line.
    #[schema(min_length = 1, max_length = 128)]
    pub line2: Option<String>,
    /// City.
    #[schema(min_length = 1, max_length = 128)]
    pub city: String,
    /// Postcode; some countries have none.
    #[schema(min_length = 1, max_length = 16)]
    pub postcode: Option<String>,
    /// State, province or county.
    #[schema(min_length = 1, max_length = 64)]
    pub region: Option<String>,
    /// ISO 3166-1 alpha-2 code.
    #[schema(example = "GB", pattern = "^[A-Z]{2}$")]
    pub country: String,
    /// VAT identification number of a business.
    #[schema(min_length = 1, max_length = 20)]
    pub vat_id: Option<String>,
}

/// How an order is paid, in [`PlaceOrderBody`].
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = OrderPaymentBody)]
pub struct PaymentBody {
    /// `invoice` (pay later) or `prepaid` (confirmed by `POST …/payments`).
    pub method: PaymentMethod,
}

/// How an order is paid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum PaymentMethod {
    /// Pay later.
    Invoice,
    /// Paid at the shop's payment provider before shipping.
    Prepaid,
}

/// An order that was checked: the payload of `order.place`.
///
/// Its serialized form is what the fingerprint is taken of, so a field added later must be left
/// out when it is absent, or yesterday's retries would look like conflicts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlaceOrder {
    /// Who orders.
    pub customer_id: CustomerId,
    /// In which currency.
    pub currency: Currency,
    /// The shop's own number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
    /// When it was placed elsewhere.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        with = "time::serde::rfc3339::option"
    )]
    pub placed_at: Option<OffsetDateTime>,
    /// What is ordered.
    pub lines: Vec<PlaceLine>,
    /// Where the goods go.
    pub ship_to: Address,
    /// Where the invoice goes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bill_to: Option<Address>,
    /// For messages.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// How it is paid.
    pub payment_method: PaymentMethod,
    /// The shop's own notes.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
    /// The unit prices stand as they are (scope `orders:price`), the catalog's are not asked.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub prices_authoritative: bool,
}

/// One checked line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlaceLine {
    /// Stock-keeping unit.
    pub sku: Sku,
    /// Units, 1 to [`QUANTITY_MAX`].
    pub quantity: i64,
    /// The price that the shopper was shown, or the authoritative one.
    pub unit_price: UnitPrice,
    /// A name for a SKU that the catalog does not know.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// A checked address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Address {
    /// Person or company.
    pub name: String,
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
    /// ISO 3166-1 alpha-2 code.
    pub country: String,
    /// VAT identification number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vat_id: Option<String>,
}

/// What the caller may do beyond placing a plain order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PlaceRights {
    /// Scope `orders:price`: prices, names and `placed_at` are taken as they are.
    pub may_price: bool,
}

impl PlaceOrderBody {
    /// Checks everything and names every fault.
    ///
    /// `customer_id` is the customer that authorization settled on.
    ///
    /// # Errors
    /// All faults found, each with its JSON pointer; at most [`Faults::FAULTS_MAX`].
    pub fn check(
        self,
        customer_id: CustomerId,
        rights: PlaceRights,
    ) -> Result<PlaceOrder, Vec<Fault>> {
        let mut faults = Faults::default();
        let currency = faults.take(|| "/currency".into(), self.currency.parse::<Currency>());
        optional_line(&mut faults, "/reference", self.reference.as_deref(), 64);
        optional_line(&mut faults, "/email", self.email.as_deref(), 254);
        if let Some(email) = &self.email
            && !email
                .split_once('@')
                .is_some_and(|(user, host)| !user.is_empty() && !host.is_empty())
        {
            faults.add("/email", "invalid_email", "must look like name@example.com");
        }
        let placed_at = check_placed_at(&mut faults, self.placed_at.as_deref(), rights);
        let lines = check_lines(&mut faults, self.lines, rights);
        let ship_to = self.ship_to.check(&mut faults, "/ship_to");
        let bill_to = self
            .bill_to
            .and_then(|address| address.check(&mut faults, "/bill_to"));
        let metadata = self.metadata.unwrap_or_default();
        check_metadata(&mut faults, &metadata);
        match (currency, ship_to) {
            (Some(currency), Some(ship_to)) if faults.is_empty() => Ok(PlaceOrder {
                customer_id,
                currency,
                reference: self.reference,
                placed_at,
                lines,
                ship_to,
                bill_to,
                email: self.email,
                payment_method: self
                    .payment
                    .map_or(PaymentMethod::Invoice, |payment| payment.method),
                metadata,
                prices_authoritative: rights.may_price,
            }),
            _ => Err(faults.into_vec()),
        }
    }
}

impl AddressBody {
    fn check(self, faults: &mut Faults, at: &str) -> Option<Address> {
        let required = [
            ("name", &self.name, 128),
            ("line1", &self.line1, 128),
            ("city", &self.city, 128),
        ];
        for (field, value, chars_max) in required {
            faults.take(|| format!("{at}/{field}"), text::line(value, chars_max));
        }
        let optional = [
            ("line2", &self.line2, 128),
            ("postcode", &self.postcode, 16),
            ("region", &self.region, 64),
            ("vat_id", &self.vat_id, 20),
        ];
        for (field, value, chars_max) in optional {
            optional_line(
                faults,
                &format!("{at}/{field}"),
                value.as_deref(),
                chars_max,
            );
        }
        if self.country.len() != 2 || !self.country.bytes().all(|b| b.is_ascii_uppercase()) {
            faults.add(
                format!("{at}/country"),
                "invalid_country",
                "must be an ISO 3166-1 alpha-2 code in capitals such as \"DE\"",
            );
        }
        faults.is_empty().then_some(Address {
            name: self.name,
            line1: self.line1,
            line2: self.line2,
            city: self.city,
            postcode: self.postcode,
            region: self.region,
            country: self.country,
            vat_id: self.vat_id,
        })
    }
}

fn check_lines(
    faults: &mut Faults,
    lines: Vec<PlaceLineBody>,
    rights: PlaceRights,
) -> Vec<PlaceLine> {
    if lines.is_empty() {
        faults.add("/lines", "required", "an order has at least one line");
    }
    if lines.len() > LINES_MAX {
        faults.add(
            "/lines",
            "too_many",
            format!("an order has at most {LINES_MAX} lines"),
        );
        return Vec::new();
    }
    let checked = lines.into_iter().enumerate().filter_map(|(i, line)| {
        let sku = faults.take(|| format!("/lines/{i}/sku"), Sku::try_from(line.sku));
        if !(1..=QUANTITY_MAX).contains(&line.quantity) {
            faults.add(
                format!("/lines/{i}/quantity"),
                "out_of_range",
                format!("must be between 1 and {QUANTITY_MAX}"),
            );
        }
        let unit_price = faults.take(
            || format!("/lines/{i}/unit_price"),
            line.unit_price.parse::<UnitPrice>(),
        );
        if line.name.is_some() && !rights.may_price {
            faults.add(
                format!("/lines/{i}/name"),
                "not_allowed",
                "only a token with the scope orders:price may name lines",
            );
        }
        optional_line(
            faults,
            &format!("/lines/{i}/name"),
            line.name.as_deref(),
            256,
        );
        Some(PlaceLine {
            sku: sku?,
            quantity: line.quantity,
            unit_price: unit_price?,
            name: line.name,
        })
    });
    checked.collect()
}

fn check_placed_at(
    faults: &mut Faults,
    placed_at: Option<&str>,
    rights: PlaceRights,
) -> Option<OffsetDateTime> {
    let text = placed_at?;
    if !rights.may_price {
        faults.add(
            "/placed_at",
            "not_allowed",
            "only a token with the scope orders:price may set the time",
        );
        return None;
    }
    let parsed = OffsetDateTime::parse(text, &time::format_description::well_known::Rfc3339)
        .ok()
        // Postgres and invoices both want a plain year.
        .filter(|at| (1970..=9998).contains(&at.year()))
        .ok_or_else(|| {
            Invalid::new(
                "invalid_time",
                "must be an RFC 3339 time such as \"2010-12-01T08:26:00Z\"",
            )
        });
    faults
        .take(|| "/placed_at".into(), parsed)
        .map(|at| at.to_offset(time::UtcOffset::UTC))
}

fn check_metadata(faults: &mut Faults, metadata: &BTreeMap<String, String>) {
    if metadata.len() > METADATA_ENTRIES_MAX {
        faults.add(
            "/metadata",
            "too_many",
            format!("at most {METADATA_ENTRIES_MAX} entries"),
        );
        return;
    }
    for (key, value) in metadata {
        if let Err(fault) = text::line(key, 64) {
            faults.add(
                "/metadata",
                fault.code,
                format!("key {key:?} {}", fault.detail),
            );
        }
        faults.take(
            || format!("/metadata/{}", pointer_token(key)),
            text::bounded(value, 1_000),
        );
    }
}

/// Escapes a key for a JSON pointer (RFC 6901 §3).
fn pointer_token(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

fn optional_line(faults: &mut Faults, at: &str, value: Option<&str>, chars_max: usize) {
    if let Some(value) = value {
        faults.take(|| at.to_owned(), text::line(value, chars_max));
    }
}

#[cfg(test)]
mod tests {
    use super::{PlaceOrderBody, PlaceRights};
    use serde_json::{Value, json};

    fn body() -> Value {
        json!({
            "customer_id": "17850", "currency": "GBP", "reference": "536365",
            "lines": [{"sku": "85123A", "quantity": 6, "unit_price": "2.55"}],
            "ship_to": {"name": "A", "line1": "B", "city": "C", "country": "GB"}
        })
    }

    fn faults_of(body: Value, may_price: bool) -> Vec<(String, String)> {
        let body: PlaceOrderBody = serde_json::from_value(body).expect("the shape is right");
        match body.check("17850".parse().expect("an id"), PlaceRights { may_price }) {
            Ok(_) => Vec::new(),
            Err(faults) => faults
                .into_iter()
                .map(|f| (f.pointer, f.code.into_owned()))
                .collect(),
        }
    }

    fn with(pointer: &str, value: Value) -> Value {
        let mut body = body();
        let (parent, field) = pointer.rsplit_once('/').expect("a pointer");
        let parent = body.pointer_mut(parent).expect("a place");
        match parent {
            Value::Array(list) => list[field.parse::<usize>().expect("an index")] = value,
            other => other[field] = value,
        }
        body
    }

    #[test]
    fn a_plain_order_passes() {
        assert_eq!(faults_of(body(), false), []);
    }

    #[test]
    fn each_fault_names_its_place_and_its_kind() {
        for (pointer, value, code) in [
            ("/currency", json!("XXX"), "unknown_currency"),
            ("/reference", json!("x".repeat(65)), "too_long"),
            ("/reference", json!("a\u{0}b"), "invalid_character"),
            ("/lines/0/sku", json!(""), "required"),
            ("/lines/0/quantity", json!(0), "out_of_range"),
            ("/lines/0/quantity", json!(-1), "out_of_range"),
            ("/lines/0/quantity", json!(1_000_001), "out_of_range"),
            ("/lines/0/unit_price", json!("1e400"), "invalid_price"),
            ("/lines/0/unit_price", json!("2.55555"), "invalid_price"),
            ("/lines/0/name", json!("Mine"), "not_allowed"),
            ("/placed_at", json!("2010-12-01T08:26:00Z"), "not_allowed"),
            ("/ship_to/country", json!("UK1"), "invalid_country"),
            ("/ship_to/name", json!(" "), "required"),
            ("/email", json!("nobody"), "invalid_email"),
            ("/metadata", json!({"a/b": "\u{ffff}"}), "invalid_character"),
        ] {
            let found = faults_of(with(pointer, value), false);
            assert_eq!(found.len(), 1, "{pointer}: {found:?}");
            assert!(found[0].0.starts_with(pointer), "{found:?}");
            assert_eq!(found[0].1, code, "{pointer}");
        }
        assert_eq!(
            faults_of(with("/lines", json!([])), false),
            [("/lines".into(), "required".into())]
        );
    }

    #[test]
    fn two_thousand_and_one_lines_are_one_fault() {
        let lines = vec![json!({"sku": "a", "quantity": 1, "unit_price": "1"}); 2_001];
        assert_eq!(
            faults_of(with("/lines", json!(lines)), false),
            [("/lines".into(), "too_many".into())]
        );
    }

    #[test]
    fn prices_names_and_times_are_the_word_of_those_who_may() {
        let mut order = with("/placed_at", json!("2010-12-01T08:26:00+01:00"));
        order["lines"][0]["name"] = json!("POSTAGE");
        assert_eq!(faults_of(order, true), []);
        assert_eq!(
            faults_of(with("/placed_at", json!("2010-13-01")), true),
            [("/placed_at".into(), "invalid_time".into())]
        );
    }

    #[test]
    fn unknown_fields_are_refused() {
        let error = serde_json::from_value::<PlaceOrderBody>(with("/coupon", json!("X")))
            .expect_err("refused");
        assert!(error.to_string().contains("unknown field `coupon`"));
    }
}
