//! Files into the bucket.

use bytes::Bytes;
use serde::Serialize;
use sha2::{Digest as _, Sha256};
use steelyard_objects::{Bucket, Kept};

use super::config::Format;
use super::period::Period;
use super::table::{Row, Table};
use super::{ExportError, Manifest, csv, parquet};

/// A file that was written.
#[derive(Debug, Clone, Serialize)]
pub struct File {
    /// Which table.
    pub table: &'static str,
    /// Its key in the bucket.
    pub key: String,
    /// Its rows, names aside.
    pub rows: u64,
    /// Its size.
    pub bytes: u64,
    /// SHA-256 of it.
    pub sha256: String,
}

/// Where files go.
pub(super) struct Place<'a> {
    pub(super) bucket: &'a Bucket,
    pub(super) prefix: &'a str,
    pub(super) period: Period,
}

impl Place<'_> {
    fn key(&self, table: &str, name: &str) -> String {
        let (from, to) = (self.period.from(), self.period.to());
        format!("{}/{table}/from={from}/to={to}/{name}", self.prefix)
    }
}

/// Rows of a table that are not written yet.
pub(super) struct Part {
    table: &'static Table,
    /// Files of it so far.
    pub(super) number: u32,
    pub(super) rows: Vec<Row>,
}

impl Part {
    pub(super) const fn new(table: &'static Table) -> Self {
        Self {
            table,
            number: 0,
            rows: Vec::new(),
        }
    }

    /// The oldest rows, that many at most.
    pub(super) fn take(&mut self, rows_max: usize) -> Vec<Row> {
        let later = self.rows.split_off(rows_max.min(self.rows.len()));
        std::mem::replace(&mut self.rows, later)
    }

    /// Writes rows as the next file, in every format.
    pub(super) async fn put(
        &mut self,
        place: &Place<'_>,
        formats: &[Format],
        rows: Vec<Row>,
    ) -> Result<Vec<File>, ExportError> {
        self.number += 1;
        let mut files = Vec::with_capacity(formats.len());
        let rows = std::sync::Arc::new(rows);
        for &format in formats {
            let (table, written) = (self.table, std::sync::Arc::clone(&rows));
            // Packing is work for a processor, and keeps no connection waiting meanwhile.
            let packed = tokio::task::spawn_blocking(move || match format {
                Format::Csv => csv::write(table, &written),
                Format::Parquet => parquet::write(table, &written),
            });
            let packed = packed.await.unwrap_or_else(|panic| Err(panic.to_string()));
            let body = packed.map_err(|reason| ExportError::Write {
                format: format.extension(),
                reason,
            })?;
            let name = format!("part-{:05}.{}", self.number, format.extension());
            let key = place.key(self.table.name, &name);
            files.push(File {
                table: self.table.name,
                key: key.clone(),
                rows: rows.len() as u64,
                bytes: body.len() as u64,
                sha256: hex::encode(Sha256::digest(&body)),
            });
            let kept = Kept::new(format.content_type());
            place.bucket.put(&key, Bytes::from(body), &kept).await?;
        }
        Ok(files)
    }
}

/// Writes the manifest: from here on the export counts.
pub(super) async fn manifest(
    bucket: &Bucket,
    prefix: &str,
    period: Period,
    manifest: &Manifest,
) -> Result<(), ExportError> {
    let body = serde_json::to_vec_pretty(manifest).map_err(|error| ExportError::Write {
        format: "json",
        reason: error.to_string(),
    })?;
    let key = format!(
        "{prefix}/manifest/from={}/to={}.json",
        period.from(),
        period.to()
    );
    let kept = Kept::new("application/json");
    Ok(bucket.put(&key, Bytes::from(body), &kept).await?)
}
