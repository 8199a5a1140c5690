//! Imports many files and says how fast, in how much memory, and how soon it goes on after a `kill -9`; then packs them:
//! `cargo run --release -p steelyard-documents --example import_at_size`, with Postgres installed. Makes 40,000 files of 50 KB
//! (`--files`, `--kilobytes`), in zips with `--zips 8`, imports them by the `documents` binary from an S3 server in a
//! process of its own into the same server, with Postgres beside it.

mod common {
    pub(crate) mod child;
    pub(crate) mod cpu;
}

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use clap::Parser;
use common::child::{first_line, rss_peak_kb};
use common::cpu::cpu_ms;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use sha2::{Digest, Sha256};
use sqlx::PgPool;
use tokio::process::{Child, Command};

const ACCESS_KEY: &str = "size";
const SECRET_KEY: &str = "of no use to anybody";
/// Longest wait for anything.
const WAIT_MAX: Duration = Duration::from_secs(1_800);
const SAMPLE_EVERY: Duration = Duration::from_millis(20);

#[derive(Debug, Parser)]
struct Args {
    /// How many.
    #[arg(long, default_value_t = 40_000)]
    files: usize,
    /// How large each.
    #[arg(long, default_value_t = 50)]
    kilobytes: usize,
    /// In so many zips; beside the manifest when 0.
    #[arg(long, default_value_t = 0)]
    zips: usize,
    /// The binary to measure.
    #[arg(long, default_value = "target/release/documents")]
    documents: PathBuf,
    /// Serves S3 from a folder, and nothing else (for this example itself).
    #[arg(long, hide = true)]
    serve: Option<PathBuf>,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    if let Some(folder) = &args.serve {
        return serve(folder).await;
    }
    let folder = tempfile::tempdir()?;
    let rows = make(folder.path(), &args)?;
    say(&format!("{rows} files of {} KB made", args.kilobytes));
    let mut server = Command::new(std::env::current_exe()?)
        .arg("--serve")
        .arg(folder.path())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let url = first_line(&mut server).await?;

    for killed in [false, true] {
        let database = steelyard_testkit::postgres().await;
        let pool = PgPool::connect(&database.url).await?;
        let run = |command: &[&str]| {
            Command::new(&args.documents)
                .args(command)
                .env("DATABASE_URL", &database.url)
                .env("DOCUMENTS_BUCKET", "documents")
                .env("AWS_REGION", "eu-central-1")
                .env("AWS_ENDPOINT_URL", &url)
                .env("AWS_ACCESS_KEY_ID", ACCESS_KEY)
                .env("AWS_SECRET_ACCESS_KEY", SECRET_KEY)
                .kill_on_drop(true)
                .spawn()
        };
        let start = || run(&["import", "s3://inbox/manifest.csv"]);
        if killed {
            let mut child = start()?;
            let half = i64::try_from(rows / 2)?;
            let left = until(&pool, &mut child, half).await?;
            let id = child.id().context("it had ended")?;
            kill(Pid::from_raw(i32::try_from(id)?), Signal::SIGKILL)?;
            child.wait().await?;
            let (began, mut child) = (Instant::now(), start()?);
            let goes_on = until(&pool, &mut child, left + 1).await?;
            say(&format!(
                "killed at row {left}; row {goes_on} settled {} ms after the next start",
                began.elapsed().as_millis()
            ));
            child.wait().await?;
        } else {
            let (began, mut child) = (Instant::now(), start()?);
            let (rss_kb, cpu_ms) = watch(&mut child).await?;
            let ms = began.elapsed().as_millis().max(1);
            let per_second = rows as u128 * 1_000 / ms;
            say(&format!(
                "{rows} rows in {ms} ms: {per_second} documents/s, {cpu_ms} ms of CPU, {} MB at most",
                rss_kb / 1_000
            ));
        }
        let count: i64 = sqlx::query_scalar("SELECT count(*) FROM documents.documents")
            .fetch_one(&pool)
            .await?;
        anyhow::ensure!(
            usize::try_from(count)? == rows,
            "{count} documents of {rows}"
        );
        if !killed {
            // Their months are past: all are due.
            let (began, mut child) = (Instant::now(), run(&["lifecycle"])?);
            let (rss_kb, cpu_ms) = watch(&mut child).await?;
            let ms = began.elapsed().as_millis().max(1);
            let packed = "SELECT count(*) FROM documents.documents WHERE pack_id IS NOT NULL";
            let packed: i64 = sqlx::query_scalar(packed).fetch_one(&pool).await?;
            say(&format!(
                "{packed} documents packed in {ms} ms: {}/s, {cpu_ms} ms of CPU, {} MB at most",
                u128::try_from(packed)? * 1_000 / ms,
                rss_kb / 1_000
            ));
        }
    }
    Ok(())
}

async fn serve(folder: &Path) -> anyhow::Result<()> {
    let buckets = ["inbox", "documents"];
    let server =
        steelyard_locals3::Server::start(folder, &buckets, &[], ACCESS_KEY, SECRET_KEY).await?;
    say(&server.url());
    std::future::pending::<()>().await;
    Ok(())
}

/// Incompressible files, each another, and their manifest.
fn make(folder: &Path, args: &Args) -> anyhow::Result<usize> {
    let inbox = folder.join("inbox");
    std::fs::create_dir_all(&inbox)?;
    let mut manifest = "customer,kind,number,date,key,sha256\n".to_owned();
    let mut zips: Vec<zip::ZipWriter<std::fs::File>> = Vec::new();
    for i in 0..args.zips {
        zips.push(zip::ZipWriter::new(std::fs::File::create(
            inbox.join(format!("{i}.zip")),
        )?));
    }
    let stored =
        zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    for i in 0..args.files {
        let content = pdf(i as u64, args.kilobytes * 1_000);
        let sha256 = hex::encode(Sha256::digest(&content));
        let mut key = format!("{i}.pdf");
        if zips.is_empty() {
            std::fs::write(inbox.join(&key), content)?;
        } else {
            let which = i * zips.len() / args.files;
            zips[which].start_file(key.as_str(), stored)?;
            zips[which].write_all(&content)?;
            key = format!("{which}.zip!{key}");
        }
        writeln!(
            manifest,
            "{},invoice,S-{i:06},2026-{:02}-15,{key},{sha256}",
            i % 5_000,
            1 + i % 6
        )?;
    }
    for zip in zips {
        zip.finish()?;
    }
    std::fs::write(inbox.join("manifest.csv"), manifest)?;
    Ok(args.files)
}

fn pdf(seed: u64, bytes: usize) -> Vec<u8> {
    let mut content = b"%PDF-1.7\n".to_vec();
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    while content.len() < bytes {
        // xorshift64
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        content.extend_from_slice(&state.to_le_bytes());
    }
    content.extend_from_slice(b"\nstartxref\n0\n%%EOF\n");
    content
}

/// Waits until so many rows are settled.
async fn until(pool: &PgPool, child: &mut Child, rows: i64) -> anyhow::Result<i64> {
    let began = Instant::now();
    loop {
        let count = "SELECT coalesce(sum(rows_imported + rows_known + rows_refused), 0)::bigint FROM documents.imports";
        // Before the first migration there is no table.
        let settled: i64 = sqlx::query_scalar(count).fetch_one(pool).await.unwrap_or(0);
        if settled >= rows {
            return Ok(settled);
        }
        anyhow::ensure!(child.try_wait()?.is_none(), "it ended at row {settled}");
        anyhow::ensure!(
            began.elapsed() < WAIT_MAX,
            "row {rows} was waited for in vain"
        );
        tokio::time::sleep(SAMPLE_EVERY).await;
    }
}

/// The most memory that a process had (KB), and its CPU time (ms), until it ends.
async fn watch(child: &mut Child) -> anyhow::Result<(u64, u64)> {
    let id = child.id().context("it had ended")?;
    let (mut peak, mut cpu) = (0, 0);
    loop {
        if let Some(status) = child.try_wait()? {
            anyhow::ensure!(status.success(), "the import ended with {status}");
            return Ok((peak, cpu));
        }
        peak = peak.max(rss_peak_kb(id));
        cpu = cpu.max(cpu_ms(id));
        tokio::time::sleep(SAMPLE_EVERY).await;
    }
}

#[expect(clippy::print_stdout, reason = "a command for people")]
fn say(text: &str) {
    println!("{text}");
}
