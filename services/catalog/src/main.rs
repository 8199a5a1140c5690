//! The catalog's process: `catalog [run | healthcheck | --print-contract | --version]`.

use std::process::ExitCode;

use steelyard_catalog::{Config, SERVICE, run};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    steelyard_runtime::service_main(&SERVICE, async |boot| {
        let config = Config::from_env(&boot.env)?;
        run(&config, boot.metrics, boot.stop).await?;
        Ok(())
    })
}
