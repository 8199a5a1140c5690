//! The forms that products come and go in.

use axum::http::{HeaderMap, header};

/// A form of many products.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    /// A JSON object a line.
    Ndjson,
    /// A header, then a record a product (RFC 4180).
    Csv,
}

impl Format {
    /// As `Content-Type` says, whatever its parameters.
    pub(crate) fn of_body(headers: &HeaderMap) -> Option<Self> {
        let kind = headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
        Self::named(kind)
    }

    /// The first one that `Accept` names; NDJSON when it takes anything.
    pub(crate) fn wanted(headers: &HeaderMap) -> Option<Self> {
        let Some(accepted) = headers.get(header::ACCEPT) else {
            return Some(Self::Ndjson);
        };
        let mut kinds = accepted.to_str().ok()?.split(',');
        kinds.find_map(|kind| {
            let any = matches!(
                kind.split(';').next().unwrap_or_default().trim(),
                "*/*" | "application/*"
            );
            if any {
                Some(Self::Ndjson)
            } else {
                Self::named(kind)
            }
        })
    }

    fn named(kind: &str) -> Option<Self> {
        const NDJSON: [&str; 3] = [
            "application/x-ndjson",
            "application/ndjson",
            "application/jsonl",
        ];
        let kind = kind.split(';').next().unwrap_or_default().trim();
        let is = |known: &&str| kind.eq_ignore_ascii_case(known);
        if NDJSON.iter().any(is) {
            Some(Self::Ndjson)
        } else if is(&"text/csv") {
            Some(Self::Csv)
        } else {
            None
        }
    }

    /// For `Content-Type`.
    pub(crate) const fn media_type(self) -> &'static str {
        match self {
            Self::Ndjson => "application/x-ndjson",
            Self::Csv => "text/csv; charset=utf-8; header=present",
        }
    }
}
