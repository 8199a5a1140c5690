//! How long a waiting receive takes to be answered, from the moment in which the send begins.

use std::time::{Duration, Instant};

use super::{client::Connection, percentile, server::Served};

/// How long after the last delete the next receive is given to get in line on the server.
const SETTLE: Duration = Duration::from_millis(2);

pub(super) async fn measure(server: &Served, rounds: usize) -> anyhow::Result<String> {
    let queue = format!("bench-wake-{}.fifo", std::process::id());
    let mut sender = Connection::open(&server.url, &queue).await?;
    let mut receiver = Connection::open(&server.url, &queue).await?;
    let mut micros = Vec::with_capacity(rounds);
    for round in 0..rounds {
        let waiting = tokio::spawn(async move {
            let handles = receiver.receive(10, 20).await?;
            let at = Instant::now();
            receiver.delete(&handles).await?;
            anyhow::Ok((receiver, at))
        });
        tokio::time::sleep(SETTLE).await;
        let sent = Instant::now();
        sender
            .send(&[("group".to_owned(), format!("wake-{round}"), "x")])
            .await?;
        let (back, received) = waiting.await??;
        receiver = back;
        micros.push(u64::try_from(received.duration_since(sent).as_micros())?);
    }
    micros.sort_unstable();
    Ok(format!(
        "from the send to the answer of a waiting receive: p50 {} µs, p99 {} µs ({rounds} rounds)",
        percentile(&micros, 50),
        percentile(&micros, 99)
    ))
}
