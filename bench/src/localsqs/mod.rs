//! `bench localsqs`: what the SQS server does on this machine.
//!
//! The server is a process of its own, beside the load generator. Or any other SQS: `--endpoint`.

mod client;
mod depth;
mod server;
mod throughput;
mod wake;

use std::path::PathBuf;

use clap::{Args, Subcommand};

use self::server::{ServeOptions, Served};

/// What to measure, and against what.
#[derive(Debug, Args)]
pub(crate) struct Options {
    #[command(subcommand)]
    internal: Option<Internal>,
    /// Measure this endpoint instead of a server started for it.
    #[arg(long, value_name = "URL")]
    endpoint: Option<String>,
    /// Keep messages in a directory below this one; without it, in memory.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Messages to send, receive and delete.
    #[arg(long, default_value_t = 300_000)]
    messages: usize,
    /// Connections, each with one request under way.
    #[arg(long, default_value_t = 8)]
    connections: usize,
    /// Message groups.
    #[arg(long, default_value_t = 500)]
    groups: usize,
    /// Bytes of a message's body.
    #[arg(long, default_value_t = 1_000)]
    body_bytes: usize,
    /// Rounds of one send to one waiting receive.
    #[arg(long, default_value_t = 2_000)]
    wakes: usize,
    /// Messages that lie in the queue when the cost of a receive is measured; 0 leaves it out.
    #[arg(long, default_value_t = 1_000_000)]
    depth: usize,
}

#[derive(Debug, Subcommand)]
enum Internal {
    /// The server under test, until its standard input ends.
    #[command(hide = true)]
    Serve(ServeOptions),
}

/// Measures and prints.
#[expect(clippy::print_stdout, reason = "the report is what this is for")]
pub(crate) async fn run(options: Options) -> anyhow::Result<()> {
    if let Some(Internal::Serve(serve)) = options.internal {
        return server::serve(serve).await;
    }
    let started = Served::start(options.endpoint.as_deref(), options.data.as_deref()).await?;
    println!("{}", started.describe());
    println!("{}", throughput::measure(&started, &options).await?);
    println!("{}", wake::measure(&started, options.wakes).await?);
    if options.depth > 0 {
        println!("{}", depth::measure(&started, &options).await?);
    }
    started.stop().await
}

/// The value below which `percent` of the sorted values lie.
fn percentile(sorted: &[u64], percent: usize) -> u64 {
    let at = (sorted.len() * percent / 100).min(sorted.len().saturating_sub(1));
    sorted.get(at).copied().unwrap_or(0)
}
