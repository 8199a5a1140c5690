//! What a searcher means: their words, those that these begin, and those that they may be misspellings of.

use std::collections::BTreeSet;

use sqlx::PgPool;
use steelyard_domain::product::Language;

use super::distance::{distance, steps_max};
use super::languages::config;
use super::words::{is_spelt, words};

/// Words of a search.
const WORDS_MAX: usize = 16;
/// Words that one beginning may stand for.
const BEGUN_MAX: i64 = 40;
/// Words that one misspelling may stand for.
const ALIKE_MAX: usize = 8;
/// Words that are compared with a misspelt one.
const COMPARED_MAX: i64 = 500;

/// Why a text cannot be searched for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unsearchable {
    /// Only punctuation.
    #[error("it has no word: letters and digits are searched for")]
    NoWords,
    /// Too many.
    #[error("it has more than {WORDS_MAX} words")]
    TooManyWords,
}

/// A search as it was typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wanted {
    /// Trimmed, for SKUs.
    pub(super) text: String,
    words: Vec<String>,
    /// The last word may not be typed to its end.
    is_begun: bool,
}

/// Alternatives for each word, as `tsquery` texts; all must be found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Meant {
    pub(super) alternatives: Vec<String>,
    /// The configuration whose stems count, too.
    pub(super) config: &'static str,
}

impl Wanted {
    /// Reads what was typed.
    ///
    /// # Errors
    /// [`Unsearchable`].
    pub(crate) fn read(text: &str) -> Result<Self, Unsearchable> {
        let words = words(text);
        if words.is_empty() {
            return Err(Unsearchable::NoWords);
        }
        if words.len() > WORDS_MAX {
            return Err(Unsearchable::TooManyWords);
        }
        Ok(Self {
            text: text.trim().to_owned(),
            is_begun: !text.ends_with(char::is_whitespace),
            words,
        })
    }

    /// Looks the words up.
    pub(super) async fn meant(
        &self,
        pool: &PgPool,
        language: &Language,
    ) -> Result<Meant, sqlx::Error> {
        let known: Vec<String> =
            sqlx::query_scalar("SELECT word FROM search_words WHERE word = ANY($1)")
                .bind(&self.words)
                .fetch_all(pool)
                .await?;
        let last = self.words.len() - 1;
        let mut alternatives = Vec::with_capacity(self.words.len());
        for (i, word) in self.words.iter().enumerate() {
            let mut others = BTreeSet::new();
            let is_known = known.contains(word);
            let is_begun = i == last && self.is_begun;
            if is_begun && is_spelt(word) {
                others.extend(begun(pool, word).await?);
            }
            if !is_known && others.is_empty() && is_spelt(word) {
                others.extend(alike(pool, word).await?);
            }
            // Numbers and shorter beginnings are in no list of words.
            let itself = if is_begun && !is_spelt(word) {
                format!("'{word}':*")
            } else {
                format!("'{word}'")
            };
            let others = others.into_iter().map(|other| format!("'{other}'"));
            let all: Vec<String> = std::iter::once(itself).chain(others).collect();
            alternatives.push(all.join(" | "));
        }
        Ok(Meant {
            alternatives,
            config: config(language.as_str()).unwrap_or("simple"),
        })
    }
}

/// Words that begin so, the shortest first.
async fn begun(pool: &PgPool, word: &str) -> Result<Vec<String>, sqlx::Error> {
    // Words are letters only: nothing that LIKE would read otherwise.
    sqlx::query_scalar(
        "SELECT word FROM search_words WHERE word LIKE $1 ORDER BY length(word), word LIMIT $2",
    )
    .bind(format!("{word}%"))
    .bind(BEGUN_MAX)
    .fetch_all(pool)
    .await
}

/// The nearest words: those that share trigrams, and those with the same first letter, for a swap in a short word
/// leaves hardly a trigram.
async fn alike(pool: &PgPool, word: &str) -> Result<Vec<String>, sqlx::Error> {
    let steps = steps_max(word);
    if steps == 0 {
        return Ok(Vec::new());
    }
    let first: String = word.chars().take(1).collect();
    let length = i32::try_from(word.chars().count()).unwrap_or(i32::MAX);
    let near: Vec<String> = sqlx::query_scalar(
        "(SELECT word FROM search_words WHERE word % $1 ORDER BY similarity(word, $1) DESC LIMIT $4)
         UNION
         (SELECT word FROM search_words
          WHERE word LIKE $2 AND length(word) BETWEEN $3 - $5 AND $3 + $5 LIMIT $4)",
    )
    .bind(word)
    .bind(format!("{first}%"))
    .bind(length)
    .bind(COMPARED_MAX)
    .bind(i32::try_from(steps).unwrap_or(1))
    .fetch_all(pool)
    .await?;
    let apart = |other: String| Some((distance(word, &other, steps)?, other));
    let mut near: Vec<(usize, String)> = near.into_iter().filter_map(apart).collect();
    near.sort();
    // Only the nearest: who wrote one letter wrong did not mean what is two away.
    let nearest = near.first().map_or(0, |(steps, _)| *steps);
    near.retain(|(steps, _)| *steps == nearest);
    near.truncate(ALIKE_MAX);
    Ok(near.into_iter().map(|(_, other)| other).collect())
}

#[cfg(test)]
mod tests {
    use super::{Unsearchable, Wanted};

    #[test]
    fn operators_alone_are_no_search() {
        for text in ["&", "| !", "<->", ":*", "\\", "'\"", "%_"] {
            assert_eq!(Wanted::read(text), Err(Unsearchable::NoWords), "{text}");
        }
        let many = "a ".repeat(17);
        assert_eq!(Wanted::read(&many), Err(Unsearchable::TooManyWords));
        let wanted = Wanted::read(" Red & lamp | ").expect("two words");
        assert_eq!(wanted.words, ["red", "lamp"]);
        assert!(!wanted.is_begun && Wanted::read("lam").expect("a word").is_begun);
    }
}
