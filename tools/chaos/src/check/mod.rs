//! The books: everything that the clients were told, held against everything that the system tells afterwards.
//!
//! [`Books::customer`] takes one customer after the other, so that a run of any length fits into memory;
//! [`Books::close`] checks what needs all of them. Nothing here does I/O.

mod commands;
mod events;
mod money;
mod order_of_effects;
mod orders;
mod stock;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;

use steelyard_domain::order::Order;
use uuid::Uuid;

pub use self::stock::Level;
use crate::collect::{Collected, DeadLetter, Event};
use crate::journal::{Asked, Entry, Record};
use crate::shop::{Product, Shop};

/// Violations that are told word for word; further ones are only counted.
const VIOLATIONS_MAX: usize = 300;

/// What is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Fact {
    /// Every request was accepted in the end.
    Answered,
    /// No answer but the documented ones.
    Documented,
    /// Every accepted order is there once, settled, as it was asked for.
    Settled,
    /// What had to be confirmed is confirmed, what had to be rejected is rejected, for the right reason.
    Decided,
    /// Every accepted command is in its order's history once, and the order is as its history says.
    Commanded,
    /// The sequence numbers of a customer's orders are 1, 2, 3…
    Numbered,
    /// Effects come in the order of acceptance, as far as a client can know it.
    InOrder,
    /// Amounts to the cent.
    Exact,
    /// No stock below zero; what is reserved and on hand is what the orders say.
    Stocked,
    /// Every goods receipt is booked once.
    Received,
    /// Every event reached its queues.
    Delivered,
    /// Events of a customer came in the order of their effects.
    DeliveredInOrder,
    /// Everything that had to be set aside was, and nothing else.
    SetAside,
    /// An old request sent again has the same answer and changes nothing.
    SentAgain,
    /// No process ended by itself.
    Alive,
    /// Everything came to rest in time.
    Rested,
}

impl Fact {
    /// All of them, in the order of the report.
    pub const ALL: [Self; 16] = [
        Self::Answered,
        Self::Documented,
        Self::Settled,
        Self::Decided,
        Self::Commanded,
        Self::Numbered,
        Self::InOrder,
        Self::Exact,
        Self::Stocked,
        Self::Received,
        Self::Delivered,
        Self::DeliveredInOrder,
        Self::SetAside,
        Self::SentAgain,
        Self::Alive,
        Self::Rested,
    ];
}

impl fmt::Display for Fact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Answered => "every request was accepted in the end",
            Self::Documented => "no answer but documented ones (no 500)",
            Self::Settled => "every accepted order is there, once, settled",
            Self::Decided => "confirmed or rejected as it had to be",
            Self::Commanded => "every accepted command took its turn, once",
            Self::Numbered => "sequence is 1…n per customer",
            Self::InOrder => "effects in the order of acceptance",
            Self::Exact => "totals to the cent",
            Self::Stocked => "stock: none below zero, reserved = confirmed",
            Self::Received => "goods receipts booked once",
            Self::Delivered => "every event delivered",
            Self::DeliveredInOrder => "events in order per customer",
            Self::SetAside => "dead letters: the planted ones and no other",
            Self::SentAgain => "old requests again: same ids, no change",
            Self::Alive => "no process ended by itself",
            Self::Rested => "everything came to rest in time",
        })
    }
}

/// A fact that does not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Which.
    pub fact: Fact,
    /// Where, with ids to be looked up in journal and logs.
    pub what: String,
}

/// What was checked, and what does not hold.
#[derive(Debug, Default)]
pub struct Findings {
    /// By fact: how often it was checked, how often it did not hold.
    pub counts: BTreeMap<Fact, (u64, u64)>,
    /// The first of them.
    pub violations: Vec<Violation>,
}

impl Findings {
    /// Counts a check; `what` tells about a failure.
    pub fn check(&mut self, fact: Fact, holds: bool, what: impl FnOnce() -> String) {
        self.checked(fact, 1);
        if !holds {
            self.violated(fact, what());
        }
    }

    /// Counts checks that held.
    pub fn checked(&mut self, fact: Fact, count: u64) {
        self.counts.entry(fact).or_default().0 += count;
    }

    /// Notes a failure.
    pub fn violated(&mut self, fact: Fact, what: String) {
        self.counts.entry(fact).or_default().1 += 1;
        if self.violations.len() < VIOLATIONS_MAX {
            self.violations.push(Violation { fact, what });
        }
    }

    /// Whether everything holds.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.counts.values().all(|(_, violated)| *violated == 0)
    }
}

/// One customer's part of the run.
#[derive(Debug)]
pub(crate) struct Customer<'a> {
    /// The id in the API.
    pub(crate) id: &'a str,
    /// Requests about this customer's orders, in the order in which they were first sent.
    pub(crate) entries: &'a [Entry],
    /// All orders, as `GET /v1/orders?customer_id=` lists them.
    pub(crate) orders: &'a [Order],
    pub(crate) documents: &'a [Event],
    pub(crate) webhooks: &'a [Event],
    /// The orders by id.
    pub(crate) by_id: HashMap<Uuid, &'a Order>,
}

/// The books of one run.
#[derive(Debug)]
pub struct Books {
    shop: Shop,
    products: Vec<Product>,
    entries: HashMap<u32, Vec<Entry>>,
    collected: Collected,
    sums: stock::Sums,
    findings: Findings,
}

impl Books {
    /// Opens the books with what clients and receivers know.
    #[must_use]
    pub fn open(shop: Shop, record: Record, collected: Collected) -> Self {
        let products = shop.products();
        let mut findings = Findings::default();
        answered(&record, &mut findings);
        let mut sums = stock::Sums::new(&products);
        sums.receive(&record.receipts, &mut findings);
        let mut entries: HashMap<u32, Vec<Entry>> = HashMap::new();
        for entry in record.entries {
            findings.check(Fact::Answered, entry.accepted.is_some(), || {
                format!(
                    "visit-{} {:?} of customer-{:04}: never accepted",
                    entry.visit, entry.asked, entry.customer
                )
            });
            entries.entry(entry.customer).or_default().push(entry);
        }
        for of_customer in entries.values_mut() {
            of_customer.sort_by_key(|entry| entry.sent);
        }
        Self {
            shop,
            products,
            entries,
            collected,
            sums,
            findings,
        }
    }

    /// Checks how later requests were answered: those of the audit itself.
    pub fn answers(&mut self, later: &Record) {
        answered(later, &mut self.findings);
    }

    /// Checks one customer's orders, commands and events.
    pub fn customer(&mut self, customer: u32, orders: &[Order]) {
        let id = crate::shop::customer_id(customer);
        let entries = self.entries.remove(&customer).unwrap_or_default();
        let events = |received: &mut crate::collect::Received| {
            received.events.remove(&id).unwrap_or_default()
        };
        let documents = events(&mut self.collected.documents);
        let webhooks = events(&mut self.collected.webhooks);
        let customer = Customer {
            id: &id,
            entries: &entries,
            orders,
            documents: &documents,
            webhooks: &webhooks,
            by_id: orders.iter().map(|order| (order.id.0, order)).collect(),
        };
        let findings = &mut self.findings;
        orders::check(self.shop, &self.products, &customer, findings);
        commands::check(&customer, findings);
        order_of_effects::check(&customer, findings);
        money::check(self.shop, &self.products, &customer, findings);
        events::check(&customer, findings);
        self.sums.add(&customer);
    }

    /// Checks the stock that the catalog tells of.
    pub fn stock(&mut self, levels: &[Level]) {
        self.sums.check(levels, &mut self.findings);
    }

    /// Checks what was set aside.
    pub fn dead_letters(&mut self, letters: &[DeadLetter]) {
        let found: HashSet<&str> = letters.iter().map(|letter| letter.body.as_str()).collect();
        let planted: HashSet<&str> = self.collected.planted.iter().map(String::as_str).collect();
        for body in &planted {
            self.findings
                .check(Fact::SetAside, found.contains(body), || {
                    format!("planted and not set aside: {body}")
                });
        }
        for letter in letters {
            if !planted.contains(letter.body.as_str()) {
                let why = letter
                    .parked
                    .as_deref()
                    .unwrap_or("moved by SQS's redrive policy");
                let what = format!("set aside without need ({why}): {}", letter.body);
                self.findings.violated(Fact::SetAside, what);
            }
        }
    }

    /// Checks an order whose old request was sent again.
    pub fn sent_again(
        &mut self,
        entry: &Entry,
        answered: Option<Uuid>,
        before: &Order,
        after: Option<&Order>,
    ) {
        let id = entry.command_id.or(entry.order_id);
        self.findings.check(Fact::SentAgain, answered == id, || {
            format!("{}: {id:?} before, {answered:?} now", entry.label())
        });
        self.findings
            .check(Fact::SentAgain, after == Some(before), || {
                let now = after.map(|order| (order.version, order.status));
                format!(
                    "{}: order {} was ({}, {}) and is {now:?}",
                    entry.label(),
                    before.id,
                    before.version,
                    before.status
                )
            });
    }

    /// Notes what is no matter of the books: a process that died, a backlog that stayed.
    pub fn note(&mut self, fact: Fact, holds: bool, what: impl FnOnce() -> String) {
        self.findings.check(fact, holds, what);
    }

    /// Closes the books.
    #[must_use]
    pub fn close(mut self) -> Findings {
        for received in [&self.collected.documents, &self.collected.webhooks] {
            for (customer, events) in &received.events {
                // Left over: of nobody who was asked for.
                for event in events {
                    let (id, order) = (event.event_id, event.order_id);
                    let what = format!(
                        "event {id} about order {order} of {customer}, who ordered nothing"
                    );
                    self.findings.violated(Fact::Delivered, what);
                }
            }
            for body in &received.unreadable {
                let what = format!("not an event: {body}");
                self.findings.violated(Fact::Delivered, what);
            }
        }
        self.findings
    }
}

fn answered(record: &Record, findings: &mut Findings) {
    let answers = record.answers;
    let told = answers.good + answers.come_again + answers.not_seen_yet;
    findings.checked(Fact::Documented, told + record.oddities_count);
    for oddity in &record.oddities {
        let what = format!("{}: {}", oddity.request, oddity.what);
        findings.violated(Fact::Documented, what);
    }
}

impl Entry {
    pub(crate) fn is_of_the_order(&self) -> bool {
        matches!(self.asked, Asked::Place | Asked::Again | Asked::OtherBody)
    }

    pub(crate) fn label(&self) -> String {
        format!("visit-{} {:?}", self.visit, self.asked)
    }
}
