//! What a cell asks for, and what must come of it.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use reqwest::StatusCode;
use serde::Serialize;
use serde_json::{Value, json};
use steelyard_domain::command::{CommandFrame, CommandKind, OutgoingCommand};
use steelyard_domain::id::{CommandId, CustomerId, IdempotencyKey, OrderId};
use steelyard_domain::order::{FulfillmentStatus, OrderStatus, PaymentStatus};
use steelyard_queue::OutgoingMessage;
use steelyard_testkit::jwt::ISSUER;
use steelyard_testkit::wait_for;
use steelyard_tests::PATIENCE;
use time::OffsetDateTime;

use crate::lane::{Lane, ORDERS};

/// What the shelf holds at first.
pub(crate) const ON_SHELF: i64 = 10;
/// A tap that closes again soon after it opened stays closed for longer each time, up to five minutes, and faults come
/// thick and fast here.
const QUIET_MAX: Duration = Duration::from_secs(320);
/// What one unit costs.
pub(crate) const PRICE: &str = "2.55";

static SHOPS: AtomicU32 = AtomicU32::new(1);

/// An order, as it must be in the end.
pub(crate) struct Expected {
    pub(crate) customer: String,
    pub(crate) id: OrderId,
    pub(crate) quantity: i64,
    pub(crate) status: OrderStatus,
    pub(crate) payment: PaymentStatus,
    pub(crate) fulfillment: FulfillmentStatus,
    /// Catalog's word for what became of its stock.
    pub(crate) stock: &'static str,
    /// The commands in its history, in order.
    pub(crate) history: Vec<CommandId>,
    /// The events, in order.
    pub(crate) events: Vec<&'static str>,
    pub(crate) conflicts: usize,
}

/// Customers and goods that no other cell has.
pub(crate) struct Shop<'a> {
    pub(crate) lane: &'a Lane,
    pub(crate) number: u32,
    /// In the order of acceptance.
    pub(crate) orders: Vec<Expected>,
    /// Bodies of messages that must end among the dead letters.
    pub(crate) parked: Vec<String>,
    /// Commands that must be noted as a stranger's.
    pub(crate) ignored: Vec<CommandId>,
}

pub(crate) fn key(text: &str) -> IdempotencyKey {
    text.parse().expect("a key")
}

impl<'a> Shop<'a> {
    pub(crate) fn open(lane: &'a Lane) -> Self {
        Self {
            lane,
            number: SHOPS.fetch_add(1, Ordering::Relaxed),
            orders: Vec::new(),
            parked: Vec::new(),
            ignored: Vec::new(),
        }
    }

    /// A customer of this cell.
    pub(crate) fn customer(&self, name: &str) -> String {
        format!("{name}-{}", self.number)
    }

    pub(crate) fn sku(&self) -> String {
        format!("TEA-{}", self.number)
    }

    pub(crate) fn order_id(&self, customer: &str, text: &str) -> OrderId {
        OrderId::derive(ISSUER, &id_of(customer), &key(text))
    }

    /// A product with its stock.
    pub(crate) async fn stock(&self) {
        let product = json!({
            "sku": self.sku(), "name": "Tea", "tax_category": "standard", "status": "active",
            "prices": [{"currency": "GBP", "amount": PRICE}],
            "stock": {"adjust": ON_SHELF, "reference": "opening"},
        });
        let call = self.lane.http.post(format!(
            "{}/internal/products/import",
            self.lane.catalog.base()
        ));
        let call = call
            .bearer_auth(crate::lane::TOKEN)
            .header("content-type", "application/x-ndjson")
            .body(format!("{product}\n"));
        let answer = call.send().await.expect("catalog answers");
        let report = answer.text().await.expect("a report");
        assert!(report.contains("\"failed\":0"), "{report}");
    }

    pub(crate) fn body(&self, customer: &str, quantity: i64) -> Value {
        json!({
            "customer_id": customer, "currency": "GBP",
            "lines": [{"sku": self.sku(), "quantity": quantity, "unit_price": PRICE}],
            "ship_to": {"name": "Ada Lovelace", "line1": "12 St James's Square", "city": "London",
                        "postcode": "SW1Y 4JH", "country": "GB"},
        })
    }

    /// Asks the gateway until it accepts, as a storefront does.
    pub(crate) async fn ask(&self, path: &str, scope: &str, key: &str, body: &Value) {
        let token = self
            .lane
            .issuer
            .mint("shop", scope, Duration::from_mins(30));
        let url = format!("{}{path}", self.lane.gateway.base());
        wait_for(&format!("{path} is accepted"), PATIENCE, async || {
            let call = self.lane.http.post(&url).bearer_auth(&token);
            let call = call.header("idempotency-key", key).json(body);
            // No answer says nothing: the retry under the same key settles it.
            let Ok(answer) = call.send().await else {
                return false;
            };
            let status = answer.status();
            let fits = matches!(
                status,
                StatusCode::ACCEPTED | StatusCode::SERVICE_UNAVAILABLE
            );
            assert!(fits, "{status} {}", answer.text().await.unwrap_or_default());
            status == StatusCode::ACCEPTED
        })
        .await;
    }

    /// Places an order that must be confirmed; answers its place among the orders.
    pub(crate) async fn place(&mut self, name: &str, text: &str, quantity: i64) -> usize {
        let customer = self.customer(name);
        let body = self.body(&customer, quantity);
        self.ask("/v1/orders", "storefront", text, &body).await;
        self.expect_placed(&customer, text, quantity)
    }

    /// An order that was sent and must be confirmed, or rejected if it is too large.
    pub(crate) fn expect_placed(&mut self, customer: &str, text: &str, quantity: i64) -> usize {
        let id = self.order_id(customer, text);
        let (status, stock, event) = if quantity > ON_SHELF {
            (OrderStatus::Rejected, "released", "order.rejected")
        } else {
            (OrderStatus::Confirmed, "held", "order.confirmed")
        };
        self.orders.push(Expected {
            customer: customer.to_owned(),
            id,
            quantity,
            status,
            payment: PaymentStatus::Unpaid,
            fulfillment: FulfillmentStatus::Unfulfilled,
            stock,
            history: vec![CommandId::derive(
                id,
                CommandKind::Place.as_str(),
                &key(text),
            )],
            events: vec![event],
            conflicts: 0,
        });
        self.orders.len() - 1
    }

    /// Sends a command about an order, which must stand in its history afterwards.
    pub(crate) async fn command(&mut self, order: usize, kind: CommandKind, body: Value) {
        let id = self.orders[order].id;
        let (path, scope) = match kind {
            CommandKind::Place => unreachable!("placed otherwise"),
            CommandKind::Cancel => ("cancel", "orders:manage"),
            CommandKind::Pay => ("payments", "payments"),
            CommandKind::Ship => ("shipments", "orders:manage"),
            CommandKind::Return => ("returns", "orders:manage"),
        };
        let mut body = body;
        body["customer_id"] = json!(self.orders[order].customer);
        self.ask(&format!("/v1/orders/{id}/{path}"), scope, path, &body)
            .await;
        let command = CommandId::derive(id, kind.as_str(), &key(path));
        self.orders[order].history.push(command);
    }

    /// A command as the gateway seals it, to be sent past it.
    pub(crate) fn sealed<P: Serialize>(
        customer: &str,
        order_id: OrderId,
        text: &str,
        kind: CommandKind,
        payload: &P,
    ) -> OutgoingCommand {
        let frame = CommandFrame {
            order_id,
            customer_id: &id_of(customer),
            key: &key(text),
            accepted_at: OffsetDateTime::now_utc(),
            requested_by: "shop",
        };
        frame.seal(kind, payload).expect("a command")
    }

    /// Sends sealed commands in one batch, past the queue's own deduplication.
    pub(crate) async fn send(&self, commands: &[OutgoingCommand]) {
        let messages: Vec<_> = commands
            .iter()
            .map(|sealed| {
                let once = format!("{:032x}", rand::random::<u128>());
                OutgoingMessage::fifo(&sealed.group_id, once, &sealed.body)
            })
            .collect();
        self.lane.send(&messages).await;
    }

    /// Waits until nothing is left to do: no command waits, no event has still to leave.
    pub(crate) async fn quiet(&self) {
        wait_for(
            "all commands are settled and all events have left",
            QUIET_MAX,
            async || {
                let rows = sqlx::query_scalar("SELECT count(*) FROM orders.outbox");
                let rows: i64 = rows.fetch_one(&self.lane.pool).await.expect("the outbox");
                self.lane.depth(ORDERS).await == 0 && rows == 0
            },
        )
        .await;
    }
}

fn id_of(customer: &str) -> CustomerId {
    customer.parse().expect("a customer")
}
