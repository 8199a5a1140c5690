//! Sending invoices as orders: many customers at once, each customer's invoices strictly one after another.

use std::collections::{HashSet, VecDeque};

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use indicatif::ProgressBar;
use serde::Serialize;
use steelyard_domain::api::Receipt;
use steelyard_domain::id::OrderId;
use time::format_description::well_known::Rfc3339;

use super::countries;
use super::file::Invoice;
use crate::client::{CallError, Gateway};

/// How far past an invoice whose customer is busy the next one is looked for.
const LOOK_AHEAD: usize = 2_000;

/// One invoice's order id, or why the gateway did not take it.
pub(super) struct Sent<'a> {
    pub(super) invoice: &'a Invoice,
    pub(super) outcome: Result<OrderId, CallError>,
}

/// Sends all; the answers come in the invoices' order.
pub(super) async fn send_all<'a>(
    gateway: &Gateway,
    invoices: &[&'a Invoice],
    currency: &str,
    concurrency: usize,
    bar: &ProgressBar,
) -> Vec<Sent<'a>> {
    let mut waiting: VecDeque<usize> = (0..invoices.len()).collect();
    let mut busy: HashSet<String> = HashSet::new();
    let mut in_flight = FuturesUnordered::new();
    let mut answers: Vec<(usize, Sent<'a>)> = Vec::with_capacity(invoices.len());
    loop {
        while in_flight.len() < concurrency {
            // The first whose customer has nothing in flight: file order per customer.
            let next = waiting
                .iter()
                .take(LOOK_AHEAD)
                .position(|index| !busy.contains(&customer_id(invoices[*index])))
                .and_then(|position| waiting.remove(position));
            let Some(index) = next else { break };
            let invoice = invoices[index];
            let customer = customer_id(invoice);
            busy.insert(customer.clone());
            in_flight.push(async move {
                let outcome = send(gateway, invoice, currency).await;
                (index, customer, Sent { invoice, outcome })
            });
        }
        let Some((index, customer, sent)) = in_flight.next().await else {
            break;
        };
        busy.remove(&customer);
        answers.push((index, sent));
        bar.inc(1);
    }
    answers.sort_by_key(|(index, _)| *index);
    answers.into_iter().map(|(_, sent)| sent).collect()
}

async fn send(gateway: &Gateway, invoice: &Invoice, currency: &str) -> Result<OrderId, CallError> {
    let body = body(invoice, currency).map_err(|error| CallError::GaveUp(error.to_string()))?;
    let receipt: Receipt = gateway.place_order(&invoice.number, &body).await?;
    Ok(receipt.id)
}

fn customer_id(invoice: &Invoice) -> String {
    invoice
        .customer
        .clone()
        .unwrap_or_else(|| format!("guest-{}", invoice.number))
}

#[derive(Serialize)]
struct Body<'a> {
    customer_id: &'a str,
    currency: &'a str,
    reference: &'a str,
    placed_at: String,
    lines: Vec<BodyLine<'a>>,
    ship_to: Address<'a>,
}

#[derive(Serialize)]
struct BodyLine<'a> {
    sku: &'a str,
    quantity: i64,
    unit_price: String,
    name: &'a str,
}

#[derive(Serialize)]
struct Address<'a> {
    name: String,
    line1: &'a str,
    city: &'a str,
    country: &'a str,
}

/// The same bytes for the same invoice: a second replay must be a retry, not a conflict.
fn body(invoice: &Invoice, currency: &str) -> anyhow::Result<String> {
    let customer_id = customer_id(invoice);
    let name = match &invoice.customer {
        Some(id) => format!("Customer {id}"),
        None => format!("Guest {}", invoice.number),
    };
    let body = Body {
        customer_id: &customer_id,
        currency,
        reference: &invoice.number,
        placed_at: invoice.placed_at.format(&Rfc3339)?,
        lines: invoice
            .lines
            .iter()
            .map(|line| BodyLine {
                sku: &line.sku,
                quantity: line.quantity,
                unit_price: line.unit_price.to_string(),
                name: &line.name,
            })
            .collect(),
        ship_to: Address {
            name,
            // The files hold no streets.
            line1: "as on file",
            city: "as on file",
            country: countries::code(&invoice.country).unwrap_or(countries::HOME),
        },
    };
    Ok(serde_json::to_string(&body)?)
}
