//! Amounts and dates as a language writes them.

use rust_decimal::Decimal;
use steelyard_domain::money::Currency;
use time::Date;

use crate::theme::Language;

/// An amount with all the digits of its currency and no sign of it: `1.234,50`.
pub(crate) fn amount(language: &Language, amount: Decimal, currency: Currency) -> String {
    number(language, currency.round(amount))
}

/// A unit price: at least the digits of its currency, more when it has more.
pub(crate) fn price(language: &Language, price: Decimal, currency: Currency) -> String {
    let mut price = price.normalize();
    if price.scale() < currency.minor_digits() {
        price.rescale(currency.minor_digits());
    }
    number(language, price)
}

/// A number as it is.
pub(crate) fn number(language: &Language, number: Decimal) -> String {
    let text = number.abs().to_string();
    let (units, fraction) = text
        .split_once('.')
        .map_or((text.as_str(), ""), |parts| parts);
    let mut out = String::with_capacity(text.len() + 8);
    if number.is_sign_negative() && !number.is_zero() {
        out.push('\u{2212}');
    }
    for (i, digit) in units.chars().enumerate() {
        if i > 0 && (units.len() - i).is_multiple_of(3) {
            out.push_str(&language.format.group);
        }
        out.push(digit);
    }
    if !fraction.is_empty() {
        out.push_str(&language.format.decimal);
        out.push_str(fraction);
    }
    out
}

/// An amount with its currency: `£1,234.50`, `1.234,50 €`, `CHF 12.00`.
pub(crate) fn money(language: &Language, sum: Decimal, currency: Currency) -> String {
    let symbol = symbol(currency);
    let pattern = &language.format.currency;
    let (sign, amount) = {
        let amount = amount(language, sum, currency);
        match amount.strip_prefix('\u{2212}') {
            Some(rest) => ("\u{2212}", rest.to_owned()),
            None => ("", amount),
        }
    };
    // A code needs room where a sign needs none.
    let symbol = if symbol.len() == 3 && symbol.is_ascii() && pattern.starts_with("{symbol}{") {
        format!("{symbol}\u{a0}")
    } else {
        symbol.to_owned()
    };
    let text = pattern
        .replace("{amount}", &amount)
        .replace("{symbol}", &symbol);
    format!("{sign}{}", text.replace(' ', "\u{a0}"))
}

fn symbol(currency: Currency) -> &'static str {
    match currency.code() {
        "EUR" => "€",
        "GBP" => "£",
        "USD" => "$",
        "JPY" => "¥",
        "PLN" => "zł",
        "CZK" => "Kč",
        code => code,
    }
}

/// A date.
pub(crate) fn date(language: &Language, date: Date) -> String {
    let month = usize::from(u8::from(date.month()));
    let name = language.format.months.get(month - 1);
    let text = language
        .format
        .date
        .replace("{dd}", &format!("{:02}", date.day()))
        .replace("{d}", &date.day().to_string())
        .replace("{mm}", &format!("{month:02}"))
        .replace("{month}", name.map_or("", String::as_str))
        .replace("{yyyy}", &format!("{:04}", date.year()));
    text.replace(' ', "\u{a0}")
}

#[cfg(test)]
mod tests {
    use super::{amount, date, money, price};
    use crate::Theme;
    use rust_decimal::Decimal;
    use time::macros::date;

    #[test]
    fn each_language_writes_amounts_and_dates_its_own_way() {
        let theme = Theme::plain();
        let sum: Decimal = "1234567.5".parse().expect("a number");
        let eur = "EUR".parse().expect("a currency");
        for (tag, money_text, date_text) in [
            ("en", "€1,234,567.50", "4\u{a0}November\u{a0}2026"),
            ("de", "1.234.567,50\u{a0}€", "04.11.2026"),
            ("fr", "1\u{202f}234\u{202f}567,50\u{a0}€", "04/11/2026"),
            ("pl", "1\u{a0}234\u{a0}567,50\u{a0}€", "04.11.2026"),
        ] {
            let language = theme.language(tag);
            assert_eq!(money(language, sum, eur), money_text);
            assert_eq!(date(language, date!(2026 - 11 - 04)), date_text);
        }
    }

    #[test]
    fn a_currency_has_its_own_digits_and_a_price_may_have_more() {
        let theme = Theme::plain();
        let english = theme.language("en");
        let number = |text: &str| text.parse::<Decimal>().expect("a number");
        let currency = |code: &str| code.parse().expect("a currency");
        assert_eq!(
            amount(english, number("-999.5"), currency("JPY")),
            "\u{2212}1,000"
        );
        assert_eq!(amount(english, number("1"), currency("BHD")), "1.000");
        assert_eq!(price(english, number("0.0375"), currency("EUR")), "0.0375");
        assert_eq!(price(english, number("2.5"), currency("EUR")), "2.50");
        assert_eq!(
            money(english, number("-12"), currency("CHF")),
            "\u{2212}CHF\u{a0}12.00"
        );
        assert_eq!(money(english, number("12"), currency("GBP")), "£12.00");
    }
}
