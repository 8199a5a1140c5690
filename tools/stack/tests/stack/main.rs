//! The stack's command line, run as a person runs it.
#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod chaos;
mod drill;
mod images;
mod ops;
mod replay;
mod support;
mod up;
