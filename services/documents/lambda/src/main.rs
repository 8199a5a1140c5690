//! The Lambda as a process: `bootstrap`, or `bootstrap --print-contract`.

use std::pin::Pin;
use std::process::ExitCode;
use std::sync::Arc;

use lambda_runtime::{LambdaEvent, service_fn};
use steelyard_documents_lambda::{Error, FUNCTION, Imported, S3Event, Vault, handle};
use steelyard_runtime::config::Env;
use steelyard_runtime::contract::Contract;
use steelyard_runtime::telemetry;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let ran = if std::env::args().nth(1).as_deref() == Some("--print-contract") {
        Contract::print(&FUNCTION).map_err(Into::into)
    } else {
        serve()
    };
    match ran {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(error = format!("{error:#}"), "the function cannot start");
            ExitCode::FAILURE
        }
    }
}

type Handled = Pin<Box<dyn Future<Output = Result<Vec<Imported>, Error>> + Send>>;

#[tokio::main]
async fn serve() -> anyhow::Result<()> {
    let env = Env::from_process();
    let _telemetry = telemetry::init("documents-import", &env, Vec::new())?;
    let vault = Arc::new(Vault::open(env).await);
    // What is wrong shows at the start, not with the first manifest.
    vault.settings().await?;
    let function = service_fn(move |event: LambdaEvent<S3Event>| -> Handled {
        let vault = Arc::clone(&vault);
        Box::pin(async move {
            let handled = handle(&vault, event).await;
            handled.inspect_err(|error| tracing::error!(%error, "the import did not end"))
        })
    });
    let ran = lambda_runtime::run(function).await;
    ran.map_err(anyhow::Error::from_boxed)
}
