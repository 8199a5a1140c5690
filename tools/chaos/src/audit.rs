//! What the system tells afterwards, by REST.

use std::sync::Arc;

use anyhow::Context as _;
use serde_json::Value;
use steelyard_domain::api::{LIMIT_MAX, Page};
use steelyard_domain::order::Order;
use uuid::Uuid;

use crate::check::Level;
use crate::load::{Call, Load};
use crate::shop::{self, OPENING};

/// Reads the books of the system.
#[derive(Clone, Debug)]
pub struct Auditor {
    load: Arc<Load>,
}

impl Auditor {
    /// By the same doors as the clients.
    #[must_use]
    pub fn new(load: Arc<Load>) -> Self {
        Self { load }
    }

    /// All orders of a customer.
    ///
    /// # Errors
    /// When a page cannot be had or read.
    pub async fn orders_of(&self, customer: u32) -> anyhow::Result<Vec<Order>> {
        let customer = shop::customer_id(customer);
        let first = format!("/v1/orders?customer_id={customer}&limit={LIMIT_MAX}");
        let mut orders = Vec::new();
        let mut path = first.clone();
        loop {
            let page: Page<Order> = serde_json::from_value(self.get(path).await?)
                .with_context(|| format!("orders of {customer}"))?;
            orders.extend(page.data);
            match page.next_cursor {
                Some(cursor) => path = format!("{first}&cursor={cursor}"),
                None => return Ok(orders),
            }
        }
    }

    /// One order.
    ///
    /// # Errors
    /// When it cannot be had or read.
    pub async fn order(&self, id: Uuid) -> anyhow::Result<Order> {
        serde_json::from_value(self.get(format!("/v1/orders/{id}")).await?)
            .with_context(|| format!("order {id}"))
    }

    /// Stock of all products. Booking the first stock a second time books nothing and tells the level.
    ///
    /// # Errors
    /// When one cannot be had or read.
    pub async fn levels(&self) -> anyhow::Result<Vec<Level>> {
        let mut levels = Vec::with_capacity(self.load.products.len());
        for product in &self.load.products {
            let call = self.load.booking(product, OPENING, product.opening);
            let booked = self
                .load
                .door
                .call(&call)
                .await
                .context("no stock level")?
                .body;
            let page = self.get(format!("/v1/products/{}", product.sku)).await?;
            let figure = |of: &Value, name: &str| {
                of[name]
                    .as_i64()
                    .with_context(|| format!("{}: no {name} in {of}", product.sku))
            };
            levels.push(Level {
                sku: product.sku.clone(),
                on_hand: figure(&booked, "on_hand")?,
                reserved: figure(&booked, "reserved")?,
                available: figure(&page, "available")?,
            });
        }
        Ok(levels)
    }

    async fn get(&self, path: String) -> anyhow::Result<Value> {
        let call = Call::get(path, self.load.tokens.reader());
        let good = self.load.door.call(&call).await;
        Ok(good
            .with_context(|| format!("{} was not answered", call.path))?
            .body)
    }
}
