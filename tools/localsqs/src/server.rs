//! Starting, serving connections, stopping.

use std::{io, net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{net::TcpListener, sync::Semaphore, task::JoinHandle, time::timeout};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    Clock, Config,
    engine::Engine,
    http::{Service, handle},
    open::open_engine,
};

/// How long a stop waits for answers under way.
const DRAIN_MS_MAX: u64 = 5_000;
/// How long a connection may be idle, or take to send a request's head: longer than any SDK keeps an idle connection, so
/// that it is the client who closes it.
const HEADER_READ_SECONDS_MAX: u64 = 300;

/// Why a server did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The address is taken, or not ours.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// What was asked for.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// Another process uses the directory.
    #[error("{} is in use by another localsqs", directory.display())]
    InUse {
        /// The data directory.
        directory: PathBuf,
    },
    /// The directory cannot be used.
    #[error("cannot keep messages in {}: {source}", directory.display())]
    Directory {
        /// The data directory.
        directory: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A queue of [`Config::queues`](crate::Config::queues) cannot be.
    #[error("queue {name}: {reason}")]
    Queue {
        /// Its name.
        name: String,
        /// SQS's words for it.
        reason: String,
    },
    /// A fault in this program: opening the storage panicked.
    #[error("opening the storage failed: {0}")]
    Panicked(String),
    /// A file of the log is damaged in a place that had been on disk: messages would be lost by going on.
    #[error("{}: {reason}; restore the file from a backup, or move the directory away to begin anew", file.display())]
    Damaged {
        /// The file.
        file: PathBuf,
        /// Where and how.
        reason: String,
    },
}

/// A running server. Dropping it stops it, without waiting; [`Server::stop`] waits.
///
/// ```
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// let server = localsqs::Server::start(localsqs::Config::default()).await?;
/// println!("AWS_ENDPOINT_URL={}", server.url());
/// server.stop().await;
/// # Ok::<(), localsqs::StartError>(()) }).unwrap();
/// ```
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    clock: Clock,
    stop: CancellationToken,
    accepting: Option<JoinHandle<()>>,
}

impl Server {
    /// Opens the storage, replays its log, and listens. When this returns, requests are answered.
    ///
    /// Must be called within a tokio runtime with time and I/O enabled.
    ///
    /// # Errors
    /// See [`StartError`].
    pub async fn start(config: Config) -> Result<Self, StartError> {
        let stop = CancellationToken::new();
        let clock = config.clock.clone();
        let listen = config.listen;
        let listener = TcpListener::bind(listen)
            .await
            .map_err(|source| StartError::Listen {
                address: listen,
                source,
            })?;
        let address = listener.local_addr().map_err(|source| StartError::Listen {
            address: listen,
            source,
        })?;
        let (connections_max, request_bytes_max, account_id) = (
            config.connections_max,
            config.request_bytes_max,
            config.account_id.clone(),
        );
        let queues = config.queues.clone();
        let engine = tokio::task::spawn_blocking({
            let stop = stop.clone();
            move || open_engine(config, stop)
        })
        .await
        .map_err(|error| StartError::Panicked(error.to_string()))??;
        for spec in &queues {
            engine
                .ensure(spec)
                .await
                .map_err(|error| StartError::Queue {
                    name: spec.name.clone(),
                    reason: error.message().to_owned(),
                })?;
        }
        let service = Service {
            engine,
            account_id,
            own_url: format!("http://{address}"),
            request_bytes_max,
        };
        let accepting = tokio::spawn(accept(
            listener,
            Arc::new(service),
            connections_max,
            stop.clone(),
        ));
        Ok(Self {
            address,
            clock,
            stop,
            accepting: Some(accepting),
        })
    }

    /// Where clients reach the server: `http://ADDRESS:PORT`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The address it listens on, with the port that was taken.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// The server's clock, to [advance](Clock::advance) a manual one.
    #[must_use]
    pub const fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Stops: waiting receives are answered empty, answers under way are finished within five seconds, the log is
    /// written out and closed. The directory is free when this returns.
    pub async fn stop(mut self) {
        self.stop.cancel();
        if let Some(accepting) = self.accepting.take() {
            // It ends by itself; a panic in it has been reported by the runtime.
            let _ = accepting.await;
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

async fn accept(
    listener: TcpListener,
    service: Arc<Service>,
    connections_max: usize,
    stop: CancellationToken,
) {
    let places = Arc::new(Semaphore::new(connections_max));
    let connections = TaskTracker::new();
    loop {
        let place = tokio::select! {
            place = Arc::clone(&places).acquire_owned() => place,
            () = stop.cancelled() => break,
        };
        let Ok(place) = place else { break };
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stop.cancelled() => break,
        };
        match accepted {
            Ok((stream, _)) => {
                // Answers are small and awaited: never hold them back.
                let _ = stream.set_nodelay(true);
                let (service, stop) = (Arc::clone(&service), stop.clone());
                connections.spawn(async move {
                    serve(TokioIo::new(stream), service, stop).await;
                    drop(place);
                });
            }
            Err(error) => {
                // Out of file descriptors, say: connections that end make room.
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
    drop(listener);
    connections.close();
    if timeout(Duration::from_millis(DRAIN_MS_MAX), connections.wait())
        .await
        .is_err()
    {
        tracing::warn!(open = connections.len(), "connections did not end in time");
    }
    close(&service.engine).await;
}

async fn close(engine: &Engine) {
    if let Some(journal) = engine.core.journal.get() {
        journal.close().await;
    }
}

async fn serve(
    stream: TokioIo<tokio::net::TcpStream>,
    service: Arc<Service>,
    stop: CancellationToken,
) {
    let serve = service_fn(move |request| handle(Arc::clone(&service), request));
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(Duration::from_secs(HEADER_READ_SECONDS_MAX))
        .serve_connection(stream, serve);
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended early");
    }
}
