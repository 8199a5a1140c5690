//! `GET /v1/orders`.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{Method, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde::{Deserialize, Serialize};
use steelyard_domain::api::{LIMIT_MAX, Page, Problem};
use steelyard_domain::fault::Invalid;
use steelyard_domain::id::CustomerId;
use steelyard_domain::internal::paths;
use steelyard_domain::order::{Order, OrderStatus};
use steelyard_domain::text;
use steelyard_runtime::http::{HttpError, Query};
use utoipa::IntoParams;

use super::place::other_customer;
use super::read::confined_to;
use crate::app::App;
use crate::auth::CallerOf;
use crate::peers;

const CURSOR_CHARS_MAX: usize = 1_024;

/// Which orders.
#[derive(Debug, Deserialize, Serialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Filter {
    /// Only those of this status.
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<OrderStatus>,
    /// Only those of this customer. A customer's token sees its own in any case.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[param(max_length = 128)]
    customer_id: Option<String>,
    /// Only those with this number of the shop's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[param(max_length = 64)]
    reference: Option<String>,
    /// Entries of a page; 20 when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[param(minimum = 1, maximum = 100)]
    limit: Option<u32>,
    /// `next_cursor` of the page before.
    #[serde(skip_serializing_if = "Option::is_none")]
    cursor: Option<String>,
}

/// List orders, newest first
#[utoipa::path(
    get,
    path = "/v1/orders",
    operation_id = "list_orders",
    tag = "orders",
    params(Filter),
    responses(
        (status = 200, description = "A page of orders", body = Page<Order>),
        (status = 400, description = "A parameter or cursor that cannot be used", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "The orders service cannot be asked; see `Retry-After`", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn list(
    State(app): State<Arc<App>>,
    CallerOf(caller): CallerOf,
    Query(mut filter): Query<Filter>,
) -> Result<Response, HttpError> {
    check(&filter)?;
    if let Some(own) = confined_to(&caller)? {
        if filter
            .customer_id
            .as_deref()
            .is_some_and(|named| named != own.as_str())
        {
            return Err(other_customer("query/customer_id"));
        }
        filter.customer_id = Some(own.as_str().to_owned());
    }
    let request = app
        .orders
        .request(Method::GET, paths::ORDERS)
        .query(&filter);
    let (status, body) = peers::fetch(&app.orders, request).await?;
    if status == StatusCode::OK {
        return Ok(([(header::CONTENT_TYPE, "application/json")], body).into_response());
    }
    Err(peers::refusal(&app.orders, status, &body))
}

fn check(filter: &Filter) -> Result<(), HttpError> {
    let mut refused = HttpError::new(
        StatusCode::BAD_REQUEST,
        "invalid_query",
        "a query parameter cannot be used",
    );
    let mut note = |place: &str, checked: Result<(), Invalid>| {
        if let Err(Invalid { code, detail }) = checked {
            refused = refused.clone().at(format!("query/{place}"), code, detail);
        }
    };
    if let Some(customer) = &filter.customer_id {
        note("customer_id", customer.parse::<CustomerId>().map(|_| ()));
    }
    if let Some(reference) = &filter.reference {
        note("reference", text::line(reference, 64));
    }
    if let Some(cursor) = &filter.cursor {
        note("cursor", text::line(cursor, CURSOR_CHARS_MAX));
    }
    if filter
        .limit
        .is_some_and(|limit| !(1..=LIMIT_MAX).contains(&limit))
    {
        let detail = format!("must be between 1 and {LIMIT_MAX}");
        note("limit", Err(Invalid::new("out_of_range", detail)));
    }
    if refused.faults().is_empty() {
        Ok(())
    } else {
        Err(refused)
    }
}
