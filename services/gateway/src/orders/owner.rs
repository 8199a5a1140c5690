//! Whose order is it? A command travels in its customer's message group, so the gateway has to
//! know before it sends.

use axum::http::StatusCode;
use serde::Deserialize;
use steelyard_domain::fault::Invalid;
use steelyard_domain::id::{CustomerId, OrderId};
use steelyard_runtime::http::HttpError;

use super::place::{not_a_customer, other_customer};
use super::read::{ask_orders, no_such_order};
use crate::app::App;
use crate::auth::Caller;

/// What is known of an order's owner.
enum Owner {
    Known(CustomerId),
    /// Receipts and the orders service both answered: there is no such order.
    Nobody,
    /// One of them could not be asked.
    NotToldNow,
}

#[derive(Deserialize)]
struct Owned {
    customer_id: CustomerId,
}

/// The customer in whose group a command about `id` belongs. A `confined` caller acts for nobody
/// but itself.
///
/// While neither receipts nor the orders service can be asked, a customer's own word (`sub`) or the
/// `customer_id` in the body is taken: the worker checks it against the order.
///
/// # Errors
/// 404 for an order that is not there or another's, 403 or 422 for a `customer_id` that is not
/// right, 503 when the owner cannot be told and none is named.
pub(super) async fn owner_of(
    app: &App,
    caller: &Caller,
    confined: bool,
    id: OrderId,
    named: Option<&str>,
) -> Result<CustomerId, HttpError> {
    let named: Option<CustomerId> = named.map(parse).transpose()?;
    if confined {
        let own = caller.customer.as_ref().ok_or_else(not_a_customer)?;
        if named.as_ref().is_some_and(|named| named != own) {
            return Err(other_customer("/customer_id"));
        }
    }
    match look_up(app, id).await {
        Owner::Known(owner) => {
            if confined && caller.customer.as_ref() != Some(&owner) {
                return Err(no_such_order());
            }
            if named.is_some_and(|named| named != owner) {
                return Err(HttpError::new(
                    StatusCode::UNPROCESSABLE_ENTITY,
                    "validation_failed",
                    "the order is another customer's",
                )
                .at(
                    "/customer_id",
                    "mismatch",
                    "must be the order's customer, or be left out",
                ));
            }
            Ok(owner)
        }
        Owner::Nobody => Err(no_such_order()),
        Owner::NotToldNow => {
            let own = caller.customer.clone().filter(|_| confined);
            own.or(named).ok_or_else(|| {
                let detail = "whose order it is cannot be told at the moment: try again, or name \
                              its customer_id in the body";
                HttpError::unavailable("orders_unavailable", detail, 2)
            })
        }
    }
}

fn parse(named: &str) -> Result<CustomerId, HttpError> {
    named.parse().map_err(|Invalid { code, detail }| {
        HttpError::validation_failed().at("/customer_id", code, detail)
    })
}

/// Receipts first: they are quick, and there for 14 days.
async fn look_up(app: &App, id: OrderId) -> Owner {
    let receipt = app.receipts.get(id).await;
    if let Ok(Some(receipt)) = receipt {
        return Owner::Known(receipt.customer_id);
    }
    match ask_orders(app, id, None).await {
        Ok(Some(order)) => serde_json::from_slice::<Owned>(&order)
            .map_or(Owner::NotToldNow, |owned| Owner::Known(owned.customer_id)),
        Ok(None) if receipt.is_ok() => Owner::Nobody,
        Ok(None) | Err(_) => Owner::NotToldNow,
    }
}
