//! The gateway as a process. `gateway healthcheck` asks a running one whether it is alive.

use std::process::ExitCode;

use steelyard_gateway::{Config, Deps, SERVICE, run};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    steelyard_runtime::service_main(&SERVICE, async |boot| {
        let config = Config::from_env(&boot.env)?;
        let deps = Deps::connect(&config, boot.metrics).await?;
        run(config, deps, boot.stop).await
    })
}
