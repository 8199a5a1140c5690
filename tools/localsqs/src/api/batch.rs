//! What all batch calls have in common.

use std::collections::HashSet;

use serde::Serialize;

use crate::error::Error;

/// Entries of one batch call.
const ENTRIES_MAX: usize = 10;

/// An entry of a batch request.
pub(super) trait Entry {
    fn id(&self) -> &str;
}

/// The faults that refuse a batch as a whole.
pub(super) fn check_entries<E: Entry>(entries: &[E]) -> Result<(), Error> {
    if entries.is_empty() {
        return Err(Error::empty_batch());
    }
    if entries.len() > ENTRIES_MAX {
        return Err(Error::too_many_entries(entries.len()));
    }
    let mut seen = HashSet::with_capacity(entries.len());
    for entry in entries {
        let id = entry.id();
        let valid = (1..=80).contains(&id.len())
            && id
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
        if !valid {
            return Err(Error::invalid_batch_id());
        }
        if !seen.insert(id) {
            return Err(Error::batch_ids_not_distinct(id));
        }
    }
    Ok(())
}

/// A batch's answer: every entry is in one of the two lists.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct BatchAnswer<S> {
    successful: Vec<S>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    failed: Vec<Failed>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Failed {
    id: String,
    sender_fault: bool,
    code: &'static str,
    message: String,
}

impl<S> BatchAnswer<S> {
    pub(super) fn new() -> Self {
        Self {
            successful: Vec::new(),
            failed: Vec::new(),
        }
    }

    pub(super) fn push(&mut self, id: &str, result: Result<S, Error>) {
        match result {
            Ok(success) => self.successful.push(success),
            Err(error) => self.failed.push(Failed {
                id: id.to_owned(),
                sender_fault: error.sender_fault(),
                code: error.code(),
                message: error.message().to_owned(),
            }),
        }
    }
}
