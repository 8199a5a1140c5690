//! What the catalog does without being asked: labels of prices that turn, and a look for reservations that never settle.

use std::time::Duration;

use sqlx::PgPool;
use steelyard_domain::product::Language;
use steelyard_runtime::client::Internal;
use steelyard_store::Database;
use tokio_util::sync::CancellationToken;

use crate::events::Events;
use crate::products::refresh;
use crate::reservations::{Looked, look};

/// How often prices that turn are looked for: so late a list may go by the old one. Orders never do.
const REFRESH_EVERY: Duration = Duration::from_secs(5);

/// Makes labels and search anew where they are due, until `stop`.
pub(crate) async fn keep_fresh(
    database: &Database,
    language: &Language,
    events: &Events,
    stop: &CancellationToken,
) {
    let chores = async {
        database.ready().await;
        loop {
            match refresh(database.pool(), language, events).await {
                // There may be more.
                Ok(count) if count > 0 => {
                    metrics::counter!("catalog_products_refreshed_total").increment(count as u64);
                    continue;
                }
                Ok(_) => {}
                Err(error) => tracing::warn!(%error, "labels and search wait"),
            }
            tokio::time::sleep(REFRESH_EVERY).await;
        }
    };
    stop.run_until_cancelled(chores).await;
}

/// How reservations that never settle are looked for.
#[derive(Debug)]
pub(crate) struct Reconcile {
    pub(crate) orders: Internal,
    pub(crate) every: Duration,
    pub(crate) age_min: Duration,
}

impl Reconcile {
    /// Looks again and again, until `stop`.
    pub(crate) async fn run(&self, database: &Database, pool: &PgPool, stop: &CancellationToken) {
        let chores = async {
            database.ready().await;
            loop {
                match look(pool, &self.orders, self.age_min).await {
                    Ok(looked) => told(looked),
                    Err(error) => {
                        tracing::warn!(%error, "reservations could not be compared with orders");
                        metrics::counter!("catalog_reconcile_failures_total").increment(1);
                    }
                }
                tokio::time::sleep(self.every).await;
            }
        };
        stop.run_until_cancelled(chores).await;
    }
}

fn told(looked: Looked) {
    let Looked {
        asked,
        troubled,
        found,
    } = looked;
    let gauge = u32::try_from(troubled).unwrap_or(u32::MAX);
    metrics::gauge!("catalog_reservations_unsettled").set(gauge);
    if asked > 0 {
        tracing::info!(
            asked,
            troubled,
            found,
            "reservations were compared with orders"
        );
    }
}
