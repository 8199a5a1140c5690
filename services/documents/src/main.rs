//! The documents service as a process.

use std::process::ExitCode;

use steelyard_documents::{Config, Deps, SERVICE, run};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    steelyard_runtime::service_main(&SERVICE, async |boot| {
        let config = Config::from_env(&boot.env)?;
        run(Deps::connect(&config, boot.metrics).await?, boot.stop).await
    })
}
