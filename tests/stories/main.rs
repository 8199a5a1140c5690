//! What a shop relies on, told from the outside and proved on the whole system.

mod documents;
mod lifecycle;
mod once;
mod operators;
mod outage;
mod prices;
mod products;
mod rolling;
mod sequence;
mod stock;
