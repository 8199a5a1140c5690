//! Waiting for an order to be settled: `Prefer: wait=N`.

use std::time::Duration;

use axum::body::Bytes;
use serde::Deserialize;
use steelyard_domain::id::OrderId;
use steelyard_domain::order::OrderStatus;
use steelyard_status::{Subscription, WatchEvent};
use tokio::time::Instant;

use super::read::ask_orders;
use crate::app::App;

/// When the orders service is asked without having been told of a change: a retry of an order
/// that settled long ago brings no change, and Redis may be down. The last pause repeats.
const ASK_AFTER: [Duration; 4] = [
    Duration::from_millis(100),
    Duration::from_millis(400),
    Duration::from_secs(1),
    Duration::from_secs(3),
];

/// A wait for one order.
pub(super) struct Settling {
    id: OrderId,
    deadline: Instant,
    changes: Option<Subscription>,
}

/// What of an order says that it is settled.
#[derive(Deserialize)]
struct Standing {
    status: OrderStatus,
}

impl Settling {
    /// Begins to watch. Without a subscription (too many) the orders service is asked now and then.
    pub(super) fn watch(app: &App, id: OrderId, time: Duration) -> Self {
        let changes = app.watch.subscribe(id).ok();
        Self {
            id,
            deadline: Instant::now() + time,
            changes,
        }
    }

    /// The order once it is settled; `None` when that takes too long or this instance is stopping.
    pub(super) async fn settled(mut self, app: &App) -> Option<Bytes> {
        let deadline = self.deadline;
        let waiting = tokio::time::timeout_at(deadline, self.wait(app));
        app.stop.run_until_cancelled(waiting).await?.ok()
    }

    async fn wait(&mut self, app: &App) -> Bytes {
        let mut pauses = ASK_AFTER.into_iter();
        loop {
            let pause = pauses.next().unwrap_or(ASK_AFTER[ASK_AFTER.len() - 1]);
            self.change(Instant::now() + pause).await;
            if let Ok(Some(order)) = ask_orders(app, self.id, None).await
                && serde_json::from_slice::<Standing>(&order)
                    .is_ok_and(|standing| standing.status.is_settled())
            {
                return order;
            }
        }
    }

    /// Returns when the order was settled, may have been, or at `latest`.
    async fn change(&mut self, latest: Instant) {
        let Some(changes) = &mut self.changes else {
            return tokio::time::sleep_until(latest).await;
        };
        loop {
            match tokio::time::timeout_at(latest, changes.next()).await {
                Ok(Some(WatchEvent::Changed(change))) if !change.status.is_settled() => {}
                Ok(Some(_)) | Err(_) => return,
                Ok(None) => {
                    self.changes = None;
                    return tokio::time::sleep_until(latest).await;
                }
            }
        }
    }
}
