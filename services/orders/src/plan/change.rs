//! What a command does to an order that exists.

use steelyard_domain::command::{Command, CommandKind, CommandMessage};
use steelyard_domain::event::OrderEventKind;
use steelyard_domain::id::CommandId;
use steelyard_domain::order::view::Conflict;
use steelyard_domain::order::{Effect, HistoryEntry, Order, OrderState, Refusal};
use time::OffsetDateTime;

use super::{CONFLICTS_MAX, REFUSALS_MAX};

/// What an order's history says about a command.
#[derive(Debug, Clone, Copy)]
pub(super) struct By<'a> {
    pub(super) command_id: CommandId,
    pub(super) kind: CommandKind,
    pub(super) requested_by: &'a str,
    pub(super) note: Option<&'a str>,
}

impl<'a> By<'a> {
    pub(super) fn of(message: &'a CommandMessage) -> Self {
        let note = match &message.command {
            Command::Place(_) => &None,
            Command::Cancel(cancel) => &cancel.note,
            Command::Pay(pay) => &pay.payment_reference,
            Command::Ship(ship) => &ship.tracking_number,
            Command::Return(goods) => &goods.note,
        };
        Self {
            command_id: message.message_id,
            kind: message.command.kind(),
            requested_by: &message.requested_by,
            note: note.as_deref(),
        }
    }
}

/// The effect that a command asks for; `None` for a place, whose effect is catalog's to decide.
pub(super) fn effect_of(command: &Command) -> Option<Effect> {
    Some(match command {
        Command::Place(_) => return None,
        Command::Cancel(cancel) => Effect::Cancel(cancel.reason),
        Command::Pay(_) => Effect::Pay,
        Command::Ship(_) => Effect::Ship,
        Command::Return(_) => Effect::Return,
    })
}

/// The event that an effect makes.
pub(super) const fn event_of(effect: Effect) -> OrderEventKind {
    match effect {
        Effect::Confirm => OrderEventKind::Confirmed,
        Effect::Reject(_) => OrderEventKind::Rejected,
        Effect::Cancel(_) => OrderEventKind::Cancelled,
        Effect::Pay => OrderEventKind::Paid,
        Effect::Ship => OrderEventKind::Shipped,
        Effect::Return => OrderEventKind::Returned,
    }
}

/// Applies an effect to the order's state, version and history.
///
/// A refusal changes the history and the version, until the history is full of refusals.
pub(super) fn apply(
    order: &mut Order,
    effect: Effect,
    by: By<'_>,
    now: OffsetDateTime,
) -> Result<(), Refusal> {
    let applied = state_of(order).apply(effect, order.payment_method);
    if let Ok(state) = applied {
        order.status = state.status;
        order.payment_status = state.payment;
        order.fulfillment_status = state.fulfillment;
        order.reason = state.reason;
    }
    let refused = applied.err();
    let refusals = order.history.iter().filter(|e| e.refused.is_some());
    if refused.is_none() || refusals.count() < REFUSALS_MAX {
        note(order, by, refused, now);
    }
    applied.map(|_| ())
}

/// Counts a change and adds it to the history, with the status as it stands now.
pub(super) fn note(order: &mut Order, by: By<'_>, refused: Option<Refusal>, now: OffsetDateTime) {
    touch(order, now);
    order.history.push(HistoryEntry {
        version: order.version,
        at: order.updated_at,
        command_id: by.command_id,
        command: by.kind.as_str().to_owned(),
        requested_by: by.requested_by.to_owned(),
        status: order.status,
        refused,
        note: by.note.map(str::to_owned),
    });
}

/// Notes that a used idempotency key asked for something else; once per request.
pub(super) fn note_conflict(order: &mut Order, message: &CommandMessage, now: OffsetDateTime) {
    let conflict = Conflict {
        accepted_at: message.accepted_at,
        command: message.command.kind().as_str().to_owned(),
        fingerprint: message.fingerprint.to_string(),
    };
    // A redelivery may carry the same words: the fingerprint tells.
    let known = order
        .conflicts
        .iter()
        .any(|c| c.fingerprint == conflict.fingerprint && c.command == conflict.command);
    if known || order.conflicts.len() >= CONFLICTS_MAX {
        return;
    }
    touch(order, now);
    order.conflicts.push(conflict);
}

fn touch(order: &mut Order, now: OffsetDateTime) {
    order.version += 1;
    // Clocks of two workers may differ; an order's time never runs backwards.
    order.updated_at = order.updated_at.max(now);
}

fn state_of(order: &Order) -> OrderState {
    OrderState {
        status: order.status,
        payment: order.payment_status,
        fulfillment: order.fulfillment_status,
        reason: order.reason,
    }
}
