//! How a legacy table is read.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::kind::Kind;

/// A legacy table, as `services/documents/blobs.example.toml` says it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    pub(super) table: String,
    pub(super) id: String,
    pub(super) blob: String,
    pub(super) customer: String,
    pub(super) kind: String,
    pub(super) number: String,
    pub(super) date: String,
    pub(super) country: Option<String>,
    pub(super) currency: Option<String>,
    pub(super) total: Option<String>,
    #[serde(rename = "where")]
    pub(super) filter: Option<String>,
    pub(super) kinds: BTreeMap<String, Kind>,
}

/// A config that cannot be.
#[derive(Debug, thiserror::Error)]
pub enum InvalidConfig {
    /// No TOML, or not of this form; says where.
    #[error(transparent)]
    Form(#[from] toml::de::Error),
    /// Something is empty that must not be.
    #[error("{0} is empty")]
    Empty(&'static str),
}

impl Config {
    /// Reads a config.
    ///
    /// # Errors
    /// See [`InvalidConfig`].
    pub fn parse(text: &str) -> Result<Self, InvalidConfig> {
        let config: Self = toml::from_str(text)?;
        for (name, value) in [
            ("table", &config.table),
            ("id", &config.id),
            ("blob", &config.blob),
            ("customer", &config.customer),
            ("kind", &config.kind),
            ("number", &config.number),
            ("date", &config.date),
        ] {
            if value.trim().is_empty() {
                return Err(InvalidConfig::Empty(name));
            }
        }
        Ok(config)
    }

    /// The table, quoted.
    pub(super) fn quoted_table(&self) -> String {
        let parts: Vec<String> = self.table.split('.').map(quoted).collect();
        parts.join(".")
    }

    /// The table and its columns in words, the same for the same migration.
    pub(super) fn place(&self) -> String {
        format!("{}({}, {})", self.table, self.id, self.blob)
    }
}

/// An identifier as SQL wants it.
pub(super) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::Config;
    use crate::kind::Kind;

    const EXAMPLE: &str = include_str!("../../blobs.example.toml");

    #[test]
    fn the_example_is_complete_and_what_is_wrong_is_told() {
        let config = Config::parse(EXAMPLE).expect("a config");
        assert_eq!(config.quoted_table(), "\"shop\".\"documents\"");
        assert_eq!(config.kinds.get("G"), Some(&Kind::CreditNote));
        assert!(Config::parse(&EXAMPLE.replace("blob = ", "bolb = ")).is_err());
        let empty = Config::parse(&EXAMPLE.replace("\"doc_no\"", "\" \"")).expect_err("empty");
        assert_eq!(empty.to_string(), "number is empty");
    }
}
