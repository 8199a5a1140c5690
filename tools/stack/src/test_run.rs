//! `cargo stack test`: all tests of the workspace, with the servers that they need.

use std::process::ExitCode;

use anyhow::Context;
use steelyard_localstores::install::{self, Need, Said};
use steelyard_localstores::{Durability, Postgres, StoreOptions};
use tokio::process::Command;

use crate::cli::TestArgs;
use crate::progress::Progress;

/// Installs what is missing, starts one private Postgres for all test processes, runs `cargo test`, stops it.
///
/// # Errors
/// When Postgres or Redis cannot be had, or cargo cannot be run. Failing tests are no error but exit code 1.
pub async fn command(args: &TestArgs) -> anyhow::Result<ExitCode> {
    let progress = Progress::new();
    let options = StoreOptions::new(Durability::Throwaway);
    let say = |said: Said<'_>| progress.install(said);
    install::ensure(&options.search, &[Need::Postgres, Need::Redis], &say).await?;
    // Some tests hold the system against other people's tools from PyPI, and say themselves when they cannot.
    if let Err(error) = install::ensure(&options.search, &[Need::Python], &say).await {
        progress.note(&error.to_string());
    }
    let dir = std::env::temp_dir().join(format!("steelyard-test-run-{}", std::process::id()));
    let postgres = Postgres::start(&dir, &options).await?;
    progress.done(&format!(
        "Postgres for the tests on 127.0.0.1:{}",
        postgres.port()
    ));
    drop(progress);

    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(&cargo);
    command
        .args(["test", "--workspace", "--locked"])
        .args(&args.args)
        .env("STEELYARD_TEST_DATABASE_URL", postgres.url("postgres"))
        // Tests that run the stack must not meet what the caller's shell names.
        .env_remove("DATABASE_URL")
        .env_remove("REDIS_URL")
        .env_remove("AWS_ENDPOINT_URL")
        .current_dir(crate::up::WORKSPACE);
    let status = command
        .status()
        .await
        .with_context(|| format!("cannot run {}", cargo.display()))?;
    postgres.stop().await?;
    Ok(if status.success() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
