//! `bench gateway`: how many orders a gateway takes, and what one costs.
//!
//! The gateway, the SQS server and Redis are processes of their own on this machine; no worker takes the orders out
//! again. `gateway` and `localsqs` must be built in the same profile beforehand.

mod load;
mod target;

use std::time::Duration;

use clap::Args;

use self::load::{Load, Taken};
use self::target::{Target, Usage};

/// What to measure.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Orders to send as fast as they are taken.
    #[arg(long, default_value_t = 100_000)]
    orders: usize,
    /// Orders to send before measuring.
    #[arg(long, default_value_t = 5_000)]
    warm_up: usize,
    /// Connections, each with one request under way.
    #[arg(long, default_value_t = 64)]
    connections: usize,
    /// Tokens, one per storefront; each costs one signature check.
    #[arg(long, default_value_t = 16)]
    tokens: usize,
    /// Customers that order.
    #[arg(long, default_value_t = 5_000)]
    customers: usize,
    /// Lines of an order.
    #[arg(long, default_value_t = 8)]
    lines: usize,
    /// Seconds of a second run at half the rate that the first one reached; 0 leaves it out.
    #[arg(long, default_value_t = 10)]
    half_load_s: u64,
    /// Log filter of the gateway.
    #[arg(long, default_value = "info")]
    log: String,
}

/// Measures and prints.
#[expect(clippy::print_stdout, reason = "the report is what this is for")]
pub(crate) async fn run(options: Options) -> anyhow::Result<()> {
    let target = Target::start(&options.log).await?;
    println!(
        "gateway at {}, ready {} ms after its start",
        target.url,
        target.ready_in.as_millis()
    );
    let load = Load::new(&target, &options)?;
    load.run(options.warm_up, None, "w").await?;

    let before = target.usage().await?;
    let full = load.run(options.orders, None, "f").await?;
    let after = target.usage().await?;
    println!("as fast as can be: {}", line(&full, &before, &after));

    if options.half_load_s > 0 {
        let rate = full.per_second() / 2;
        let orders = usize::try_from(rate * options.half_load_s)?;
        let before = target.usage().await?;
        let half = load.run(orders, Some(rate), "h").await?;
        let after = target.usage().await?;
        println!("at half that rate: {}", line(&half, &before, &after));
    }
    target.stop().await
}

/// One run in words.
fn line(taken: &Taken, before: &Usage, after: &Usage) -> String {
    let orders = u64::try_from(taken.latencies_us.len())
        .unwrap_or(u64::MAX)
        .max(1);
    let cpu_us = (after.cpu_ms - before.cpu_ms) * 1_000 / orders;
    let sends = (after.send_calls - before.send_calls) * 1_000 / orders;
    let ms = |us: u64| format!("{}.{:02}", us / 1_000, us % 1_000 / 10);
    format!(
        "{} orders/s ({orders} in {} ms, {} refused), p50 {} ms, p99 {} ms, max {} ms; gateway: {} CPU ms per order, \
         RSS {} MiB (peak {}), {} sends per order",
        taken.per_second(),
        taken.took.as_millis(),
        taken.refused,
        ms(taken.percentile_us(50)),
        ms(taken.percentile_us(99)),
        ms(taken.percentile_us(100)),
        thousandths(cpu_us),
        after.rss_kib / 1_024,
        after.rss_peak_kib / 1_024,
        thousandths(sends),
    )
}

fn thousandths(value: u64) -> String {
    format!("{}.{:03}", value / 1_000, value % 1_000)
}

/// The longest that a part may take to start.
const START_MAX: Duration = Duration::from_secs(20);
