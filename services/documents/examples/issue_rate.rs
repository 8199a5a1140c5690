//! How many documents a second one worker issues.
//!
//! ```text
//! cargo build --release -p steelyard-documents
//! cargo run --release -p steelyard-documents --example issue_rate -- [--documents 5000] [--durable]
//! ```
//!
//! Events of confirmed orders lie in `documents.fifo` when the `documents` binary is started, as after an outage; it makes
//! and stores their invoices. Real Postgres with `fsync`, the service, an SQS server (in memory, or with `--durable` on
//! disk) and an S3 server on a folder are processes of their own on this machine. What the service does until it has
//! stored the first few is not counted.

mod common {
    pub(crate) mod child;
    pub(crate) mod cpu;
    pub(crate) mod family;
}

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use clap::{Parser, ValueEnum};
use common::child::{first_line, rss_peak_kb};
use common::cpu::cpu_ms;
use common::family::family_cpu_ms;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use sqlx::PgPool;
use steelyard_domain::event::{OrderEvent, OrderEventKind};
use steelyard_domain::id::{CustomerId, IdempotencyKey, OrderId};
use steelyard_localstores::{Durability, Postgres, StoreOptions};
use steelyard_paper::sample;
use steelyard_queue::{OutgoingMessage, SqsConfig, SqsTransport, Transport as _};
use time::OffsetDateTime;
use tokio::process::{Child, Command};
use tokio::time::timeout;
use uuid::Uuid;

const QUEUE: &str = "documents.fifo";
const BUCKET: &str = "documents";
const ACCESS_KEY: &str = "rate";
const SECRET_KEY: &str = "of no use to anybody";
const TOKEN: &str = "a token for services";
const SHOP: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/shop.example.toml");
/// Longest wait for all documents.
const WAIT_MAX: Duration = Duration::from_secs(1_800);
/// Longest wait for the service to end.
const STOP_MAX: Duration = Duration::from_secs(60);
const SAMPLE_EVERY: Duration = Duration::from_millis(50);

#[derive(Debug, Parser)]
struct Args {
    /// How many are measured.
    #[arg(long, default_value_t = 5_000)]
    documents: usize,
    /// How many are made before.
    #[arg(long, default_value_t = 200)]
    warm_up: usize,
    /// Lines of an order.
    #[arg(long, default_value_t = 8)]
    lines: usize,
    /// Customers that ordered, each a group of the queue.
    #[arg(long, default_value_t = 1_000)]
    customers: usize,
    /// The SQS server keeps its messages on disk.
    #[arg(long)]
    durable: bool,
    /// The binary to measure. It takes settings from the environment: `SET_MESSAGES_MAX`, `SETS_IN_FLIGHT_MAX`.
    #[arg(long, default_value = "target/release/documents")]
    binary: PathBuf,
    /// Is a server and nothing else (for this example itself).
    #[arg(long, hide = true)]
    serve: Option<Role>,
    /// Where that server keeps what it is given.
    #[arg(long, hide = true)]
    folder: Option<PathBuf>,
}

/// What this example is when it starts itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Role {
    S3,
    Sqs,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    if let Some(role) = args.serve {
        return serve(role, args.folder.as_deref()).await;
    }
    let folder = tempfile::tempdir()?;
    let dir = std::env::temp_dir().join(format!("issue-rate-{}", std::process::id()));
    let postgres = Postgres::start(&dir, &StoreOptions::new(Durability::Honest)).await?;
    let measured = measure(&args, &postgres, folder.path()).await;
    postgres.stop().await?;
    // As root the data lies with another account's; either way only what this run made goes.
    drop(std::fs::remove_dir_all(&dir));
    measured
}

async fn measure(args: &Args, postgres: &Postgres, folder: &Path) -> anyhow::Result<()> {
    let s3 = Server::start(Role::S3, Some(&folder.join("s3"))).await?;
    let log = args.durable.then(|| folder.join("sqs"));
    let sqs = Server::start(Role::Sqs, log.as_deref()).await?;
    let url = postgres.url("postgres");
    let documents = |arguments: &[&str]| {
        Command::new(&args.binary)
            .args(arguments)
            .env("DATABASE_URL", &url)
            .env("SERVICE_TOKEN", TOKEN)
            .env("SHOP", SHOP)
            .env("DOCUMENTS_BUCKET", BUCKET)
            .env("DOCUMENTS_QUEUE", QUEUE)
            .env("AWS_REGION", "us-east-1")
            .env("AWS_ENDPOINT_URL", &sqs.url)
            .env("AWS_ENDPOINT_URL_S3", &s3.url)
            .env("AWS_ACCESS_KEY_ID", ACCESS_KEY)
            .env("AWS_SECRET_ACCESS_KEY", SECRET_KEY)
            .env("LISTEN_ADDR", "127.0.0.1:0")
            .env("ADMIN_ADDR", "127.0.0.1:0")
            .env("POLL_WAIT", "1s")
            .stdout(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("{} cannot be run", args.binary.display()))
    };
    let migrated = documents(&["migrate"])?.wait().await?;
    anyhow::ensure!(migrated.success(), "migrate ended with {migrated}");
    send(&sqs.url, args).await?;

    let pool = PgPool::connect(&url).await?;
    let mut service = documents(&[])?;
    let id = service.id().context("it had ended")?;
    let usage = || Usage {
        service_ms: cpu_ms(id),
        postgres_ms: family_cpu_ms(postgres.pid()),
        sqs_ms: cpu_ms(sqs.pid),
        s3_ms: cpu_ms(s3.pid),
    };
    let warm = until(&pool, &mut service, args.warm_up).await?;
    let (began, before) = (Instant::now(), usage());
    let stored = until(&pool, &mut service, args.warm_up + args.documents).await?;
    let (took, after) = (began.elapsed(), usage());
    let memory_kb = rss_peak_kb(id);
    stop(&mut service, id).await?;
    numbered_without_gaps(&pool, stored).await?;

    let count = u64::try_from(stored - warm)?.max(1);
    let ms = u64::try_from(took.as_millis())?.max(1);
    let each = |of: fn(&Usage) -> u64| {
        let us = of(&after).saturating_sub(of(&before)) * 1_000 / count;
        format!("{}.{:03}", us / 1_000, us % 1_000)
    };
    say(&format!(
        "{count} invoices of {} lines in {ms} ms: {} documents/s; CPU ms a document: the service {}, Postgres {}, \
         the SQS server ({}) {}, the S3 server {}; the service's memory {} MB at most",
        args.lines,
        count * 1_000 / ms,
        each(|usage| usage.service_ms),
        each(|usage| usage.postgres_ms),
        if args.durable { "on disk" } else { "in memory" },
        each(|usage| usage.sqs_ms),
        each(|usage| usage.s3_ms),
        memory_kb / 1_000,
    ));
    Ok(())
}

/// CPU time so far.
struct Usage {
    service_ms: u64,
    postgres_ms: u64,
    sqs_ms: u64,
    s3_ms: u64,
}

/// A stand-in in a process of its own, so that its work is not the service's.
struct Server {
    // Ends with it.
    _process: Child,
    pid: u32,
    url: String,
}

impl Server {
    async fn start(role: Role, folder: Option<&Path>) -> anyhow::Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        let role = role.to_possible_value().context("a role has a name")?;
        command.args(["--serve", role.get_name()]);
        if let Some(folder) = folder {
            command.arg("--folder").arg(folder);
        }
        let mut process = command.stdout(Stdio::piped()).kill_on_drop(true).spawn()?;
        let url = first_line(&mut process).await?;
        Ok(Self {
            pid: process.id().context("it had ended")?,
            _process: process,
            url,
        })
    }
}

async fn serve(role: Role, folder: Option<&Path>) -> anyhow::Result<()> {
    match role {
        Role::S3 => {
            let folder = folder.context("no folder")?;
            let buckets = [BUCKET];
            let server =
                steelyard_locals3::Server::start(folder, &buckets, &[], ACCESS_KEY, SECRET_KEY)
                    .await?;
            say(&server.url());
            std::future::pending::<()>().await;
        }
        Role::Sqs => {
            let storage = folder.map(|folder| localsqs::Storage::Durable(folder.to_owned()));
            // Groups are as independent as in high throughput FIFO.
            let queue = format!(
                "{QUEUE}:dlq=documents-dead-letters.fifo,max=5,VisibilityTimeout=60,\
                 DeduplicationScope=messageGroup,FifoThroughputLimit=perMessageGroupId"
            );
            let server = localsqs::Server::start(localsqs::Config {
                storage: storage.unwrap_or(localsqs::Storage::Memory),
                queues: vec![queue.parse()?],
                ..localsqs::Config::default()
            })
            .await?;
            say(&server.url());
            std::future::pending::<()>().await;
        }
    }
    Ok(())
}

/// Puts the events of all orders into the queue, customer after customer.
async fn send(url: &str, args: &Args) -> anyhow::Result<()> {
    let transport = SqsTransport::connect(SqsConfig::local(url)).await;
    let queue = transport.queue_url(QUEUE).await?;
    let orders = args.warm_up + args.documents;
    for first in (0..orders).step_by(10) {
        let messages = (first..orders.min(first + 10)).map(|n| message(args, n));
        let messages = messages.collect::<anyhow::Result<Vec<_>>>()?;
        let sent = transport.send_batch(&queue, &messages).await?;
        anyhow::ensure!(sent.iter().all(Result::is_ok), "{sent:?}");
    }
    Ok(())
}

fn message(args: &Args, n: usize) -> anyhow::Result<OutgoingMessage> {
    let customer: CustomerId = format!("c{}", n % args.customers.max(1)).parse()?;
    let key: IdempotencyKey = format!("order-{n}").parse()?;
    let mut order = sample::order(args.lines);
    order.id = OrderId::derive("https://id.example", &customer, &key);
    order.customer_id = customer;
    order.reference = Some(format!("WEB-{n}"));
    let event = OrderEvent {
        v: 1,
        kind: OrderEventKind::Confirmed,
        event_id: Uuid::new_v4(),
        customer_id: order.customer_id.clone(),
        at: OffsetDateTime::now_utc(),
        order,
    };
    let body = serde_json::to_string(&event)?;
    let group = event.customer_id.message_group_id();
    Ok(OutgoingMessage::fifo(
        group,
        event.event_id.to_string(),
        body,
    ))
}

/// Waits until so many documents have their files, and says how many have.
async fn until(pool: &PgPool, service: &mut Child, documents: usize) -> anyhow::Result<usize> {
    let began = Instant::now();
    loop {
        let count = "SELECT count(*) FROM documents.documents WHERE stored_at IS NOT NULL";
        let stored: i64 = sqlx::query_scalar(count).fetch_one(pool).await?;
        let stored = usize::try_from(stored)?;
        if stored >= documents {
            return Ok(stored);
        }
        if let Some(status) = service.try_wait()? {
            anyhow::bail!("the service ended at document {stored}, with {status}");
        }
        anyhow::ensure!(
            began.elapsed() < WAIT_MAX,
            "{documents} documents were waited for in vain: there are {stored}"
        );
        tokio::time::sleep(SAMPLE_EVERY).await;
    }
}

async fn stop(service: &mut Child, id: u32) -> anyhow::Result<()> {
    kill(Pid::from_raw(i32::try_from(id)?), Signal::SIGTERM)?;
    let ended = timeout(STOP_MAX, service.wait()).await;
    let status = ended.context("the service does not stop")??;
    anyhow::ensure!(status.success(), "the service ended with {status}");
    Ok(())
}

/// What was fast and wrong is no measurement.
async fn numbered_without_gaps(pool: &PgPool, stored: usize) -> anyhow::Result<()> {
    let found: (i64, i64, Option<i64>) = sqlx::query_as(
        "SELECT count(*), count(DISTINCT number), max(right(number, 6)::bigint) FROM documents.documents",
    )
    .fetch_one(pool)
    .await?;
    let count = i64::try_from(stored)?;
    anyhow::ensure!(
        found == (count, count, Some(count)),
        "{count} documents are stored, and (rows, numbers, last) are {found:?}"
    );
    Ok(())
}

#[expect(clippy::print_stdout, reason = "a command for people")]
fn say(text: &str) {
    println!("{text}");
}
