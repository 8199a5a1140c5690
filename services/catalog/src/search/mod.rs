//! Full-text search: what of a product can be found, and what a searcher means.
//!
//! Words are folded here (lower case, no accents, pairs of ideographs), in documents and in queries alike, so that
//! nothing depends on the database's locale. Postgres adds stems by language, and ranks.

mod distance;
mod document;
mod find;
mod languages;
mod meant;
mod words;

pub(crate) use document::{Facts, write};
pub(crate) use find::{Hits, Scope, find};
pub(crate) use meant::Wanted;
