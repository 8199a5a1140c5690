//! Storefronts that send orders, each over a connection of its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use steelyard_tokens::Claims;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use super::{Options, Target};

/// What all connections share.
pub(super) struct Load {
    host: Arc<str>,
    tokens: Arc<[String]>,
    bodies: Arc<[Bytes]>,
    connections: usize,
}

/// What came of a run.
pub(super) struct Taken {
    /// Of every order taken, sorted.
    pub(super) latencies_us: Vec<u64>,
    pub(super) refused: usize,
    pub(super) took: Duration,
}

impl Taken {
    pub(super) fn per_second(&self) -> u64 {
        let orders = u128::try_from(self.latencies_us.len()).unwrap_or(u128::MAX);
        u64::try_from(orders * 1_000_000 / self.took.as_micros().max(1)).unwrap_or(u64::MAX)
    }

    pub(super) fn percentile_us(&self, percent: usize) -> u64 {
        let last = self.latencies_us.len().saturating_sub(1);
        self.latencies_us
            .get((self.latencies_us.len() * percent / 100).min(last))
            .copied()
            .unwrap_or(0)
    }
}

impl Load {
    pub(super) fn new(target: &Target, options: &Options) -> anyhow::Result<Self> {
        let hour = Duration::from_hours(1);
        let token = |n: usize| {
            target
                .keys
                .mint(&Claims::new(&format!("shop-{n}"), "storefront", hour))
        };
        let tokens: Result<Vec<String>, _> = (0..options.tokens.max(1)).map(token).collect();
        let bodies = (0..options.customers.max(1))
            .map(|n| order(n, options.lines))
            .collect::<Vec<_>>();
        Ok(Self {
            host: target.url.as_str().into(),
            tokens: tokens?.into(),
            bodies: bodies.into(),
            connections: options.connections.max(1),
        })
    }

    /// Sends so many orders, at `rate` per second or as fast as they are taken.
    pub(super) async fn run(
        &self,
        orders: usize,
        rate: Option<u64>,
        run: &'static str,
    ) -> anyhow::Result<Taken> {
        let next = Arc::new(AtomicUsize::new(0));
        let started = Instant::now();
        let mut connections = JoinSet::new();
        for connection in 0..self.connections {
            let client = Client {
                host: Arc::clone(&self.host),
                token: self.tokens[connection % self.tokens.len()].clone(),
                bodies: Arc::clone(&self.bodies),
                next: Arc::clone(&next),
                orders,
                run,
                pace: rate.map(|rate| (started, rate.max(1))),
            };
            connections.spawn(client.send_all());
        }
        let mut taken = Taken {
            latencies_us: Vec::with_capacity(orders),
            refused: 0,
            took: Duration::ZERO,
        };
        while let Some(ended) = connections.join_next().await {
            let (latencies, refused) = ended??;
            taken.latencies_us.extend(latencies);
            taken.refused += refused;
        }
        taken.took = started.elapsed();
        taken.latencies_us.sort_unstable();
        Ok(taken)
    }
}

struct Client {
    host: Arc<str>,
    token: String,
    bodies: Arc<[Bytes]>,
    next: Arc<AtomicUsize>,
    orders: usize,
    run: &'static str,
    pace: Option<(Instant, u64)>,
}

impl Client {
    async fn send_all(self) -> anyhow::Result<(Vec<u64>, usize)> {
        let stream = TcpStream::connect(&*self.host).await?;
        stream.set_nodelay(true)?;
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        let bearer = format!("Bearer {}", self.token);
        let mut latencies_us = Vec::new();
        let mut refused = 0;
        loop {
            let order = self.next.fetch_add(1, Ordering::Relaxed);
            if order >= self.orders {
                return Ok((latencies_us, refused));
            }
            // At a rate, the clock starts when the order was due: a slow answer must not hide the wait behind it.
            let due = match self.pace {
                Some((started, rate)) => {
                    let due =
                        started + Duration::from_micros(u64::try_from(order)? * 1_000_000 / rate);
                    sleep_until(due).await;
                    due
                }
                None => Instant::now(),
            };
            let body = self.bodies[order % self.bodies.len()].clone();
            let request = Request::post("/v1/orders")
                .header("host", &*self.host)
                .header("authorization", &bearer)
                .header("idempotency-key", format!("{}{order}", self.run))
                .header("content-type", "application/json")
                .body(Full::new(body))?;
            sender.ready().await?;
            let answer = sender.send_request(request).await?;
            let status = answer.status();
            let body = answer.into_body().collect().await?.to_bytes();
            if status == StatusCode::ACCEPTED {
                latencies_us.push(u64::try_from(due.elapsed().as_micros())?);
            } else {
                anyhow::ensure!(
                    status.as_u16() == 503,
                    "{status}: {}",
                    String::from_utf8_lossy(&body)
                );
                refused += 1;
            }
        }
    }
}

/// An order of customer `n`, like those of a real shop.
fn order(n: usize, lines: usize) -> Bytes {
    let mut text = format!(
        r#"{{"customer_id":"{}","currency":"GBP","reference":"{}","lines":["#,
        10_000 + n,
        530_000 + n
    );
    for line in 0..lines {
        let comma = if line == 0 { "" } else { "," };
        let (sku, quantity, pence) = (
            20_000 + (n * 31 + line * 7) % 4_000,
            1 + line % 12,
            55 + line * 10,
        );

        text += &format!(
            r#"{comma}{{"sku":"{sku}A","quantity":{quantity},"unit_price":"{}.{:02}"}}"#,
            pence / 100,
            pence % 100
        );
    }
    text.push_str(
        r#"],"ship_to":{"name":"Ada Lovelace","line1":"12 St James's Square","city":"London","postcode":"SW1Y 4JH","country":"GB"},"email":"ada@example.com","payment":{"method":"invoice"},"metadata":{"channel":"web"}}"#,
    );
    Bytes::from(text)
}
