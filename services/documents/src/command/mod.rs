//! `documents SUBCOMMAND`: what people and ECS tasks run beside the service.

mod archive;
mod import;
mod migrate;
mod place;
mod show;

use std::process::ExitCode;

use anyhow::Context as _;
use clap::Parser;
use steelyard_runtime::config::Env;
use steelyard_runtime::contract::{Contract, Service};
use steelyard_runtime::{shutdown, telemetry};
use tokio_util::sync::CancellationToken;

pub use archive::{HoldArgs, LifecycleArgs, PackArgs, RestoreArgs};
pub use import::ImportArgs;
pub use migrate::MigrateBlobsArgs;

use crate::contract::{IMPORT, LIFECYCLE};
use crate::migration::{MIGRATE, migrate as migrate_schema, migrate_url};
use crate::preview::Preview;

/// The subcommands.
#[derive(Debug, Parser)]
#[command(
    name = "documents",
    version,
    about = "Issues, imports and archives documents"
)]
pub enum Command {
    /// Prints a sample document under a theme.
    Preview(Preview),
    /// Imports documents by a manifest; goes on where it was left.
    Import(ImportArgs),
    /// Moves documents out of a legacy table.
    MigrateBlobs(MigrateBlobsArgs),
    /// Packs, cools, brings back and removes whatever is due.
    Lifecycle(LifecycleArgs),
    /// Lets an archived document be read again.
    Restore(RestoreArgs),
    /// Brings the schema up to date, and ends: before a deploy.
    Migrate,
    /// Packs of the archive.
    #[command(subcommand)]
    Pack(PackArgs),
    /// Legal holds.
    #[command(subcommand)]
    Hold(HoldArgs),
}

/// Their names, to tell them from what the service itself takes.
const NAMES: [&str; 8] = [
    "preview",
    "import",
    "migrate-blobs",
    "lifecycle",
    "restore",
    "migrate",
    "pack",
    "hold",
];
/// A command did what it could, and something was refused.
const REFUSED: u8 = 2;

/// Those that are deployed, with what they need.
const DEPLOYED: [(&str, Service); 3] = [
    ("import", IMPORT),
    ("lifecycle", LIFECYCLE),
    ("migrate", MIGRATE),
];

/// Runs the subcommand that the process was called with, if it was. `documents NAME --print-contract` prints what one that
/// is deployed needs.
pub fn run_if_asked() -> Option<ExitCode> {
    let mut arguments = std::env::args().skip(1);
    let first = arguments.next()?;
    let asked = arguments.next().as_deref() == Some("--print-contract");
    let deployed = DEPLOYED.iter().find(|(name, _)| asked && *name == first);
    NAMES.contains(&first.as_str()).then(|| {
        let ran = match deployed {
            Some((_, service)) => Contract::print(service)
                .map(|()| ExitCode::SUCCESS)
                .map_err(Into::into),
            None => Command::parse().run(),
        };
        ran.unwrap_or_else(|error: anyhow::Error| {
            show::err(&format!("documents {first}: {error:#}"));
            ExitCode::FAILURE
        })
    })
}

impl Command {
    fn run(self) -> anyhow::Result<ExitCode> {
        match self {
            Self::Preview(preview) => {
                show::out(&preview.run()?);
                Ok(ExitCode::SUCCESS)
            }
            Self::Import(args) => with_runtime(async |env, stop| args.run(&env, &stop).await),
            Self::MigrateBlobs(args) => with_runtime(async |env, stop| args.run(&env, &stop).await),
            Self::Lifecycle(args) => with_runtime(async |env, stop| args.run(&env, &stop).await),
            Self::Restore(args) => with_runtime(async |env, _| args.run(&env).await),
            Self::Migrate => with_runtime(async |env, stop| {
                let url = migrate_url(&env)?;
                let migrated = stop.run_until_cancelled(migrate_schema(&url)).await;
                migrated.context("it was stopped before it was done")??;
                Ok(ExitCode::SUCCESS)
            }),
            Self::Pack(args) => with_runtime(async |env, stop| args.run(&env, &stop).await),
            Self::Hold(args) => with_runtime(async |env, _| args.run(&env).await),
        }
    }
}

/// Logs and signals as the service has them; in a terminal only what somebody must see, for it shows progress itself.
fn with_runtime<T>(
    run: impl AsyncFnOnce(Env, CancellationToken) -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let mut env = Env::from_process();
        if env.get("RUST_LOG").is_none() && show::is_terminal() {
            env = env.with("RUST_LOG", "error");
        }
        let telemetry = telemetry::init("documents", &env, Vec::new())?;
        let ran = run(env, shutdown::on_signal()?).await;
        telemetry.flush().await;
        ran
    })
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::{Command, NAMES};

    #[test]
    fn the_command_line_is_valid_and_its_subcommands_are_known() {
        let command = Command::command();
        let names: Vec<_> = command
            .get_subcommands()
            .map(clap::Command::get_name)
            .collect();
        assert_eq!(names, NAMES);
        command.debug_assert();
    }
}
