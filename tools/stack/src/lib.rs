//! The whole system on one machine, by one command.
//!
//! ```text
//! cargo stack                          everything up; Ctrl-C takes it down
//! cargo stack --processes --orders 3   each service as a process of its own, three order workers
//! cargo stack token --sub alice --scope customer
//! cargo stack env                      the .env of docker-compose.yml
//! cargo stack replay 2010-12.csv.gz    send a shop's real invoices through the REST gateway and reconcile
//! cargo stack chaos --minutes 5        break everything under load and check that every promise holds
//! cargo stack drill                    lose a region under load, let another one take over, measure RPO and RTO
//! cargo stack ops dead-letters list    what operators see and do; also queues, maintenance, audit
//! cargo stack test                     all tests, with the servers that they need
//! ```
//!
//! Postgres and Redis are real: the ones that `DATABASE_URL` and `REDIS_URL` name, else private instances of the
//! installed binaries with their data under `.stack/`. SQS is `localsqs` and S3 is `s3s-fs`, unless `AWS_ENDPOINT_URL`
//! names another. `.stack/run.json` tells programs where everything is while it runs.
//!
//! | module | what it does |
//! |---|---|
//! | [`up`] | starts the parts in order, waits until they are ready, stops them in order |
//! | [`replay`] | a file of invoices through the gateway, and the books after it |
//! | [`chaos`] | a stack of its own that is broken by plan; the rest of it is in `tools/chaos` |
//! | [`drill`] | two regions, of which one is lost |
//! | [`ops`] | what operators see and do, from a terminal |
//! | [`compose_env`] | settings for docker-compose, with the stack's own key |
//! | [`tokens`] | access tokens of the stack's own key |
//! | [`test_run`] | `cargo test` with a database server for all of it |
//! | [`dir`], [`run_file`], [`secrets`] | what lies under `.stack/` |
//!
//! Limits: one machine, Linux and macOS, no TLS, data that is as safe as the disk. For real deployments see
//! `deploy/`.

pub mod chaos;
pub mod cli;
mod client;
pub mod compose_env;
pub mod dir;
pub mod drill;
pub mod ops;
mod progress;
pub mod replay;
pub mod run_file;
pub mod secrets;
pub mod test_run;
pub mod tokens;
pub mod up;

use std::process::ExitCode;

pub use cli::Cli;
use cli::Command;

/// Runs the command line and tells the exit code: 0 done, 1 failed or books that do not balance.
#[must_use]
pub fn main(cli: Cli) -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            progress::err(&format!("stack: cannot start: {error}"));
            return ExitCode::FAILURE;
        }
    };
    let outcome = runtime.block_on(async {
        match cli.command {
            None => up::command(&cli.up).await,
            Some(Command::Up(args)) => up::command(&args).await,
            Some(Command::Token(args)) => tokens::command(&args),
            Some(Command::Env(args)) => compose_env::command(&args),
            Some(Command::Replay(args)) => replay::command(&args).await,
            Some(Command::Chaos(args)) => Box::pin(chaos::command(&args)).await,
            Some(Command::Drill(args)) => Box::pin(drill::command(&args)).await,
            Some(Command::Ops(args)) => ops::command(&args).await,
            Some(Command::Test(args)) => test_run::command(&args).await,
        }
    });
    match outcome {
        Ok(code) => code,
        Err(error) => {
            progress::err(&format!("stack: {error:#}"));
            ExitCode::FAILURE
        }
    }
}
