//! Words in several languages, and which of them a reader gets.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::fault::{Faults, Invalid};
use crate::text;

/// Languages beyond the shop's own that a product may have words in.
pub const LANGUAGES_MAX: usize = 100;

/// A language as BCP 47 writes it: a language, perhaps a script, perhaps a region (`de`, `zh-Hant`,
/// `pt-BR`).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(try_from = "String", into = "String")]
#[schema(value_type = String, example = "de-CH")]
pub struct Language(String);

impl Language {
    /// The tag.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The tag, then what is left of it as its last part is dropped: `de-CH`, `de`.
    pub fn with_fallbacks(&self) -> impl Iterator<Item = &str> {
        fn shorter<'t>(tag: &&'t str) -> Option<&'t str> {
            tag.rsplit_once('-').map(|(before, _)| before)
        }
        std::iter::successors(Some(self.0.as_str()), shorter)
    }
}

impl TryFrom<String> for Language {
    type Error = Invalid;

    fn try_from(text: String) -> Result<Self, Invalid> {
        let mut parts = text.split('-');
        let all = |part: &str, is: fn(&u8) -> bool| part.as_bytes().iter().all(is);
        let is_language =
            |part: &str| matches!(part.len(), 2 | 3) && all(part, u8::is_ascii_lowercase);
        let is_script = |part: &str| {
            part.len() == 4
                && all(&part[..1], u8::is_ascii_uppercase)
                && all(&part[1..], u8::is_ascii_lowercase)
        };
        let is_region = |part: &str| {
            part.len() == 2 && all(part, u8::is_ascii_uppercase)
                || part.len() == 3 && all(part, u8::is_ascii_digit)
        };
        let is_tag = text.is_ascii()
            && parts.next().is_some_and(is_language)
            && match (parts.next(), parts.next(), parts.next()) {
                (None, ..) => true,
                (Some(one), None, _) => is_script(one) || is_region(one),
                (Some(one), Some(two), None) => is_script(one) && is_region(two),
                _ => false,
            };
        if is_tag {
            Ok(Self(text))
        } else {
            Err(Invalid::new(
                "invalid_language",
                "must be a language tag such as \"de\", \"pt-BR\" or \"zh-Hant\"",
            ))
        }
    }
}

impl std::str::FromStr for Language {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        Self::try_from(text.to_owned())
    }
}

impl From<Language> for String {
    fn from(language: Language) -> Self {
        language.0
    }
}

/// A product's words in another language than the shop's own.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Words {
    /// What it is called.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 256)]
    pub name: Option<String>,
    /// What it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 10000)]
    pub description: Option<String>,
}

/// Words by language.
pub type Translations = BTreeMap<Language, Words>;

/// The first thing that is there along a language's fallbacks (`de-CH`, then `de`), with the
/// language that it is in. `None` stands for the shop's own.
pub fn translated<'t, T: ?Sized>(
    translations: &'t Translations,
    wanted: Option<&Language>,
    thing: impl Fn(&'t Words) -> Option<&'t T>,
) -> Option<(&'t Language, &'t T)> {
    wanted?.with_fallbacks().find_map(|tag| {
        let (language, words) = translations.get_key_value(&Language(tag.to_owned()))?;
        Some((language, thing(words)?))
    })
}

/// Reads what a body gave by language.
pub(super) fn check(given: BTreeMap<String, Words>, faults: &mut Faults) -> Translations {
    if given.len() > LANGUAGES_MAX {
        let detail = format!("at most {LANGUAGES_MAX} languages");
        faults.add("/translations", "too_many", detail);
        return Translations::new();
    }
    let mut translations = Translations::new();
    for (tag, words) in given {
        let at = format!("/translations/{}", escaped(&tag));
        if let Some(name) = &words.name {
            faults.take(|| format!("{at}/name"), text::line(name, 256));
        }
        if let Some(description) = &words.description {
            faults.take(|| format!("{at}/description"), prose(description));
        }
        if let Some(language) = faults.take(|| at, Language::try_from(tag)) {
            translations.insert(language, words);
        }
    }
    translations
}

/// Checks a description: line breaks and tabs are the controls that it needs.
pub(super) fn prose(description: &str) -> Result<(), Invalid> {
    text::bounded(&description.replace(['\n', '\r', '\t'], " "), 10_000)
}

/// Escapes a name for a JSON pointer (RFC 6901 §3).
pub(super) fn escaped(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

#[cfg(test)]
mod tests {
    use super::{Language, Translations, Words, translated};

    fn language(tag: &str) -> Language {
        tag.parse().expect("a language")
    }

    #[test]
    fn a_tag_is_a_language_a_script_and_a_region_at_most() {
        for good in ["de", "gsw", "de-CH", "zh-Hant", "zh-Hant-TW", "es-419"] {
            assert!(good.parse::<Language>().is_ok(), "{good}");
        }
        for bad in [
            "",
            "d",
            "DE",
            "de-ch",
            "de-CH-1996",
            "de_CH",
            "deutsch",
            "zh-TW-Hant",
            "dé",
        ] {
            assert!(bad.parse::<Language>().is_err(), "{bad}");
        }
    }

    #[test]
    fn words_fall_back_to_the_wider_language_one_by_one() {
        let words = |name: Option<&str>, description: Option<&str>| Words {
            name: name.map(str::to_owned),
            description: description.map(str::to_owned),
        };
        let translations: Translations = [
            (language("de"), words(Some("Leuchte"), Some("Hell"))),
            (language("de-CH"), words(Some("Lampe"), None)),
        ]
        .into();
        let of = |tag: &str| {
            let wanted = language(tag);
            let name = translated(&translations, Some(&wanted), |words| words.name.as_deref());
            let told = translated(&translations, Some(&wanted), |words| {
                words.description.as_deref()
            });
            (name.map(|(_, name)| name), told.map(|(_, told)| told))
        };
        assert_eq!(of("de-CH"), (Some("Lampe"), Some("Hell")));
        assert_eq!(of("de-AT"), (Some("Leuchte"), Some("Hell")));
        assert_eq!(of("fr"), (None, None));
        assert_eq!(
            translated(&translations, None, |words| words.name.as_deref()),
            None
        );
    }
}
