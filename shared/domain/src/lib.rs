//! The words Steelyard is built of: ids, money, tax, the order's states, and every contract that
//! crosses a process boundary (messages on the queue, bodies of the REST API, internal calls).
//!
//! Nothing here does I/O, reads a clock or logs. Types that can only be built by parsing are the
//! proof that their input was checked: whoever holds a [`order::PlaceOrder`] need not check again.
//!
//! | module | what it fixes |
//! |---|---|
//! | [`id`] | order and command ids derived from the idempotency key, customer ids, SKUs |
//! | [`money`] | currencies and their minor units, unit prices, rounding |
//! | [`order`] | what a shop may order, the order's states, the order as the API shows it |
//! | [`command`] | what travels on `orders.fifo` |
//! | [`event`] | what leaves through the outbox |
//! | [`document`] | invoices and other papers, as lists show them |
//! | [`tax`], [`totals`] | rates per category and country; sums that add up to the cent |
//! | [`api`] | problem documents, lists, receipts, products |
//! | [`internal`] | calls between services |
//! | [`object`] | objects that come as objects |
//! | [`ops`] | what operators see and do |
//! | [`scope`] | who may do what |

pub mod api;
pub mod command;
pub mod document;
pub mod event;
pub mod fault;
pub mod id;
pub mod internal;
pub mod media;
pub mod money;
pub mod object;
pub mod ops;
pub mod order;
pub mod product;
pub mod report;
pub mod scope;
pub mod tax;
pub mod text;
pub mod totals;
