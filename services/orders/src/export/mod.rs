//! `orders export PERIOD`: orders, lines, payments and daily sales of a period, from the reader to S3, as CSV and
//! Parquet, for whoever evaluates them elsewhere.
//!
//! ```text
//! s3://EXPORT_BUCKET/EXPORT_PREFIX/orders/from=2026-11-01/to=2026-12-01/part-00001.parquet
//!                                 /lines/…  /payments/…  /daily_sales/…
//!                                 /manifest/from=2026-11-01/to=2026-12-01.json
//! ```
//!
//! What belongs to a period are the orders *accepted* in it (UTC), as they are now, with their lines and payments; whoever
//! wants later payments exports the period again. The same period has the same keys, so an export that broke off is simply
//! run again. The manifest is written last: it names every file with its rows and the time that the figures are of, and
//! what it does not name does not count.
//!
//! Memory is bounded whatever the period: orders are read in pages by key (a long transaction would be cancelled on a
//! replica), and a file ends after [`ExportConfig::file_rows_max`] rows.

mod config;
mod csv;
mod parquet;
mod period;
mod rows;
mod table;
mod write;

pub use config::{EXPORT, ExportConfig, Format};
pub use period::{Period, PeriodError};

use serde::Serialize;
use sqlx::PgPool;
use steelyard_domain::order::Order;
use steelyard_objects::Bucket;
use steelyard_store::{InvalidUrl, PoolOptions, connect};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::db::reports;
use table::{DAILY_SALES, LINES, ORDERS, PAYMENTS};
use write::{File, Part};

/// Orders read at a time: of two thousand lines each they take some fifty megabytes at worst.
const PAGE_ORDERS_MAX: u32 = 50;

/// Why an export broke off. Running it again does no harm.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// `DATABASE_READER_URL` cannot be used.
    #[error("DATABASE_READER_URL: {0}")]
    Url(#[from] InvalidUrl),
    /// Postgres failed.
    #[error("the reader failed: {0}")]
    Database(#[from] sqlx::Error),
    /// An order in the database is not one.
    #[error("order {id} cannot be read: {error}")]
    Order {
        /// Which.
        id: Uuid,
        /// Why.
        error: serde_json::Error,
    },
    /// S3 failed.
    #[error(transparent)]
    Objects(#[from] steelyard_objects::Error),
    /// A file could not be written.
    #[error("a {format} file could not be written: {reason}")]
    Write {
        /// Its format.
        format: &'static str,
        /// Why.
        reason: String,
    },
}

/// What an export wrote.
#[derive(Debug, Clone, Serialize)]
pub struct Manifest {
    /// Begin of the period, inclusive.
    pub from: String,
    /// End of the period, exclusive.
    pub to: String,
    /// What was committed until then is in the figures.
    #[serde(with = "time::serde::rfc3339")]
    pub as_of: OffsetDateTime,
    /// Orders of the period.
    pub orders: u64,
    /// All files.
    pub files: Vec<File>,
}

/// Exports a period, and answers what was written.
///
/// # Errors
/// See [`ExportError`].
pub async fn export(config: &ExportConfig, period: Period) -> Result<Manifest, ExportError> {
    let options = PoolOptions {
        application_name: "orders-export",
        connections_max: 1,
        // Reports may take their time: nobody waits for them.
        statement_max: std::time::Duration::from_secs(60),
        ..PoolOptions::new("orders")
    };
    let pool = connect(config.reader_url.expose(), &options)?;
    let bucket = Bucket::connect(config.s3.clone(), config.bucket.as_str()).await;
    let exported = Export {
        config,
        period,
        pool: &pool,
        bucket: &bucket,
    };
    let manifest = exported.run().await;
    pool.close().await;
    manifest
}

struct Export<'a> {
    config: &'a ExportConfig,
    period: Period,
    pool: &'a PgPool,
    bucket: &'a Bucket,
}

impl Export<'_> {
    async fn run(&self) -> Result<Manifest, ExportError> {
        let as_of = reports::as_of(self.pool).await?;
        let mut parts = [&ORDERS, &LINES, &PAYMENTS].map(Part::new);
        let mut files = Vec::new();
        let mut orders = 0;
        let (from, to) = (self.period.begin(), self.period.end());
        let rows_max = self.config.file_rows_max;
        let mut after = None;
        loop {
            let page = reports::page(self.pool, from, to, after, PAGE_ORDERS_MAX).await?;
            let Some(last) = page.last() else { break };
            after = Some((last.accepted_at, last.id));
            for found in &page {
                let order: Order = serde_json::from_str(&found.doc).map_err(|error| {
                    let id = found.id;
                    ExportError::Order { id, error }
                })?;
                orders += 1;
                let [of_orders, of_lines, of_payments] = &mut parts;
                of_orders.rows.push(rows::order(&order));
                of_lines.rows.extend(rows::lines(&order));
                of_payments.rows.extend(rows::payments(&order));
            }
            for part in &mut parts {
                while part.rows.len() >= rows_max {
                    let full = part.take(rows_max);
                    files.extend(self.put(part, full).await?);
                }
            }
        }
        for part in &mut parts {
            // At most a page's rows more than a file has were left, and full files are gone.
            let rest = part.take(rows_max);
            files.extend(self.put(part, rest).await?);
        }
        let mut sales = Part::new(&DAILY_SALES);
        let days = reports::daily_sales(self.pool, from, to).await?;
        let rows = days.iter().map(rows::day).collect();
        files.extend(self.put(&mut sales, rows).await?);

        let manifest = Manifest {
            from: self.period.from().to_string(),
            to: self.period.to().to_string(),
            as_of,
            orders,
            files,
        };
        write::manifest(self.bucket, &self.config.prefix, self.period, &manifest).await?;
        Ok(manifest)
    }

    /// Writes rows as the next part of their table, in every format. An empty table has one empty part: its columns.
    async fn put(&self, part: &mut Part, rows: Vec<table::Row>) -> Result<Vec<File>, ExportError> {
        if rows.is_empty() && part.number > 0 {
            return Ok(Vec::new());
        }
        let place = write::Place {
            bucket: self.bucket,
            prefix: &self.config.prefix,
            period: self.period,
        };
        part.put(&place, &self.config.formats, rows).await
    }
}
