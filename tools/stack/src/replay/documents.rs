//! The invoices of a replay: one per confirmed order, to the cent, and none without its order.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt::Write;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream;
use indicatif::ProgressBar;
use reqwest::StatusCode;
use rust_decimal::Decimal;
use steelyard_domain::api::{LIMIT_MAX, Page};
use steelyard_domain::document::{Document, DocumentState};
use steelyard_domain::id::OrderId;
use time::Date;
use tokio::time::{Instant, sleep};

use super::reconcile::{grouped, money};
use super::settle::Answer;
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
    /// No invoice of it is older.
    pub(super) accepted_on: Date,
    pub(super) currency: String,
    /// With tax.
    pub(super) total: Decimal,
}

/// Invoices by their order.
type ByOrder = HashMap<OrderId, Vec<Document>>;

/// All invoices since the replay's first order was accepted.
#[derive(Debug, Default)]
struct Listed {
    /// Of the replay's orders.
    own: ByOrder,
    others: ByOrder,
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
    /// Invoices of orders that are not the replay's.
    others: usize,
    /// How long it took until all were stored; none when they were not.
    stored_after: Option<Duration>,
    /// What is not as it should be: how often, and the first few in words.
    wrong: u64,
    examples: Vec<String>,
}

/// Lists the invoices until each order's is stored, then compares them; after `within`, what is missing is missing.
///
/// # Errors
/// When the gateway does not list them.
pub(super) async fn wait_for_invoices(
    gateway: &Gateway,
    orders: &[Ordered],
    within: Duration,
    bar: &ProgressBar,
) -> Result<Invoices, CallError> {
    let Some(since) = orders.iter().map(|order| order.accepted_on).min() else {
        return Ok(Invoices::default());
    };
    let began = Instant::now();
    let mut pause = PAUSE_FIRST;
    let mut stored_after = None;
    let mut before = ByOrder::new();
    let listed = loop {
        let listed = list(gateway, orders, since).await?;
        let stored = orders.iter().filter(|order| listed.is_stored(order));
        let stored = stored.count();
        bar.set_position(stored as u64);
        if stored == orders.len() {
            stored_after.get_or_insert_with(|| began.elapsed());
        }
        // What is issued while pages are read may be on none of them, so two lists in a row have to say the same.
        let is_settled = stored == orders.len() && listed.own == before;
        if is_settled || began.elapsed() >= within {
            break listed;
        }
        before = listed.own;
        sleep(pause).await;
        pause = (pause * 2).min(PAUSE_MAX);
    };
    let strays = strays(gateway, &listed.others).await;
    let mut invoices = Invoices::of(orders, &listed, strays);
    invoices.stored_after = stored_after;
    Ok(invoices)
}

/// Reads all pages. What came from elsewhere is of no order, and passed over.
async fn list(gateway: &Gateway, orders: &[Ordered], since: Date) -> Result<Listed, CallError> {
    let own: HashSet<OrderId> = orders.iter().map(|order| order.id).collect();
    let mut listed = Listed::default();
    let mut cursor = String::new();
    loop {
        let path = format!("/v1/documents?kind=invoice&from={since}&limit={LIMIT_MAX}{cursor}");
        let page: Page<Document> = gateway.get(&path).await?;
        for invoice in page.data {
            let Some(order) = invoice.order_id else {
                continue;
            };
            let of = if own.contains(&order) {
                &mut listed.own
            } else {
                &mut listed.others
            };
            of.entry(order).or_default().push(invoice);
        }
        match page.next_cursor {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return Ok(listed),
        }
    }
}

/// What is wrong with invoices of orders that are not the replay's.
async fn strays(gateway: &Gateway, others: &ByOrder) -> Vec<String> {
    stream::iter(others)
        .map(|(id, invoices)| async move {
            let answer = gateway.get::<Answer>(&format!("/v1/orders/{id}")).await;
            Some(format!("order {id}: {}", stray(answer, invoices)?))
        })
        .buffered(CONCURRENCY)
        .filter_map(|stray| async move { stray })
        .collect()
        .await
}

fn stray(order: Result<Answer, CallError>, invoices: &[Document]) -> Option<String> {
    match order {
        Ok(order) if order.status == "rejected" => {
            Some(format!("it was rejected, and has {}", numbers(invoices)))
        }
        Ok(_) if invoices.len() > 1 => Some(format!("it has {}", numbers(invoices))),
        Ok(_) => None,
        Err(CallError::Refused {
            status: StatusCode::NOT_FOUND,
            ..
        }) => Some(format!("there is none, and it has {}", numbers(invoices))),
        Err(error) => Some(error.to_string()),
    }
}

/// What is wrong with an order's invoices.
fn trouble(order: &Ordered, found: &[Document]) -> Option<String> {
    match found {
        [] => Some("no invoice".to_owned()),
        [one] if one.state == DocumentState::Pending => Some(format!("{} has no file", one.number)),
        [one]
            if one.total != Some(order.total) || one.currency.as_ref() != Some(&order.currency) =>
        {
            let currency = one.currency.as_deref().unwrap_or_default();
            let total = one.total.unwrap_or_default();
            Some(format!(
                "{} comes to {total} {currency}, the order to {} {}",
                one.number, order.total, order.currency
            ))
        }
        [_] => None,
        several => Some(format!("{} invoices: {}", several.len(), numbers(several))),
    }
}

fn numbers(invoices: &[Document]) -> String {
    let numbers: Vec<&str> = invoices.iter().map(|one| one.number.as_str()).collect();
    numbers.join(", ")
}

impl Listed {
    fn of(&self, order: &Ordered) -> &[Document] {
        self.own.get(&order.id).map_or(&[], Vec::as_slice)
    }

    /// Whether the order has an invoice, and the file of all that it has is there.
    fn is_stored(&self, order: &Ordered) -> bool {
        let invoices = self.of(order);
        let has_file = |one: &Document| one.state != DocumentState::Pending;
        !invoices.is_empty() && invoices.iter().all(has_file)
    }
}

impl Invoices {
    fn of(orders: &[Ordered], listed: &Listed, strays: Vec<String>) -> Self {
        let mut invoices = Self {
            others: listed.others.values().map(Vec::len).sum(),
            ..Self::default()
        };
        for order in orders {
            let found = listed.of(order);
            invoices.add(order, found);
            if let Some(trouble) = trouble(order, found) {
                invoices.complain(format!("order {}: {trouble}", order.id));
            }
        }
        strays
            .into_iter()
            .for_each(|stray| invoices.complain(stray));
        let mut taken = HashSet::new();
        let all = listed.own.values().chain(listed.others.values()).flatten();
        for one in all {
            if !taken.insert(&one.number) {
                invoices.complain(format!("{} is the number of several invoices", one.number));
            }
        }
        invoices
    }

    fn add(&mut self, order: &Ordered, found: &[Document]) {
        let month = self.months.entry(order.month.clone()).or_default();
        month.orders += 1;
        month.ordered += order.total;
        for invoice in found {
            month.invoices += 1;
            month.invoiced += invoice.total.unwrap_or_default();
            self.bytes += invoice.size_bytes.unwrap_or_default();
        }
    }

    fn complain(&mut self, words: String) {
        self.wrong += 1;
        if self.examples.len() < EXAMPLES_MAX {
            self.examples.push(words);
        }
    }

    /// Whether every order has one invoice, stored, of its total, every invoice its order, and every month its sum.
    pub(super) fn balance(&self) -> bool {
        let balances =
            |month: &Month| month.invoices == month.orders && month.invoiced == month.ordered;
        self.wrong == 0 && self.months.values().all(balances)
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
            "  files of {} KB together; {}",
            grouped(u64::try_from(self.bytes / 1_000).unwrap_or_default()),
            match self.stored_after {
                Some(after) => format!(
                    "the last was there {} s after the orders were settled",
                    after.as_secs()
                ),
                None => "not all are there".to_owned(),
            }
        );
        let _ = writeln!(
            table,
            "  invoices of other orders since then: {}",
            grouped(self.others as u64)
        );
        for example in &self.examples {
            let _ = writeln!(table, "  ! {example}");
        }
        let more = self.wrong - self.examples.len() as u64;
        if more > 0 {
            let _ = writeln!(table, "  ! and {} more", grouped(more));
        }
        table
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use time::macros::date;
    use uuid::Uuid;

    use super::*;

    const HALF_A_POUND: &str = "0.50";

    fn order(id: u128, month: &str) -> Ordered {
        Ordered {
            id: OrderId(Uuid::from_u128(id)),
            month: month.to_owned(),
            accepted_on: date!(2026 - 11 - 30),
            currency: "GBP".to_owned(),
            total: HALF_A_POUND.parse().unwrap(),
        }
    }

    fn invoice(order: u128, number: &str, total: &str) -> Document {
        let document = json!({
            "id": Uuid::from_u128(0), "kind": "invoice", "number": number, "issued_on": "2026-11-30",
            "customer_id": "a", "order_id": Uuid::from_u128(order), "currency": "GBP", "total": total,
            "state": "stored", "content_type": "application/pdf", "size_bytes": 2_000,
            "created_at": "2026-11-30T00:00:00Z",
        });
        serde_json::from_value(document).unwrap()
    }

    fn compared(own: Vec<Document>, others: Vec<Document>, strays: &[&str]) -> Invoices {
        let by_order = |documents: Vec<Document>| {
            let mut by_order = ByOrder::new();
            for one in documents {
                by_order.entry(one.order_id.unwrap()).or_default().push(one);
            }
            by_order
        };
        let listed = Listed {
            own: by_order(own),
            others: by_order(others),
        };
        let orders = [order(1, "2010-12"), order(2, "2011-01")];
        let strays = strays.iter().map(|&stray| stray.to_owned()).collect();
        Invoices::of(&orders, &listed, strays)
    }

    fn both() -> Vec<Document> {
        let one = invoice(1, "RE-1", HALF_A_POUND);
        vec![one, invoice(2, "RE-2", HALF_A_POUND)]
    }

    #[test]
    fn one_invoice_per_order_of_its_total_balances() {
        let other = invoice(9, "RE-3", "7.00");
        let compared = compared(both(), vec![other], &[]);
        assert!(compared.balance(), "{:?}", compared.examples);
        let table = compared.table();
        assert_eq!(compared.months.len(), 2);
        assert!(table.contains("files of 4 KB"), "{table}");
        assert!(table.contains("other orders since then: 1"), "{table}");
    }

    #[test]
    fn whatever_is_not_one_to_one_or_not_to_the_cent_does_not_balance_and_is_named() {
        let of_order = |id: u128, words: &str| format!("order {}: {words}", Uuid::from_u128(id));
        let mut pending = both();
        pending[1].state = DocumentState::Pending;
        let mut foreign = both();
        foreign[1].currency = Some("EUR".to_owned());
        let twice = [both(), vec![invoice(2, "RE-3", HALF_A_POUND)]].concat();
        let mut less = both();
        less[1] = invoice(2, "RE-2", "0.49");
        let mut same = both();
        same[1].number = "RE-1".to_owned();
        for (own, said) in [
            (both()[..1].to_vec(), of_order(2, "no invoice")),
            (twice, of_order(2, "2 invoices: RE-2, RE-3")),
            (pending, of_order(2, "RE-2 has no file")),
            (
                less,
                of_order(2, "RE-2 comes to 0.49 GBP, the order to 0.50 GBP"),
            ),
            (
                foreign,
                of_order(2, "RE-2 comes to 0.50 EUR, the order to 0.50 GBP"),
            ),
            (same, "RE-1 is the number of several invoices".to_owned()),
        ] {
            let compared = compared(own, Vec::new(), &[]);
            assert!(!compared.balance());
            assert_eq!(compared.examples, [said]);
        }
        let strayed = compared(both(), vec![invoice(9, "RE-3", "7.00")], &["a stray"]);
        assert!(!strayed.balance());
        assert_eq!(strayed.examples, ["a stray"]);
    }

    #[test]
    fn an_invoice_without_an_order_that_stands_is_a_stray() {
        let found = [invoice(9, "RE-3", "7.00")];
        let order = |status: &str| -> Result<Answer, CallError> {
            Ok(serde_json::from_value(json!({ "status": status })).unwrap())
        };
        let refused = |status| {
            Err(CallError::Refused {
                status,
                code: "not_found".to_owned(),
                detail: String::new(),
            })
        };
        assert_eq!(stray(order("confirmed"), &found), None);
        assert_eq!(stray(order("cancelled"), &found), None);
        for (order, said) in [
            (order("rejected"), "it was rejected, and has RE-3"),
            (
                refused(StatusCode::NOT_FOUND),
                "there is none, and it has RE-3",
            ),
        ] {
            assert_eq!(stray(order, &found).as_deref(), Some(said));
        }
        let two = [found[0].clone(), invoice(9, "RE-4", "7.00")];
        let said = stray(order("confirmed"), &two);
        assert_eq!(said.as_deref(), Some("it has RE-3, RE-4"));
        // An order that cannot be read is not taken for one that is there.
        assert!(stray(refused(StatusCode::FORBIDDEN), &found).is_some());
    }
}
