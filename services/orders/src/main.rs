//! The orders service's process: `orders [run | healthcheck | --print-contract | --version]`, `orders export PERIOD`,
//! `orders migrate`.

use std::process::ExitCode;

use anyhow::Context as _;
use steelyard_orders::export::{EXPORT, ExportConfig, Period, export};
use steelyard_orders::{Config, MIGRATE, SERVICE, migrate, migrate_url, run};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let (first, second) = (arguments.next(), arguments.next());
    match first.as_deref() {
        Some("export") => return export_main(second.as_deref()),
        Some("migrate") => return migrate_main(second.as_deref()),
        _ => {}
    }
    steelyard_runtime::service_main(&SERVICE, async |boot| {
        let config = Config::from_env(&boot.env)?;
        run(config, boot.metrics, boot.stop).await?;
        Ok(())
    })
}

fn migrate_main(argument: Option<&str>) -> ExitCode {
    steelyard_runtime::task_main(&MIGRATE, argument, async |boot| {
        migrate(&migrate_url(&boot.env)?).await?;
        Ok(())
    })
}

fn export_main(period: Option<&str>) -> ExitCode {
    steelyard_runtime::task_main(&EXPORT, period, async |boot| {
        let period: Period = period
            .context("which period? yesterday, last-month, 2026-11 or 2026-11-01..2026-12-01")?
            .parse()?;
        let config = ExportConfig::from_env(&boot.env)?;
        let manifest = export(&config, period).await?;
        tracing::info!(
            %period,
            orders = manifest.orders,
            files = manifest.files.len(),
            as_of = %manifest.as_of,
            bucket = config.bucket,
            "exported"
        );
        Ok(())
    })
}
