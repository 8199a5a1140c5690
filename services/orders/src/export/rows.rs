//! Rows made of orders.

use steelyard_domain::command::CommandKind;
use steelyard_domain::order::Order;

use super::table::{Cell, Row};
use crate::db::reports::DaySales;

fn text(value: &(impl ToString + ?Sized)) -> Cell {
    Cell::Text(value.to_string())
}

fn maybe(value: Option<impl ToString>) -> Cell {
    value.map_or(Cell::Empty, |value| text(&value))
}

fn count(value: usize) -> Cell {
    Cell::Count(i64::try_from(value).unwrap_or(i64::MAX))
}

pub(super) fn order(order: &Order) -> Row {
    vec![
        text(&order.id),
        text(&order.customer_id),
        maybe(order.reference.as_deref()),
        text(order.status.as_str()),
        text(order.payment_status.as_str()),
        text(order.fulfillment_status.as_str()),
        maybe(order.reason.map(|reason| reason.as_str())),
        text(order.currency.code()),
        Cell::Amount(order.subtotal),
        Cell::Amount(order.tax_total),
        Cell::Amount(order.total),
        text(&order.ship_to.country),
        count(order.lines.len()),
        Cell::Count(order.sequence),
        Cell::Count(order.version),
        Cell::Time(order.placed_at),
        Cell::Time(order.accepted_at),
        Cell::Time(order.updated_at),
    ]
}

pub(super) fn lines(order: &Order) -> impl Iterator<Item = Row> {
    order.lines.iter().enumerate().map(|(at, line)| {
        vec![
            text(&order.id),
            count(at + 1),
            text(&line.sku),
            text(&line.name),
            Cell::Count(line.quantity),
            Cell::Amount(line.unit_price.amount()),
            Cell::Amount(line.line_total),
            Cell::Amount(line.tax_rate),
            text(&line.tax_category),
            Cell::Amount(line.tax),
            text(order.currency.code()),
            Cell::Time(order.accepted_at),
        ]
    })
}

pub(super) fn payments(order: &Order) -> impl Iterator<Item = Row> {
    let is_payment = |command: &str| command == CommandKind::Pay.as_str();
    let paid = order
        .history
        .iter()
        .filter(move |entry| is_payment(&entry.command) && entry.refused.is_none());
    paid.map(|entry| {
        vec![
            text(&order.id),
            text(&order.customer_id),
            text(&entry.command_id),
            Cell::Time(entry.at),
            maybe(entry.note.as_deref()),
            Cell::Amount(order.total),
            text(order.currency.code()),
            text(&entry.requested_by),
        ]
    })
}

pub(super) fn day(sales: &DaySales) -> Row {
    vec![
        Cell::Day(sales.day),
        text(&sales.currency),
        Cell::Count(sales.orders),
        Cell::Amount(sales.subtotal),
        Cell::Amount(sales.tax_total),
        Cell::Amount(sales.total),
        Cell::Count(sales.rejected),
        Cell::Count(sales.cancelled),
    ]
}
