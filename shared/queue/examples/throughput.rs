//! What a message costs: sends, then receives and deletes, and says rates and the CPU time of this process alone.
//!
//! `AWS_ENDPOINT_URL=http://127.0.0.1:9324 cargo run --release -p steelyard-queue --example throughput -- QUEUE.fifo 100000`
//! against an SQS server in a process of its own that has the queue.
#![expect(clippy::print_stdout, reason = "its output is the point")]

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use steelyard_queue::{
    Consumer, ConsumerOptions, Handler, Outcome, OutgoingMessage, Producer, ProducerOptions, Set,
    SqsConfig, SqsTransport, Transport,
};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

const CLIENTS: usize = 64;
const BODY_BYTES: usize = 1_500;

struct Counting {
    left: AtomicUsize,
    sets: AtomicUsize,
    stop: CancellationToken,
}

impl Handler for Counting {
    async fn handle(&self, set: &Set) -> Vec<Outcome> {
        self.sets.fetch_add(1, Ordering::Relaxed);
        // As long as a transaction would take.
        tokio::time::sleep(Duration::from_millis(5)).await;
        if self.left.fetch_sub(set.len(), Ordering::Relaxed) <= set.len() {
            self.stop.cancel();
        }
        vec![Outcome::Done; set.len()]
    }
}

/// CPU time of this process, ms.
fn cpu_ms() -> Option<u64> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    let mut fields = stat.rsplit(')').next()?.split_whitespace().skip(11);
    let ticks = fields.next()?.parse::<u64>().ok()? + fields.next()?.parse::<u64>().ok()?;
    Some(ticks * 10)
}

fn report(what: &str, messages: usize, began: Instant, cpu_before: Option<u64>) {
    let ms = began.elapsed().as_millis().max(1);
    let cpu = cpu_ms()
        .zip(cpu_before)
        .map_or(0, |(now, before)| now - before);
    let rate = u128::try_from(messages).unwrap_or(0) * 1_000 / ms;
    println!(
        "{what}: {messages} in {ms} ms, {rate}/s, {} µs CPU each",
        cpu * 1_000 / messages as u64
    );
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let queue = arguments
        .next()
        .unwrap_or_else(|| "throughput.fifo".to_owned());
    let messages: usize = arguments.next().map_or(Ok(50_000), |text| text.parse())?;
    let endpoint = std::env::var("AWS_ENDPOINT_URL")?;
    let transport: Arc<dyn Transport> =
        Arc::new(SqsTransport::connect(SqsConfig::local(endpoint)).await);

    let producer = Producer::start(
        Arc::clone(&transport),
        queue.clone(),
        ProducerOptions::default(),
    );
    let run = std::process::id();
    let (began, cpu) = (Instant::now(), cpu_ms());
    let mut tasks = JoinSet::new();
    for client in 0..CLIENTS {
        let producer = producer.clone();
        tasks.spawn(async move {
            for n in 0..messages / CLIENTS {
                let (group, dedup) = (
                    format!("g{client}-{}", n % 50),
                    format!("{client}-{n}-{run}"),
                );
                producer
                    .send(OutgoingMessage::fifo(group, dedup, "x".repeat(BODY_BYTES)))
                    .await?;
            }
            Ok::<_, steelyard_queue::SendError>(())
        });
    }
    for result in tasks.join_all().await {
        result?;
    }
    let sent = messages / CLIENTS * CLIENTS;
    report("sent", sent, began, cpu);

    let stop = CancellationToken::new();
    let counting = Arc::new(Counting {
        left: sent.into(),
        sets: AtomicUsize::new(0),
        stop: stop.clone(),
    });
    let options = ConsumerOptions {
        stop_polls_max: Duration::from_millis(10),
        ..ConsumerOptions::default()
    };
    let consumer = Consumer::builder(transport, queue, Arc::clone(&counting))
        .options(options)
        .build();
    let (began, cpu) = (Instant::now(), cpu_ms());
    let stopped = consumer.run(stop).await;
    report("received and deleted", sent, began, cpu);
    println!(
        "{} sets, {stopped:?}",
        counting.sets.load(Ordering::Relaxed)
    );
    Ok(())
}
