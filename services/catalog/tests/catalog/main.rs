//! The catalog over HTTP, against real Postgres.

mod contention;
mod harness;
mod import;
mod outage;
mod products;
mod reserve;
mod settle;
