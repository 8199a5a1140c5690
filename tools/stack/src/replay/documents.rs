//! The invoices of a replay: one per confirmed order, to the cent.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream;
use indicatif::ProgressBar;
use rust_decimal::Decimal;
use steelyard_domain::api::Page;
use steelyard_domain::document::{Document, DocumentState};
use steelyard_domain::id::OrderId;
use tokio::time::{Instant, sleep};

use super::reconcile::{grouped, money};
use crate::client::{CallError, Gateway};

const PAUSE_FIRST: Duration = Duration::from_millis(50);
const PAUSE_MAX: Duration = Duration::from_secs(2);
/// Reads at once.
const CONCURRENCY: usize = 16;
const EXAMPLES_MAX: usize = 5;

/// A confirmed order, as far as its invoice is concerned.
#[derive(Debug, Clone)]
pub(super) struct Ordered {
    pub(super) id: OrderId,
    pub(super) month: String,
    /// With tax.
    pub(super) total: Decimal,
}

/// Sums with tax of one month of orders.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Month {
    orders: u64,
    ordered: Decimal,
    invoices: u64,
    invoiced: Decimal,
}

/// What the invoices came to.
#[derive(Debug, Default)]
pub(super) struct Invoices {
    months: BTreeMap<String, Month>,
    bytes: i64,
    waited: Duration,
    /// The first few orders without just one invoice of their total.
    wrong: u64,
    examples: Vec<String>,
}

/// Asks for each order's invoice until its file is stored; after `within`, what is missing is missing.
pub(super) async fn wait_for_invoices(
    gateway: &Gateway,
    orders: &[Ordered],
    within: Duration,
    bar: &ProgressBar,
) -> Invoices {
    let began = Instant::now();
    let deadline = began + within;
    let found: Vec<_> = stream::iter(orders)
        .map(|order| async move {
            let found = wait_for(gateway, &order.id, deadline).await;
            bar.inc(1);
            found
        })
        .buffered(CONCURRENCY)
        .collect()
        .await;
    let mut invoices = Invoices {
        waited: began.elapsed(),
        ..Invoices::default()
    };
    for (order, found) in orders.iter().zip(found) {
        invoices.add(order, found);
    }
    invoices
}

async fn wait_for(
    gateway: &Gateway,
    id: &OrderId,
    deadline: Instant,
) -> Result<Vec<Document>, CallError> {
    let path = format!("/v1/documents?order_id={id}&kind=invoice");
    let mut pause = PAUSE_FIRST;
    loop {
        let found = gateway.get::<Page<Document>>(&path).await?.data;
        let stored = found.iter().all(|one| one.state == DocumentState::Stored);
        if (stored && !found.is_empty()) || Instant::now() >= deadline {
            return Ok(found);
        }
        sleep(pause).await;
        pause = (pause * 2).min(PAUSE_MAX);
    }
}

impl Invoices {
    fn add(&mut self, order: &Ordered, found: Result<Vec<Document>, CallError>) {
        let month = self.months.entry(order.month.clone()).or_default();
        month.orders += 1;
        month.ordered += order.total;
        let trouble = match found {
            Err(error) => Some(error.to_string()),
            Ok(found) => {
                for invoice in &found {
                    month.invoices += 1;
                    month.invoiced += invoice.total.unwrap_or_default();
                    self.bytes += invoice.size_bytes.unwrap_or_default();
                }
                match found.as_slice() {
                    [] => Some("no invoice".to_owned()),
                    [one] if one.state != DocumentState::Stored => {
                        Some(format!("{} has no file", one.number))
                    }
                    [one] if one.total != Some(order.total) => Some(format!(
                        "{} comes to {:?}, the order to {}",
                        one.number, one.total, order.total
                    )),
                    [_] => None,
                    several => Some(format!("{} invoices", several.len())),
                }
            }
        };
        if let Some(trouble) = trouble {
            self.wrong += 1;
            if self.examples.len() < EXAMPLES_MAX {
                self.examples.push(format!("order {}: {trouble}", order.id));
            }
        }
    }

    /// Whether every order has one invoice, stored, of its total.
    pub(super) const fn balance(&self) -> bool {
        self.wrong == 0
    }

    /// The table for people.
    pub(super) fn table(&self) -> String {
        let mut table = String::new();
        let _ = writeln!(
            table,
            "  {:<10}{:>10}{:>10}{:>18}{:>18}{:>16}",
            "with tax", "orders", "invoices", "ordered", "invoiced", "difference"
        );
        for (name, month) in &self.months {
            let _ = writeln!(
                table,
                "  {name:<10}{:>10}{:>10}{:>18}{:>18}{:>16}",
                grouped(month.orders),
                grouped(month.invoices),
                money(month.ordered),
                money(month.invoiced),
                money(month.invoiced - month.ordered)
            );
        }
        let _ = writeln!(
            table,
            "  files of {} KB together, the last was there {} s after the orders were settled",
            grouped(u64::try_from(self.bytes / 1_000).unwrap_or_default()),
            self.waited.as_secs()
        );
        for example in &self.examples {
            let _ = writeln!(table, "  ! {example}");
        }
        table
    }
}
