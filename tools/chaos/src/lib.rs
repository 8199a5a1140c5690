//! Chaos: what goes wrong and when, storefronts that go on ordering meanwhile, and the books after it.
//!
//! `cargo stack chaos` runs the system and does the damage; everything else is here and needs nothing but the system's
//! public addresses:
//!
//! | module | what it does |
//! |---|---|
//! | [`plan`] | the faults: a pure function of a seed |
//! | [`shop`] | products, customers and what each visit wants: a pure function of a seed too |
//! | [`load`] | storefronts that place, pay, ship, cancel and retry as good clients do |
//! | [`journal`] | what the clients sent, what they were answered, and when |
//! | [`collect`] | stands in for the receivers of events, and plants messages that must be set aside |
//! | [`audit`] | reads orders and stock afterwards |
//! | [`check`] | holds journal, orders, stock and events against each other |
//! | [`report`] | the tables |
//!
//! **The checker trusts only** the clients' own record and what the system's doors answer afterwards: orders and stock
//! by REST, events and dead letters by SQS. It shares no code with the services but the shapes on the wire.
//!
//! A seed always means the same choices within one release; another release may draw them differently.

pub mod audit;
pub mod check;
pub mod collect;
pub mod journal;
pub mod load;
pub mod plan;
pub mod report;
pub mod shop;
