//! A private S3: `s3s-fs`, one folder per bucket.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use hyper_util::rt::TokioIo;
use hyper_util::server::graceful::GracefulShutdown;
use s3s::auth::SimpleAuth;
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s_fs::FileSystem;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Invoices and other documents.
pub(super) const DOCUMENTS: &str = "documents";
/// Product images.
pub(super) const MEDIA: &str = "media";

/// How long transfers in hand may take after the stop.
const DRAIN_MAX: Duration = Duration::from_secs(5);
/// The pause after an `accept` that failed for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(20);

/// A running server.
pub(super) struct ObjectStore {
    address: SocketAddr,
    stop: CancellationToken,
    serving: JoinHandle<()>,
}

impl ObjectStore {
    /// Serves `dir` on a free port of 127.0.0.1; signatures are checked against the one key pair.
    pub(super) async fn start(
        dir: &Path,
        access_key: &str,
        secret_key: &str,
    ) -> anyhow::Result<Self> {
        for bucket in [DOCUMENTS, MEDIA] {
            let folder = dir.join(bucket);
            std::fs::create_dir_all(&folder)
                .with_context(|| format!("cannot create {}", folder.display()))?;
        }
        let files = FileSystem::new(dir)
            .map_err(|error| anyhow::anyhow!("{error:?}"))
            .with_context(|| format!("cannot keep objects in {}", dir.display()))?;
        let mut builder = S3ServiceBuilder::new(files);
        builder.set_auth(SimpleAuth::from_single(access_key, secret_key));
        let service = builder.build();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .await
            .context("no free port for S3")?;
        let address = listener.local_addr().context("no address for S3")?;
        let stop = CancellationToken::new();
        let serving = tokio::spawn(serve(listener, service, stop.clone()));
        Ok(Self {
            address,
            stop,
            serving,
        })
    }

    /// Its endpoint.
    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(super) async fn stop(self) {
        self.stop.cancel();
        let _ = self.serving.await;
    }
}

async fn serve(listener: TcpListener, service: S3Service, stop: CancellationToken) {
    let graceful = GracefulShutdown::new();
    while let Some(accepted) = stop.run_until_cancelled(listener.accept()).await {
        let Ok((stream, _)) = accepted else {
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        let connection = hyper::server::conn::http1::Builder::new()
            .serve_connection(TokioIo::new(stream), service.clone());
        let connection = graceful.watch(connection);
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "an S3 connection broke");
            }
        });
    }
    drop(listener);
    let _ = tokio::time::timeout(DRAIN_MAX, graceful.shutdown()).await;
}
