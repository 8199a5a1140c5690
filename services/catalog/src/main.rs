//! The catalog's process: `catalog [run | healthcheck | --print-contract | --version]`, and `catalog migrate`.

use std::process::ExitCode;

use steelyard_catalog::{Config, MIGRATE, SERVICE, migrate, migrate_url, run};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    if arguments.next().as_deref() == Some("migrate") {
        let argument = arguments.next();
        return steelyard_runtime::task_main(&MIGRATE, argument.as_deref(), async |boot| {
            migrate(&migrate_url(&boot.env)?).await?;
            Ok(())
        });
    }
    steelyard_runtime::service_main(&SERVICE, async |boot| {
        let config = Config::from_env(&boot.env)?;
        run(&config, boot.metrics, boot.stop).await?;
        Ok(())
    })
}
