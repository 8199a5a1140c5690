//! Rules for texts and numbers that several operations share.

use crate::error::Error;

/// AWS's rule for message text: what XML 1.0 allows.
pub(super) fn is_message_text(text: &str) -> bool {
    // Most text is plain ASCII: look at bytes first.
    let plain = |byte: u8| (0x20..0x80).contains(&byte) || matches!(byte, b'\t' | b'\n' | b'\r');
    text.bytes().all(plain)
        || text.chars().all(|c| {
            matches!(c, '\t' | '\n' | '\r' | '\u{20}'..='\u{D7FF}' | '\u{E000}'..='\u{FFFD}' | '\u{10000}'..='\u{10FFFF}')
        })
}

/// Group, deduplication and attempt ids: 1 to 128 letters, digits and punctuation characters.
pub(super) fn check_id(parameter: &str, value: &str) -> Result<(), Error> {
    if (1..=128).contains(&value.len()) && value.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Ok(());
    }
    Err(Error::invalid_value(
        value,
        parameter,
        &format!(
            "{parameter} can only include alphanumeric and punctuation characters. 1 to 128 in length."
        ),
    ))
}

/// A number within limits, with AWS's wording for one that is not.
pub(super) fn check_range(
    parameter: &str,
    value: Option<i64>,
    max: u64,
) -> Result<Option<u64>, Error> {
    let Some(value) = value else { return Ok(None) };
    match u64::try_from(value) {
        Ok(number) if number <= max => Ok(Some(number)),
        _ => Err(Error::invalid_value(
            value,
            parameter,
            &format!("Must be >= 0 and <= {max}, if provided."),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_that_xml_cannot_carry_is_no_message_text() {
        for text in [
            "",
            "plain\tand\r\nlines",
            "\u{20}\u{7f}",
            "Grüße 👋",
            "\u{D7FF}\u{E000}\u{FFFD}\u{10FFFF}",
        ] {
            assert!(is_message_text(text), "{text:?}");
        }
        for text in ["\0", "a\u{1}", "\u{b}", "\u{1f}", "\u{FFFE}", "é\u{FFFF}"] {
            assert!(!is_message_text(text), "{text:?}");
        }
    }

    #[test]
    fn ids_are_1_to_128_visible_ascii_characters() {
        assert!(check_id("MessageGroupId", "a!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~Z9").is_ok());
        assert!(check_id("MessageGroupId", &"a".repeat(128)).is_ok());
        for id in ["", "with space", "ümlaut", &"a".repeat(129)] {
            assert!(check_id("MessageGroupId", id).is_err(), "{id:?}");
        }
    }
}
