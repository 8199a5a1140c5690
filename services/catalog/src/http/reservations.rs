//! Reservations over HTTP.

use axum::extract::State;
use axum::http::StatusCode;
use steelyard_domain::api::Page;
use steelyard_domain::fault::Faults;
use steelyard_domain::internal::{
    OrderIds, RESERVE_ORDERS_MAX, ReserveOrder, ReserveRequest, ReserveResponse,
    UnsettledReservation,
};
use steelyard_domain::order::place::{LINES_MAX, QUANTITY_MAX};
use steelyard_domain::text;
use steelyard_runtime::http::{HttpError, Json, Query};

use super::products::PageQuery;
use super::{App, limit_of, opened, sealed};
use crate::failure::{of_abort, of_sql};
use crate::reservations::{self, Position, Step};

/// The longest name that a line may bring along.
const NAME_CHARS_MAX: usize = 256;

pub(super) async fn reserve(
    State(app): State<App>,
    Json(ReserveRequest { orders }): Json<ReserveRequest>,
) -> Result<Json<ReserveResponse>, HttpError> {
    check_orders(&orders)?;
    let desk = app.desk()?;
    if orders.is_empty() {
        return Ok(Json(ReserveResponse { results: vec![] }));
    }
    let results = desk.reserve(orders).await?;
    Ok(Json(ReserveResponse { results }))
}

/// What `reserve` would answer now. Nothing is written or locked.
pub(super) async fn quote(
    State(app): State<App>,
    Json(ReserveRequest { orders }): Json<ReserveRequest>,
) -> Result<Json<ReserveResponse>, HttpError> {
    check_orders(&orders)?;
    let results = reservations::quote(app.reads()?, &orders)
        .await
        .map_err(|abort| of_abort(&abort))?;
    Ok(Json(ReserveResponse { results }))
}

pub(super) async fn release(app: State<App>, ids: Json<OrderIds>) -> Result<StatusCode, HttpError> {
    settle(app, ids, Step::Release).await
}

pub(super) async fn consume(app: State<App>, ids: Json<OrderIds>) -> Result<StatusCode, HttpError> {
    settle(app, ids, Step::Consume).await
}

pub(super) async fn restock(app: State<App>, ids: Json<OrderIds>) -> Result<StatusCode, HttpError> {
    settle(app, ids, Step::Restock).await
}

/// Reservations that hold goods while their order does not stand, the oldest first.
pub(super) async fn unsettled(
    State(app): State<App>,
    Query(query): Query<PageQuery>,
) -> Result<Json<Page<UnsettledReservation>>, HttpError> {
    let limit = limit_of(query.limit)?;
    let of = ["unsettled"];
    let after: Option<Position> = opened(&of, query.cursor.as_deref())?;
    let found = reservations::unsettled(app.reads()?, after, limit + 1).await;
    let mut data = found.map_err(|error| of_sql(&error))?;
    let more = data.len() > limit as usize;
    data.truncate(limit as usize);
    let last = data.last().filter(|_| more);
    let next_cursor = sealed(&of, last.map(Position::of).as_ref())?;
    Ok(Json(Page { data, next_cursor }))
}

async fn settle(
    State(app): State<App>,
    Json(OrderIds { order_ids }): Json<OrderIds>,
    step: Step,
) -> Result<StatusCode, HttpError> {
    let mut faults = Faults::default();
    check_count("/order_ids", order_ids.len(), &mut faults);
    refuse(faults)?;
    let settled = reservations::settle(app.pool()?, step, &order_ids).await;
    settled.map_err(|abort| of_abort(&abort))?;
    Ok(StatusCode::NO_CONTENT)
}

fn check_orders(orders: &[ReserveOrder]) -> Result<(), HttpError> {
    let mut faults = Faults::default();
    check_count("/orders", orders.len(), &mut faults);
    for (i, order) in orders.iter().enumerate().take(RESERVE_ORDERS_MAX) {
        check_order(&format!("/orders/{i}"), order, &mut faults);
    }
    refuse(faults)
}

fn check_count(pointer: &str, count: usize, faults: &mut Faults) {
    if count > RESERVE_ORDERS_MAX {
        faults.add(
            pointer,
            "too_many",
            format!("at most {RESERVE_ORDERS_MAX} orders a call"),
        );
    }
}

/// The gateway has checked all of this; here it guards the stock against a caller's mistake.
fn check_order(at: &str, order: &ReserveOrder, faults: &mut Faults) {
    if !(1..=LINES_MAX).contains(&order.lines.len()) {
        faults.add(
            format!("{at}/lines"),
            "out_of_range",
            format!("1 to {LINES_MAX} lines"),
        );
    }
    for (i, line) in order.lines.iter().enumerate() {
        if !(1..=QUANTITY_MAX).contains(&line.quantity) {
            let detail = format!("must be between 1 and {QUANTITY_MAX}");
            faults.add(format!("{at}/lines/{i}/quantity"), "out_of_range", detail);
        }
        if let Some(name) = &line.name {
            faults.take(
                || format!("{at}/lines/{i}/name"),
                text::line(name, NAME_CHARS_MAX),
            );
        }
    }
}

fn refuse(faults: Faults) -> Result<(), HttpError> {
    if faults.is_empty() {
        return Ok(());
    }
    Err(HttpError::validation_failed().with_faults(faults.into_vec()))
}
