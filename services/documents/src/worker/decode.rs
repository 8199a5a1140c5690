//! Each message is decoded alone; what cannot be is parked.

use sha2::{Digest, Sha256};
use steelyard_domain::event::OrderEvent;
use steelyard_queue::Delivery;
use steelyard_store::inbox::Message;

/// The version of [`OrderEvent`] that is read.
const VERSION: u32 = 1;

/// An event as it came.
pub(super) struct Came {
    pub(super) event: OrderEvent,
    pub(super) message: Message,
}

/// Reads a message; says why it cannot.
pub(super) fn event(delivery: &Delivery) -> Result<Came, String> {
    let event: OrderEvent = serde_json::from_str(&delivery.body)
        .map_err(|error| format!("not an order event: {error}"))?;
    if event.v != VERSION {
        return Err(format!(
            "an order event of version {}, not {VERSION}",
            event.v
        ));
    }
    if event.customer_id != event.order.customer_id {
        return Err("its order is another customer's".to_owned());
    }
    Ok(Came {
        message: Message {
            id: event.event_id,
            fingerprint: Sha256::digest(delivery.body.as_bytes()).into(),
        },
        event,
    })
}
