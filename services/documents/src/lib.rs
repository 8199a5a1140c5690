//! The documents service: issues invoices, credit notes and delivery notes, once per event, with numbers that have no
//! gaps.
//!
//! `order.confirmed` gives an invoice, a cancellation or a return the credit note that takes it back, a shipment a
//! delivery note. Number, document and inbox row are written in one transaction; the file is made of the row
//! afterwards, the same bytes however often ([`worker`]).
//!
//! | module | what it does |
//! |---|---|
//! | [`config`], [`shop`] | settings; who issues, on which terms, under which numbers |
//! | [`theme`] | how documents look, and how a changed theme comes into force |
//! | [`worker`] | takes events from `documents.fifo` and makes documents of them |
//! | `http` | lists, searches, and ways to the files, for the gateway |
//! | [`db`] | the schema `documents`, partitioned by month |
//! | [`words`] | how texts and searches are cut |
//! | [`archive`] | packs, cold storage, restore, retention, legal holds |
//! | `bundle` | the documents of a period in one zip |
//! | [`import`] | documents that were made elsewhere, by a manifest |
//! | [`migrate`] | documents out of a legacy table |
//! | [`command`], [`preview`] | what people and ECS tasks run: `documents import`, `documents preview` … |

pub mod archive;
mod budget;
mod bundle;
pub mod command;
pub mod config;
mod contract;
pub mod db;
mod http;
pub mod import;
mod kept;
mod kind;
pub mod migrate;
mod migration;
mod model;
pub mod preview;
mod service;
pub mod shop;
pub mod stores;
pub mod theme;
mod turn;
pub mod words;
pub mod worker;
mod written;

pub use config::{ADMIN_PORT, Config, PORT};
pub use contract::{IMPORT, IMPORT_SET_MAX, LIFECYCLE, SERVICE};
pub use kind::Kind;
pub use migration::MIGRATE;
pub use model::{Document, Model, document_id};
pub use service::{Deps, Error, run};
