//! Bulk import as an AWS Lambda: S3 tells of a manifest, the import library does the rest.
//!
//! It stops in time before the function's deadline and answers with an error then, so that Lambda invokes it again: the
//! import goes on where it was. Rows that were refused are no error: they are in the table `import_faults`.

mod event;
mod settings;

use std::time::Duration;

use lambda_runtime::{Context, Diagnostic, LambdaEvent};
use serde::Serialize;
use steelyard_documents::import::{self, Importer, Options, Source};
use steelyard_documents::stores::Settings;
use steelyard_documents::{IMPORT, IMPORT_SET_MAX};
use steelyard_objects::Bucket;
use steelyard_runtime::contract::{Function, Needs, Service};
use time::OffsetDateTime;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

pub use event::{Record, S3Event};
pub use settings::{Unsettled, Vault};

/// The function, as those who deploy it know it: the import, on an event's word.
pub const FUNCTION: Service = Service {
    name: "documents-import-function",
    read: settings::read,
    needs: || Needs {
        function: Some(Function {
            // Starting takes a second or two, stopping the reserve.
            timeout_seconds_min: 3 * RESERVE.as_secs(),
            // Lambda gives CPU by memory: below this, TLS alone is slow. The import itself needs 120 at most.
            memory_mib_min: 512,
        }),
        ..(IMPORT.needs)()
    },
    ..IMPORT
};

/// Between the stop and the deadline: the set in hand is settled in it.
const RESERVE: Duration = IMPORT_SET_MAX;
/// The turn, a set that is settled, and one that is prepared.
const CONNECTIONS_MAX: u32 = 3;

/// Why an invocation failed. Lambda tries an asynchronous one again, twice by default.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A setting, or the secret that one of them is.
    #[error(transparent)]
    Unsettled(#[from] Unsettled),
    /// Postgres or the schema.
    #[error("{0:#}")]
    Open(anyhow::Error),
    /// The manifest, or something away.
    #[error(transparent)]
    Import(#[from] import::Error),
    /// The deadline came first.
    #[error("{settled} of {total} rows are settled; the next invocation goes on")]
    Unfinished {
        /// Rows that are settled.
        settled: i64,
        /// Rows of the manifest.
        total: i64,
    },
}

/// What Lambda is told, and its console shows.
impl From<Error> for Diagnostic {
    fn from(error: Error) -> Self {
        let kind = match error {
            Error::Unsettled(_) => "Unsettled",
            Error::Open(_) => "Open",
            Error::Import(_) => "Import",
            Error::Unfinished { .. } => "Unfinished",
        };
        Self {
            error_type: kind.to_owned(),
            error_message: error.to_string(),
        }
    }
}

/// What an invocation answers: one per manifest.
#[derive(Debug, Serialize)]
pub struct Imported {
    /// The import's id.
    pub id: String,
    /// The manifest's place.
    pub source: String,
    /// Rows of the manifest.
    pub rows: i64,
    /// Documents that this import brought.
    pub imported: i64,
    /// Rows whose document was there before.
    pub known: i64,
    /// Rows with a fault.
    pub refused: i64,
}

/// Imports by every manifest that the event tells of.
///
/// # Errors
/// See [`Error`]; manifests before the one that failed are done.
pub async fn handle(vault: &Vault, event: LambdaEvent<S3Event>) -> Result<Vec<Imported>, Error> {
    // Asked for anew each time: a password may have been changed since the last.
    let settings = vault.settings().await?;
    // On the heap once, instead of in every caller's future.
    Box::pin(import_all(&settings, event)).await
}

async fn import_all(
    settings: &Settings,
    event: LambdaEvent<S3Event>,
) -> Result<Vec<Imported>, Error> {
    let pool = settings
        .database(CONNECTIONS_MAX)
        .await
        .map_err(Error::Open)?;
    let target = settings.bucket().await;
    let stop = CancellationToken::new();
    let budget = budget(&event.context);
    let timer = tokio::time::sleep(budget);
    let import = async {
        let mut imported = Vec::with_capacity(event.payload.records.len());
        for record in &event.payload.records {
            let key = record.key();
            let name = key.rsplit('/').next().unwrap_or_default().to_owned();
            let prefix = &key[..key.len() - name.len()];
            let bucket = Bucket::connect(settings.s3.clone(), record.bucket()).await;
            let source = Source::prefix(bucket, prefix);
            let options = Options {
                outage_max: budget,
                ..Options::default()
            };
            let importer = Importer::new(pool.clone(), source, target.clone(), options);
            imported.push(one(&importer, &name, &stop).await?);
        }
        Ok(imported)
    };
    tokio::pin!(import);
    tokio::select! {
        done = &mut import => done,
        () = timer => {
            stop.cancel();
            import.await
        }
    }
}

async fn one(importer: &Importer, name: &str, stop: &CancellationToken) -> Result<Imported, Error> {
    let report = importer
        .run(name, false, &watch::channel(None).0, stop)
        .await?;
    let import = &report.import;
    tracing::info!(import = %import.id, settled = import.rows_settled(), refused = import.rows_refused, "imported");
    if !report.is_finished() {
        return Err(Error::Unfinished {
            settled: import.rows_settled(),
            total: import.rows_total,
        });
    }
    Ok(Imported {
        id: import.id.to_string(),
        source: import.source.clone(),
        rows: import.rows_total,
        imported: import.rows_imported,
        known: import.rows_known,
        refused: import.rows_refused,
    })
}

/// How long the import may take.
fn budget(context: &Context) -> Duration {
    let now = OffsetDateTime::now_utc().unix_timestamp_nanos() / 1_000_000;
    let left = i128::from(context.deadline) - now;
    let left = Duration::from_millis(u64::try_from(left).unwrap_or_default());
    left.saturating_sub(RESERVE)
}
