//! Which new orders need stock, seen from the commands that came before them.

use std::collections::HashSet;

use serde::Serialize;
use steelyard_domain::command::{Command, CommandMessage};
use steelyard_domain::id::{OrderId, Sku};
use steelyard_domain::money::{Currency, UnitPrice};
use steelyard_domain::order::{Effect, OrderState, PaymentMethod, PlaceOrder};
use time::OffsetDateTime;

use super::change::effect_of;
use super::known::{Asked, Known};

/// A new order that needs stock; it serializes as a
/// [`steelyard_domain::internal::ReserveOrder`], without a copy of its lines.
#[derive(Debug, Serialize)]
pub struct OrderNeed<'a> {
    /// Its id.
    pub order_id: OrderId,
    /// Prices are looked up in it.
    pub currency: Currency,
    /// The caller's prices stand.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub prices_authoritative: bool,
    /// When it was accepted: prices are those of this moment, however long it waited.
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
    /// Where the goods go: a country may have prices of its own.
    pub country: &'a str,
    /// Its lines.
    pub lines: Vec<LineNeed<'a>>,
}

/// One line of an [`OrderNeed`].
#[derive(Debug, Serialize)]
pub struct LineNeed<'a> {
    sku: &'a Sku,
    quantity: i64,
    unit_price: UnitPrice,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
}

/// The orders that are new and not called off already, in the order in which they came.
#[must_use]
pub fn reservations_needed<'a>(asked: &'a [Asked<'_>], known: &Known) -> Vec<OrderNeed<'a>> {
    let mut seen = HashSet::with_capacity(asked.len());
    let mut needed = Vec::with_capacity(asked.len());
    for (i, Asked { message, .. }) in asked.iter().enumerate() {
        let Command::Place(place) = &message.command else {
            continue;
        };
        if known.orders.contains_key(&message.order_id) || !seen.insert(message.order_id) {
            continue;
        }
        let stored = known.early.get(&message.order_id).into_iter().flatten();
        let early = stored
            .chain(asked[..i].iter().map(|asked| &asked.message))
            .filter(|early| {
                early.order_id == message.order_id && early.customer_id == message.customer_id
            });
        if !is_called_off(early, place.payment_method) {
            needed.push(need(message, place));
        }
    }
    needed
}

fn need<'a>(message: &CommandMessage, place: &'a PlaceOrder) -> OrderNeed<'a> {
    let lines = place.lines.iter().map(|line| LineNeed {
        sku: &line.sku,
        quantity: line.quantity,
        unit_price: line.unit_price,
        name: line.name.as_deref(),
    });
    OrderNeed {
        order_id: message.order_id,
        currency: place.currency,
        prices_authoritative: place.prices_authoritative,
        at: message.accepted_at,
        country: &place.ship_to.country,
        lines: lines.collect(),
    }
}

/// Whether one of the commands that came before their order would cancel it, were it confirmed
/// and then given these commands in the
/// order in which they were accepted.
pub(super) fn is_called_off<'a>(
    early: impl Iterator<Item = &'a CommandMessage>,
    method: PaymentMethod,
) -> bool {
    let Ok(mut state) = OrderState::ACCEPTED.apply(Effect::Confirm, method) else {
        return false;
    };
    let mut early: Vec<_> = early.collect();
    early.sort_by_key(|message| message.accepted_at);
    for message in early {
        let Some(effect) = effect_of(&message.command) else {
            continue;
        };
        if let Ok(next) = state.apply(effect, method) {
            if matches!(effect, Effect::Cancel(_)) {
                return true;
            }
            state = next;
        }
    }
    false
}
