//! Categories: a tree.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::language::{self, Language};
use crate::fault::{Fault, Faults};
use crate::text;

/// Categories that a shop may have.
pub const CATEGORIES_MAX: i64 = 10_000;
/// How deep the tree may be.
pub const CATEGORY_DEPTH_MAX: usize = 16;
/// The longest code of a category.
pub const CATEGORY_CHARS_MAX: usize = 128;

/// The body of `PUT /v1/categories/{code}`.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CategoryBody {
    /// What it is called.
    #[schema(max_length = 256)]
    pub name: String,
    /// The code of the category that it is part of; it stands at the top when left out.
    #[schema(max_length = 128)]
    pub parent: Option<String>,
    /// What it is called in other languages, by their tags.
    #[serde(default)]
    pub translations: BTreeMap<String, String>,
}

/// A category that was checked; whether its parent is there is the store's to say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CategoryDraft {
    /// Its code.
    pub code: String,
    /// What it is called.
    pub name: String,
    /// The code of its parent.
    pub parent: Option<String>,
    /// Names in other languages.
    pub translations: BTreeMap<Language, String>,
}

/// A category.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Category {
    /// Names it in products and in the API.
    pub code: String,
    /// What it is called, in the language asked for if it has a name in it.
    pub name: String,
    /// The code of the category that it is part of.
    pub parent: Option<String>,
    /// Counts the changes, from 1.
    pub version: i64,
}

impl CategoryBody {
    /// Checks everything and names every fault. `code` is the path's.
    ///
    /// # Errors
    /// All faults found, each with its JSON pointer.
    pub fn check(self, code: String) -> Result<CategoryDraft, Vec<Fault>> {
        let mut faults = Faults::default();
        faults.take(|| "path/code".into(), text::line(&code, CATEGORY_CHARS_MAX));
        faults.take(|| "/name".into(), text::line(&self.name, 256));
        if let Some(parent) = &self.parent {
            faults.take(|| "/parent".into(), text::line(parent, CATEGORY_CHARS_MAX));
            if *parent == code {
                faults.add("/parent", "cycle", "a category is not part of itself");
            }
        }
        if self.translations.len() > language::LANGUAGES_MAX {
            let detail = format!("at most {} languages", language::LANGUAGES_MAX);
            faults.add("/translations", "too_many", detail);
        }
        let mut translations = BTreeMap::new();
        for (tag, name) in self.translations {
            let at = format!("/translations/{}", language::escaped(&tag));
            faults.take(|| at.clone(), text::line(&name, 256));
            if let Some(language) = faults.take(|| at, Language::try_from(tag)) {
                translations.insert(language, name);
            }
        }
        if !faults.is_empty() {
            return Err(faults.into_vec());
        }
        Ok(CategoryDraft {
            code,
            name: self.name,
            parent: self.parent,
            translations,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::CategoryBody;

    #[test]
    fn a_category_that_cannot_be_is_refused_with_its_place() {
        for (body, place) in [
            (r#"{"name": ""}"#, "/name"),
            (r#"{"name": "Lamps", "parent": "lamps"}"#, "/parent"),
            (
                r#"{"name": "Lamps", "translations": {"deutsch": "Lampen"}}"#,
                "/translations/deutsch",
            ),
        ] {
            let body: CategoryBody = serde_json::from_str(body).expect("a body");
            let faults = body.check("lamps".to_owned()).expect_err(place);
            assert_eq!(faults[0].pointer, place);
        }
    }
}
