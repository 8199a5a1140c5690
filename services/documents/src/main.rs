//! The documents service as a process.

use std::process::ExitCode;

use clap::Parser;
use steelyard_documents::preview::Preview;
use steelyard_documents::{Config, Deps, SERVICE, run};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    if std::env::args_os()
        .nth(1)
        .is_some_and(|arg| arg == "preview")
    {
        return preview();
    }
    steelyard_runtime::service_main(&SERVICE, async |boot| {
        let config = Config::from_env(&boot.env)?;
        run(Deps::connect(&config, boot.metrics).await?, boot.stop).await?;
        Ok(())
    })
}

#[expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command for people"
)]
fn preview() -> ExitCode {
    match Preview::parse_from(std::env::args_os().skip(1)).run() {
        Ok(said) => {
            println!("{said}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("documents preview: {error:#}");
            ExitCode::FAILURE
        }
    }
}
