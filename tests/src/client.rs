//! A storefront, as far as the stories need one.

use std::fmt::Write as _;

use reqwest::{Method, RequestBuilder, Response, StatusCode};
use serde_json::{Value, json};
use steelyard_domain::api::Receipt;
use steelyard_domain::command::{CommandFrame, CommandKind};
use steelyard_domain::id::{CustomerId, IdempotencyKey, OrderId};
use steelyard_domain::order::place::{PlaceOrderBody, PlaceRights};
use steelyard_domain::order::{Order, OrderStatus};
use steelyard_queue::OutgoingMessage;
use steelyard_testkit::jwt::ISSUER;
use steelyard_testkit::wait_for;
use time::OffsetDateTime;

use crate::PATIENCE;

/// A client for plain HTTP. To be made once and kept: one that is made with TLS reads the machine's
/// root certificates, which takes a debug build long enough to starve whatever runs beside it.
pub(crate) fn plain_http() -> reqwest::Client {
    reqwest::Client::builder()
        .no_proxy()
        .tls_certs_only([])
        // A story sees where it is sent.
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .expect("a client")
}

/// Calls the gateway under one token.
#[derive(Debug, Clone)]
pub struct Client {
    base: String,
    token: String,
    http: reqwest::Client,
}

impl Client {
    pub(crate) fn new(port: u16, token: String) -> Self {
        Self {
            base: format!("http://127.0.0.1:{port}"),
            token,
            http: plain_http(),
        }
    }

    /// A request with the token.
    pub fn call(&self, method: Method, path: &str) -> RequestBuilder {
        self.http
            .request(method, format!("{}{path}", self.base))
            .bearer_auth(&self.token)
    }

    /// Asks for a path, and reads the answer as JSON.
    pub async fn read(&self, path: &str) -> (StatusCode, Value) {
        let answer = self.call(Method::GET, path).send().await;
        let answer = answer.expect("the gateway answers");
        let (status, body) = (answer.status(), answer.text().await.expect("a body"));
        (status, serde_json::from_str(&body).expect("JSON"))
    }

    /// Fetches what a URL leads to, as anybody would: without a token.
    pub async fn fetch(&self, url: &str) -> Response {
        self.http.get(url).send().await.expect("an answer")
    }

    /// Sends a body under an idempotency key.
    pub async fn post(&self, path: &str, key: &str, body: &Value) -> Response {
        let call = self
            .call(Method::POST, path)
            .header("idempotency-key", key)
            .json(body);
        call.send().await.expect("the gateway answers")
    }

    /// Places an order that must be accepted.
    pub async fn place(&self, key: &str, order: &Value) -> Receipt {
        let answer = self.post("/v1/orders", key, order).await;
        let status = answer.status();
        let body = answer.text().await.expect("a body");
        assert_eq!(status, StatusCode::ACCEPTED, "{body}");
        serde_json::from_str(&body).expect("a receipt")
    }

    /// Asks for something about an order, which must be accepted.
    pub async fn command(&self, order: &Receipt, what: &str, key: &str, body: &Value) {
        let answer = self
            .post(&format!("/v1/orders/{}/{what}", order.id), key, body)
            .await;
        let status = answer.status();
        assert_eq!(
            status,
            StatusCode::ACCEPTED,
            "{}",
            answer.text().await.unwrap_or_default()
        );
    }

    /// The order as it stands, or `None` while it cannot be read or is only a receipt.
    pub async fn order(&self, receipt: &Receipt) -> Option<Order> {
        let answer = self
            .call(Method::GET, &format!("/v1/orders/{}", receipt.id))
            .send()
            .await
            .ok()?;
        if answer.status() != StatusCode::OK {
            return None;
        }
        serde_json::from_str(&answer.text().await.ok()?).ok()
    }

    /// Waits until the order is settled.
    pub async fn settled(&self, receipt: &Receipt) -> Order {
        self.order_when(receipt, |order| order.status.is_settled())
            .await
    }

    /// Waits until the order is as wanted.
    pub async fn order_when(&self, receipt: &Receipt, wanted: impl Fn(&Order) -> bool) -> Order {
        let mut found = None;
        wait_for(
            &format!("order {} is as wanted", receipt.id),
            PATIENCE,
            async || {
                found = self.order(receipt).await.filter(&wanted);
                found.is_some()
            },
        )
        .await;
        found.expect("the wait has found it")
    }

    /// Imports products at one pound each, with that much stock.
    pub async fn stock(&self, stock: &[(&str, i64)]) {
        let mut lines = String::new();
        for (sku, units) in stock {
            let product = json!({
                "sku": sku, "name": format!("Product {sku}"),
                "prices": [{"currency": "GBP", "amount": "1.00"}],
                "stock": {"adjust": units, "reference": "opening"},
            });
            let _ = writeln!(lines, "{product}");
        }
        let call = self
            .call(Method::POST, "/v1/products/import")
            .header("content-type", "application/x-ndjson")
            .body(lines);
        let answer = call.send().await.expect("the gateway answers");
        let status = answer.status();
        let report = answer.text().await.expect("a report");
        assert!(
            status.is_success() && report.contains("\"failed\":0"),
            "{status} {report}"
        );
    }

    /// Units of a product that can be ordered: the catalog's own word, not a copy of some seconds ago.
    pub async fn available(&self, sku: &str) -> i64 {
        let answer = self
            .call(Method::GET, &format!("/v1/products/{sku}"))
            .header("cache-control", "no-cache")
            .send()
            .await;
        let body = answer
            .expect("the gateway answers")
            .text()
            .await
            .expect("a body");
        let product: Value = serde_json::from_str(&body).expect("JSON");
        product["available"]
            .as_i64()
            .unwrap_or_else(|| panic!("no product: {body}"))
    }
}

/// The message that a gateway sends for an order; what it holds is up to the caller, not to the gateway's checks.
pub fn sealed_place(customer: &str, key: &str, order: &Value) -> (OutgoingMessage, Receipt) {
    let customer: CustomerId = customer.parse().expect("a customer");
    let key: IdempotencyKey = key.parse().expect("a key");
    let body: PlaceOrderBody = serde_json::from_value(without_reference(order)).expect("an order");
    let rights = PlaceRights { may_price: false };
    let mut place = body.check(customer.clone(), rights).expect("an order");
    place.reference = order["reference"].as_str().map(str::to_owned);
    let id = OrderId::derive(ISSUER, &customer, &key);
    let accepted_at = OffsetDateTime::now_utc();
    let frame = CommandFrame {
        order_id: id,
        customer_id: &customer,
        key: &key,
        accepted_at,
        requested_by: "shop",
    };
    let sealed = frame.seal(CommandKind::Place, &place).expect("JSON");
    let message = OutgoingMessage::fifo(sealed.group_id, sealed.deduplication_id, sealed.body);
    let receipt = Receipt {
        id,
        customer_id: customer,
        reference: place.reference,
        status: OrderStatus::Accepted,
        accepted_at,
    };
    (message, receipt)
}

fn without_reference(order: &Value) -> Value {
    let mut order = order.clone();
    if let Some(fields) = order.as_object_mut() {
        fields.remove("reference");
    }
    order
}

/// An order of one pound a unit, sent to London.
pub fn order_of(customer: &str, lines: &[(&str, i64)]) -> Value {
    let lines: Vec<Value> = lines
        .iter()
        .map(|(sku, quantity)| json!({"sku": sku, "quantity": quantity, "unit_price": "1.00"}))
        .collect();
    json!({
        "customer_id": customer, "currency": "GBP", "lines": lines,
        "ship_to": {"name": "Ada Lovelace", "line1": "12 St James's Square", "city": "London", "postcode": "SW1Y 4JH", "country": "GB"},
    })
}
