//! One of the services as a process of its own, as its own `main` runs it: for tests that kill processes. `PART` names it.

use std::process::ExitCode;

use steelyard_runtime::service_main;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    match std::env::var("PART").as_deref() {
        Ok("gateway") => service_main(&steelyard_gateway::SERVICE, async |boot| {
            let config = steelyard_gateway::Config::from_env(&boot.env)?;
            let deps = steelyard_gateway::Deps::connect(&config, boot.metrics).await?;
            steelyard_gateway::run(config, deps, boot.stop).await
        }),
        Ok("orders") => service_main(&steelyard_orders::SERVICE, async |boot| {
            let config = steelyard_orders::Config::from_env(&boot.env)?;
            steelyard_orders::run(config, boot.metrics, boot.stop).await?;
            Ok(())
        }),
        Ok("catalog") => service_main(&steelyard_catalog::SERVICE, async |boot| {
            let config = steelyard_catalog::Config::from_env(&boot.env)?;
            steelyard_catalog::run(&config, boot.metrics, boot.stop).await?;
            Ok(())
        }),
        Ok("documents") => service_main(&steelyard_documents::SERVICE, async |boot| {
            let config = steelyard_documents::Config::from_env(&boot.env)?;
            let deps = steelyard_documents::Deps::connect(&config, boot.metrics).await?;
            steelyard_documents::run(deps, boot.stop).await?;
            Ok(())
        }),
        _ => ExitCode::FAILURE,
    }
}
