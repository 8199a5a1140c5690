//! `POST /v1/orders`: the intake. It needs the queue and nothing else.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::Response;
use steelyard_domain::api::Receipt;
use steelyard_domain::command::{CommandFrame, CommandKind};
use steelyard_domain::fault::{Fault, Invalid};
use steelyard_domain::id::{CustomerId, OrderId};
use steelyard_domain::order::place::PlaceRights;
use steelyard_domain::order::{Order, OrderStatus, PlaceOrder, PlaceOrderBody};
use steelyard_domain::scope::Scope;
use steelyard_runtime::http::{HttpError, RawBody, parse_json, require_json};
use steelyard_runtime::trace::about_order;
use time::OffsetDateTime;

use super::read::not_yet;
use super::settle::Settling;
use crate::app::App;
use crate::auth::{Caller, CallerOf};
use crate::intake::{Wait, idempotency_key, send, wait};

const PREFERENCE_APPLIED: HeaderName = HeaderName::from_static("preference-applied");

/// Place an order
///
/// The order is on the queue, and will be settled, when the answer is 202. The same
/// `Idempotency-Key` of the same customer is the same order for ever: repeat the request until it
/// is answered. What another body under a used key asks for has no effect and is recorded on the
/// order as a conflict.
///
/// `unit_price` is the price that the shopper was shown: if the catalog's differs, the order is
/// rejected with `price_changed`. With the scope `orders:price` it stands as it is.
#[utoipa::path(
    post,
    path = "/v1/orders",
    operation_id = "place_order",
    tag = "orders",
    params(
        ("Idempotency-Key" = String, Header, description = "1–255 printable ASCII characters; the shop's own order number is a good one", min_length = 1, max_length = 255, pattern = "^[ -~]+$", example = "536365"),
        ("Prefer" = Option<String>, Header, description = "`wait=N`: wait up to N seconds (at most 20) for the order to be settled"),
    ),
    request_body(content = PlaceOrderBody, example = json!({
        "customer_id": "17850", "currency": "GBP", "reference": "536365",
        "lines": [
            {"sku": "85123A", "quantity": 6, "unit_price": "2.55"},
            {"sku": "71053", "quantity": 6, "unit_price": "3.39"}
        ],
        "ship_to": {
            "name": "Ada Lovelace", "line1": "12 St James's Square", "city": "London",
            "postcode": "SW1Y 4JH", "country": "GB"
        },
        "email": "ada@example.com", "payment": {"method": "invoice"},
        "metadata": {"channel": "web"}
    })),
    responses(
        (status = 201, description = "Settled while the caller waited (`Prefer: wait`)", body = Order,
            headers(("Location" = String, description = "The order"))),
        (status = 202, description = "Accepted: it will be settled", body = Receipt,
            headers(("Location" = String, description = "The order"))),
        (status = 400, description = "No JSON, or no usable `Idempotency-Key`", body = steelyard_domain::api::Problem, content_type = "application/problem+json"),
        (status = 413, description = "Over 256 KiB", body = steelyard_domain::api::Problem, content_type = "application/problem+json"),
        (status = 422, description = "Something in it is wrong; `errors` names each place", body = steelyard_domain::api::Problem, content_type = "application/problem+json"),
        (status = 503, description = "Not taken; send it again under the same key after `Retry-After`", body = steelyard_domain::api::Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn place(
    State(app): State<Arc<App>>,
    CallerOf(caller): CallerOf,
    headers: HeaderMap,
    RawBody(body): RawBody,
) -> Result<Response, HttpError> {
    let key = idempotency_key(&headers)?;
    require_json(&headers)?;
    let body: PlaceOrderBody = parse_json(&body)?;
    let order = check(&caller, body)?;
    let id = OrderId::derive(&app.issuer, &order.customer_id, &key);
    about_order(id);
    let accepted_at = OffsetDateTime::now_utc();
    let frame = CommandFrame {
        order_id: id,
        customer_id: &order.customer_id,
        key: &key,
        accepted_at,
        requested_by: &caller.subject,
    };
    let command = frame
        .seal(CommandKind::Place, &order)
        .map_err(unserializable)?;
    let wish = wait(&headers);
    // Watched before it is sent: what settles at once is not missed.
    let settling = wish.map(|wish| Settling::watch(&app, id, wish.time));
    send(&app, command).await?;

    let receipt = Receipt {
        id,
        customer_id: order.customer_id,
        reference: order.reference,
        status: OrderStatus::Accepted,
        accepted_at,
    };
    let receipt: Arc<[u8]> = serde_json::to_vec(&receipt).map_err(unserializable)?.into();
    app.receipts.put(id, Arc::clone(&receipt));
    metrics::counter!("gateway_orders_accepted_total").increment(1);
    if let Some(settling) = settling
        && let Some(settled) = settling.settled(&app).await
    {
        return answer(StatusCode::CREATED, id, wish, settled.into());
    }
    let mut answer = answer(
        StatusCode::ACCEPTED,
        id,
        wish,
        Body::from(Vec::from(&*receipt)),
    )?;
    if wish.is_some() {
        // It was waited for in vain.
        let (name, value) = not_yet(&app);
        answer.headers_mut().insert(name, value);
    }
    Ok(answer)
}

fn answer(
    status: StatusCode,
    id: OrderId,
    wish: Option<Wait>,
    body: Body,
) -> Result<Response, HttpError> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/json"),
    );
    headers.insert(header::LOCATION, location(id)?);
    if let Some(applied) = wish.and_then(|wish| HeaderValue::try_from(wish.applied()).ok()) {
        headers.insert(PREFERENCE_APPLIED, applied);
    }
    Ok(response)
}

/// Where an order is found.
pub(super) fn location(id: OrderId) -> Result<HeaderValue, HttpError> {
    HeaderValue::try_from(format!("/v1/orders/{id}")).map_err(|_| HttpError::internal())
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "the shape that map_err wants"
)]
pub(super) fn unserializable(error: serde_json::Error) -> HttpError {
    tracing::error!(%error, "a checked command could not be serialized");
    HttpError::internal()
}

/// Everything that is wrong with the order, or the order.
fn check(caller: &Caller, body: PlaceOrderBody) -> Result<PlaceOrder, HttpError> {
    let rights = PlaceRights {
        may_price: caller.scopes.has(Scope::OrdersPrice),
    };
    match customer_of(caller, body.customer_id.as_deref()) {
        Ok(customer) => body
            .check(customer, rights)
            .map_err(|faults| HttpError::validation_failed().with_faults(faults)),
        Err(Refused::Forbidden(refused)) => Err(refused),
        Err(Refused::Invalid(fault)) => {
            // The rest of the body is looked at too, so that one answer names all faults. Which
            // customer stands in for the faulty one does not matter to that.
            let mut refused = HttpError::validation_failed().with_faults([fault]);
            if let Ok(anyone) = "customer".parse()
                && let Err(faults) = body.check(anyone, rights)
            {
                refused = refused.with_faults(faults);
            }
            Err(refused)
        }
    }
}

/// Why no customer was settled on.
pub(super) enum Refused {
    /// The caller may not act for that customer.
    Forbidden(HttpError),
    /// What the body says is no customer.
    Invalid(Fault),
}

/// For whom the caller acts: a `customer` token for its `sub`, a `storefront` token for whom it
/// names.
pub(super) fn customer_of(caller: &Caller, named: Option<&str>) -> Result<CustomerId, Refused> {
    let is_customer = caller.scopes.has(Scope::Customer);
    let acts_for_any = caller.scopes.has(Scope::Storefront);
    let fault = |Invalid { code, detail }: Invalid| {
        Refused::Invalid(Fault {
            pointer: "/customer_id".to_owned(),
            code: code.into(),
            detail: detail.into_owned(),
        })
    };
    let Some(named) = named else {
        return match &caller.customer {
            Some(subject) if is_customer => Ok(subject.clone()),
            None if is_customer => Err(Refused::Forbidden(not_a_customer())),
            _ => Err(fault(Invalid::new(
                "required",
                "a storefront names the customer",
            ))),
        };
    };
    let customer: CustomerId = named.parse().map_err(fault)?;
    if acts_for_any || is_customer && caller.customer.as_ref() == Some(&customer) {
        return Ok(customer);
    }
    Err(Refused::Forbidden(other_customer("/customer_id")))
}

/// 403 for a customer's token whose `sub` cannot be a customer.
pub(super) fn not_a_customer() -> HttpError {
    let detail = "the token's sub cannot be a customer: 1–128 characters, no white space around";
    HttpError::new(StatusCode::FORBIDDEN, "not_a_customer", detail)
}

/// 403 for a customer who names another.
pub(crate) fn other_customer(place: &str) -> HttpError {
    let detail = "a customer acts for nobody else";
    HttpError::new(StatusCode::FORBIDDEN, "other_customer", detail).at(
        place,
        "other_customer",
        "must be the token's own customer, or be left out",
    )
}
