//! Load generators and reports.
//!
//! Each subcommand measures one part and prints what it found as text; run them in release mode, on a machine that does
//! nothing else.

mod gateway;
mod localsqs;
mod process;
mod products;
mod worker;

use clap::{Parser, Subcommand};

#[derive(Debug, Parser)]
#[command(about = "Load generators and reports")]
struct Cli {
    #[command(subcommand)]
    part: Part,
}

#[derive(Debug, Subcommand)]
enum Part {
    /// The gateway: orders a second, their latency, CPU time, memory and SQS calls.
    Gateway(gateway::Options),
    /// The SQS server: messages a second, time from a send to a waiting receive, cost of depth.
    Localsqs(localsqs::Options),
    /// Products through the gateway: of its cache, and of the catalog.
    Products(products::Options),
    /// The order worker: how fast a backlog drains, CPU time per order of every part, memory, latency.
    Worker(worker::Options),
}

fn main() -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        match Cli::parse().part {
            Part::Gateway(options) => gateway::run(options).await,
            Part::Localsqs(options) => localsqs::run(options).await,
            Part::Products(options) => Box::pin(products::run(options)).await,
            Part::Worker(options) => Box::pin(worker::run(options)).await,
        }
    })
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_well_defined() {
        super::Cli::command().debug_assert();
    }
}
