//! The words that a search finds documents by. Texts and searches are cut alike, here: Postgres would take the hyphens of
//! `RE-2026-000001` for minus signs, and know capital letters of some languages only.

use unicode_normalization::UnicodeNormalization as _;

/// Words of a search that count; the others are left out.
pub const WORDS_MAX: usize = 16;

/// A text as words that are apart by one space: letters and digits, small, composed (NFKC). What goes into the column
/// `words` goes through here.
#[must_use]
pub fn cut(text: &str) -> String {
    let mut words = String::with_capacity(text.len());
    for c in text.nfkc().flat_map(char::to_lowercase) {
        if c.is_alphanumeric() {
            words.push(c);
        } else if !words.is_empty() && !words.ends_with(' ') {
            words.push(' ');
        }
    }
    words.truncate(words.trim_end().len());
    words
}

/// A search as `to_tsquery` reads it: every word, of which the last may be unfinished. `None` for one without words.
#[must_use]
pub fn query(search: &str) -> Option<String> {
    let cut = cut(search);
    let words: Vec<String> = cut
        .split_whitespace()
        .take(WORDS_MAX)
        // Letters and digits: nothing that could end the quotes.
        .map(|word| format!("'{word}'"))
        .collect();
    if words.is_empty() {
        return None;
    }
    Some(words.join(" & ") + ":*")
}

#[cfg(test)]
mod tests {
    use super::{cut, query};

    #[test]
    fn texts_and_searches_are_cut_alike() {
        assert_eq!(cut("RE-2026-000001"), "re 2026 000001");
        assert_eq!(
            cut("  Łódź, O'Hara & Söhne\0GmbH. "),
            "łódź o hara söhne gmbh"
        );
        // Composed and not.
        assert_eq!(cut("Mu\u{308}ller"), cut("MÜLLER"));
        assert_eq!(cut(" -\u{0}- "), "");
    }

    #[test]
    fn a_search_is_of_all_words_and_the_last_may_be_unfinished() {
        assert_eq!(query("Lübeck  ba").as_deref(), Some("'lübeck' & 'ba':*"));
        assert_eq!(
            query("O'Hara | !x").as_deref(),
            Some("'o' & 'hara' & 'x':*")
        );
        assert_eq!(query("'' -- %"), None);
        let long = query(&"a ".repeat(99));
        assert_eq!(long.map(|q| q.matches("'a'").count()), Some(16));
    }
}
