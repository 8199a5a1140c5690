//! The tables of an export: names, columns, kinds. Additions go to the end; nothing is renamed.

use rust_decimal::Decimal;
use time::{Date, OffsetDateTime};

/// Digits behind the point of every amount: as many as any currency has, and unit prices may have.
pub(super) const SCALE: u32 = 4;

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    Count,
    Amount,
    Time,
    Day,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Column {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    /// Cells may be empty.
    pub(super) is_optional: bool,
}

#[derive(Debug)]
pub(super) struct Table {
    pub(super) name: &'static str,
    pub(super) columns: &'static [Column],
}

/// One value.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Cell {
    Empty,
    Text(String),
    Count(i64),
    Amount(Decimal),
    Time(OffsetDateTime),
    Day(Date),
}

/// One cell per column.
pub(super) type Row = Vec<Cell>;

const fn column(name: &'static str, kind: Kind) -> Column {
    Column {
        name,
        kind,
        is_optional: false,
    }
}

const fn optional(name: &'static str, kind: Kind) -> Column {
    Column {
        name,
        kind,
        is_optional: true,
    }
}

/// One row per order. No names, addresses or mails: they are not needed to count.
pub(super) const ORDERS: Table = Table {
    name: "orders",
    columns: &[
        column("order_id", Kind::Text),
        column("customer_id", Kind::Text),
        optional("reference", Kind::Text),
        column("status", Kind::Text),
        column("payment_status", Kind::Text),
        column("fulfillment_status", Kind::Text),
        optional("reason", Kind::Text),
        column("currency", Kind::Text),
        column("subtotal", Kind::Amount),
        column("tax_total", Kind::Amount),
        column("total", Kind::Amount),
        column("country", Kind::Text),
        column("line_count", Kind::Count),
        column("sequence", Kind::Count),
        column("version", Kind::Count),
        column("placed_at", Kind::Time),
        column("accepted_at", Kind::Time),
        column("updated_at", Kind::Time),
    ],
};

/// One row per line of an order.
pub(super) const LINES: Table = Table {
    name: "lines",
    columns: &[
        column("order_id", Kind::Text),
        column("line", Kind::Count),
        column("sku", Kind::Text),
        column("name", Kind::Text),
        column("quantity", Kind::Count),
        column("unit_price", Kind::Amount),
        column("line_total", Kind::Amount),
        column("tax_rate", Kind::Amount),
        column("tax_category", Kind::Text),
        column("tax", Kind::Amount),
        column("currency", Kind::Text),
        column("accepted_at", Kind::Time),
    ],
};

/// One row per payment that took effect. An order is paid whole.
pub(super) const PAYMENTS: Table = Table {
    name: "payments",
    columns: &[
        column("order_id", Kind::Text),
        column("customer_id", Kind::Text),
        column("command_id", Kind::Text),
        column("paid_at", Kind::Time),
        optional("payment_reference", Kind::Text),
        column("amount", Kind::Amount),
        column("currency", Kind::Text),
        column("requested_by", Kind::Text),
    ],
};

/// One row per day of acceptance and currency.
pub(super) const DAILY_SALES: Table = Table {
    name: "daily_sales",
    columns: &[
        column("day", Kind::Day),
        column("currency", Kind::Text),
        column("orders", Kind::Count),
        column("subtotal", Kind::Amount),
        column("tax_total", Kind::Amount),
        column("total", Kind::Amount),
        column("rejected", Kind::Count),
        column("cancelled", Kind::Count),
    ],
};
