//! Commands as the gateway seals them.

use serde::Serialize;
use serde_json::json;
use steelyard_domain::command::{
    CancelOrder, CommandFrame, CommandKind, OutgoingCommand, PayOrder, ReturnOrder, ShipOrder,
};
use steelyard_domain::id::{CustomerId, IdempotencyKey, OrderId};
use steelyard_domain::order::place::{PlaceOrderBody, PlaceRights};
use steelyard_domain::order::{PlaceOrder, Reason};
use time::OffsetDateTime;

use super::ISSUER;

pub type Sealed = OutgoingCommand;

pub fn order_id(customer: &str, key: &str) -> OrderId {
    let key: IdempotencyKey = key.parse().unwrap();
    OrderId::derive(ISSUER, &customer.parse().unwrap(), &key)
}

pub fn seal<P: Serialize>(
    customer: &str,
    order_id: OrderId,
    key: &str,
    kind: CommandKind,
    payload: &P,
) -> Sealed {
    seal_at(
        OffsetDateTime::now_utc(),
        customer,
        order_id,
        key,
        kind,
        payload,
    )
}

/// A command that was accepted then.
pub fn seal_at<P: Serialize>(
    accepted_at: OffsetDateTime,
    customer: &str,
    order_id: OrderId,
    key: &str,
    kind: CommandKind,
    payload: &P,
) -> Sealed {
    let customer: CustomerId = customer.parse().unwrap();
    let frame = CommandFrame {
        order_id,
        customer_id: &customer,
        key: &key.parse().unwrap(),
        accepted_at,
        requested_by: "shop",
    };
    frame.seal(kind, payload).unwrap()
}

/// An order of these lines: SKU, quantity, unit price.
pub fn body_of(customer: &str, lines: &[(&str, i64, &str)]) -> PlaceOrder {
    let lines: Vec<_> = lines
        .iter()
        .map(
            |(sku, quantity, price)| json!({"sku": sku, "quantity": quantity, "unit_price": price}),
        )
        .collect();
    let body: PlaceOrderBody = serde_json::from_value(json!({
        "currency": "GBP",
        "reference": "536365",
        "lines": lines,
        "ship_to": {"name": "A. Buyer", "line1": "1 High Street", "city": "London", "country": "GB"},
    }))
    .unwrap();
    let rights = PlaceRights { may_price: false };
    body.check(customer.parse().unwrap(), rights).unwrap()
}

pub fn place_of(customer: &str, key: &str, body: &PlaceOrder) -> Sealed {
    let order = order_id(customer, key);
    seal(customer, order, key, CommandKind::Place, body)
}

/// Six holders and a lantern.
pub fn place(customer: &str, key: &str) -> Sealed {
    let body = body_of(customer, &[("holder", 6, "2.55"), ("lantern", 1, "3.39")]);
    place_of(customer, key, &body)
}

pub fn cancel(customer: &str, order: OrderId, key: &str) -> Sealed {
    let reason = Reason::CustomerRequest;
    let note = Some("too late".into());
    let payload = CancelOrder { reason, note };
    seal(customer, order, key, CommandKind::Cancel, &payload)
}

pub fn pay(customer: &str, order: OrderId, key: &str) -> Sealed {
    let payment_reference = Some("pi_1".into());
    let payload = PayOrder { payment_reference };
    seal(customer, order, key, CommandKind::Pay, &payload)
}

pub fn ship(customer: &str, order: OrderId, key: &str) -> Sealed {
    let tracking_number = Some("GB1".into());
    let payload = ShipOrder { tracking_number };
    seal(customer, order, key, CommandKind::Ship, &payload)
}

pub fn send_back(customer: &str, order: OrderId, key: &str, restock: bool) -> Sealed {
    let payload = ReturnOrder {
        restock,
        note: None,
    };
    seal(customer, order, key, CommandKind::Return, &payload)
}
