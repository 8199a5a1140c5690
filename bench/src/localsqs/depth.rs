//! What a receive costs when few, and when very many messages lie in the queue.

use std::time::Instant;

use super::{Options, client::Connection, percentile, server::Served};

const ROUNDS: usize = 500;
const SHALLOW: usize = 10_000;

pub(super) async fn measure(server: &Served, options: &Options) -> anyhow::Result<String> {
    let queue = format!("bench-depth-{}.fifo", std::process::id());
    let mut connection = Connection::open(&server.url, &queue).await?;
    let mut report = Vec::new();
    let mut filled = 0;
    for depth in [SHALLOW, options.depth.max(SHALLOW)] {
        let started = Instant::now();
        fill(server, &queue, filled, depth).await?;
        let fill_ms = u64::try_from(started.elapsed().as_millis())?.max(1);
        let rate = (depth - filled) as u64 * 1_000 / fill_ms;
        filled = depth;
        let mut micros = Vec::with_capacity(ROUNDS);
        for _ in 0..ROUNDS {
            let started = Instant::now();
            let handles = connection.receive(10, 0).await?;
            micros.push(u64::try_from(started.elapsed().as_micros())?);
            connection.delete(&handles).await?;
        }
        micros.sort_unstable();
        report.push(format!(
            "{depth} deep in {} groups (filled at {rate}/s): a receive of ten p50 {} µs, p99 {} µs",
            groups(depth),
            percentile(&micros, 50),
            percentile(&micros, 99)
        ));
    }
    if let Some((_, memory)) = server.usage() {
        report.push(format!("resident then: {memory} MiB"));
    }
    Ok(report.join("\n"))
}

/// Ten messages a group: many groups.
fn groups(depth: usize) -> usize {
    depth / 10
}

async fn fill(server: &Served, queue: &str, from: usize, to: usize) -> anyhow::Result<()> {
    const CONNECTIONS: usize = 8;
    let mut tasks = Vec::new();
    for share in 0..CONNECTIONS {
        let mut connection = Connection::open(&server.url, queue).await?;
        tasks.push(tokio::spawn(async move {
            for first in (from + share * 10..to).step_by(CONNECTIONS * 10) {
                let entry = |number: usize| {
                    (
                        format!("g{}", number % groups(to)),
                        format!("d{number}"),
                        "a short body",
                    )
                };
                let entries: Vec<_> = (first..(first + 10).min(to)).map(entry).collect();
                connection.send(&entries).await?;
            }
            anyhow::Ok(())
        }));
    }
    for task in tasks {
        task.await??;
    }
    Ok(())
}
