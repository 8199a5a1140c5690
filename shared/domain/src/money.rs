//! Money: decimals, never floats (promise P5).

use std::fmt;
use std::str::FromStr;

use rust_decimal::{Decimal, RoundingStrategy};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::fault::Invalid;

/// An ISO 4217 currency that has a minor unit (so no `XAU`, no `XXX`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(try_from = "String", into = "String")]
#[schema(value_type = String, example = "GBP", pattern = "^[A-Z]{3}$")]
pub struct Currency(iso_currency::Currency);

impl Currency {
    /// The three-letter code.
    #[must_use]
    pub fn code(self) -> &'static str {
        self.0.code()
    }

    /// Digits after the decimal point in an amount: 2 for EUR, 0 for JPY, 3 for BHD.
    #[must_use]
    pub fn minor_digits(self) -> u32 {
        self.0.exponent().map_or(2, u32::from)
    }

    /// Rounds half up (away from zero) to the minor unit, and writes all its digits: 2.5 becomes
    /// 2.50.
    #[must_use]
    pub fn round(self, amount: Decimal) -> Decimal {
        let digits = self.minor_digits();
        let mut rounded =
            amount.round_dp_with_strategy(digits, RoundingStrategy::MidpointAwayFromZero);
        rounded.rescale(digits);
        rounded
    }
}

impl FromStr for Currency {
    type Err = Invalid;

    fn from_str(code: &str) -> Result<Self, Invalid> {
        let unknown = || {
            Invalid::new(
                "unknown_currency",
                "must be an ISO 4217 code in capitals such as \"EUR\"",
            )
        };
        let currency = iso_currency::Currency::from_code(code).ok_or_else(unknown)?;
        currency.exponent().ok_or_else(unknown)?;
        Ok(Self(currency))
    }
}

impl TryFrom<String> for Currency {
    type Error = Invalid;

    fn try_from(code: String) -> Result<Self, Invalid> {
        code.parse()
    }
}

impl From<Currency> for String {
    fn from(currency: Currency) -> Self {
        currency.code().to_owned()
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

/// The price of one unit: 0 to 999,999,999.9999, at most four decimals (finer than the minor
/// unit: wholesalers sell screws).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(try_from = "String", into = "String")]
#[schema(value_type = String, example = "2.55", pattern = r"^\d{1,9}(\.\d{1,4})?$")]
pub struct UnitPrice(Decimal);

impl UnitPrice {
    /// The number.
    #[must_use]
    pub fn amount(self) -> Decimal {
        self.0
    }

    /// Takes a number from a store that holds only prices.
    ///
    /// # Errors
    /// `out_of_range` when it is negative, too large or too fine.
    pub fn from_decimal(amount: Decimal) -> Result<Self, Invalid> {
        let normal = amount.normalize();
        if normal.is_sign_negative() && !normal.is_zero()
            || normal.scale() > 4
            || normal >= Decimal::from(1_000_000_000)
        {
            return Err(out_of_range());
        }
        Ok(Self(amount))
    }
}

fn out_of_range() -> Invalid {
    Invalid::new(
        "invalid_price",
        "must be a decimal number in a string, 0 to 999999999.9999, with at most four decimals, such as \"2.55\"",
    )
}

impl FromStr for UnitPrice {
    type Err = Invalid;

    /// Takes plain digits only: no sign, exponent, separator or white space.
    fn from_str(text: &str) -> Result<Self, Invalid> {
        let (whole, fraction) = match text.split_once('.') {
            Some((_, "")) => return Err(out_of_range()),
            Some((whole, fraction)) => (whole, fraction),
            None => (text, ""),
        };
        let digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
        if whole.is_empty()
            || whole.len() > 9
            || fraction.len() > 4
            || !digits(whole)
            || !digits(fraction)
        {
            return Err(out_of_range());
        }
        Decimal::from_str_exact(text)
            .map(Self)
            .map_err(|_| out_of_range())
    }
}

impl TryFrom<String> for UnitPrice {
    type Error = Invalid;

    fn try_from(text: String) -> Result<Self, Invalid> {
        text.parse()
    }
}

impl From<UnitPrice> for String {
    fn from(price: UnitPrice) -> Self {
        price.0.to_string()
    }
}

impl fmt::Display for UnitPrice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::{Currency, UnitPrice};
    use rust_decimal::Decimal;

    #[test]
    fn a_price_is_plain_digits_with_up_to_four_decimals() {
        for good in ["0", "2.55", "0.001", "999999999.9999", "007.5"] {
            assert!(good.parse::<UnitPrice>().is_ok(), "{good}");
        }
        for bad in [
            "",
            ".",
            ".5",
            "5.",
            "-1",
            "+1",
            "1e400",
            "1e2",
            "1,5",
            "2.55555",
            "1 ",
            "1_000",
            "٣",
            "NaN",
            "1000000000",
            "1.2.3",
        ] {
            assert!(bad.parse::<UnitPrice>().is_err(), "{bad}");
        }
    }

    #[test]
    fn rounding_is_half_up_to_the_currencys_own_minor_unit() {
        let amount = |text: &str| text.parse::<Decimal>().expect("a number");
        let currency = |code: &str| code.parse::<Currency>().expect("a currency");
        for (code, from, to) in [
            ("GBP", "2.345", "2.35"),
            ("GBP", "2.344999", "2.34"),
            ("GBP", "-2.345", "-2.35"),
            ("GBP", "2.5", "2.50"),
            ("JPY", "2.5", "3"),
            ("BHD", "1.0005", "1.001"),
        ] {
            assert_eq!(
                currency(code).round(amount(from)).to_string(),
                to,
                "{code} {from}"
            );
        }
    }

    #[test]
    fn currencies_without_minor_unit_and_other_spellings_are_refused() {
        for bad in ["gbp", "GB", "XAU", "XXX", "£", "ABC", ""] {
            assert!(bad.parse::<Currency>().is_err(), "{bad}");
        }
    }
}
