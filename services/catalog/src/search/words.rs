//! Words as documents and queries share them.

use unicode_normalization::UnicodeNormalization as _;
use unicode_normalization::char::is_combining_mark;

/// Longer words are cut.
const WORD_CHARS_MAX: usize = 64;

/// The words of a text, in their order: letters and digits, in lower case and without accents. Scripts that write no
/// spaces are cut into pairs of characters.
pub(super) fn words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut chars = 0;
    // The character before, if it was an ideograph, and whether it stands in a pair already.
    let mut before: Option<(char, bool)> = None;
    let folded = text.nfkd().filter(|c| !is_combining_mark(*c));
    for c in folded.flat_map(char::to_lowercase) {
        if is_unspaced(c) {
            flush(&mut word, &mut chars, &mut words);
            if let Some((first, _)) = before {
                words.push([first, c].iter().collect());
            }
            before = Some((c, before.is_some()));
            continue;
        }
        if let Some((alone, false)) = before.take() {
            words.push(alone.to_string());
        }
        if !c.is_alphanumeric() {
            flush(&mut word, &mut chars, &mut words);
        } else if chars < WORD_CHARS_MAX {
            match plain(c) {
                Some(letters) => word.push_str(letters),
                None => word.push(c),
            }
            chars += 1;
        }
    }
    if let Some((alone, false)) = before {
        words.push(alone.to_string());
    }
    flush(&mut word, &mut chars, &mut words);
    words
}

fn flush(word: &mut String, chars: &mut usize, words: &mut Vec<String>) {
    if !word.is_empty() {
        words.push(std::mem::take(word));
    }
    *chars = 0;
}

/// Letters that have no decomposition, as those write them who lack the key.
fn plain(c: char) -> Option<&'static str> {
    Some(match c {
        'ß' => "ss",
        'æ' => "ae",
        'œ' => "oe",
        'ø' => "o",
        'ł' => "l",
        'đ' | 'ð' => "d",
        'þ' => "th",
        'ı' => "i",
        'ς' => "σ",
        _ => return None,
    })
}

/// Han, Hiragana, Katakana, Thai, Lao, Khmer, Myanmar.
fn is_unspaced(c: char) -> bool {
    matches!(u32::from(c),
        0x0E00..=0x0EFF | 0x1000..=0x109F | 0x1780..=0x17FF | 0x3040..=0x30FF
        | 0x3400..=0x4DBF | 0x4E00..=0x9FFF | 0xF900..=0xFAFF | 0x20000..=0x323AF)
        && c.is_alphanumeric()
}

/// Whether a word can be misspelt: numbers are right or others.
pub(super) fn is_spelt(word: &str) -> bool {
    word.chars().all(char::is_alphabetic) && word.chars().nth(2).is_some()
}

#[cfg(test)]
mod tests {
    use super::{is_spelt, words};

    #[test]
    fn words_are_letters_and_digits_without_case_and_accents() {
        for (text, expected) in [
            (
                "Earl Grey, loose-leaf (100 g)",
                "earl grey loose leaf 100 g",
            ),
            ("Crème BRÛLÉE; Łódź; Straße", "creme brulee lodz strasse"),
            ("ΚΑΦΈΣ καφές кофе", "καφεσ καφεσ кофе"),
            ("ﬁne ½ ²", "fine 1 2 2"),
            ("& | ! <-> :* '", ""),
        ] {
            assert_eq!(words(text).join(" "), expected, "{text}");
        }
        assert_eq!(words(&"x".repeat(500))[0].len(), 64);
    }

    #[test]
    fn ideographs_are_read_in_pairs() {
        assert_eq!(words("日本茶 100g"), ["日本", "本茶", "100g"]);
        assert_eq!(words("茶"), ["茶"]);
        assert_eq!(words("a茶b"), ["a", "茶", "b"]);
    }

    #[test]
    fn numbers_and_short_words_are_not_misspelt() {
        assert!(is_spelt("lamp") && is_spelt("чай"));
        assert!(!is_spelt("85123a") && !is_spelt("tv"));
    }
}
