//! An import from its first row, or from where it was left, to its last.

use std::collections::HashMap;
use std::time::Duration;

use futures_util::StreamExt as _;
use sqlx::PgPool;
use steelyard_objects::Bucket;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;
use uuid::Uuid;

use super::fault::Fault;
use super::file::{AWAY, Files, Stored};
use super::lines::Lines;
use super::manifest::{Format, Row, header};
use super::rows::{self, Import, Outcome, Settled};
use super::scan::scan;
use super::source::Source;
use super::zips::Zips;
use super::{Error, Options};
use crate::budget::Budget;
use crate::turn::Turn;

/// Imports by manifests of one source into one bucket.
#[derive(Debug, Clone)]
pub struct Importer {
    pool: PgPool,
    files: Files,
    options: Options,
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The import as it stands.
    pub import: Import,
    /// The line at which this run began.
    pub from_line: i64,
    /// How long this run took.
    pub took: Duration,
}

impl Report {
    /// Whether all rows are settled; otherwise the run was stopped.
    #[must_use]
    pub const fn is_finished(&self) -> bool {
        self.import.finished_at.is_some()
    }
}

impl Importer {
    /// Imports from `source` to `target`; the schema `documents` is up to date in `pool`.
    #[must_use]
    pub fn new(pool: PgPool, source: Source, target: Bucket, options: Options) -> Self {
        let files = Files {
            zips: Zips::new(&source),
            source,
            budget: Budget::new(options.files_bytes_max),
            target,
            outage_max: options.outage_max,
        };
        Self {
            pool,
            files,
            options,
        }
    }

    /// Works off the manifest `name` from where it was left, until its end or `stop`. An import that has ended is not
    /// begun again, unless `again`: then rows whose document is there are passed over.
    ///
    /// `progress` is told after every set.
    ///
    /// # Errors
    /// See [`Error`]. What was settled stays.
    pub async fn run(
        &self,
        name: &str,
        again: bool,
        progress: &watch::Sender<Option<Import>>,
        stop: &CancellationToken,
    ) -> Result<Report, Error> {
        let began = Instant::now();
        let source = &self.files.source;
        let is_csv = !name.to_ascii_lowercase().ends_with("json");
        let manifest = scan(source, name, is_csv).await?;
        let turn = Turn::take(&self.pool, &format!("import {}", manifest.id)).await?;
        let turn = turn.ok_or(Error::Busy)?;
        let mut import = rows::begin(&self.pool, &manifest).await?;
        if import.finished_at.is_some() && again {
            rows::rewind(&self.pool, import.id).await?;
            import = rows::begin(&self.pool, &manifest).await?;
        }
        progress.send_replace(Some(import.clone()));
        let from_line = import.next_line;
        if import.finished_at.is_none() {
            let (format, lines) = self.open(name, is_csv, manifest.bytes, &import).await?;
            import = Box::pin(self.work(import, &format, lines, progress, stop)).await?;
        }
        turn.end().await;
        Ok(Report {
            import,
            from_line,
            took: began.elapsed(),
        })
    }

    /// The manifest at the place where the import is.
    async fn open(
        &self,
        name: &str,
        is_csv: bool,
        bytes: u64,
        import: &Import,
    ) -> Result<(Format, Lines), Error> {
        let source = &self.files.source;
        let offset = u64::try_from(import.next_offset).unwrap_or_default();
        let number = u64::try_from(import.next_line).unwrap_or(1);
        if !is_csv {
            let lines = Lines::new(source, name, bytes, offset, number);
            return Ok((Format::Ndjson, lines));
        }
        let mut lines = Lines::new(source, name, bytes, 0, 1);
        let first = lines.next().await?;
        let first = first.ok_or_else(|| Error::Manifest("it is empty".to_owned()))?;
        let too_long = || Err("its first line is too long".to_owned());
        let names = first.text.as_deref().map_or_else(too_long, header);
        let format = Format::Csv(names.map_err(Error::Manifest)?);
        if offset > 0 {
            lines = Lines::new(source, name, bytes, offset, number);
        }
        Ok((format, lines))
    }

    async fn work(
        &self,
        mut import: Import,
        format: &Format,
        mut lines: Lines,
        progress: &watch::Sender<Option<Import>>,
        stop: &CancellationToken,
    ) -> Result<Import, Error> {
        let offset = u64::try_from(import.next_offset).unwrap_or_default();
        let first = stop.run_until_cancelled(self.prepare(&mut lines, format, offset));
        let mut next = first.await.transpose()?;
        while let Some(set) = next {
            let settle = self.settle(import.id, &set);
            let settled;
            if set.last {
                (settled, next) = (settle.await, None);
            } else {
                // The next set is read meanwhile. It does not see this one's numbers; the claim does.
                let prepare = self.prepare(&mut lines, format, set.next_offset);
                let (this, prepared) = tokio::join!(settle, stop.run_until_cancelled(prepare));
                settled = this;
                next = prepared.transpose()?;
            }
            import = settled?;
            progress.send_replace(Some(import.clone()));
        }
        Ok(import)
    }

    /// Reads the next rows, and brings their files where they belong.
    async fn prepare(
        &self,
        lines: &mut Lines,
        format: &Format,
        from_offset: u64,
    ) -> Result<Settled, Error> {
        let mut set = Settled {
            from_offset,
            next_offset: from_offset,
            next_line: lines.number(),
            ..Settled::default()
        };
        let mut rows = Vec::with_capacity(self.options.set_rows_max);
        while rows.len() + set.faults.len() < self.options.set_rows_max {
            let mut patience = Patience::new(&self.options);
            let line = loop {
                match lines.next().await {
                    Ok(line) => break line,
                    Err(error) => patience.wait(error.into()).await?,
                }
            };
            let Some(line) = line else {
                set.last = true;
                break;
            };
            (set.next_offset, set.next_line) = (line.end, line.number + 1);
            if line.is_blank() {
                continue;
            }
            match format.row(line.number, line.text.as_deref()) {
                Ok(row) => rows.push(row),
                Err(fault) => set.faults.push((line.number, fault)),
            }
        }
        let rows = self.without_known(rows, &mut set).await?;
        let mut moving = futures_util::stream::iter(rows)
            .map(|row| {
                let files = self.files.clone();
                let moved = async move {
                    let kept = files.keep(&row).await;
                    (row, kept)
                };
                AbortOnDropHandle::new(tokio::spawn(moved))
            })
            .buffer_unordered(self.options.files_max);
        while let Some(moved) = moving.next().await {
            let (row, kept) = moved.map_err(|error| Error::Broken(error.to_string()))?;
            match kept? {
                Ok(stored) => set.stored.push((row, stored)),
                Err(fault) => set.faults.push((row.line, fault)),
            }
        }
        Ok(set)
    }

    /// Those rows that bring something new.
    async fn without_known(&self, rows: Vec<Row>, set: &mut Settled) -> Result<Vec<Row>, Error> {
        if rows.is_empty() {
            return Ok(rows);
        }
        let mut patience = Patience::new(&self.options);
        let taken = loop {
            let asked = async {
                let mut connection = self.pool.acquire().await?;
                rows::taken(&mut connection, rows.iter()).await
            };
            match asked.await {
                Ok(taken) => break taken,
                Err(error) => patience.wait(error.into()).await?,
            }
        };
        let mut first: HashMap<(String, String), (u64, [u8; 32])> = HashMap::new();
        let mut new = Vec::with_capacity(rows.len());
        for row in rows {
            let number = (row.kind.as_str().to_owned(), row.number.clone());
            let judged = match (taken.get(&number), first.get(&number)) {
                (Some(taken), _) => taken.judge(&row),
                (None, Some((_, sha256))) if *sha256 == row.sha256 => Ok(()),
                (None, Some((line, _))) => {
                    let detail = format!("{} is in line {line} with another file", row.number);
                    Err(Fault::new("duplicate_number", detail))
                }
                (None, None) => {
                    first.insert(number, (row.line, row.sha256));
                    new.push(row);
                    continue;
                }
            };
            match judged {
                Ok(()) => set.known += 1,
                Err(fault) => set.faults.push((row.line, fault)),
            }
        }
        Ok(new)
    }

    /// Settles a set, through outages.
    async fn settle(&self, id: Uuid, set: &Settled) -> Result<Import, Error> {
        let mut patience = Patience::new(&self.options);
        loop {
            match rows::settle(&self.pool, id, set).await {
                Ok(Outcome::Settled { import, orphans }) => {
                    self.remove(&orphans).await;
                    count(set);
                    return Ok(import);
                }
                Ok(Outcome::Elsewhere) => return self.after_all(id, set).await,
                Err(error) => patience.wait(error.into()).await?,
            }
        }
    }

    /// A commit whose answer was lost has happened after all; anything else is somebody else's doing.
    async fn after_all(&self, id: Uuid, set: &Settled) -> Result<Import, Error> {
        let there = rows::get(&self.pool, id).await?;
        let expected = i64::try_from(set.next_offset).ok();
        there
            .filter(|import| Some(import.next_offset) == expected)
            .ok_or(Error::Busy)
    }

    async fn remove(&self, orphans: &[String]) {
        for key in orphans {
            if let Err(error) = self.files.target.delete(key).await {
                tracing::warn!(key, %error, "a file that belongs to no document stays");
            }
        }
    }
}

fn count(set: &Settled) {
    let bytes = |(_, stored): &(Row, Stored)| u64::try_from(stored.bytes).unwrap_or_default();
    metrics::counter!("documents_imported_total").increment(set.stored.len() as u64);
    metrics::counter!("documents_imported_bytes_total")
        .increment(set.stored.iter().map(bytes).sum());
    metrics::counter!("documents_import_faults_total").increment(set.faults.len() as u64);
}

/// How long something may be away.
struct Patience {
    deadline: Instant,
    failures: u32,
}

impl Patience {
    fn new(options: &Options) -> Self {
        Self {
            deadline: Instant::now() + options.outage_max,
            failures: 0,
        }
    }

    /// Waits before the next try; the error, when that is of no use any more.
    async fn wait(&mut self, error: Error) -> Result<(), Error> {
        self.failures += 1;
        let pause = AWAY.wait(self.failures);
        if !error.may_pass() || Instant::now() + pause > self.deadline {
            return Err(error);
        }
        tracing::warn!(%error, failures = self.failures, "the import waits");
        tokio::time::sleep(pause).await;
        Ok(())
    }
}
