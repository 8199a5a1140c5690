//! What of a product can be found.

use std::collections::{BTreeMap, BTreeSet};

use sqlx::PgConnection;
use steelyard_domain::product::{Language, Translations};

use super::languages::config;
use super::words::{is_spelt, words};

/// Characters of a description that are read, in each language.
const DESCRIPTION_CHARS_MAX: usize = 1_000;
/// Words of one product in all languages: a `tsvector` has at most 1 MiB.
const WORDS_MAX: usize = 5_000;

/// What the search knows of a product.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Facts<'a> {
    pub(crate) sku: &'a str,
    /// The product that a list shows for it.
    pub(crate) shown: &'a str,
    pub(crate) active: bool,
    pub(crate) name: &'a str,
    pub(crate) description: Option<&'a str>,
    pub(crate) translations: &'a Translations,
    pub(crate) attributes: &'a BTreeMap<String, String>,
    pub(crate) options: Option<&'a BTreeMap<String, String>>,
}

/// The words of a product in one language.
struct Told {
    /// How Postgres finds their stems, if it can.
    config: Option<&'static str>,
    name: Vec<String>,
    description: Vec<String>,
}

/// The columns of the statement: a row for each product and way to read its words.
#[derive(Default)]
struct Rows {
    skus: Vec<String>,
    shown: Vec<String>,
    active: Vec<bool>,
    configs: Vec<&'static str>,
    names: Vec<String>,
    values: Vec<String>,
    descriptions: Vec<String>,
    /// Of all products, each once.
    vocabulary: BTreeSet<String>,
}

impl Rows {
    fn add(&mut self, facts: &Facts<'_>, own: &Language) {
        let mut left = WORDS_MAX;
        let mut read = |text: &str| {
            let mut words = words(text);
            words.truncate(left);
            left -= words.len();
            words
        };
        let pairs = facts.attributes.values();
        let pairs = pairs.chain(facts.options.into_iter().flat_map(BTreeMap::values));
        let values: Vec<String> = pairs.flat_map(|value| read(value)).collect();
        let clip = |text: &str| text.chars().take(DESCRIPTION_CHARS_MAX).collect::<String>();
        let mut told = vec![Told {
            config: config(own.as_str()),
            name: read(facts.name),
            description: read(&facts.description.map(clip).unwrap_or_default()),
        }];
        for (language, words) in facts.translations {
            told.push(Told {
                config: config(language.as_str()),
                name: read(words.name.as_deref().unwrap_or_default()),
                description: read(&words.description.as_deref().map(clip).unwrap_or_default()),
            });
        }
        let spelt = told.iter().flat_map(|told| &told.name).chain(&values);
        let spelt = spelt.filter(|word| is_spelt(word)).cloned();
        self.vocabulary.extend(spelt);

        let all = |of: fn(&Told) -> &Vec<String>| {
            let words: Vec<&str> = told.iter().flat_map(of).map(String::as_str).collect();
            words.join(" ")
        };
        let (names, values) = (all(|told| &told.name), values.join(" "));
        let descriptions = all(|told| &told.description);
        self.row(facts, "simple", names, values.clone(), descriptions);
        for told in &told {
            // The words themselves are there already; this adds their stems.
            if let Some(config) = told.config {
                let (name, description) = (told.name.join(" "), told.description.join(" "));
                self.row(facts, config, name, values.clone(), description);
            }
        }
    }

    fn row(
        &mut self,
        facts: &Facts<'_>,
        config: &'static str,
        name: String,
        values: String,
        description: String,
    ) {
        self.skus.push(facts.sku.to_owned());
        self.shown.push(facts.shown.to_owned());
        self.active.push(facts.active);
        self.configs.push(config);
        self.names.push(name);
        self.values.push(values);
        self.descriptions.push(description);
    }
}

/// Writes what can be found of these products, whose words are the shop's own language's where nothing else is said.
pub(crate) async fn write(
    connection: &mut PgConnection,
    own: &Language,
    products: &[Facts<'_>],
) -> Result<(), sqlx::Error> {
    if products.is_empty() {
        return Ok(());
    }
    let mut rows = Rows::default();
    products.iter().for_each(|facts| rows.add(facts, own));
    sqlx::query(
        "INSERT INTO search_docs (sku, shown, active, doc)
         SELECT sku, min(shown), bool_and(active),
                together(setweight(to_tsvector(config::regconfig, name), 'A')
                         || setweight(to_tsvector(config::regconfig, vals), 'B')
                         || setweight(to_tsvector(config::regconfig, told), 'D'))
         FROM unnest($1::text[], $2::text[], $3::bool[], $4::text[], $5::text[], $6::text[], $7::text[])
              AS told (sku, shown, active, config, name, vals, told)
         GROUP BY sku ORDER BY sku
         ON CONFLICT (sku) DO UPDATE
         SET shown = excluded.shown, active = excluded.active, doc = excluded.doc",
    )
    .bind(&rows.skus)
    .bind(&rows.shown)
    .bind(&rows.active)
    .bind(&rows.configs)
    .bind(&rows.names)
    .bind(&rows.values)
    .bind(&rows.descriptions)
    .execute(&mut *connection)
    .await?;
    // Last and sorted, so that no two calls wait for each other in a circle.
    sqlx::query(
        "INSERT INTO search_words (word) SELECT * FROM unnest($1::text[])
         ON CONFLICT (word) DO NOTHING",
    )
    .bind(Vec::from_iter(rows.vocabulary))
    .execute(connection)
    .await?;
    Ok(())
}
