//! Stock: levels, bookings, places.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::ToSchema;

use crate::fault::{Fault, Faults, Invalid};
use crate::id::Sku;
use crate::text;

/// Units that one booking may move.
pub const ADJUST_MAX: i64 = 1_000_000_000;
/// Where goods lie when nothing else is said.
pub const LOCATION_DEFAULT: &str = "main";
/// The longest name of a location.
const LOCATION_CHARS_MAX: usize = 32;

/// The body of `POST /v1/products/{sku}/stock-adjustments`.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct StockAdjustmentBody {
    /// Units that came in (positive) or went (negative).
    #[schema(minimum = -1_000_000_000, maximum = 1_000_000_000)]
    pub adjust: i64,
    /// Books the adjustment once per SKU and reference, whatever is sent again.
    #[schema(max_length = 128)]
    pub reference: String,
    /// Words for people: why. They stand in the ledger.
    #[schema(max_length = 256)]
    pub reason: Option<String>,
    /// Where: up to 32 of `a-z`, `0-9` and `-`; `main` when left out.
    #[schema(max_length = 32, pattern = "^[a-z0-9-]{1,32}$")]
    pub location: Option<String>,
}

/// A stock booking that was checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StockAdjustment {
    /// Units, not zero.
    pub adjust: i64,
    /// Once per SKU and reference.
    pub reference: String,
    /// Words for people.
    pub reason: Option<String>,
    /// Where.
    pub location: String,
}

impl StockAdjustmentBody {
    /// Checks the body.
    ///
    /// # Errors
    /// Every fault with its place.
    pub fn check(self) -> Result<StockAdjustment, Vec<Fault>> {
        let mut faults = Faults::default();
        self.check_at("", &mut faults)
            .ok_or_else(|| faults.into_vec())
    }

    pub(super) fn check_at(self, at: &str, faults: &mut Faults) -> Option<StockAdjustment> {
        if self.adjust == 0 || !(-ADJUST_MAX..=ADJUST_MAX).contains(&self.adjust) {
            faults.add(
                format!("{at}/adjust"),
                "out_of_range",
                format!("must be -{ADJUST_MAX} to {ADJUST_MAX} and not 0"),
            );
        }
        faults.take(
            || format!("{at}/reference"),
            text::line(&self.reference, 128),
        );
        if let Some(reason) = &self.reason {
            faults.take(|| format!("{at}/reason"), text::line(reason, 256));
        }
        let location = self.location.unwrap_or_else(|| LOCATION_DEFAULT.to_owned());
        faults.take(|| format!("{at}/location"), location_name(&location));
        faults.is_empty().then_some(StockAdjustment {
            adjust: self.adjust,
            reference: self.reference,
            reason: self.reason,
            location,
        })
    }
}

fn location_name(name: &str) -> Result<(), Invalid> {
    let is_letter = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    if (1..=LOCATION_CHARS_MAX).contains(&name.len()) && name.bytes().all(is_letter) {
        return Ok(());
    }
    let detail = "must be 1 to 32 of a-z, 0-9 and -";
    Err(Invalid::new("invalid_location", detail))
}

/// What a stock booking led to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct StockLevel {
    /// Stock-keeping unit.
    pub sku: Sku,
    /// Units in all places together.
    pub on_hand: i64,
    /// Of them held for confirmed orders.
    pub reserved: i64,
    /// The rest.
    pub available: i64,
    /// False when the reference had been booked before.
    pub booked: bool,
}

/// A product's stock and its latest bookings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Stock {
    /// Stock-keeping unit.
    pub sku: Sku,
    /// Units in all places together.
    pub on_hand: i64,
    /// Of them held for confirmed orders.
    pub reserved: i64,
    /// The rest.
    pub available: i64,
    /// `stock.low` is told when so few units or fewer are left.
    pub low_at: Option<i64>,
    /// Where they lie; `main` first. Places without any are left out, `main` never.
    pub locations: Vec<StockAt>,
    /// Goods receipts and corrections, newest first.
    pub bookings: Vec<StockBooking>,
    /// Give it as `cursor` for older bookings; null when there are none.
    pub next_cursor: Option<String>,
}

/// Units at one place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct StockAt {
    /// The place.
    pub location: String,
    /// Units.
    pub on_hand: i64,
}

/// An entry of the ledger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct StockBooking {
    /// Once per product.
    pub reference: String,
    /// Units that came in or went.
    pub adjust: i64,
    /// Where.
    pub location: String,
    /// Why, for people.
    pub reason: Option<String>,
    /// Who booked it; null when that was not written down.
    pub booked_by: Option<String>,
    /// When.
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
}
