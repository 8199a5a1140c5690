//! `bench worker`: how fast one worker process drains a backlog, and what an order costs each part.
//!
//! Worker, catalog, SQS server, Postgres (with fsync) and Redis are processes of their own on this machine. `orders`,
//! `catalog` and `localsqs` must be built in the same profile beforehand.

mod backlog;
mod target;

use std::time::{Duration, Instant};

use clap::Args;

use self::backlog::Backlog;
use self::target::{Target, Usage};

/// What to measure.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Orders in the backlog.
    #[arg(long, default_value_t = 20_000)]
    orders: usize,
    /// Customers that ordered.
    #[arg(long, default_value_t = 5_000)]
    customers: usize,
    /// Products in the catalog.
    #[arg(long, default_value_t = 2_000)]
    products: usize,
    /// Lines of an order.
    #[arg(long, default_value_t = 8)]
    lines: usize,
    /// Orders to settle before measuring.
    #[arg(long, default_value_t = 2_000)]
    warm_up: usize,
    /// Orders a second of a second run that measures the time from send to status push; 0 leaves it out.
    #[arg(long, default_value_t = 100)]
    modest_per_s: usize,
    /// Passed to the worker as `SET_MESSAGES_MAX`.
    #[arg(long, default_value_t = 50)]
    set_messages_max: usize,
    /// Passed to the worker as `SETS_IN_FLIGHT_MAX`.
    #[arg(long, default_value_t = 3)]
    sets_in_flight_max: usize,
    /// Queues of documents and webhooks: without them events go nowhere.
    #[arg(long, default_value_t = true, action = clap::ArgAction::Set)]
    events: bool,
    /// Log filter of the worker.
    #[arg(long, default_value = "info")]
    log: String,
}

/// The longest that a backlog may take.
const DRAIN_MAX: Duration = Duration::from_secs(600);
/// Orders of the run at a modest rate.
const MODEST_ORDERS: usize = 1_000;

/// Measures and prints.
#[expect(clippy::print_stdout, reason = "the report is what this is for")]
pub(crate) async fn run(options: Options) -> anyhow::Result<()> {
    let mut target = Target::start(&options).await?;
    let backlog = Backlog::new(&target, &options).await?;
    backlog.load_products().await?;

    backlog.send("w", options.warm_up).await?;
    let ready_in = target.start_worker().await?;
    println!("worker ready {} ms after its start", ready_in.as_millis());
    target.drained(DRAIN_MAX).await?;

    target.pause_worker()?;
    backlog.send("f", options.orders).await?;
    let before = target.usage()?;
    let began = Instant::now();
    target.resume_worker()?;
    let settled_in = target.settled(DRAIN_MAX).await?;
    let after = target.usage()?;
    target.drained(DRAIN_MAX).await?;
    let confirmed = target.confirmed().await?;
    let expected = i64::try_from(options.warm_up + options.orders)?;
    anyhow::ensure!(
        confirmed == expected,
        "{confirmed} orders are confirmed, not {expected}"
    );
    println!(
        "backlog: {}",
        line(options.orders, settled_in, &before, &after)
    );
    println!(
        "all events sent {} ms after the start",
        began.elapsed().as_millis()
    );

    if options.modest_per_s > 0 {
        let mut latencies = backlog
            .trickle("m", MODEST_ORDERS, options.modest_per_s)
            .await?;
        latencies.sort_unstable();
        let at = |percent: usize| {
            let index = (latencies.len() * percent / 100).min(latencies.len().saturating_sub(1));
            latencies
                .get(index)
                .copied()
                .unwrap_or_default()
                .as_micros()
        };
        println!(
            "at {} orders/s, from send to status push: p50 {} µs, p99 {} µs ({} orders)",
            options.modest_per_s,
            at(50),
            at(99),
            latencies.len()
        );
    }
    target.stop().await
}

/// One run in words.
fn line(orders: usize, took: Duration, before: &Usage, after: &Usage) -> String {
    let orders = u64::try_from(orders).unwrap_or(u64::MAX).max(1);
    let ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX).max(1);
    let each = |of: fn(&Usage) -> u64| {
        let us = (of(after) - of(before)) * 1_000 / orders;
        format!("{}.{:03}", us / 1_000, us % 1_000)
    };
    format!(
        "{} orders/s ({orders} in {ms} ms); CPU ms per order: worker {}, catalog {}, Postgres {}, SQS server {}, Redis {}; \
         worker's RSS {} MiB (peak {})",
        orders * 1_000 / ms,
        each(|usage| usage.worker_ms),
        each(|usage| usage.catalog_ms),
        each(|usage| usage.postgres_ms),
        each(|usage| usage.sqs_ms),
        each(|usage| usage.redis_ms),
        after.rss_kib / 1_024,
        after.rss_peak_kib / 1_024,
    )
}
