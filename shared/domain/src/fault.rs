//! Faults in somebody's input: where, what, and what to do about it.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// One fault in a request, as `errors[]` of a problem document shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Fault {
    /// Where: a JSON pointer (RFC 6901) into the body, or `header/name`, `query/name`.
    #[schema(example = "/lines/3/quantity")]
    pub pointer: String,
    /// Stable, for programs: `required`, `too_long`, `out_of_range`, …
    #[schema(value_type = String, example = "out_of_range")]
    pub code: Cow<'static, str>,
    /// For people: what is wrong and what is allowed.
    #[schema(example = "must be between 1 and 1000000")]
    pub detail: String,
}

/// Gathers faults while an input is walked, so that a caller learns of all at once.
///
/// At most [`Faults::FAULTS_MAX`] are kept: a hostile body must not make a huge answer.
#[derive(Debug, Default)]
pub struct Faults {
    found: Vec<Fault>,
}

impl Faults {
    /// How many faults one answer names.
    pub const FAULTS_MAX: usize = 50;

    /// Notes one fault; beyond [`Self::FAULTS_MAX`] it is dropped.
    pub fn add(
        &mut self,
        pointer: impl Into<String>,
        code: &'static str,
        detail: impl Into<String>,
    ) {
        if self.found.len() < Self::FAULTS_MAX {
            self.found.push(Fault {
                pointer: pointer.into(),
                code: Cow::Borrowed(code),
                detail: detail.into(),
            });
        }
    }

    /// Keeps the value of a result, or notes its error at `pointer`.
    pub fn take<T>(
        &mut self,
        pointer: impl FnOnce() -> String,
        parsed: Result<T, Invalid>,
    ) -> Option<T> {
        match parsed {
            Ok(value) => Some(value),
            Err(Invalid { code, detail }) => {
                self.add(pointer(), code, detail);
                None
            }
        }
    }

    /// Whether nothing was found so far.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// The faults, in the order in which they were found.
    #[must_use]
    pub fn into_vec(self) -> Vec<Fault> {
        self.found
    }
}

/// Why one value was refused; the place is the caller's to know.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub struct Invalid {
    /// Stable, for programs.
    pub code: &'static str,
    /// For people.
    pub detail: Cow<'static, str>,
}

impl Invalid {
    /// A refusal with its code and its words.
    pub fn new(code: &'static str, detail: impl Into<Cow<'static, str>>) -> Self {
        Self {
            code,
            detail: detail.into(),
        }
    }
}
