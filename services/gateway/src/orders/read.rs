//! `GET /v1/orders/{id}`: from the orders service, else from the receipt.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use steelyard_domain::api::{Problem, Receipt};
use steelyard_domain::id::{CustomerId, OrderId};
use steelyard_domain::internal::paths;
use steelyard_domain::order::Order;
use steelyard_runtime::http::{HttpError, Json, Path};
use utoipa::ToSchema;

use super::place::not_a_customer;
use crate::app::App;
use crate::auth::{Caller, CallerOf};
use crate::peers;

/// RFC 9211: says that an answer is a copy, and why.
pub(crate) const CACHE_STATUS: HeaderName = HeaderName::from_static("cache-status");

/// An order as it stands: whole once a worker has it, its receipt before.
#[derive(ToSchema)]
#[serde(untagged)]
#[expect(
    dead_code,
    reason = "describes the answer, which is passed on as it is"
)]
pub(crate) enum OrderOrReceipt {
    /// The order.
    Order(Box<Order>),
    /// Its receipt: no worker has settled it yet.
    Receipt(Receipt),
}

/// Show an order
///
/// Before a worker has settled it, and while the orders service is down, its receipt answers
/// (`status` `accepted`); in the latter case `Cache-Status` says so.
#[utoipa::path(
    get,
    path = "/v1/orders/{id}",
    operation_id = "get_order",
    tag = "orders",
    params(("id" = OrderId, Path, description = "The order")),
    responses(
        (status = 200, description = "The order, or its receipt", body = OrderOrReceipt),
        (status = 404, description = "No such order, or another customer's", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "Not known at the moment; see `Retry-After`", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn read(
    State(app): State<Arc<App>>,
    CallerOf(caller): CallerOf,
    Path(id): Path<String>,
) -> Result<Response, HttpError> {
    match find(&app, &caller, order_id(&id)?).await? {
        Found::Order(body) => {
            Ok(([(header::CONTENT_TYPE, "application/json")], body).into_response())
        }
        Found::Receipt {
            receipt,
            orders_down: false,
        } => Ok(([not_yet(&app)], Json(receipt)).into_response()),
        Found::Receipt {
            receipt,
            orders_down: true,
        } => {
            let why = HeaderValue::from_static("steelyard; hit; detail=\"orders unavailable\"");
            let headers = [(CACHE_STATUS, why), not_yet(&app)];
            Ok((headers, Json(receipt)).into_response())
        }
    }
}

/// `Retry-After`: when it may be settled.
pub(super) fn not_yet(app: &App) -> (HeaderName, HeaderValue) {
    (header::RETRY_AFTER, app.pace.retry_after_s().into())
}

/// The order named in the path.
///
/// # Errors
/// 404 for what cannot be an order's id.
pub(super) fn order_id(text: &str) -> Result<OrderId, HttpError> {
    text.parse().map_err(|_| no_such_order())
}

/// The same words whether there is no such order or it is another customer's.
pub(super) fn no_such_order() -> HttpError {
    HttpError::not_found("there is no order with this id for this caller")
}

/// What is known of an order.
pub(super) enum Found {
    /// The orders service's answer, as it is.
    Order(Bytes),
    /// Only the receipt.
    Receipt {
        /// It.
        receipt: Receipt,
        /// The order may be further on: the service that knows could not be asked.
        orders_down: bool,
    },
}

/// Whose orders and documents the caller is confined to; `None` is everyone's.
pub(crate) fn confined_to(caller: &Caller) -> Result<Option<&CustomerId>, HttpError> {
    if caller.sees_all() {
        return Ok(None);
    }
    caller
        .customer
        .as_ref()
        .map(Some)
        .ok_or_else(not_a_customer)
}

/// Looks for an order that the caller may see.
///
/// # Errors
/// 404 only if both the orders service and the receipts answered and neither knows it; 503 if one
/// could not be asked.
pub(super) async fn find(app: &App, caller: &Caller, id: OrderId) -> Result<Found, HttpError> {
    let customer = confined_to(caller)?;
    let from_orders = ask_orders(app, id, customer).await;
    if let Ok(Some(body)) = from_orders {
        return Ok(Found::Order(body));
    }
    let orders_down = from_orders.is_err();
    match app.receipts.get(id).await {
        Ok(Some(receipt)) if customer.is_none_or(|customer| *customer == receipt.customer_id) => {
            Ok(Found::Receipt {
                receipt,
                orders_down,
            })
        }
        Ok(_) if !orders_down => Err(no_such_order()),
        // A receipt of another customer is as good as an answer: it is theirs, not the caller's.
        Ok(Some(_)) => Err(no_such_order()),
        Ok(None) => Err(unknown_now(app)),
        Err(error) => {
            tracing::debug!(%error, "receipts cannot be read");
            Err(unknown_now(app))
        }
    }
}

/// Asks the orders service; `None` when it answered and knows no such order of this customer.
pub(super) async fn ask_orders(
    app: &App,
    id: OrderId,
    customer: Option<&CustomerId>,
) -> Result<Option<Bytes>, HttpError> {
    let mut request = app
        .orders
        .request(Method::GET, &format!("{}/{id}", paths::ORDERS));
    if let Some(customer) = customer {
        request = request.query(&[("customer_id", customer.as_str())]);
    }
    let (status, body) = peers::fetch(&app.orders, request).await?;
    match status {
        StatusCode::OK => Ok(Some(body)),
        StatusCode::NOT_FOUND => Ok(None),
        other => {
            tracing::error!(
                status = other.as_u16(),
                "the orders service gave an unexpected answer"
            );
            Err(peers::down(app.orders.peer()))
        }
    }
}

fn unknown_now(app: &App) -> HttpError {
    let detail = "whether there is such an order cannot be told at the moment";
    HttpError::unavailable("orders_unavailable", detail, app.pace.retry_after_s())
}
