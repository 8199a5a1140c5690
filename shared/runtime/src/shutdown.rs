//! One token that says "stop", set by SIGTERM (what ECS sends) or Ctrl-C.

use tokio_util::sync::CancellationToken;

/// A token that is cancelled on the first SIGTERM, SIGINT or Ctrl-C.
///
/// Work that must not be cut off finishes within its own budget after that; the platform's stop
/// timeout has to lie above the sum of the budgets.
///
/// # Errors
/// When the process cannot register signal handlers.
pub fn on_signal() -> std::io::Result<CancellationToken> {
    let stop = CancellationToken::new();
    let signal = wait_for_signal()?;
    let cancelled = stop.clone();
    tokio::spawn(async move {
        let name = signal.await;
        tracing::info!(signal = name, "stopping");
        cancelled.cancel();
    });
    Ok(stop)
}

#[cfg(unix)]
fn wait_for_signal() -> std::io::Result<impl Future<Output = &'static str>> {
    use tokio::signal::unix::{SignalKind, signal};

    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => "SIGTERM",
            _ = interrupt.recv() => "SIGINT",
        }
    })
}

#[cfg(not(unix))]
#[expect(clippy::unnecessary_wraps, reason = "the same shape as on Unix")]
fn wait_for_signal() -> std::io::Result<impl Future<Output = &'static str>> {
    Ok(async {
        // An error means that no Ctrl-C can ever be seen: then only a kill stops the process.
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
        "Ctrl-C"
    })
}
