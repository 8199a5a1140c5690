//! Dates as both spellings and the stored document write them.

use time::Date;
use time::macros::format_description;

time::serde::format_description!(pub(crate) iso, Date, "[year]-[month]-[day]");

/// `2026-11-24`.
pub(crate) fn dashed(date: Date) -> String {
    date.format(format_description!("[year]-[month]-[day]"))
        .unwrap_or_else(|_| date.to_string())
}

/// `20261124`, UN/CEFACT format 102.
pub(crate) fn packed(date: Date) -> String {
    dashed(date).replace('-', "")
}
