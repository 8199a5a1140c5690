//! The catalog over HTTP, against real Postgres.

mod backfill;
mod bulk;
mod contention;
mod events;
mod found;
mod harness;
mod import;
mod kept;
mod listing;
mod news;
mod outage;
mod products;
mod reserve;
mod search;
mod settle;
mod shop;
mod unsettled;
