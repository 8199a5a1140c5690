//! The documents service as a process, and the commands beside it.

use std::process::ExitCode;

use steelyard_documents::{Config, Deps, SERVICE, command, run};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    if let Some(ended) = command::run_if_asked() {
        return ended;
    }
    steelyard_runtime::service_main(&SERVICE, async |boot| {
        let config = Config::from_env(&boot.env)?;
        run(Deps::connect(&config, boot.metrics).await?, boot.stop).await?;
        Ok(())
    })
}
