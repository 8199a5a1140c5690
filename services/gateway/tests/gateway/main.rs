//! The gateway through real HTTP, on free ports.
#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod access;
mod bad_input;
mod cache;
mod commands;
mod documents;
mod draining;
mod fuzz;
mod images;
mod intake;
mod ops;
mod process;
mod products;
mod reads;
mod streams;
mod support;
mod tokens;
mod tree;
mod waiting;
