//! Waiting until every order is settled.

use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream;
use indicatif::ProgressBar;
use rust_decimal::Decimal;
use serde::Deserialize;
use steelyard_domain::id::OrderId;
use time::OffsetDateTime;
use tokio::time::{Instant, sleep};

use crate::client::{CallError, Gateway};

const PAUSE_FIRST: Duration = Duration::from_millis(50);
const PAUSE_MAX: Duration = Duration::from_secs(2);
/// Reads at once.
const CONCURRENCY: usize = 16;

/// What the gateway says of an order; more than this is not looked at.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Answer {
    pub(super) status: String,
    #[serde(default)]
    pub(super) reason: Option<String>,
    /// Σ of the lines without tax.
    #[serde(default)]
    pub(super) subtotal: Decimal,
    /// What it comes to, with tax.
    #[serde(default)]
    pub(super) total: Decimal,
    #[serde(default)]
    pub(super) currency: String,
    #[serde(default, with = "time::serde::rfc3339::option")]
    pub(super) placed_at: Option<OffsetDateTime>,
    /// When the gateway took it.
    #[serde(default, with = "time::serde::rfc3339::option")]
    pub(super) accepted_at: Option<OffsetDateTime>,
    /// Requests under the same key that asked for something else.
    #[serde(default)]
    pub(super) conflicts: Vec<serde::de::IgnoredAny>,
}

/// The last that is known of one order.
pub(super) enum State {
    Settled(Answer),
    /// Still `accepted` at the deadline.
    Unsettled,
    /// The gateway could not say.
    Unknown(CallError),
}

/// Asks for each order until it is settled; after `within`, what is left counts as unsettled. Answers come in the order of `ids`.
pub(super) async fn wait_for_all(
    gateway: &Gateway,
    ids: &[OrderId],
    within: Duration,
    bar: &ProgressBar,
) -> Vec<State> {
    let deadline = Instant::now() + within;
    stream::iter(ids)
        .map(|id| async move {
            let state = wait_for(gateway, id, deadline).await;
            bar.inc(1);
            state
        })
        .buffered(CONCURRENCY)
        .collect()
        .await
}

async fn wait_for(gateway: &Gateway, id: &OrderId, deadline: Instant) -> State {
    let path = format!("/v1/orders/{id}");
    let mut pause = PAUSE_FIRST;
    loop {
        match gateway.get::<Answer>(&path).await {
            Ok(answer) if answer.status != "accepted" => return State::Settled(answer),
            Ok(_) if Instant::now() >= deadline => return State::Unsettled,
            Ok(_) => {}
            Err(error) => return State::Unknown(error),
        }
        sleep(pause).await;
        pause = (pause * 2).min(PAUSE_MAX);
    }
}
