//! The export's settings.

use steelyard_objects::S3Config;
use steelyard_runtime::config::{Env, Faults, Secret};
use steelyard_runtime::contract::{Bucket, Needs, Ports, Service};
use steelyard_runtime::telemetry;

/// The task, as those who schedule it know it: `orders export PERIOD`. It listens nowhere.
pub const EXPORT: Service = Service {
    name: "orders-export",
    ports: Ports { api: 0, admin: 0 },
    read: |env| drop(ExportConfig::from_env(env)),
    needs,
};

fn needs() -> Needs {
    Needs {
        // It is stopped between two steps, or run again.
        stop_seconds_max: telemetry::FLUSH_MAX.as_secs(),
        buckets: vec![Bucket {
            setting: "EXPORT_BUCKET",
            actions: &["s3:PutObject"],
            bucket_actions: &[],
        }],
        ..Needs::default()
    }
}

/// A form that tables are written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Comma-separated, with a line of names, gzip.
    Csv,
    /// Apache Parquet, snappy.
    Parquet,
}

impl Format {
    pub(super) const fn extension(self) -> &'static str {
        match self {
            Self::Csv => "csv.gz",
            Self::Parquet => "parquet",
        }
    }

    pub(super) const fn content_type(self) -> &'static str {
        match self {
            Self::Csv => "application/gzip",
            Self::Parquet => "application/vnd.apache.parquet",
        }
    }
}

/// Everything that an export is told by its environment.
#[derive(Debug, Clone)]
pub struct ExportConfig {
    /// `DATABASE_READER_URL`: reports never ask the writer.
    pub reader_url: Secret,
    /// `AWS_REGION`, `AWS_ENDPOINT_URL_S3` or `AWS_ENDPOINT_URL`.
    pub s3: S3Config,
    /// `EXPORT_BUCKET`.
    pub bucket: String,
    /// `EXPORT_PREFIX` (default `exports`): the folder in the bucket.
    pub prefix: String,
    /// `EXPORT_FORMATS` (default `csv,parquet`).
    pub formats: Vec<Format>,
    /// `EXPORT_FILE_ROWS_MAX` (default 50,000): rows of one file, which is made in memory.
    pub file_rows_max: usize,
}

impl ExportConfig {
    /// Reads the configuration from variables.
    ///
    /// # Errors
    /// Every setting that is missing or wrong.
    pub fn from_env(env: &Env) -> Result<Self, Faults> {
        let mut reader = env.reader();
        let reader_url = reader.secret_url("DATABASE_READER_URL", &["postgres", "postgresql"]);
        let region = reader.optional("AWS_REGION");
        let own = env.get("AWS_ENDPOINT_URL_S3").is_some();
        let common = env.get("AWS_ENDPOINT_URL").is_some();
        let endpoint = match (own, common) {
            (true, _) => reader.http_url("AWS_ENDPOINT_URL_S3"),
            (false, true) => reader.http_url("AWS_ENDPOINT_URL"),
            (false, false) => None,
        };
        let bucket = reader.required("EXPORT_BUCKET");
        let prefix: String = reader.or("EXPORT_PREFIX", "exports".to_owned());
        let listed: String = reader.or("EXPORT_FORMATS", "csv,parquet".to_owned());
        let mut formats = Vec::new();
        for word in listed.split(',').map(str::trim) {
            match word {
                "csv" => formats.push(Format::Csv),
                "parquet" => formats.push(Format::Parquet),
                _ => reader.fault(
                    "EXPORT_FORMATS",
                    format!("knows csv and parquet, not {word:?}"),
                ),
            }
        }
        let file_rows_max = reader.within("EXPORT_FILE_ROWS_MAX", 50_000, 1..=1_000_000);
        reader.finish(|| {
            Some(Self {
                reader_url: reader_url?,
                s3: S3Config {
                    region,
                    endpoint_url: endpoint.map(String::from),
                    ..S3Config::default()
                },
                bucket: bucket?,
                prefix: prefix.trim_matches('/').to_owned(),
                formats,
                file_rows_max,
            })
        })
    }
}
