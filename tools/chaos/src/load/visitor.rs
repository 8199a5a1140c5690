//! One visit: an order, and what is asked for about it later.

use std::sync::Arc;

use serde_json::{Value, json};
use tokio::time::sleep;
use uuid::Uuid;

use super::{Call, Load};
use crate::journal::{Asked, Entry};
use crate::shop::{self, Step, Visit};

pub(super) struct Visitor {
    load: Arc<Load>,
    visit: Visit,
}

impl Visitor {
    pub(super) fn new(load: Arc<Load>, number: u64) -> Self {
        Self {
            visit: load.shop.visit(number),
            load,
        }
    }

    pub(super) async fn visit(self) {
        let Some(order) = self.ask(Asked::Place, None).await else {
            return;
        };
        for (pause, step) in &self.visit.steps {
            sleep(*pause).await;
            match asked(*step) {
                Some(asked) => {
                    self.ask(asked, Some(order)).await;
                }
                None => self.look(order).await,
            }
        }
    }

    /// Sends a request until it is accepted, and writes down what came of it; answers the order's id.
    async fn ask(&self, asked: Asked, order: Option<Uuid>) -> Option<Uuid> {
        let mut call = self.call(asked, order);
        if asked == Asked::Place {
            call.prefer = self.visit.wait_s.map(|seconds| format!("wait={seconds}"));
        }
        let journal = &self.load.journal;
        let sent = journal.now();
        let good = self.load.door.call(&call).await;
        let accepted = good.is_some().then(|| journal.now());
        let id = good.as_ref().and_then(|good| id(&good.body));
        let (order_id, command_id) = match asked {
            Asked::Place | Asked::Again | Asked::OtherBody => (id, None),
            _ => (order, id),
        };
        journal.entry(Entry {
            visit: self.visit.number,
            customer: self.visit.customer,
            asked,
            sent,
            accepted,
            tries: good.map_or(0, |good| good.tries),
            order_id,
            command_id,
        });
        order_id
    }

    async fn look(&self, order: Uuid) {
        let call = Call::get(format!("/v1/orders/{order}"), self.own_token());
        self.load.door.look(&call).await;
    }

    /// Sends a request of this visit once more, as it was; answers the id that it is answered with.
    pub(super) async fn repeat(&self, asked: Asked, order: Option<Uuid>) -> Option<Uuid> {
        let good = self.load.door.call(&self.call(asked, order)).await?;
        id(&good.body)
    }

    fn call(&self, asked: Asked, order: Option<Uuid>) -> Call<'_> {
        let (load, visit) = (&*self.load, &self.visit);
        // So that it is taken also while nobody can tell whose order it is.
        let customer = shop::customer_id(visit.customer);
        let of_order = |what: &str| format!("/v1/orders/{}/{what}", order.unwrap_or_default());
        let (path, token, body) = match asked {
            Asked::Place | Asked::Again | Asked::OtherBody => {
                let body = match asked {
                    Asked::OtherBody => visit.other_body(&load.products),
                    _ => visit.body(&load.products),
                };
                let token = match visit.by_storefront {
                    true => load.tokens.storefront.as_str(),
                    false => self.own_token(),
                };
                ("/v1/orders".to_owned(), token, body)
            }
            Asked::Cancel => (of_order("cancel"), self.own_token(), json!({})),
            Asked::Pay => (
                of_order("payments"),
                load.tokens.payments.as_str(),
                json!({ "customer_id": customer }),
            ),
            Asked::Ship => (
                of_order("shipments"),
                load.tokens.warehouse.as_str(),
                json!({ "customer_id": customer }),
            ),
            Asked::Return { restock } => {
                let body = json!({ "customer_id": customer, "restock": restock });
                (of_order("returns"), load.tokens.warehouse.as_str(), body)
            }
        };
        let mut call = Call::post(path, token, self.key(asked), &body);
        call.retries_not_found = true;
        call
    }

    /// An order's requests share its key; every command has one of its own.
    fn key(&self, wanted: Asked) -> String {
        let key = self.visit.key();
        let place = self
            .visit
            .steps
            .iter()
            .position(|(_, step)| asked(*step) == Some(wanted));
        match (wanted, place) {
            (Asked::Place | Asked::Again | Asked::OtherBody, _) | (_, None) => key,
            (_, Some(place)) => format!("{key}-{place}"),
        }
    }

    fn own_token(&self) -> &str {
        &self.load.tokens.customers[self.visit.customer as usize]
    }
}

const fn asked(step: Step) -> Option<Asked> {
    Some(match step {
        Step::Cancel => Asked::Cancel,
        Step::Pay => Asked::Pay,
        Step::Ship => Asked::Ship,
        Step::Return { restock } => Asked::Return { restock },
        Step::Again => Asked::Again,
        Step::OtherBody => Asked::OtherBody,
        Step::Look => return None,
    })
}

fn id(answer: &Value) -> Option<Uuid> {
    answer["id"].as_str()?.parse().ok()
}
