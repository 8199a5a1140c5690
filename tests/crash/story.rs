//! What is played: every handler, and every way through it that has effects of its own.

use serde_json::json;
use steelyard_domain::command::{CancelOrder, CommandKind};
use steelyard_domain::id::CommandId;
use steelyard_domain::order::place::{PlaceOrderBody, PlaceRights};
use steelyard_domain::order::{FulfillmentStatus, OrderStatus, PaymentStatus, PlaceOrder, Reason};
use steelyard_queue::OutgoingMessage;

use crate::shop::{ON_SHELF, Shop, key};

/// A story: what is there before, and the acts in which the faults happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Story {
    Place,
    Reject,
    Cancel,
    Pay,
    Ship,
    Return,
    /// A command that changes nothing any more.
    Refuse,
    /// A cancellation that comes before its order.
    Early,
    /// Messages that come again after their effect.
    Again,
    /// Another order under a used key.
    Conflict,
    /// A command about another customer's order.
    Stranger,
    /// A message that cannot be understood, and one behind it.
    Park,
    /// Several customers' commands at once: one set, one transaction.
    Crowd,
}

impl Story {
    pub(crate) const ALL: [Self; 13] = [
        Self::Place,
        Self::Reject,
        Self::Cancel,
        Self::Pay,
        Self::Ship,
        Self::Return,
        Self::Refuse,
        Self::Early,
        Self::Again,
        Self::Conflict,
        Self::Stranger,
        Self::Park,
        Self::Crowd,
    ];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Place => "place",
            Self::Reject => "reject",
            Self::Cancel => "cancel",
            Self::Pay => "pay",
            Self::Ship => "ship",
            Self::Return => "return",
            Self::Refuse => "refuse",
            Self::Early => "early",
            Self::Again => "again",
            Self::Conflict => "conflict",
            Self::Stranger => "stranger",
            Self::Park => "park",
            Self::Crowd => "crowd",
        }
    }

    /// Whether it is a command's own way through its handler, and not a side way.
    pub(crate) const fn is_handler(self) -> bool {
        matches!(
            self,
            Self::Place | Self::Cancel | Self::Pay | Self::Ship | Self::Return
        )
    }

    /// What is there when the faults begin.
    pub(crate) async fn prepare(self, shop: &mut Shop<'_>) {
        shop.stock().await;
        match self {
            Self::Place | Self::Reject | Self::Early | Self::Park | Self::Crowd => {}
            Self::Cancel | Self::Pay | Self::Ship | Self::Conflict | Self::Stranger => {
                shop.place("a", "1", 3).await;
            }
            Self::Again => {
                shop.place("a", "1", 3).await;
                shop.place("b", "1", ON_SHELF + 1).await;
            }
            Self::Return | Self::Refuse => {
                shop.place("a", "1", 3).await;
                ship(shop).await;
            }
        }
    }

    /// What is done while the faults happen.
    pub(crate) async fn act(self, shop: &mut Shop<'_>) {
        match self {
            Self::Place => {
                shop.place("a", "1", 3).await;
            }
            Self::Reject => {
                shop.place("a", "1", ON_SHELF + 1).await;
            }
            Self::Cancel => cancel(shop).await,
            Self::Pay => {
                let body = json!({"payment_reference": "pi_1"});
                shop.command(0, CommandKind::Pay, body).await;
                shop.orders[0].payment = PaymentStatus::Paid;
                shop.orders[0].events.push("order.paid");
            }
            Self::Ship => ship(shop).await,
            Self::Return => {
                let body = json!({"restock": true});
                shop.command(0, CommandKind::Return, body).await;
                let order = &mut shop.orders[0];
                order.fulfillment = FulfillmentStatus::Returned;
                order.stock = "restocked";
                order.events.push("order.returned");
            }
            Self::Refuse => shop.command(0, CommandKind::Cancel, json!({})).await,
            Self::Early => early(shop).await,
            Self::Again => again(shop).await,
            Self::Conflict => {
                let body = shop.body(&shop.customer("a"), 4);
                shop.ask("/v1/orders", "storefront", "1", &body).await;
                shop.orders[0].conflicts = 1;
            }
            Self::Stranger => stranger(shop).await,
            Self::Park => park(shop).await,
            Self::Crowd => crowd(shop).await,
        }
    }
}

async fn cancel(shop: &mut Shop<'_>) {
    shop.command(0, CommandKind::Cancel, json!({})).await;
    let order = &mut shop.orders[0];
    order.status = OrderStatus::Cancelled;
    order.stock = "released";
    order.events.push("order.cancelled");
}

async fn ship(shop: &mut Shop<'_>) {
    let body = json!({"tracking_number": "GB1"});
    shop.command(0, CommandKind::Ship, body).await;
    let order = &mut shop.orders[0];
    order.fulfillment = FulfillmentStatus::Shipped;
    order.stock = "consumed";
    order.events.push("order.shipped");
}

const CANCEL: CancelOrder = CancelOrder {
    reason: Reason::CustomerRequest,
    note: None,
};

fn checked(shop: &Shop<'_>, customer: &str, quantity: i64) -> PlaceOrder {
    let mut body = shop.body(customer, quantity);
    body.as_object_mut()
        .expect("an object")
        .remove("customer_id");
    let body: PlaceOrderBody = serde_json::from_value(body).expect("a body");
    let rights = PlaceRights { may_price: false };
    body.check(customer.parse().expect("a customer"), rights)
        .expect("an order")
}

async fn early(shop: &mut Shop<'_>) {
    let customer = shop.customer("a");
    let id = shop.order_id(&customer, "1");
    let cancel = Shop::sealed(&customer, id, "early", CommandKind::Cancel, &CANCEL);
    shop.send(&[cancel]).await;
    shop.quiet().await;
    let order = shop.place("a", "1", 3).await;
    let cancel = CommandId::derive(id, CommandKind::Cancel.as_str(), &key("early"));
    let order = &mut shop.orders[order];
    order.status = OrderStatus::Cancelled;
    order.stock = "released";
    order.history.push(cancel);
    order.events = vec!["order.cancelled"];
}

async fn again(shop: &mut Shop<'_>) {
    let commands: Vec<_> = [("a", 3), ("b", ON_SHELF + 1)]
        .into_iter()
        .map(|(name, quantity)| {
            let customer = shop.customer(name);
            let id = shop.order_id(&customer, "1");
            let payload = checked(shop, &customer, quantity);
            Shop::sealed(&customer, id, "1", CommandKind::Place, &payload)
        })
        .collect();
    shop.send(&commands).await;
}

async fn stranger(shop: &mut Shop<'_>) {
    let id = shop.orders[0].id;
    let cancel = Shop::sealed(&shop.customer("x"), id, "x", CommandKind::Cancel, &CANCEL);
    shop.ignored.push(cancel.message_id);
    shop.send(&[cancel]).await;
}

async fn park(shop: &mut Shop<'_>) {
    let customer = shop.customer("a");
    let id = shop.order_id(&customer, "1");
    let payload = checked(shop, &customer, 3);
    let place = Shop::sealed(&customer, id, "1", CommandKind::Place, &payload);
    let body = format!("not a command, of shop {}", shop.number);
    let once = |name: &str| format!("{name}-{}", shop.number);
    let messages = [
        OutgoingMessage::fifo(&place.group_id, once("bad"), &body),
        OutgoingMessage::fifo(&place.group_id, once("good"), &place.body),
    ];
    shop.lane.send(&messages).await;
    shop.parked.push(body);
    shop.expect_placed(&customer, "1", 3);
}

async fn crowd(shop: &mut Shop<'_>) {
    let mut commands = Vec::new();
    for (name, text, quantity) in [
        ("a", "1", 3),
        ("a", "2", 2),
        ("b", "1", ON_SHELF + 1),
        ("c", "1", 1),
    ] {
        let customer = shop.customer(name);
        let id = shop.order_id(&customer, text);
        let payload = checked(shop, &customer, quantity);
        commands.push(Shop::sealed(
            &customer,
            id,
            text,
            CommandKind::Place,
            &payload,
        ));
        shop.expect_placed(&customer, text, quantity);
    }
    shop.send(&commands).await;
}
