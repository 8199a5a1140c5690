//! The order worker, order queries and the outbox relay.

pub mod catalog;
pub mod db;
pub mod plan;
