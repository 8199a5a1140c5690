//! `GET /v1/documents`.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{Method, StatusCode};
use axum::response::Response;
use serde::{Deserialize, Serialize};
use steelyard_domain::api::{LIMIT_MAX, Page, Problem};
use steelyard_domain::document::Document;
use steelyard_domain::fault::Invalid;
use steelyard_domain::id::CustomerId;
use steelyard_domain::internal::paths;
use steelyard_domain::text;
use steelyard_runtime::http::{HttpError, Query};
use utoipa::IntoParams;

use crate::app::App;
use crate::auth::CallerOf;
use crate::orders::{confined_to, other_customer};
use crate::peers;

/// Which documents.
#[derive(Debug, Deserialize, Serialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Filter {
    /// Only those of this customer. A customer's token sees its own in any case.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[param(max_length = 128)]
    customer_id: Option<String>,
    /// Only those with this number.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[param(max_length = 200)]
    number: Option<String>,
    /// Only those of this kind: `invoice`, `credit_note`, `delivery_note`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[param(max_length = 40)]
    kind: Option<String>,
    /// Only those of this order.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[param(format = Uuid)]
    order_id: Option<String>,
    /// Only those that bear this day or a later one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[param(format = Date)]
    from: Option<String>,
    /// Only those that bear this day or an earlier one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[param(format = Date)]
    to: Option<String>,
    /// The currency of `total_min` and `total_max`.
    #[serde(skip_serializing_if = "Option::is_none")]
    currency: Option<String>,
    /// Only those that come to at least this.
    #[serde(skip_serializing_if = "Option::is_none")]
    total_min: Option<String>,
    /// … at most this.
    #[serde(skip_serializing_if = "Option::is_none")]
    total_max: Option<String>,
    /// Only those with all these words: of numbers, buyer, town, goods. The last may be unfinished.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[param(max_length = 200)]
    q: Option<String>,
    /// Entries of a page; 20 when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[param(minimum = 1, maximum = 100)]
    limit: Option<u32>,
    /// `next_cursor` of the page before.
    #[serde(skip_serializing_if = "Option::is_none")]
    cursor: Option<String>,
}

/// List documents, newest first
///
/// By the time of issue. Every page is as quick as the first.
#[utoipa::path(
    get,
    path = "/v1/documents",
    operation_id = "list_documents",
    tag = "documents",
    params(Filter),
    responses(
        (status = 200, description = "A page of documents", body = Page<Document>),
        (status = 400, description = "A parameter or cursor that cannot be used", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "The documents service cannot be asked; see `Retry-After`", body = Problem, content_type = "application/problem+json"),
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
    let request = app.documents.request(Method::GET, paths::DOCUMENTS);
    peers::pass_on(&app.documents, request.query(&filter)).await
}

/// What must not travel on. The rest the documents service checks.
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
    for (place, value, chars_max) in [
        ("number", &filter.number, 200),
        ("kind", &filter.kind, 40),
        ("order_id", &filter.order_id, 36),
        ("from", &filter.from, 10),
        ("to", &filter.to, 10),
        ("currency", &filter.currency, 3),
        ("total_min", &filter.total_min, 24),
        ("total_max", &filter.total_max, 24),
        ("q", &filter.q, 200),
        ("cursor", &filter.cursor, 2_048),
    ] {
        if let Some(value) = value {
            note(place, text::bounded(value, chars_max));
        }
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
