//! What travels on `orders.fifo`: one [`Envelope`] per message, its payload by [`CommandKind`].
//!
//! Old messages stay readable for ever: `tests/fixtures/` holds one of every kind and version, and
//! a test reads them all. A new field is optional; a change of meaning is a new `v`.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use time::OffsetDateTime;
use utoipa::ToSchema;

use crate::fault::{Fault, Faults};
use crate::id::{CommandId, CustomerId, Fingerprint, IdempotencyKey, OrderId};
use crate::order::{PlaceOrder, Reason};
use crate::text;

/// The version that is written. Version 1 had no `idempotency_key`; it is still read.
pub const VERSION: u32 = 2;
/// The oldest version that is read.
const VERSION_MIN: u32 = 1;

/// What a command asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum CommandKind {
    /// A new order.
    #[serde(rename = "order.place")]
    Place,
    /// Call it off.
    #[serde(rename = "order.cancel")]
    Cancel,
    /// Money came in.
    #[serde(rename = "order.pay")]
    Pay,
    /// Goods went out.
    #[serde(rename = "order.ship")]
    Ship,
    /// Goods came back.
    #[serde(rename = "order.return")]
    Return,
}

impl CommandKind {
    /// Every kind.
    pub const ALL: [Self; 5] = [
        Self::Place,
        Self::Cancel,
        Self::Pay,
        Self::Ship,
        Self::Return,
    ];

    /// The word on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Place => "order.place",
            Self::Cancel => "order.cancel",
            Self::Pay => "order.pay",
            Self::Ship => "order.ship",
            Self::Return => "order.return",
        }
    }
}

/// The frame of every message. The payload stays as it came until its kind is known.
#[derive(Debug, Serialize, Deserialize)]
pub struct Envelope<'a> {
    /// Version of frame and payload.
    pub v: u32,
    /// What is asked for.
    #[serde(rename = "type")]
    pub kind: CommandKind,
    /// The command, once: key of the inbox.
    pub message_id: CommandId,
    /// About which order.
    pub order_id: OrderId,
    /// Whose order, as the gateway knew it. The worker checks it against the order.
    pub customer_id: CustomerId,
    /// Under which key; the ids are derived from it, so they can be checked. From version 2 on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idempotency_key: Option<IdempotencyKey>,
    /// When the gateway took it.
    #[serde(with = "time::serde::rfc3339")]
    pub accepted_at: OffsetDateTime,
    /// Who asked: the token's `sub`.
    pub requested_by: String,
    /// SHA-256 of `payload` as it stands here.
    pub fingerprint: Fingerprint,
    /// By kind.
    #[serde(borrow)]
    pub payload: &'a RawValue,
}

/// A decoded message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandMessage {
    /// The command, once.
    pub message_id: CommandId,
    /// About which order.
    pub order_id: OrderId,
    /// Whose order.
    pub customer_id: CustomerId,
    /// Under which key; version 1 does not say.
    pub idempotency_key: Option<IdempotencyKey>,
    /// When the gateway took it.
    pub accepted_at: OffsetDateTime,
    /// Who asked.
    pub requested_by: String,
    /// SHA-256 of the payload.
    pub fingerprint: Fingerprint,
    /// What is asked for.
    pub command: Command,
}

/// What is asked for, with its particulars.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// A new order.
    Place(Box<PlaceOrder>),
    /// Call it off.
    Cancel(CancelOrder),
    /// Money came in.
    Pay(PayOrder),
    /// Goods went out.
    Ship(ShipOrder),
    /// Goods came back.
    Return(ReturnOrder),
}

impl Command {
    /// Its kind.
    #[must_use]
    pub fn kind(&self) -> CommandKind {
        match self {
            Self::Place(_) => CommandKind::Place,
            Self::Cancel(_) => CommandKind::Cancel,
            Self::Pay(_) => CommandKind::Pay,
            Self::Ship(_) => CommandKind::Ship,
            Self::Return(_) => CommandKind::Return,
        }
    }
}

/// Payload of `order.cancel`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CancelOrder {
    /// `customer_request` or `shop_request`, by who asked.
    pub reason: Reason,
    /// Words for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// Payload of `order.pay`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PayOrder {
    /// The payment provider's number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payment_reference: Option<String>,
}

/// Payload of `order.ship`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShipOrder {
    /// The carrier's number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tracking_number: Option<String>,
}

/// Payload of `order.return`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReturnOrder {
    /// Whether the goods go back on the shelf.
    pub restock: bool,
    /// Words for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// What the gateway sends: the frame's fields with the payload already serialized.
#[derive(Debug)]
pub struct OutgoingCommand {
    /// The message's body, JSON.
    pub body: String,
    /// `MessageGroupId`.
    pub group_id: String,
    /// `MessageDeduplicationId`.
    pub deduplication_id: String,
    /// The command, once.
    pub message_id: CommandId,
}

/// Who asks for what about which order.
#[derive(Debug, Clone, Copy)]
pub struct CommandFrame<'a> {
    /// About which order.
    pub order_id: OrderId,
    /// Whose order.
    pub customer_id: &'a CustomerId,
    /// Under which key.
    pub key: &'a IdempotencyKey,
    /// When it was taken.
    pub accepted_at: OffsetDateTime,
    /// Who asks.
    pub requested_by: &'a str,
}

impl CommandFrame<'_> {
    /// Builds the message for a payload.
    ///
    /// # Errors
    /// Only if serialization fails, which the payload types rule out.
    pub fn seal<P: Serialize>(
        self,
        kind: CommandKind,
        payload: &P,
    ) -> serde_json::Result<OutgoingCommand> {
        let payload = serde_json::value::to_raw_value(payload)?;
        let fingerprint = Fingerprint::of(payload.get().as_bytes());
        let message_id = CommandId::derive(self.order_id, kind.as_str(), self.key);
        let envelope = Envelope {
            v: VERSION,
            kind,
            message_id,
            order_id: self.order_id,
            customer_id: self.customer_id.clone(),
            idempotency_key: Some(self.key.clone()),
            accepted_at: self.accepted_at,
            requested_by: self.requested_by.to_owned(),
            fingerprint,
            payload: &payload,
        };
        Ok(OutgoingCommand {
            body: serde_json::to_string(&envelope)?,
            group_id: self.customer_id.message_group_id(),
            deduplication_id: fingerprint.deduplication_id(message_id),
            message_id,
        })
    }
}

/// Why a message cannot be understood. Such a message is parked, never dropped.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// Not JSON, or not of this shape.
    #[error("not an order command: {0}")]
    Json(#[from] serde_json::Error),
    /// Written by a newer (or a very old) Steelyard.
    #[error("version {0} is not known here")]
    Version(u32),
    /// The payload is not what the fingerprint was taken of.
    #[error("the payload does not match its fingerprint")]
    Fingerprint,
    /// An order id that no Steelyard ever made.
    #[error("{0} is no order id: those are derived (UUIDv8)")]
    OrderId(OrderId),
    /// A message of version 2 or later without its key.
    #[error("the message does not name its idempotency key")]
    KeyMissing,
    /// An order id, kind or key that is not the one under which the command was made.
    #[error("the message's id does not belong to this order, kind and key")]
    MessageId,
    /// An order placed for another customer than the frame says.
    #[error("the payload names another customer than the message")]
    Customer,
}

impl CommandMessage {
    /// Reads a message.
    ///
    /// # Errors
    /// See [`DecodeError`].
    pub fn decode(body: &str) -> Result<Self, DecodeError> {
        let frame: Envelope<'_> = serde_json::from_str(body)?;
        if !(VERSION_MIN..=VERSION).contains(&frame.v) {
            return Err(DecodeError::Version(frame.v));
        }
        check_ids(&frame)?;
        let payload = frame.payload.get();
        if Fingerprint::of(payload.as_bytes()) != frame.fingerprint {
            return Err(DecodeError::Fingerprint);
        }
        let command = match frame.kind {
            CommandKind::Place => Command::Place(serde_json::from_str(payload)?),
            CommandKind::Cancel => Command::Cancel(serde_json::from_str(payload)?),
            CommandKind::Pay => Command::Pay(serde_json::from_str(payload)?),
            CommandKind::Ship => Command::Ship(serde_json::from_str(payload)?),
            CommandKind::Return => Command::Return(serde_json::from_str(payload)?),
        };
        if let Command::Place(order) = &command
            && order.customer_id != frame.customer_id
        {
            return Err(DecodeError::Customer);
        }
        Ok(Self {
            message_id: frame.message_id,
            order_id: frame.order_id,
            customer_id: frame.customer_id,
            idempotency_key: frame.idempotency_key,
            accepted_at: frame.accepted_at,
            requested_by: frame.requested_by,
            fingerprint: frame.fingerprint,
            command,
        })
    }

    /// Whether the order's id is the one that `issuer`'s customer gets under this key. Only a place
    /// can tell, for the keys of later commands are others; version 1 is believed.
    #[must_use]
    pub fn is_order_of(&self, issuer: &str) -> bool {
        match (&self.command, &self.idempotency_key) {
            (Command::Place(_), Some(key)) => {
                OrderId::derive(issuer, &self.customer_id, key) == self.order_id
            }
            _ => true,
        }
    }
}

/// Ids are derived, so a message whose ids were made up, or moved over from another order, says so
/// by itself. This finds mistakes (an edited or handmade message); who may write to the queue at
/// all is not decided here.
fn check_ids(frame: &Envelope<'_>) -> Result<(), DecodeError> {
    if frame.order_id.0.get_version_num() != 8 {
        return Err(DecodeError::OrderId(frame.order_id));
    }
    let Some(key) = &frame.idempotency_key else {
        return if frame.v == 1 {
            Ok(())
        } else {
            Err(DecodeError::KeyMissing)
        };
    };
    if CommandId::derive(frame.order_id, frame.kind.as_str(), key) != frame.message_id {
        return Err(DecodeError::MessageId);
    }
    Ok(())
}

/// Body of `POST /v1/orders/{id}/cancel`.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CancelBody {
    /// Whose order; needed of tokens that act for many customers only while reads are down.
    pub customer_id: Option<String>,
    /// Words for people.
    #[schema(min_length = 1, max_length = 500)]
    pub note: Option<String>,
}

/// Body of `POST /v1/orders/{id}/payments`.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PaymentBody {
    /// Whose order; needed only while reads are down.
    pub customer_id: Option<String>,
    /// The payment provider's number.
    #[schema(min_length = 1, max_length = 128)]
    pub payment_reference: Option<String>,
}

/// Body of `POST /v1/orders/{id}/shipments`.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ShipmentBody {
    /// Whose order; needed only while reads are down.
    pub customer_id: Option<String>,
    /// The carrier's number.
    #[schema(min_length = 1, max_length = 128)]
    pub tracking_number: Option<String>,
}

/// Body of `POST /v1/orders/{id}/returns`.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ReturnBody {
    /// Whose order; needed only while reads are down.
    pub customer_id: Option<String>,
    /// Whether the goods go back on the shelf; not, when left out.
    #[serde(default)]
    pub restock: bool,
    /// Words for people.
    #[schema(min_length = 1, max_length = 500)]
    pub note: Option<String>,
}

impl CancelBody {
    /// Checks the body.
    ///
    /// # Errors
    /// Every fault with its place.
    pub fn check(self, reason: Reason) -> Result<CancelOrder, Vec<Fault>> {
        optional("/note", self.note.as_deref(), 500)?;
        Ok(CancelOrder {
            reason,
            note: self.note,
        })
    }
}

impl PaymentBody {
    /// Checks the body.
    ///
    /// # Errors
    /// Every fault with its place.
    pub fn check(self) -> Result<PayOrder, Vec<Fault>> {
        optional("/payment_reference", self.payment_reference.as_deref(), 128)?;
        Ok(PayOrder {
            payment_reference: self.payment_reference,
        })
    }
}

impl ShipmentBody {
    /// Checks the body.
    ///
    /// # Errors
    /// Every fault with its place.
    pub fn check(self) -> Result<ShipOrder, Vec<Fault>> {
        optional("/tracking_number", self.tracking_number.as_deref(), 128)?;
        Ok(ShipOrder {
            tracking_number: self.tracking_number,
        })
    }
}

impl ReturnBody {
    /// Checks the body.
    ///
    /// # Errors
    /// Every fault with its place.
    pub fn check(self) -> Result<ReturnOrder, Vec<Fault>> {
        optional("/note", self.note.as_deref(), 500)?;
        Ok(ReturnOrder {
            restock: self.restock,
            note: self.note,
        })
    }
}

fn optional(at: &str, value: Option<&str>, chars_max: usize) -> Result<(), Vec<Fault>> {
    let mut faults = Faults::default();
    if let Some(value) = value {
        faults.take(|| at.to_owned(), text::line(value, chars_max));
    }
    if faults.is_empty() {
        Ok(())
    } else {
        Err(faults.into_vec())
    }
}
