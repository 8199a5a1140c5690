//! What every service's `main` does: configuration, telemetry, shutdown, one clear line when it
//! cannot start.

use std::io::{Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::process::ExitCode;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::config::Env;
use crate::contract::{Contract, Service};
use crate::http::Listen;
use crate::shutdown;
use crate::telemetry::{self, Metrics};

/// How long the `healthcheck` subcommand waits for each step.
const HEALTHCHECK_MAX: Duration = Duration::from_secs(2);

/// What a service is given to run with.
#[derive(Debug)]
pub struct Boot {
    /// The process's variables.
    pub env: Env,
    /// The process's metrics, for the admin listener.
    pub metrics: Metrics,
    /// Cancelled when the process is to stop.
    pub stop: CancellationToken,
}

/// The body of a service's `main`. `service run` (or no argument) runs `serve` until SIGTERM or
/// Ctrl-C; `service healthcheck` asks the instance on this machine for `/healthz` (at `ADMIN_ADDR`,
/// or the port that is its default) and exits 0 or 1, so that an image needs no `curl`;
/// `service --print-contract` prints what it needs from where it runs, as JSON.
///
/// See the crate's page for an example.
pub fn service_main<F>(service: &Service, serve: F) -> ExitCode
where
    F: AsyncFnOnce(Boot) -> anyhow::Result<()>,
{
    let name = service.name;
    let arg = std::env::args().nth(1);
    let outcome = match arg.as_deref() {
        None | Some("run") => run(service, serve),
        Some("healthcheck") => healthcheck(service.ports.admin),
        Some("--print-contract") => Contract::print(service).map_err(Into::into),
        Some("--version") => {
            say(&format!("{name} {}", env!("CARGO_PKG_VERSION")));
            Ok(())
        }
        Some(other) => Err(anyhow::anyhow!(
            "{other:?} is no subcommand; there are: run, healthcheck, --print-contract, --version"
        )),
    };
    report(name, outcome)
}

/// The body of a subcommand that does one thing and ends: `service NAME ARGUMENT`, say. `task` is what is deployed for it,
/// `argument` what follows its name. It is stopped by SIGTERM, where it stands.
///
/// With `--print-contract` for an argument it prints what the task needs.
pub fn task_main<F>(task: &Service, argument: Option<&str>, work: F) -> ExitCode
where
    F: AsyncFnOnce(Boot) -> anyhow::Result<()>,
{
    let outcome = if argument == Some("--print-contract") {
        Contract::print(task).map_err(Into::into)
    } else {
        run(task, async |boot| {
            let stop = boot.stop.clone();
            let worked = stop.run_until_cancelled(work(boot)).await;
            worked.unwrap_or_else(|| Err(anyhow::anyhow!("it was stopped before it was done")))
        })
    };
    report(task.name, outcome)
}

fn report(name: &str, outcome: anyhow::Result<()>) -> ExitCode {
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&format!("{name}: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn run<F>(service: &Service, serve: F) -> anyhow::Result<()>
where
    F: AsyncFnOnce(Boot) -> anyhow::Result<()>,
{
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let served = runtime.block_on(async {
        let env = Env::from_process();
        let telemetry = telemetry::init(service.name, &env, (service.needs)().indicators)?;
        let stop = shutdown::on_signal()?;
        let served = serve(Boot {
            env,
            metrics: telemetry.metrics(),
            stop,
        })
        .await;
        tracing::info!(service = service.name, "stopped");
        telemetry.flush().await;
        served
    });
    // Everything that has to end was waited for. What still works on a thread of its own holds up no stop.
    runtime.shutdown_background();
    served
}

/// Asks the instance on this machine whether it is alive, without a runtime or a client.
fn healthcheck(admin_port: u16) -> anyhow::Result<()> {
    let default = SocketAddr::from((Ipv4Addr::LOCALHOST, admin_port));
    let mut addr = Listen::admin_of(&Env::from_process()).unwrap_or(default);
    if addr.ip().is_unspecified() {
        addr.set_ip(match addr.ip() {
            IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        });
    }
    let mut stream = TcpStream::connect_timeout(&addr, HEALTHCHECK_MAX)?;
    stream.set_read_timeout(Some(HEALTHCHECK_MAX))?;
    stream.set_write_timeout(Some(HEALTHCHECK_MAX))?;
    stream.write_all(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.take(64 * 1024).read_to_string(&mut answer)?;
    let status = answer.split(' ').nth(1).unwrap_or("no status");
    anyhow::ensure!(status == "200", "{addr} answered {status}");
    Ok(())
}

/// The one line that a person at the terminal must see, whatever the log filter says.
#[expect(
    clippy::print_stderr,
    reason = "the process speaks for itself before and after logging"
)]
fn say(line: &str) {
    eprintln!("{line}");
}
