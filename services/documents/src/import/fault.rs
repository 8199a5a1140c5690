//! What is wrong with a row, in words for whoever made the manifest.

use std::borrow::Cow;

/// A detail is cut after so many characters: it may quote the row.
const DETAIL_CHARS_MAX: usize = 300;

/// Why a row was refused. The others go on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {detail}")]
pub struct Fault {
    /// One of the words in `docs/OPERATIONS.md`.
    pub code: &'static str,
    /// What to mend.
    pub detail: String,
}

impl Fault {
    /// A fault of this code.
    pub fn new<'a>(code: &'static str, detail: impl Into<Cow<'a, str>>) -> Self {
        let detail = detail.into();
        // Control characters of a manifest have no business in a terminal or a log.
        let clean = detail.chars().take(DETAIL_CHARS_MAX);
        let clean = clean.map(|c| if c.is_control() { ' ' } else { c });
        Self {
            code,
            detail: clean.collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Fault;

    #[test]
    fn a_detail_is_short_and_harmless() {
        let fault = Fault::new("key", format!("\u{1b}[2J{}", "x".repeat(10_000)));
        assert_eq!(fault.detail.chars().count(), 300);
        assert!(!fault.detail.contains('\u{1b}'));
    }
}
