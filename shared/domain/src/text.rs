//! Which characters a string may hold.
//!
//! SQS refuses some code points in a message body (only `#x9 | #xA | #xD | #x20–#xD7FF |
//! #xE000–#xFFFD | #x10000–#x10FFFF`, says `SendMessage` in the AWS API reference), Postgres
//! refuses NUL in text and `jsonb`. Both are refused at the door with the place of the fault, so
//! that neither becomes a failure behind it.

use crate::fault::Invalid;

/// Checks a single-line text: 1 to `chars_max` characters, no control or non-characters, not
/// blank.
///
/// # Errors
/// `required` when blank, `too_long`, or `invalid_character`.
pub fn line(text: &str, chars_max: usize) -> Result<(), Invalid> {
    if text.trim().is_empty() {
        return Err(Invalid::new("required", "must not be blank"));
    }
    bounded(text, chars_max)
}

/// Like [`line`], but may be blank.
///
/// # Errors
/// `too_long` or `invalid_character`.
pub fn bounded(text: &str, chars_max: usize) -> Result<(), Invalid> {
    if text.len() > chars_max && text.chars().count() > chars_max {
        return Err(Invalid::new(
            "too_long",
            format!("must have at most {chars_max} characters"),
        ));
    }
    match text.chars().find(|&c| !is_storable(c)) {
        None => Ok(()),
        Some(bad) => Err(Invalid::new(
            "invalid_character",
            format!(
                "U+{:04X} is not allowed: control and non-characters are refused",
                bad as u32
            ),
        )),
    }
}

/// Whether a character may be kept: no C0/C1 control and no Unicode non-character.
#[must_use]
pub fn is_storable(c: char) -> bool {
    let code = c as u32;
    !c.is_control() && (code & 0xFFFE) != 0xFFFE && !(0xFDD0..=0xFDEF).contains(&code)
}

#[cfg(test)]
mod tests {
    use super::{bounded, is_storable, line};

    #[test]
    fn what_sqs_or_postgres_would_refuse_is_refused_here() {
        for bad in [
            '\0',
            '\u{1}',
            '\u{b}',
            '\u{7f}',
            '\u{85}',
            '\u{fffe}',
            '\u{ffff}',
            '\u{1ffff}',
            '\u{fdd0}',
        ] {
            assert!(!is_storable(bad), "{bad:?}");
        }
        for good in ['a', 'ß', '漢', '😀', '\u{fffd}', '\u{e000}', '\u{200d}'] {
            assert!(is_storable(good), "{good:?}");
        }
    }

    #[test]
    fn length_counts_characters_not_bytes() {
        assert!(line("ääää", 4).is_ok());
        assert_eq!(line("äääää", 4).map_err(|e| e.code), Err("too_long"));
        assert_eq!(line(" \u{3000}", 4).map_err(|e| e.code), Err("required"));
        assert!(bounded("", 4).is_ok());
    }
}
