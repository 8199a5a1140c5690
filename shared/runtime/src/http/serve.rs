//! Listeners, and serving them until the process is told to stop.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::admin::{Health, admin};
use crate::config::{Env, Reader};
use crate::telemetry::Metrics;

/// How long a connection may stay silent before it is closed. It lies above the load balancer's
/// idle timeout (120 s), or the balancer would send a request into a connection that is closing.
const SILENCE_MAX: Duration = Duration::from_secs(150);
/// Connections at once; beyond that new ones wait in the kernel's queue.
const CONNECTIONS_MAX: usize = 10_000;
/// The pause after an `accept` that failed for want of file descriptors or memory.
const ACCEPT_PAUSE: Duration = Duration::from_millis(20);

/// Where a service listens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Listen {
    /// `LISTEN_ADDR`: the service's own routes.
    pub api: SocketAddr,
    /// `ADMIN_ADDR`: health and metrics, for the platform only.
    pub admin: SocketAddr,
}

impl Listen {
    /// Reads `LISTEN_ADDR` and `ADMIN_ADDR`; the defaults are `0.0.0.0` and the given ports.
    pub fn read(reader: &mut Reader<'_>, port: u16, admin_port: u16) -> Self {
        let any = |port| SocketAddr::from((Ipv4Addr::UNSPECIFIED, port));
        Self {
            api: reader.listen_or("LISTEN_ADDR", any(port)),
            admin: reader.listen_or("ADMIN_ADDR", any(admin_port)),
        }
    }

    /// Free ports of the loopback interface, for tests.
    #[must_use]
    pub fn free() -> Self {
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        Self {
            api: any,
            admin: any,
        }
    }

    /// The admin address alone, as the `healthcheck` subcommand needs it.
    pub(crate) fn admin_of(env: &Env) -> Option<SocketAddr> {
        env.get("ADMIN_ADDR")?.parse().ok()
    }
}

/// A listener could not be opened.
#[derive(Debug, thiserror::Error)]
#[error("{name}: cannot listen on {addr}: {cause}")]
pub struct OpenError {
    name: &'static str,
    addr: SocketAddr,
    cause: io::Error,
}

/// A service's two listeners, open: connections queue from here on, so nobody who learns of the
/// addresses is turned away.
#[derive(Debug)]
pub struct Doors {
    api: TcpListener,
    admin: TcpListener,
    addrs: Listen,
}

impl Doors {
    /// Opens both.
    ///
    /// # Errors
    /// Which variable named an address that cannot be had, and why.
    pub async fn open(listen: &Listen) -> Result<Self, OpenError> {
        let (api, api_addr) = bind("LISTEN_ADDR", listen.api).await?;
        let (admin, admin_addr) = bind("ADMIN_ADDR", listen.admin).await?;
        Ok(Self {
            api,
            admin,
            addrs: Listen {
                api: api_addr,
                admin: admin_addr,
            },
        })
    }

    /// Where they really are (a port 0 has become a number).
    #[must_use]
    pub const fn addrs(&self) -> Listen {
        self.addrs
    }

    /// Serves `api` and the admin routes until `stop`, then lets requests in hand finish for up to
    /// `drain_max`. The admin routes answer until the very end.
    ///
    /// # Errors
    /// When a listener breaks for good.
    pub async fn serve(
        self,
        api: Router,
        health: Health,
        metrics: Metrics,
        stop: CancellationToken,
        drain_max: Duration,
    ) -> io::Result<()> {
        let drained = CancellationToken::new();
        let admin = admin(health, metrics);
        let admin = serve(self.admin, admin, drained.clone(), Duration::from_secs(1));
        let api = async {
            let served = serve(self.api, api, stop, drain_max).await;
            drained.cancel();
            served
        };
        tokio::try_join!(api, admin).map(|_| ())
    }
}

async fn bind(
    name: &'static str,
    addr: SocketAddr,
) -> Result<(TcpListener, SocketAddr), OpenError> {
    let fail = |cause| OpenError { name, addr, cause };
    let listener = TcpListener::bind(addr).await.map_err(fail)?;
    let bound = listener.local_addr().map_err(fail)?;
    Ok((listener, bound))
}

/// Serves `router` over HTTP/1.1 until `stop`; then closes the listener and idle connections, lets
/// requests in hand finish for up to `drain_max`, and cuts off the rest.
///
/// # Errors
/// When the listener breaks for good.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    stop: CancellationToken,
    drain_max: Duration,
) -> io::Result<()> {
    let service = TowerToHyperService::new(router);
    let graceful = GracefulShutdown::new();
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        let stream = tokio::select! {
            biased;
            () = stop.cancelled() => break,
            _ = connections.join_next(), if connections.len() >= CONNECTIONS_MAX => continue,
            stream = accept(&listener), if connections.len() < CONNECTIONS_MAX => stream?,
        };
        let mut http = http1::Builder::new();
        http.timer(TokioTimer::new())
            .header_read_timeout(SILENCE_MAX);
        let connection = http.serve_connection(TokioIo::new(stream), service.clone());
        let connection = graceful.watch(connection);
        connections.spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection ended early");
            }
        });
    }
    drop(listener);
    if tokio::time::timeout(drain_max, graceful.shutdown())
        .await
        .is_err()
    {
        let left = connections.len();
        tracing::warn!(
            left,
            "connections were cut off at the end of the drain time"
        );
    }
    connections.shutdown().await;
    Ok(())
}

/// The next connection. What a single peer or a passing shortage causes is not the listener's end.
async fn accept(listener: &TcpListener) -> io::Result<TcpStream> {
    loop {
        match listener.accept().await {
            Ok((stream, _peer)) => {
                // Answers are small and whole: waiting to fill packets only delays them.
                drop(stream.set_nodelay(true));
                return Ok(stream);
            }
            Err(error) => match error.kind() {
                io::ErrorKind::ConnectionAborted
                | io::ErrorKind::ConnectionReset
                | io::ErrorKind::ConnectionRefused
                | io::ErrorKind::Interrupted => {}
                io::ErrorKind::InvalidInput | io::ErrorKind::NotConnected => return Err(error),
                _ => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
        }
    }
}
