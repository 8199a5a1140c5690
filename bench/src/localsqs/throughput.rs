//! Messages sent, received and deleted a second, in batches of ten, on a FIFO queue.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Instant,
};

use super::{Options, client::Connection, server::Served};

const BATCH: usize = 10;

pub(super) async fn measure(server: &Served, options: &Options) -> anyhow::Result<String> {
    let queue = format!("bench-{}.fifo", std::process::id());
    let (sent, deleted) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let body = Arc::<str>::from("x".repeat(options.body_bytes));
    let mut connections = Vec::new();
    for _ in 0..options.connections {
        connections.push(Connection::open(&server.url, &queue).await?);
    }
    let before = server.usage();
    let started = Instant::now();
    let tasks: Vec<_> = connections
        .into_iter()
        .map(|connection| {
            let (sent, deleted, body) =
                (Arc::clone(&sent), Arc::clone(&deleted), Arc::clone(&body));
            let (messages, groups) = (options.messages, options.groups);
            tokio::spawn(
                async move { work(connection, messages, groups, &body, &sent, &deleted).await },
            )
        })
        .collect();
    for task in tasks {
        task.await??;
    }
    let millis = u64::try_from(started.elapsed().as_millis())?.max(1);
    let count = deleted.load(Ordering::Relaxed) as u64;
    let mut report = format!(
        "FIFO, {} connections, batches of {BATCH}, {} groups, bodies of {} bytes: {} messages sent + received + deleted \
         in {millis} ms = {}/s",
        options.connections,
        options.groups,
        options.body_bytes,
        count,
        count * 1_000 / millis
    );
    if let (Some((cpu_before, _)), Some((cpu_after, memory))) = (before, server.usage()) {
        let micros = (cpu_after - cpu_before) * 1_000 / count.max(1);
        report.push_str(&format!(
            "; server: {micros} µs CPU a message, {memory} MiB resident"
        ));
    }
    Ok(report)
}

/// One connection's share: send ten, receive up to ten, delete them, until all is sent and deleted.
async fn work(
    mut connection: Connection,
    messages: usize,
    groups: usize,
    body: &str,
    sent: &AtomicUsize,
    deleted: &AtomicUsize,
) -> anyhow::Result<()> {
    loop {
        let first = sent.fetch_add(BATCH, Ordering::Relaxed);
        let sending = first < messages;
        if sending {
            let entry = |number: usize| {
                (
                    format!("group-{}", number * 7 % groups),
                    number.to_string(),
                    body,
                )
            };
            let entries: Vec<_> = (first..first + BATCH).map(entry).collect();
            connection.send(&entries).await?;
        }
        let handles = connection.receive(BATCH, u32::from(!sending)).await?;
        if !handles.is_empty() {
            connection.delete(&handles).await?;
            deleted.fetch_add(handles.len(), Ordering::Relaxed);
        } else if !sending {
            return Ok(());
        }
    }
}
