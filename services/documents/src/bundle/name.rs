//! Names within a bundle.

use std::collections::HashSet;

use uuid::Uuid;

/// Characters of a number in a name.
const NUMBER_CHARS_MAX: usize = 120;
/// Characters of an ending.
const ENDING_CHARS_MAX: usize = 5;

/// Gives each document a name of its own: kind and number, as people look for them.
#[derive(Debug, Default)]
pub(super) struct Names(HashSet<String>);

impl Names {
    pub(super) fn of(&mut self, kind: &str, number: &str, key: &str, id: Uuid) -> String {
        let name = format!("{kind}/{}", file_name(number, key));
        // File systems that fold case would put one over the other.
        if self.0.insert(name.to_lowercase()) {
            return name;
        }
        // Imported numbers are their issuers', and may be there twice.
        let name = format!("{kind}/{}", file_name(&format!("{number} {id}"), key));
        self.0.insert(name.to_lowercase());
        name
    }
}

/// The number, with the ending of the object's key. No separators of paths, and no dot in front: a browser or an unzipper
/// would take them for more than a name.
pub(crate) fn file_name(number: &str, key: &str) -> String {
    let is_of_a_path = |c: char| c.is_control() || matches!(c, '/' | '\\' | ':');
    let name: String = number
        .trim_matches(['.', ' '])
        .chars()
        .take(NUMBER_CHARS_MAX)
        .map(|c| if is_of_a_path(c) { '-' } else { c })
        .collect();
    let name = if name.is_empty() { "document" } else { &name };
    let last = key.rsplit('/').next().unwrap_or(key);
    let ending = last.rsplit_once('.').map(|(_, ending)| ending);
    let is_plain = |ending: &&str| {
        (1..=ENDING_CHARS_MAX).contains(&ending.len())
            && ending.bytes().all(|b| b.is_ascii_alphanumeric())
    };
    match ending.filter(is_plain) {
        Some(ending) => format!("{name}.{ending}"),
        None => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::{Names, file_name};

    #[test]
    fn a_file_is_named_by_its_number_and_the_name_is_no_path() {
        let named = |number| file_name(number, "invoice/2026/11/a%2Eb/018f.pdf");
        assert_eq!(named("RE-2026-000001"), "RE-2026-000001.pdf");
        assert_eq!(named("../../etc/passwd"), "-..-etc-passwd.pdf");
        assert_eq!(named("2026/17\n"), "2026-17-.pdf");
        assert_eq!(named("Süd 1"), "Süd 1.pdf");
        assert_eq!(named("..."), "document.pdf");
        assert_eq!(named(&"9".repeat(500)).len(), 124);
        assert_eq!(file_name("1", "scans/1"), "1");
        assert_eq!(file_name("1", "scans.old/1"), "1");
    }

    #[test]
    fn no_two_documents_of_a_bundle_have_one_name() {
        let mut names = Names::default();
        let mut named = |number| names.of("invoice", number, "a.pdf", Uuid::nil());
        assert_eq!(named("a-1"), "invoice/a-1.pdf");
        let other = "invoice/A-1 00000000-0000-0000-0000-000000000000.pdf";
        assert_eq!(named("A-1"), other);
        assert_eq!(named("A-2"), "invoice/A-2.pdf");
    }
}
