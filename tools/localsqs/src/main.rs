//! The `localsqs` command.

use std::{
    io::{IsTerminal as _, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    path::PathBuf,
    time::Duration,
};

use anyhow::{Context as _, bail};
use clap::{Args, Parser, Subcommand};
use localsqs::{Config, QueueSpec, Server, Storage};
use tokio::signal::unix::{SignalKind, signal};

/// An SQS server for one machine.
///
/// Point any AWS SDK or the AWS CLI at it: AWS_ENDPOINT_URL=http://127.0.0.1:9324, any region, any credentials.
#[derive(Debug, Parser)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    serve: Serve,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Exits with 0 if a server answers and can take messages, else with 1.
    Healthcheck {
        /// Address of the server.
        #[arg(default_value = "127.0.0.1:9324", env = "LOCALSQS_ADDR")]
        address: SocketAddr,
    },
}

#[derive(Debug, Args)]
struct Serve {
    /// Address to listen on.
    #[arg(long, default_value = "127.0.0.1:9324", env = "LISTEN_ADDR")]
    listen: SocketAddr,
    /// Keep messages in this directory.
    #[arg(
        long,
        value_name = "DIR",
        default_value = "localsqs-data",
        conflicts_with = "memory"
    )]
    data: PathBuf,
    /// Keep messages in memory only.
    #[arg(long)]
    memory: bool,
    /// Have this queue: NAME[.fifo][:dlq=NAME,max=COUNT,ATTRIBUTE=VALUE,…]. A dead-letter queue that is named is created
    /// too. May be given many times.
    #[arg(long = "queue", value_name = "SPEC")]
    queues: Vec<QueueSpec>,
    /// Compact the log when it has grown to this many bytes, and from there on whenever it has outgrown twice the last
    /// snapshot.
    #[arg(long, value_name = "BYTES", default_value_t = Config::default().log_bytes_before_compaction)]
    compact_after: u64,
    /// Region in the queues' ARNs.
    #[arg(long, default_value = "us-east-1", env = "AWS_REGION")]
    region: String,
    /// Account in the queues' ARNs and URLs.
    #[arg(long, default_value = "000000000000")]
    account: String,
}

fn main() -> anyhow::Result<()> {
    let cli = Cli::parse();
    if let Some(Command::Healthcheck { address }) = cli.command {
        return healthcheck(address);
    }
    let filter =
        tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| "info".into());
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr)
        .init();
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?
        .block_on(serve(cli.serve))
}

async fn serve(options: Serve) -> anyhow::Result<()> {
    let (mut terminate, mut interrupt) = (
        signal(SignalKind::terminate())?,
        signal(SignalKind::interrupt())?,
    );
    let storage = if options.memory {
        Storage::Memory
    } else {
        Storage::Durable(options.data)
    };
    let kept = match &storage {
        Storage::Memory => "in memory".to_owned(),
        Storage::Durable(directory) => directory.display().to_string(),
    };
    let server = Server::start(Config {
        listen: options.listen,
        storage,
        region: options.region,
        account_id: options.account,
        queues: options.queues,
        log_bytes_before_compaction: options.compact_after,
        ..Config::default()
    })
    .await?;
    tracing::info!(url = server.url(), kept, "ready");
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    server.stop().await;
    tracing::info!("stopped");
    Ok(())
}

fn healthcheck(address: SocketAddr) -> anyhow::Result<()> {
    const TIMEOUT: Duration = Duration::from_secs(3);
    let mut stream = TcpStream::connect_timeout(&address, TIMEOUT)
        .with_context(|| format!("no server at {address}"))?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    write!(
        stream,
        "GET /health HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n"
    )?;
    let mut answer = String::new();
    stream.take(4_096).read_to_string(&mut answer)?;
    if answer.starts_with("HTTP/1.1 200 ") {
        return Ok(());
    }
    bail!(
        "{address} cannot take messages: {}",
        answer.lines().last().unwrap_or("no answer")
    )
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_well_defined() {
        super::Cli::command().debug_assert();
    }
}
