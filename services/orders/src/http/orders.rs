//! `GET /internal/orders/{id}` and `GET /internal/orders`. Orders go out as they were stored, byte
//! for byte: the gateway passes them on.

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use steelyard_domain::api::{LIMIT_DEFAULT, LIMIT_MAX};
use steelyard_domain::id::{CustomerId, OrderId};
use steelyard_domain::internal::{KnownOrder, OrderIds, OrdersKnown, RESERVE_ORDERS_MAX};
use steelyard_domain::order::OrderStatus;
use steelyard_runtime::http::{HttpError, Json, Path, Query};
use steelyard_store::cursor;
use time::OffsetDateTime;
use uuid::Uuid;

use super::{App, of_sql};
use crate::db::{self, Filter, Found};

/// Digits of a cursor's time; Postgres keeps microseconds.
type Position = (i64, Uuid);

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct GetQuery {
    customer_id: Option<CustomerId>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ListQuery {
    customer_id: Option<CustomerId>,
    status: Option<OrderStatus>,
    reference: Option<String>,
    limit: Option<u32>,
    cursor: Option<String>,
}

pub(super) async fn get(
    State(app): State<App>,
    Path(id): Path<String>,
    Query(query): Query<GetQuery>,
) -> Result<Response, HttpError> {
    let missing = || HttpError::not_found("there is no such order");
    // One id has one spelling; what is no id names nothing.
    let id: OrderId = id.parse().map_err(|_| missing())?;
    let found = db::get(app.writer()?, id, query.customer_id.as_ref()).await;
    let doc = found.map_err(|error| of_sql(&error))?.ok_or_else(missing)?;
    Ok(json(doc))
}

/// Which of some orders there are. Asked of the writer: what is not there must not merely be late.
pub(super) async fn known(
    State(app): State<App>,
    Json(OrderIds { order_ids }): Json<OrderIds>,
) -> Result<Json<OrdersKnown>, HttpError> {
    if order_ids.len() > RESERVE_ORDERS_MAX {
        let detail = format!("at most {RESERVE_ORDERS_MAX} orders a call");
        return Err(HttpError::validation_failed().at("/order_ids", "too_many", detail));
    }
    let ids: Vec<Uuid> = order_ids.iter().map(|id| id.0).collect();
    let found = db::known(app.writer()?, &ids).await;
    let found = found.map_err(|error| of_sql(&error))?;
    let order = |(id, status): (Uuid, String)| {
        let status = OrderStatus::from_word(&status).ok_or_else(HttpError::internal)?;
        Ok(KnownOrder {
            id: OrderId(id),
            status,
        })
    };
    let orders: Result<Vec<KnownOrder>, HttpError> = found.into_iter().map(order).collect();
    Ok(Json(OrdersKnown { orders: orders? }))
}

pub(super) async fn list(
    State(app): State<App>,
    Query(query): Query<ListQuery>,
) -> Result<Response, HttpError> {
    let limit = query.limit.unwrap_or(LIMIT_DEFAULT);
    if !(1..=LIMIT_MAX).contains(&limit) {
        let detail = format!("must be between 1 and {LIMIT_MAX}");
        return Err(invalid("query/limit", "out_of_range", detail));
    }
    let filter = Filter {
        customer_id: query.customer_id,
        status: query.status,
        reference: query.reference,
    };
    let name = name_of(&filter);
    let name: Vec<&str> = name.iter().map(String::as_str).collect();
    let after = query.cursor.map(|text| open(&name, &text)).transpose()?;
    // One more than asked for tells whether there is a next page.
    let found = db::list(app.reader()?, &filter, after, limit + 1).await;
    let found = found.map_err(|error| of_sql(&error))?;
    page(&found, limit as usize, &name)
}

/// What a cursor of this list is bound to.
fn name_of(filter: &Filter) -> [String; 4] {
    let part = |key: &str, value: Option<&str>| match value {
        Some(value) => format!("{key}={value}"),
        None => key.to_owned(),
    };
    let customer = filter.customer_id.as_ref().map(CustomerId::as_str);
    [
        "orders".to_owned(),
        part("customer", customer),
        part("status", filter.status.map(OrderStatus::as_str)),
        part("reference", filter.reference.as_deref()),
    ]
}

fn open(name: &[&str], text: &str) -> Result<(OffsetDateTime, Uuid), HttpError> {
    let refuse = |detail: String| invalid("query/cursor", "invalid_cursor", detail);
    let (micros, id): Position =
        cursor::open(name, text).map_err(|error| refuse(error.to_string()))?;
    let accepted_at = OffsetDateTime::from_unix_timestamp_nanos(i128::from(micros) * 1_000)
        .map_err(|error| refuse(error.to_string()))?;
    Ok((accepted_at, id))
}

fn page(found: &[Found], limit: usize, name: &[&str]) -> Result<Response, HttpError> {
    let shown = &found[..found.len().min(limit)];
    let next = match shown.last() {
        Some(last) if found.len() > limit => {
            // Within the years that an order can have, microseconds fit.
            let micros = i64::try_from(last.accepted_at.unix_timestamp_nanos() / 1_000);
            let position: Position = (micros.unwrap_or(i64::MAX), last.id);
            let sealed = cursor::seal(name, &position).map_err(|_| HttpError::internal())?;
            // Base64url needs no escapes.
            format!("\"{sealed}\"")
        }
        _ => "null".to_owned(),
    };
    let docs: Vec<&str> = shown.iter().map(|found| found.doc.as_str()).collect();
    let docs = docs.join(",");
    Ok(json(format!(
        "{{\"data\":[{docs}],\"next_cursor\":{next}}}"
    )))
}

fn json(body: String) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], body).into_response()
}

pub(super) fn invalid(pointer: &str, code: &'static str, detail: String) -> HttpError {
    let whole = "a query parameter cannot be used";
    HttpError::new(StatusCode::BAD_REQUEST, "invalid_query", whole).at(pointer, code, detail)
}
