//! `POST /v1/orders/{id}/…`: commands about an order, in the same queue and sequence as the order.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde::Serialize;
use serde::de::DeserializeOwned;
use steelyard_domain::api::Problem;
use steelyard_domain::command::{
    CancelBody, CommandFrame, CommandKind, PaymentBody, ReturnBody, ShipmentBody,
};
use steelyard_domain::fault::Fault;
use steelyard_domain::id::{CommandId, CustomerId, OrderId};
use steelyard_domain::order::Reason;
use steelyard_domain::scope::Scope;
use steelyard_runtime::http::{HttpError, Json, Path, RawBody, parse_json, require_json};
use steelyard_runtime::trace::about_order;
use time::OffsetDateTime;
use utoipa::ToSchema;

use super::owner::owner_of;
use super::place::{location, unserializable};
use super::read::order_id;
use crate::app::App;
use crate::auth::{Caller, CallerOf};
use crate::intake::{idempotency_key, send};

/// What a 202 to a command says: it is on the queue, and will be decided about. The order's
/// history shows what came of it under the command's id.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CommandReceipt {
    /// The command's id; the same for every retry under the same key.
    id: CommandId,
    /// About which order.
    order_id: OrderId,
    /// Whose order.
    customer_id: CustomerId,
    /// `order.cancel`, `order.pay`, `order.ship` or `order.return`.
    command: &'static str,
    /// When the gateway took it.
    #[serde(with = "time::serde::rfc3339")]
    accepted_at: OffsetDateTime,
}

/// Everything that a command's handler is given.
struct Asked<'a> {
    app: &'a App,
    caller: &'a Caller,
    /// Whether the caller acts for nobody but itself.
    confined: bool,
    order: &'a str,
    headers: &'a HeaderMap,
    body: &'a [u8],
}

impl Asked<'_> {
    /// Reads and checks the body, finds the order's owner and sends the command.
    async fn take<B, P>(
        self,
        kind: CommandKind,
        customer_of: impl FnOnce(&mut B) -> Option<String>,
        check: impl FnOnce(B) -> Result<P, Vec<Fault>>,
    ) -> Result<Response, HttpError>
    where
        B: DeserializeOwned + Default,
        P: Serialize,
    {
        let order_id = order_id(self.order)?;
        let key = idempotency_key(self.headers)?;
        let mut body: B = self.body()?;
        let named = customer_of(&mut body);
        let payload =
            check(body).map_err(|faults| HttpError::validation_failed().with_faults(faults))?;
        let customer_id = owner_of(
            self.app,
            self.caller,
            self.confined,
            order_id,
            named.as_deref(),
        )
        .await?;
        about_order(order_id);
        let accepted_at = OffsetDateTime::now_utc();
        let frame = CommandFrame {
            order_id,
            customer_id: &customer_id,
            key: &key,
            accepted_at,
            requested_by: &self.caller.subject,
        };
        let command = frame.seal(kind, &payload).map_err(unserializable)?;
        let id = command.message_id;
        send(self.app, command).await?;
        let command = kind.as_str();
        metrics::counter!("gateway_commands_accepted_total", "command" => command).increment(1);
        let receipt = CommandReceipt {
            id,
            order_id,
            customer_id,
            command,
            accepted_at,
        };
        let location = [(header::LOCATION, location(order_id)?)];
        Ok((StatusCode::ACCEPTED, location, Json(receipt)).into_response())
    }

    /// No body at all says the same as an empty object.
    fn body<B: DeserializeOwned + Default>(&self) -> Result<B, HttpError> {
        if self.body.is_empty() {
            return Ok(B::default());
        }
        require_json(self.headers)?;
        parse_json(self.body)
    }
}

/// Cancel an order
///
/// An order that has shipped is not cancelled; its history then says so.
#[utoipa::path(
    post,
    path = "/v1/orders/{id}/cancel",
    operation_id = "cancel_order",
    tag = "orders",
    params(
        ("id" = OrderId, Path, description = "The order"),
        ("Idempotency-Key" = String, Header, description = "1–255 printable ASCII characters", min_length = 1, max_length = 255, pattern = "^[ -~]+$", example = "536365"),
    ),
    request_body = Option<CancelBody>,
    responses(
        (status = 202, description = "Accepted: it will be decided about", body = CommandReceipt),
        (status = 404, description = "No such order, or another customer's", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "Something in it is wrong", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "Not taken; send it again after `Retry-After`", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn cancel(
    State(app): State<Arc<App>>,
    CallerOf(caller): CallerOf,
    Path(order): Path<String>,
    headers: HeaderMap,
    RawBody(body): RawBody,
) -> Result<Response, HttpError> {
    let confined = !caller.scopes.has(Scope::OrdersManage);
    let reason = if confined {
        Reason::CustomerRequest
    } else {
        Reason::ShopRequest
    };
    let asked = Asked {
        app: &app,
        caller: &caller,
        confined,
        order: &order,
        headers: &headers,
        body: &body,
    };
    let customer = |body: &mut CancelBody| body.customer_id.take();
    asked
        .take(CommandKind::Cancel, customer, |body| body.check(reason))
        .await
}

/// Confirm that an order is paid
#[utoipa::path(
    post,
    path = "/v1/orders/{id}/payments",
    operation_id = "pay_order",
    tag = "orders",
    params(
        ("id" = OrderId, Path, description = "The order"),
        ("Idempotency-Key" = String, Header, description = "1–255 printable ASCII characters; the payment provider's number is a good one", min_length = 1, max_length = 255, pattern = "^[ -~]+$", example = "536365"),
    ),
    request_body = Option<PaymentBody>,
    responses(
        (status = 202, description = "Accepted: it will be decided about", body = CommandReceipt),
        (status = 404, description = "No such order", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "Something in it is wrong", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "Not taken; send it again after `Retry-After`", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn pay(
    State(app): State<Arc<App>>,
    CallerOf(caller): CallerOf,
    Path(order): Path<String>,
    headers: HeaderMap,
    RawBody(body): RawBody,
) -> Result<Response, HttpError> {
    let asked = Asked {
        app: &app,
        caller: &caller,
        confined: false,
        order: &order,
        headers: &headers,
        body: &body,
    };
    let customer = |body: &mut PaymentBody| body.customer_id.take();
    asked
        .take(CommandKind::Pay, customer, PaymentBody::check)
        .await
}

/// Say that an order has shipped
#[utoipa::path(
    post,
    path = "/v1/orders/{id}/shipments",
    operation_id = "ship_order",
    tag = "orders",
    params(
        ("id" = OrderId, Path, description = "The order"),
        ("Idempotency-Key" = String, Header, description = "1–255 printable ASCII characters", min_length = 1, max_length = 255, pattern = "^[ -~]+$", example = "536365"),
    ),
    request_body = Option<ShipmentBody>,
    responses(
        (status = 202, description = "Accepted: it will be decided about", body = CommandReceipt),
        (status = 404, description = "No such order", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "Something in it is wrong", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "Not taken; send it again after `Retry-After`", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn ship(
    State(app): State<Arc<App>>,
    CallerOf(caller): CallerOf,
    Path(order): Path<String>,
    headers: HeaderMap,
    RawBody(body): RawBody,
) -> Result<Response, HttpError> {
    let asked = Asked {
        app: &app,
        caller: &caller,
        confined: false,
        order: &order,
        headers: &headers,
        body: &body,
    };
    let customer = |body: &mut ShipmentBody| body.customer_id.take();
    asked
        .take(CommandKind::Ship, customer, ShipmentBody::check)
        .await
}

/// Take an order's goods back
#[utoipa::path(
    post,
    path = "/v1/orders/{id}/returns",
    operation_id = "return_order",
    tag = "orders",
    params(
        ("id" = OrderId, Path, description = "The order"),
        ("Idempotency-Key" = String, Header, description = "1–255 printable ASCII characters", min_length = 1, max_length = 255, pattern = "^[ -~]+$", example = "536365"),
    ),
    request_body = Option<ReturnBody>,
    responses(
        (status = 202, description = "Accepted: it will be decided about", body = CommandReceipt),
        (status = 404, description = "No such order", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "Something in it is wrong", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "Not taken; send it again after `Retry-After`", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn take_back(
    State(app): State<Arc<App>>,
    CallerOf(caller): CallerOf,
    Path(order): Path<String>,
    headers: HeaderMap,
    RawBody(body): RawBody,
) -> Result<Response, HttpError> {
    let asked = Asked {
        app: &app,
        caller: &caller,
        confined: false,
        order: &order,
        headers: &headers,
        body: &body,
    };
    let customer = |body: &mut ReturnBody| body.customer_id.take();
    asked
        .take(CommandKind::Return, customer, ReturnBody::check)
        .await
}
