//! What an event asks for.

use std::collections::HashMap;

use steelyard_domain::event::{OrderEvent, OrderEventKind};
use steelyard_domain::id::OrderId;
use steelyard_domain::order::{Order, OrderStatus};
use steelyard_einvoice::issue::Numbered;

use super::decode::Came;
use crate::db::{Asked, Charged};
use crate::kind::Kind;
use crate::model::{Document, Model, document_id};
use crate::shop::Shop;

/// What becomes of an event.
pub(super) enum Decided {
    /// To be recorded, with its document if it asks for one.
    Issue(Asked),
    /// Never.
    Park(String),
}

/// Decides for a set, in its order: a cancellation may stand right behind its confirmation.
pub(super) fn all(
    events: &[Result<Came, String>],
    shop: &Shop,
    mut charged: HashMap<OrderId, Charged>,
) -> Vec<Decided> {
    let mut decide = |came: &Result<Came, String>| {
        let came = match came {
            Ok(came) => came,
            Err(reason) => return Decided::Park(reason.clone()),
        };
        let order = came.event.order.id;
        match document(&came.event, shop, charged.entry(order).or_default()) {
            Ok(document) => Decided::Issue(Asked {
                message: came.message,
                document_id: document_id(came.event.at, came.event.event_id),
                document,
            }),
            Err(reason) => Decided::Park(reason),
        }
    };
    events.iter().map(&mut decide).collect()
}

fn document(
    event: &OrderEvent,
    shop: &Shop,
    charged: &mut Charged,
) -> Result<Option<Document>, String> {
    let order = &event.order;
    // The number comes with the transaction.
    let numbered = Numbered {
        number: String::new(),
        on: event.at.date(),
    };
    let (kind, model) = match event.kind {
        OrderEventKind::Confirmed => {
            let invoice = shop.issuer.invoice(order, numbered);
            let invoice = invoice.map_err(|error| format!("its amounts do not add up: {error}"))?;
            // A redelivery is not news: the invoice that is there has its number.
            charged.invoice.get_or_insert_with(|| invoice.clone());
            (Kind::Invoice, Model::Invoice(Box::new(invoice)))
        }
        OrderEventKind::Cancelled | OrderEventKind::Returned => {
            let Some(invoice) = &charged.invoice else {
                return nothing_charged(order);
            };
            if charged.credited {
                return Ok(None);
            }
            charged.credited = true;
            let note = shop.issuer.credit_note(invoice, numbered);
            (Kind::CreditNote, Model::Invoice(Box::new(note)))
        }
        OrderEventKind::Shipped => {
            let note = shop.issuer.delivery_note(order, numbered);
            (Kind::DeliveryNote, Model::DeliveryNote(Box::new(note)))
        }
        OrderEventKind::Rejected | OrderEventKind::Paid => return Ok(None),
    };
    Ok(Some(Document {
        id: document_id(event.at, event.event_id),
        kind,
        customer_id: order.customer_id.clone(),
        order_id: order.id,
        language: shop.language(order),
        model,
    }))
}

/// An order that was never confirmed was never charged. One that was has an invoice, unless its event was parked.
fn nothing_charged(order: &Order) -> Result<Option<Document>, String> {
    let confirmed = |status| status == OrderStatus::Confirmed || status == OrderStatus::Completed;
    if order.history.iter().any(|entry| confirmed(entry.status)) {
        return Err(
            "its order was confirmed and has no invoice: redrive that event first".to_owned(),
        );
    }
    Ok(None)
}
