//! `documents import`.

use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use sqlx::PgPool;
use steelyard_runtime::config::Env;
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval_at};
use tokio_util::sync::CancellationToken;

use super::place::Place;
use super::{REFUSED, show};
use crate::import::{self, Import, Importer, Options, Report};
use crate::stores::Settings;

/// Where nobody looks, progress is a log line so often.
const TELL_EVERY: Duration = Duration::from_secs(10);
/// Faults that are shown; all that are kept are in the table `import_faults`.
const FAULTS_SHOWN_MAX: i64 = 20;
/// The lock, a set that is settled, and one that is prepared.
const CONNECTIONS_MAX: u32 = 3;

/// Imports documents by a manifest.
#[derive(Debug, Args)]
pub struct ImportArgs {
    /// The manifest: `s3://bucket/path/manifest.csv`, or a path; `.csv`, `.ndjson`. Its files lie beside it.
    manifest: String,
    /// Begin an import anew that has ended: rows whose files were missing may now have them.
    #[arg(long)]
    again: bool,
    /// Files at once.
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..=256))]
    files_at_once: u16,
    /// How long S3 or Postgres may be away.
    #[arg(long, default_value = "10m", value_parser = humantime::parse_duration)]
    outage_max: Duration,
}

impl ImportArgs {
    pub(super) async fn run(self, env: &Env, stop: &CancellationToken) -> anyhow::Result<ExitCode> {
        let settings = Settings::from_env(env)?;
        let Ok(place): Result<Place, _> = self.manifest.parse();
        let (source, name) = place.open(settings.s3.clone()).await?;
        let pool = settings.database(CONNECTIONS_MAX).await?;
        let options = Options {
            files_max: usize::from(self.files_at_once),
            outage_max: self.outage_max,
            ..Options::default()
        };
        let importer = Importer::new(pool.clone(), source, settings.bucket().await, options);
        let (progress, seen) = watch::channel(None);
        let told = tokio::spawn(tell(seen));
        let report = importer.run(&name, self.again, &progress, stop).await;
        drop(progress);
        told.await?;
        let report = report?;
        show::out(&summary(&pool, &report).await?);
        Ok(if !report.is_finished() {
            ExitCode::FAILURE
        } else if report.import.rows_refused > 0 {
            ExitCode::from(REFUSED)
        } else {
            ExitCode::SUCCESS
        })
    }
}

/// Shows how far it is until it ends.
async fn tell(mut seen: watch::Receiver<Option<Import>>) {
    let bar = show::bar("rows");
    let mut ticks = interval_at(Instant::now() + TELL_EVERY, TELL_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let ended = tokio::select! {
            changed = seen.changed() => changed.is_err(),
            _ = ticks.tick() => {
                if let Some(import) = seen.borrow().as_ref().filter(|_| bar.is_hidden()) {
                    let (settled, total) = (import.rows_settled(), import.rows_total);
                    tracing::info!(import = %import.id, settled, total, refused = import.rows_refused, "importing");
                }
                false
            }
        };
        if ended {
            break;
        }
        if let Some(import) = seen.borrow_and_update().as_ref() {
            let count = |rows: i64| u64::try_from(rows).unwrap_or_default();
            if bar.length().is_none() {
                bar.set_length(count(import.rows_total));
                // What an earlier run did says nothing about this one's speed.
                bar.reset_eta();
            }
            bar.set_position(count(import.rows_settled()));
            if import.rows_refused > 0 {
                bar.set_message(format!("· {} refused", import.rows_refused));
            }
        }
    }
    bar.finish_and_clear();
}

async fn summary(pool: &PgPool, report: &Report) -> anyhow::Result<String> {
    let Report {
        import,
        from_line,
        took,
    } = report;
    let mut text = format!("import {}\n  {}\n", import.id, import.source);
    if *from_line > 1 {
        text += &format!("  taken up at line {from_line}\n");
    }
    let state = if report.is_finished() {
        "finished"
    } else {
        "stopped; the same command goes on"
    };
    text += &format!(
        "  {state}: {} of {} rows settled, {} s in this run\n  {} imported ({} bytes), {} there before, {} refused",
        import.rows_settled(),
        import.rows_total,
        took.as_secs(),
        import.rows_imported,
        import.bytes_imported,
        import.rows_known,
        import.rows_refused,
    );
    let faults = import::faults(pool, import.id, 0, FAULTS_SHOWN_MAX).await?;
    for (line, code, detail) in &faults {
        text += &format!("\n  line {line}: {code}: {detail}");
    }
    let shown = i64::try_from(faults.len()).unwrap_or_default();
    if import.rows_refused > shown {
        let more = import.rows_refused - shown;
        text += &format!("\n  and {more} more in the table import_faults");
    }
    Ok(text)
}
