//! `documents migrate-blobs`.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use sqlx::PgPool;
use steelyard_runtime::config::{Env, Faults, Secret};
use steelyard_store::{PoolOptions, connect};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::{REFUSED, show};
use crate::migrate::{Config, Migration, Options, Origin, Progress};
use crate::stores::Settings;

const FAULTS_SHOWN_MAX: i64 = 20;
/// The turn, a page, and what is asked meanwhile.
const CONNECTIONS_MAX: u32 = 4;
/// One per file at once, and a page.
const LEGACY_CONNECTIONS_MAX: u32 = 9;
/// A legacy table may be without the index that it should have.
const LEGACY_STATEMENT_MAX: Duration = Duration::from_mins(10);

/// Moves documents out of a legacy Postgres table into the bucket, while the table is in use.
#[derive(Debug, Args)]
pub struct MigrateBlobsArgs {
    /// A file like `services/documents/blobs.example.toml`, or its text, where there is no folder to put a file into.
    config: String,
    /// Moves nothing; clears the content of rows that were moved, each after its object was read back and compared.
    #[arg(long)]
    clear: bool,
    /// Moves nothing; reads the content of one row, wherever it is.
    #[arg(long, value_name = "ID", conflicts_with = "clear", requires = "out")]
    read: Option<String>,
    /// The file to write what was read into.
    #[arg(long)]
    out: Option<PathBuf>,
    /// How long S3 or a database may be away.
    #[arg(long, default_value = "10m", value_parser = humantime::parse_duration)]
    outage_max: Duration,
}

/// `LEGACY_DATABASE_URL`; `DATABASE_URL` when it is not set.
fn legacy_url(env: &Env) -> Result<Secret, Faults> {
    let names = ["LEGACY_DATABASE_URL", "DATABASE_URL"];
    let name = names.into_iter().find(|name| env.get(name).is_some());
    let mut reader = env.reader();
    let url = reader.secret_url(name.unwrap_or(names[0]), &["postgres", "postgresql"]);
    reader.finish(|| url)
}

fn legacy_pool(env: &Env) -> anyhow::Result<PgPool> {
    let options = PoolOptions {
        application_name: "documents-migrate-blobs",
        schema: "public",
        connections_max: LEGACY_CONNECTIONS_MAX,
        statement_max: LEGACY_STATEMENT_MAX,
        ..PoolOptions::new("documents")
    };
    Ok(connect(legacy_url(env)?.expose(), &options)?)
}

/// A text has more than one line, and a path has not.
fn config(from: &str) -> anyhow::Result<Config> {
    if from.contains('\n') {
        return Ok(Config::parse(from)?);
    }
    let text = std::fs::read_to_string(from).with_context(|| from.to_owned())?;
    Config::parse(&text).with_context(|| from.to_owned())
}

impl MigrateBlobsArgs {
    pub(super) async fn run(self, env: &Env, stop: &CancellationToken) -> anyhow::Result<ExitCode> {
        let settings = Settings::from_env(env)?;
        let config = config(&self.config)?;
        let pool = settings.database(CONNECTIONS_MAX).await?;
        let options = Options {
            outage_max: self.outage_max,
            ..Options::default()
        };
        let bucket = settings.bucket().await;
        let migration = Migration::open(pool, legacy_pool(env)?, config, bucket, options).await?;
        match (self.read, self.out) {
            (Some(id), Some(out)) => read(&migration, &id, out).await,
            _ if self.clear => clear(&migration, stop).await,
            _ => migrate(&migration, stop).await,
        }
    }
}

async fn migrate(migration: &Migration, stop: &CancellationToken) -> anyhow::Result<ExitCode> {
    let (told, seen) = watch::channel(None);
    let shown = tokio::spawn(tell(seen));
    let moved = migration.run(&told, stop).await;
    drop(told);
    shown.await?;
    let progress = moved?;
    let is_complete = progress.complete_at.is_some();
    let (faults, count) = migration.faults(FAULTS_SHOWN_MAX).await?;
    let state = if is_complete {
        "all is moved"
    } else {
        "stopped; the same command goes on"
    };
    show::out(&format!(
        "migration {}\n  {}\n  {state}: {} rows moved ({} bytes), {} there before by an import, {count} refused",
        progress.id,
        progress.source,
        progress.rows_moved,
        progress.bytes_moved,
        progress.rows_known
    ));
    for fault in &faults {
        show::out(&format!(
            "  row {}: {}: {}",
            fault.legacy_id, fault.code, fault.detail
        ));
    }
    Ok(match (is_complete, count) {
        (false, _) => ExitCode::FAILURE,
        (true, 0) => ExitCode::SUCCESS,
        (true, _) => ExitCode::from(REFUSED),
    })
}

async fn tell(mut seen: watch::Receiver<Option<Progress>>) {
    let bar = show::counter("rows moved");
    while seen.changed().await.is_ok() {
        if let Some(progress) = seen.borrow_and_update().as_ref() {
            bar.set_position(u64::try_from(progress.rows_moved).unwrap_or_default());
        }
    }
    bar.finish_and_clear();
}

async fn clear(migration: &Migration, stop: &CancellationToken) -> anyhow::Result<ExitCode> {
    let done = migration.clear(stop).await?;
    show::out(&format!(
        "{} rows cleared, {} left alone",
        done.cleared, done.left
    ));
    let (faults, _) = migration.faults(FAULTS_SHOWN_MAX).await?;
    for fault in faults.iter().filter(|_| done.left > 0) {
        show::out(&format!(
            "  row {}: {}: {}",
            fault.legacy_id, fault.code, fault.detail
        ));
    }
    Ok(if done.left == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(REFUSED)
    })
}

async fn read(migration: &Migration, id: &str, out: PathBuf) -> anyhow::Result<ExitCode> {
    let content = migration.read(id).await?;
    tokio::fs::write(&out, &content.bytes)
        .await
        .with_context(|| out.display().to_string())?;
    let origin = match content.origin {
        Origin::S3 => "S3",
        Origin::Table => "the table",
    };
    show::out(&format!("{} bytes from {origin}", content.bytes.len()));
    Ok(ExitCode::SUCCESS)
}
