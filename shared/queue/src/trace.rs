//! W3C trace context carried in a message attribute, as strings: no tracing library is imposed.

use crate::message::{AttributeValue, Attributes};

/// Name of the attribute.
pub const TRACEPARENT: &str = "traceparent";

/// Puts a `traceparent` into the attributes; returns false and leaves them alone when it is malformed.
pub fn inject(attributes: &mut Attributes, traceparent: &str) -> bool {
    let valid = is_traceparent(traceparent);
    if valid {
        attributes.insert(TRACEPARENT.to_owned(), AttributeValue::text(traceparent));
    }
    valid
}

/// The `traceparent` of a message, if it has a well-formed one.
pub fn extract(attributes: &Attributes) -> Option<&str> {
    attributes
        .get(TRACEPARENT)
        .and_then(AttributeValue::as_text)
        .filter(|value| is_traceparent(value))
}

/// Whether this is a version-00 `traceparent`: `00-<32 hex>-<16 hex>-<2 hex>`, lower case, ids not all zero
/// (<https://www.w3.org/TR/trace-context/#traceparent-header>).
pub fn is_traceparent(value: &str) -> bool {
    let mut parts = value.split('-');
    let (Some("00"), Some(trace), Some(parent), Some(flags), None) = (
        parts.next(),
        parts.next(),
        parts.next(),
        parts.next(),
        parts.next(),
    ) else {
        return false;
    };
    let hex = |part: &str, length: usize| {
        part.len() == length
            && part
                .bytes()
                .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
    };
    let some = |part: &str| part.bytes().any(|b| b != b'0');
    hex(trace, 32) && some(trace) && hex(parent, 16) && some(parent) && hex(flags, 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trace_context_survives_the_journey_and_a_malformed_one_is_left_out() {
        let good = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let mut attributes = Attributes::new();
        assert!(inject(&mut attributes, good));
        assert_eq!(extract(&attributes), Some(good));
        for bad in [
            "",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-x",
        ] {
            let mut attributes = Attributes::new();
            assert!(!inject(&mut attributes, bad), "{bad}");
            assert!(attributes.is_empty());
        }
    }
}
