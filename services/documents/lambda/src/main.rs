//! The Lambda as a process.

use std::pin::Pin;
use std::process::ExitCode;
use std::sync::Arc;

use lambda_runtime::{LambdaEvent, service_fn};
use steelyard_documents::stores::Settings;
use steelyard_documents_lambda::{Error, Imported, S3Event, handle};
use steelyard_runtime::config::Env;
use steelyard_runtime::telemetry;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[tokio::main]
async fn main() -> ExitCode {
    match serve().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(error = format!("{error:#}"), "the function cannot start");
            ExitCode::FAILURE
        }
    }
}

type Handled = Pin<Box<dyn Future<Output = Result<Vec<Imported>, Error>> + Send>>;

async fn serve() -> anyhow::Result<()> {
    let env = Env::from_process();
    let _telemetry = telemetry::init("documents-import", &env, Vec::new())?;
    let settings = Arc::new(Settings::from_env(&env)?);
    let function = service_fn(move |event: LambdaEvent<S3Event>| -> Handled {
        let settings = Arc::clone(&settings);
        Box::pin(async move {
            let handled = handle(&settings, event).await;
            handled.inspect_err(|error| tracing::error!(%error, "the import did not end"))
        })
    });
    let ran = lambda_runtime::run(function).await;
    ran.map_err(anyhow::Error::from_boxed)
}
