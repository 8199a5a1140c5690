//! Products and orders.

use std::fmt::Write as _;
use std::time::Duration;

use anyhow::Context as _;
use serde_json::json;
use steelyard_domain::command::{CommandFrame, CommandKind, OutgoingCommand};
use steelyard_domain::id::{CustomerId, IdempotencyKey, OrderId};
use steelyard_domain::order::place::{PlaceOrderBody, PlaceRights};
use steelyard_queue::{OutgoingMessage, QueueUrl, SqsTransport, Transport as _};
use steelyard_status::{Redis, Watch};
use time::OffsetDateTime;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;

use super::Options;
use super::target::{QUEUE, TOKEN, Target};

/// Batches that are on their way at once.
const SENDERS: usize = 4;
/// The longest that an order may take at a modest rate.
const SETTLE_MAX: Duration = Duration::from_secs(30);

/// Writes orders as the gateway would.
pub(super) struct Backlog {
    transport: SqsTransport,
    queue: QueueUrl,
    catalog_url: String,
    redis_url: String,
    customers: usize,
    products: usize,
    lines: usize,
}

impl Backlog {
    pub(super) async fn new(target: &Target, options: &Options) -> anyhow::Result<Self> {
        Ok(Self {
            transport: target.transport.clone(),
            queue: target.transport.queue_url(QUEUE).await?,
            catalog_url: target.catalog_url.clone(),
            redis_url: target.redis_url.clone(),
            customers: options.customers.max(1),
            products: options.products.max(1),
            lines: options.lines.max(1),
        })
    }

    pub(super) async fn load_products(&self) -> anyhow::Result<()> {
        let mut rows = String::new();
        for n in 0..self.products {
            let row = json!({
                "sku": sku(n), "name": format!("A product that sells well, number {n}"), "status": "active",
                "prices": [{"currency": "GBP", "amount": price(n)}],
                "stock": {"adjust": 1_000_000_000, "reference": "first"},
            });
            writeln!(rows, "{row}")?;
        }
        let url = format!("{}/internal/products/import", self.catalog_url);
        let import = reqwest::Client::new()
            .post(url)
            .bearer_auth(TOKEN)
            .header("content-type", "application/x-ndjson")
            .body(rows);
        let answer = import.send().await?;
        let (status, report) = (answer.status(), answer.text().await?);
        anyhow::ensure!(
            status.is_success() && report.contains("\"failed\":0"),
            "{status}: {report}"
        );
        Ok(())
    }

    /// Puts orders on the queue, customer after customer.
    pub(super) async fn send(&self, run: &str, orders: usize) -> anyhow::Result<()> {
        let mut sending = JoinSet::new();
        for first in (0..orders).step_by(10) {
            while sending.len() >= SENDERS {
                sending.join_next().await.context("a sender")???;
            }
            let messages =
                (first..orders.min(first + 10)).map(|n| Ok(message(&self.order(run, n)?.1)));
            let messages: Vec<OutgoingMessage> = messages.collect::<anyhow::Result<_>>()?;
            let (transport, queue) = (self.transport.clone(), self.queue.clone());
            sending.spawn(async move {
                let sent = transport.send_batch(&queue, &messages).await?;
                anyhow::ensure!(sent.iter().all(Result::is_ok), "{sent:?}");
                anyhow::Ok(())
            });
        }
        while let Some(sent) = sending.join_next().await {
            sent??;
        }
        Ok(())
    }

    /// Sends orders one by one at this rate; answers how long each took from the send to its status push.
    pub(super) async fn trickle(
        &self,
        run: &str,
        orders: usize,
        per_s: usize,
    ) -> anyhow::Result<Vec<Duration>> {
        let stop = CancellationToken::new();
        let watch = Watch::start(Redis::new(&self.redis_url)?, stop.clone());
        let mut pace = interval(Duration::from_secs(1) / u32::try_from(per_s)?);
        pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut waiting = JoinSet::new();
        for n in 0..orders {
            pace.tick().await;
            let (id, sealed) = self.order(run, n)?;
            let mut changes = watch.subscribe(id)?;
            let (transport, queue) = (self.transport.clone(), self.queue.clone());
            waiting.spawn(async move {
                let began = Instant::now();
                let sent = transport.send_batch(&queue, &[message(&sealed)]).await?;
                anyhow::ensure!(sent.iter().all(Result::is_ok), "{sent:?}");
                timeout(SETTLE_MAX, changes.next())
                    .await
                    .context("no push")?;
                anyhow::Ok(began.elapsed())
            });
        }
        let mut latencies = Vec::with_capacity(orders);
        while let Some(latency) = waiting.join_next().await {
            latencies.push(latency??);
        }
        stop.cancel();
        Ok(latencies)
    }

    fn order(&self, run: &str, n: usize) -> anyhow::Result<(OrderId, OutgoingCommand)> {
        let customer: CustomerId = format!("customer-{}", n % self.customers).parse()?;
        let key: IdempotencyKey = format!("{run}-{n}").parse()?;
        let lines: Vec<_> = (0..self.lines)
            .map(|line| {
                let product = (n * 31 + line * 7) % self.products;
                json!({"sku": sku(product), "quantity": 1 + line, "unit_price": price(product)})
            })
            .collect();
        let body: PlaceOrderBody = serde_json::from_value(json!({
            "currency": "GBP", "reference": key.as_str(), "lines": lines,
            "ship_to": {"name": "A. Buyer", "line1": "1 High Street", "city": "London", "postcode": "N1 1AA", "country": "GB"},
            "email": "buyer@example.com", "metadata": {"channel": "bench"},
        }))?;
        let order = body
            .check(customer.clone(), PlaceRights { may_price: false })
            .map_err(|faults| anyhow::anyhow!("{faults:?}"))?;
        let order_id = OrderId::derive("https://bench.example", &customer, &key);
        let frame = CommandFrame {
            order_id,
            customer_id: &customer,
            key: &key,
            accepted_at: OffsetDateTime::now_utc(),
            requested_by: "bench",
        };
        Ok((order_id, frame.seal(CommandKind::Place, &order)?))
    }
}

fn message(sealed: &OutgoingCommand) -> OutgoingMessage {
    OutgoingMessage::fifo(&sealed.group_id, &sealed.deduplication_id, &sealed.body)
}

fn sku(n: usize) -> String {
    format!("SKU-{n:05}")
}

fn price(n: usize) -> String {
    format!("{}.{:02}", 1 + n % 40, n % 100)
}
