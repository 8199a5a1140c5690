//! What comes out of a plan.

use rust_decimal::Decimal;
use steelyard_domain::command::CommandKind;
use steelyard_domain::event::OrderEventKind;
use steelyard_domain::id::{CommandId, CustomerId, Fingerprint, OrderId};
use steelyard_domain::money::Currency;
use steelyard_domain::order::{FulfillmentStatus, OrderStatus, PaymentStatus, Reason};
use time::OffsetDateTime;
use uuid::Uuid;

use super::known::Customer;

/// What becomes of a message once its plan is committed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It is dealt with: delete it.
    Settled,
    /// It contradicts what is known; set it aside with this reason.
    Park(String),
}

/// Everything that a set does to one customer.
#[derive(Debug)]
pub struct CustomerPlan {
    /// Who.
    pub customer_id: CustomerId,
    /// The row that was seen when the plan was made.
    pub seen: Customer,
    /// The `sequence` of the customer's latest order after the plan.
    pub last_sequence: i64,
    /// Orders to insert or to replace.
    pub orders: Vec<OrderRow>,
    /// Commands to remember.
    pub inbox: Vec<InboxRow>,
    /// Events to send, in order.
    pub events: Vec<EventRow>,
    /// Commands to keep until their order comes.
    pub tombstones: Vec<TombstoneRow>,
    /// Orders that came: their tombstones go.
    pub tombstones_taken: Vec<OrderId>,
    /// Commands of somebody else's order.
    pub ignored: Vec<IgnoredRow>,
    /// What catalog has to be told.
    pub calls: CatalogCalls,
    /// One per message, by its place in the set.
    pub verdicts: Vec<(usize, Verdict)>,
}

impl CustomerPlan {
    /// Whether there is anything to write.
    #[must_use]
    pub fn writes(&self) -> bool {
        !(self.orders.is_empty()
            && self.inbox.is_empty()
            && self.tombstones.is_empty()
            && self.ignored.is_empty())
    }
}

/// What catalog has to be told about one customer's orders.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct CatalogCalls {
    /// Before the commit: orders that were confirmed before and are cancelled now give their stock
    /// back.
    pub release: Vec<OrderId>,
    /// Before the commit: shipped orders' goods left.
    pub consume: Vec<OrderId>,
    /// Before the commit: returned goods are back on the shelf.
    pub restock: Vec<OrderId>,
    /// After the commit, and again for a duplicate: orders that this plan was given stock for and
    /// that hold none in the end. Were they released before and the commit lost, the next attempt
    /// would find them released and decide otherwise. Rejected ones hold nothing, but a worker that
    /// stalled before it asked for their stock may still ask; once released, catalog refuses.
    pub release_after: Vec<OrderId>,
}

/// An order as it is to be stored.
#[derive(Debug)]
pub struct OrderRow {
    /// Its id.
    pub id: OrderId,
    /// The version that it replaces; `None` for a new order.
    pub replaces: Option<i64>,
    /// The shop's own number.
    pub reference: Option<String>,
    /// As a whole.
    pub status: OrderStatus,
    /// Its money.
    pub payment_status: PaymentStatus,
    /// Its goods.
    pub fulfillment_status: FulfillmentStatus,
    /// Why it was rejected or cancelled.
    pub reason: Option<Reason>,
    /// In which currency.
    pub currency: Currency,
    /// Without tax.
    pub subtotal: Decimal,
    /// Tax.
    pub tax_total: Decimal,
    /// With tax.
    pub total: Decimal,
    /// Its place among the customer's orders.
    pub sequence: i64,
    /// Counts changes.
    pub version: i64,
    /// When it was placed.
    pub placed_at: OffsetDateTime,
    /// When it was accepted.
    pub accepted_at: OffsetDateTime,
    /// When it last changed.
    pub updated_at: OffsetDateTime,
    /// The whole order as the API shows it, JSON.
    pub doc: String,
}

/// A command that was dealt with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InboxRow {
    /// The command.
    pub message_id: CommandId,
    /// What it asked for.
    pub fingerprint: Fingerprint,
}

/// An event, ready to be sent.
#[derive(Debug)]
pub struct EventRow {
    /// Unique, and the same however often it is planned: the id of the command that made it true.
    pub event_id: Uuid,
    /// What became true.
    pub kind: OrderEventKind,
    /// About which order.
    pub order_id: OrderId,
    /// The order's status then.
    pub status: OrderStatus,
    /// The order's version then.
    pub version: i64,
    /// The [`steelyard_domain::event::OrderEvent`], JSON.
    pub body: String,
    /// The W3C trace context of the command in hand.
    pub traceparent: Option<String>,
}

/// A command that waits for its order.
#[derive(Debug)]
pub struct TombstoneRow {
    /// About which order.
    pub order_id: OrderId,
    /// The command.
    pub message_id: CommandId,
    /// What it asks for.
    pub fingerprint: Fingerprint,
    /// When it was accepted.
    pub accepted_at: OffsetDateTime,
    /// The message's body.
    pub body: String,
}

/// A command of somebody else's order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IgnoredRow {
    /// The command.
    pub message_id: CommandId,
    /// Whose command it was.
    pub customer_id: CustomerId,
    /// About which order.
    pub order_id: OrderId,
    /// What it asked for.
    pub kind: CommandKind,
    /// Who asked.
    pub requested_by: String,
}
