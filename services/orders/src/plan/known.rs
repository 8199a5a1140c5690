//! What goes into a plan.

use std::collections::HashMap;

use steelyard_domain::command::CommandMessage;
use steelyard_domain::id::{CommandId, CustomerId, Fingerprint, OrderId};
use steelyard_domain::order::Order;

/// A command in hand.
#[derive(Debug)]
pub struct Asked<'a> {
    /// Its place in the set: verdicts are given by it.
    pub at: usize,
    /// The command.
    pub message: CommandMessage,
    /// Its body as it came: what a tombstone keeps.
    pub body: &'a str,
    /// The W3C trace context that it came with, for the events that it makes.
    pub traceparent: Option<&'a str>,
}

/// A customer's row.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Customer {
    /// The version that was seen (see [`steelyard_sequence::fence`]); `None` when there is no row yet.
    pub version: Option<i64>,
    /// The `sequence` of the customer's latest order.
    pub last_sequence: i64,
}

/// An order that exists.
#[derive(Debug)]
pub struct Stored {
    /// Whose it is.
    pub customer_id: CustomerId,
    /// The order; `None` once its owner's commands took it onto the desk.
    pub order: Option<Order>,
}

/// What the store holds about the commands in hand.
#[derive(Debug, Default)]
pub struct Known {
    /// The customers that have a row.
    pub customers: HashMap<CustomerId, Customer>,
    /// The commands that took effect (or were refused) before.
    pub commands: HashMap<CommandId, Fingerprint>,
    /// The orders that exist.
    pub orders: HashMap<OrderId, Stored>,
    /// Tombstones of orders that do not exist, of whatever customer, oldest first.
    pub early: HashMap<OrderId, Vec<CommandMessage>>,
}
