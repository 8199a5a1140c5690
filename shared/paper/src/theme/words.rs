//! The words of a document in each language, and how the language writes numbers and dates.

use std::collections::BTreeMap;

use serde::Deserialize;

/// A word or phrase of a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Word {
    Invoice,
    CreditNote,
    DeliveryNote,
    NumberInvoice,
    NumberCreditNote,
    NumberDeliveryNote,
    Date,
    Customer,
    Order,
    SupplyDate,
    DueDate,
    BuyerVatId,
    BuyerReference,
    Tracking,
    TakesBack,
    ColumnPosition,
    ColumnSku,
    ColumnName,
    ColumnQuantity,
    ColumnUnitPrice,
    ColumnTax,
    ColumnTotal,
    CarriedForward,
    BroughtForward,
    Subtotal,
    Allowance,
    Charge,
    ByPercentOf,
    ByPercent,
    AtTax,
    NetTotal,
    TaxOn,
    TaxIn,
    Total,
    Prepaid,
    Payable,
    Credited,
    NoTaxZero,
    NoTaxExempt,
    NoTaxReverseCharge,
    NoTaxIntraCommunity,
    NoTaxExport,
    PleasePay,
    PleasePaySomeDay,
    IsPaid,
    AccountHolder,
    Iban,
    Bic,
    Bank,
    DeliverTo,
    VatId,
    Phone,
    Page,
    OpeningInvoice,
    OpeningCreditNote,
    OpeningDeliveryNote,
    ClosingInvoice,
    ClosingCreditNote,
    ClosingDeliveryNote,
}

/// What a theme says about a language, in the shape of the files in `wording/`. What it leaves out is as it comes
/// along, or English.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Wording {
    format: Option<Format>,
    words: BTreeMap<Word, String>,
    countries: BTreeMap<String, String>,
}

/// How a language writes numbers and dates.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Format {
    /// Between units and tenths.
    pub(crate) decimal: String,
    /// Between groups of three.
    pub(crate) group: String,
    /// `{d}`, `{dd}`, `{mm}`, `{month}`, `{yyyy}`.
    pub(crate) date: String,
    /// `{amount}` and `{symbol}`.
    pub(crate) currency: String,
    /// Twelve names.
    pub(crate) months: [String; 12],
}

/// One that comes along.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    format: Format,
    words: BTreeMap<Word, String>,
    countries: BTreeMap<String, String>,
}

/// A language, whole.
#[derive(Debug, Clone)]
pub(crate) struct Language {
    /// Its tag.
    pub(crate) tag: String,
    pub(crate) format: Format,
    words: BTreeMap<Word, String>,
    countries: BTreeMap<String, String>,
}

impl Language {
    /// A word.
    pub(crate) fn word(&self, word: Word) -> &str {
        self.words.get(&word).map_or("", String::as_str)
    }

    /// A phrase with its slots filled.
    pub(crate) fn phrase(&self, word: Word, slots: &[(&str, &str)]) -> String {
        slots
            .iter()
            .fold(self.word(word).to_owned(), |text, (slot, value)| {
                text.replace(&format!("{{{slot}}}"), value)
            })
    }

    /// A country's name; its code when there is none.
    pub(crate) fn country<'a>(&'a self, code: &'a str) -> &'a str {
        self.countries.get(code).map_or(code, String::as_str)
    }
}

/// All languages of a theme.
#[derive(Debug, Clone)]
pub(crate) struct Languages {
    english: Language,
    others: BTreeMap<String, Language>,
}

const ENGLISH: (&str, &str) = ("en", include_str!("../../wording/en.toml"));
const OTHERS: [(&str, &str); 3] = [
    ("de", include_str!("../../wording/de.toml")),
    ("fr", include_str!("../../wording/fr.toml")),
    ("pl", include_str!("../../wording/pl.toml")),
];

impl Languages {
    /// Those that come along.
    pub(super) fn built_in() -> Self {
        let others = OTHERS.map(|file| (file.0.to_owned(), comes_along(file)));
        Self {
            english: comes_along(ENGLISH),
            others: others.into(),
        }
    }

    /// With what a theme says.
    pub(super) fn with(mut self, wording: &BTreeMap<String, Wording>) -> Self {
        for (tag, own) in wording {
            let known = self.get(tag).unwrap_or(&self.english);
            let mut language = known.clone();
            language.tag.clone_from(tag);
            if let Some(format) = &own.format {
                language.format = format.clone();
            }
            language
                .words
                .extend(own.words.clone().into_iter().map(no_break));
            language.countries.extend(own.countries.clone());
            if tag == ENGLISH.0 {
                self.english = language;
            } else {
                self.others.insert(tag.clone(), language);
            }
        }
        self
    }

    /// The language for a tag, else the theme's, else English.
    pub(super) fn of(&self, tag: &str, otherwise: &str) -> &Language {
        let found = [tag, base(tag), otherwise, base(otherwise)];
        let found = found.into_iter().find_map(|tag| self.get(tag));
        found.unwrap_or(&self.english)
    }

    fn get(&self, tag: &str) -> Option<&Language> {
        if tag == ENGLISH.0 {
            return Some(&self.english);
        }
        self.others.get(tag)
    }
}

/// `de` of `de-AT`.
fn base(tag: &str) -> &str {
    tag.split_once('-').map_or(tag, |(base, _)| base)
}

#[expect(clippy::expect_used, reason = "compiled in, and read by a test")]
fn comes_along((tag, text): (&str, &str)) -> Language {
    let file: File = toml::from_str(text).expect("a wording that comes along");
    Language {
        tag: tag.to_owned(),
        format: file.format,
        words: file.words.into_iter().map(no_break).collect(),
        countries: file.countries,
    }
}

/// Percent signs stay with their number.
fn no_break((word, text): (Word, String)) -> (Word, String) {
    (word, text.replace(" %", "\u{a0}%"))
}

#[cfg(test)]
mod tests {
    use super::{ENGLISH, File, Languages, OTHERS};

    fn slots(text: &str) -> Vec<&str> {
        let rests = text.split('{').skip(1);
        let mut slots: Vec<&str> = rests
            .filter_map(|rest| Some(rest.split_once('}')?.0))
            .collect();
        slots.sort_unstable();
        slots
    }

    #[test]
    fn every_language_that_comes_along_has_every_word_with_the_same_slots() {
        let english: File = toml::from_str(ENGLISH.1).expect("a wording");
        for (tag, text) in OTHERS {
            let file: File = toml::from_str(text).expect("a wording");
            assert!(file.words.keys().eq(english.words.keys()), "{tag}");
            assert!(file.countries.keys().eq(english.countries.keys()), "{tag}");
            for (word, text) in &file.words {
                assert_eq!(slots(text), slots(&english.words[word]), "{tag} {word:?}");
            }
        }
    }

    #[test]
    fn a_regional_tag_finds_its_language_and_an_unknown_one_the_themes() {
        let languages = Languages::built_in();
        assert_eq!(languages.of("de-AT", "en").tag, "de");
        assert_eq!(languages.of("fi", "fr").tag, "fr");
        assert_eq!(languages.of("fi", "xx").tag, "en");
    }
}
