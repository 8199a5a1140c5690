//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use url::Url;

use crate::ops::OpsArgs;

/// Steelyard on one machine: `cargo stack` brings everything up, Ctrl-C takes it down.
#[derive(Debug, Parser)]
#[command(
    name = "cargo stack",
    bin_name = "cargo stack",
    version,
    args_conflicts_with_subcommands = true
)]
pub struct Cli {
    /// What to do; bring everything up when left out.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// Flags of `up`.
    #[command(flatten)]
    pub up: UpArgs,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Bring everything up (the same as no command at all)
    Up(UpArgs),
    /// Print an access token that the running stack accepts
    Token(TokenArgs),
    /// Print the .env of docker-compose.yml: passwords, ports, and whose tokens are believed
    Env(EnvArgs),
    /// Send a file of real invoices through the gateway, wait until all are settled, and reconcile
    Replay(ReplayArgs),
    /// Break everything under load, by a seeded plan, and check that every promise holds
    Chaos(ChaosArgs),
    /// Lose a region under load and let a second one take over; measure what that cost
    Drill(DrillArgs),
    /// Look at queues, dead letters and the audit; redrive; pause and resume the workers
    Ops(OpsArgs),
    /// Run all tests of the workspace, with the servers that they need
    Test(TestArgs),
}

/// Flags of `up`.
#[derive(Clone, Debug, Args)]
pub struct UpArgs {
    /// Begin anew: remove the data of earlier runs first
    #[arg(long)]
    pub fresh: bool,
    /// Run each service as an operating system process of its own
    #[arg(long)]
    pub processes: bool,
    /// How many order workers
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=16))]
    pub orders: u16,
    /// The gateway's port on 127.0.0.1; 0 takes a free one
    #[arg(long, value_name = "PORT", default_value_t = 8080)]
    pub gateway_port: u16,
    /// Build the service binaries of --processes optimized
    #[arg(long, requires = "processes")]
    pub release: bool,
    #[command(flatten)]
    #[expect(missing_docs, reason = "clap would show it")]
    pub data: DataArg,
}

/// Where the stack keeps its files.
#[derive(Clone, Debug, Args)]
pub struct DataArg {
    /// Where the stack keeps its data, logs, keys and run.json
    #[arg(
        id = "data",
        long = "data",
        value_name = "DIR",
        default_value = ".stack"
    )]
    pub dir: PathBuf,
}

/// Flags of `token`.
#[derive(Debug, Args)]
pub struct TokenArgs {
    /// Whose token: the customer's id, or the name of a client
    #[arg(long)]
    pub sub: String,
    /// Scopes, separated by spaces: customer, storefront, orders:price, orders:manage, payments, catalog:write,
    /// documents:write, ops
    #[arg(long, default_value = "customer")]
    pub scope: String,
    /// How long it is good for, such as 30m or 1h
    #[arg(long, default_value = "1h", value_parser = humantime::parse_duration)]
    pub ttl: Duration,
    #[command(flatten)]
    #[expect(missing_docs, reason = "clap would show it")]
    pub data: DataArg,
}

/// Flags of `env`.
#[derive(Debug, Args)]
pub struct EnvArgs {
    #[command(flatten)]
    #[expect(missing_docs, reason = "clap would show it")]
    pub data: DataArg,
}

/// Flags of `replay`.
#[derive(Debug, Args)]
pub struct ReplayArgs {
    /// CSV files, plain or gzip-compressed, with the columns
    /// InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country
    #[arg(required = true)]
    pub files: Vec<PathBuf>,
    /// The gateway; that of the running stack when left out
    #[arg(long, visible_alias = "gateway")]
    pub url: Option<Url>,
    /// A token with the scopes `storefront orders:price catalog:write`; minted with the stack's key when left out
    #[arg(long, env = "STEELYARD_TOKEN", hide_env_values = true)]
    pub token: Option<String>,
    /// Orders in flight at once
    #[arg(long, value_name = "N", default_value_t = 32, value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub concurrency: u16,
    /// ISO 4217 code of the amounts
    #[arg(long, default_value = "GBP")]
    pub currency: String,
    /// How long to wait, after the last order was sent, until all are settled
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = humantime::parse_duration)]
    pub settle: Duration,
    /// Wait for the invoice of every confirmed order, too, and compare them: one to one, and to the cent
    #[arg(long)]
    pub invoices: bool,
    #[command(flatten)]
    #[expect(missing_docs, reason = "clap would show it")]
    pub data: DataArg,
}

/// Flags of `chaos`.
#[derive(Clone, Debug, Args)]
pub struct ChaosArgs {
    /// How long faults and load go on
    #[arg(long, value_name = "M", default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=1440))]
    pub minutes: u16,
    /// The same in other units, such as 45s
    #[arg(long, value_name = "TIME", conflicts_with = "minutes", value_parser = humantime::parse_duration)]
    pub time: Option<Duration>,
    /// Decides what goes wrong and what is ordered; a random one, which is told, when left out
    #[arg(long, value_name = "S")]
    pub seed: Option<u64>,
    /// Orders per second; fewer come while the backlog is long
    #[arg(long, value_name = "N", default_value_t = 300, value_parser = clap::value_parser!(u32).range(1..=20_000))]
    pub rate: u32,
    /// How long everything may take to come to rest afterwards
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = humantime::parse_duration)]
    pub settle: Duration,
    /// Build the services optimized
    #[arg(long)]
    pub release: bool,
    /// Print the faults of the seed and do nothing
    #[arg(long)]
    pub plan: bool,
    /// Keep the logs even when everything holds
    #[arg(long)]
    pub keep_logs: bool,
}

/// Flags of `drill`.
#[derive(Clone, Debug, Args)]
pub struct DrillArgs {
    /// Orders per second
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub rate: u32,
    /// How long orders go to the first region
    #[arg(long, value_name = "TIME", default_value = "15s", value_parser = humantime::parse_duration)]
    pub before: Duration,
    /// How long its worker has stood still when it is lost, so that something is in its queue
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = humantime::parse_duration)]
    pub backlog: Duration,
    /// Pause of the health check; the third failure in a row turns the name
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = humantime::parse_duration)]
    pub check: Duration,
    /// How long people take to decide, once the name was turned
    #[arg(long, value_name = "TIME", default_value = "0s", value_parser = humantime::parse_duration)]
    pub decide: Duration,
    /// How long orders go to the second region
    #[arg(long, value_name = "TIME", default_value = "15s", value_parser = humantime::parse_duration)]
    pub after: Duration,
    /// Build the services optimized
    #[arg(long)]
    pub release: bool,
}

/// Flags of `test`.
#[derive(Debug, Args)]
pub struct TestArgs {
    /// Passed on to `cargo test`
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    pub args: Vec<String>,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn no_command_means_up() {
        let cli = Cli::parse_from(["stack", "--processes", "--orders", "3"]);
        assert!(cli.command.is_none());
        assert_eq!(
            (cli.up.processes, cli.up.orders, cli.up.gateway_port),
            (true, 3, 8080)
        );
    }
}
