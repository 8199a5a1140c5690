//! Listeners, and serving them until the process is told to stop.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use axum::Router;
use axum::http::HeaderValue;
use axum::http::header::CONNECTION;
use axum::middleware::map_response;
use axum::response::Response;
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

/// How a listener ends after a stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Drain {
    /// For this long all goes on but readiness: a balancer that has not heard of the stop yet still
    /// has its requests answered, and every answer closes its connection. Give more than the
    /// balancer takes to find out.
    pub notice: Duration,
    /// After that nothing new is taken, and requests in hand may take this long.
    pub finish_max: Duration,
}

impl From<Duration> for Drain {
    /// Without notice, for services that no balancer stands before.
    fn from(finish_max: Duration) -> Self {
        Self {
            notice: Duration::ZERO,
            finish_max,
        }
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

    /// Serves `api` and the admin routes until `stop`, then ends as `drain` says, not ready from the
    /// stop on. The admin routes answer until the very end.
    ///
    /// # Errors
    /// When a listener breaks for good.
    pub async fn serve(
        self,
        api: Router,
        health: Health,
        metrics: Metrics,
        stop: CancellationToken,
        drain: impl Into<Drain>,
    ) -> io::Result<()> {
        let drained = CancellationToken::new();
        let stopping = stop.clone();
        let health = health.ready("stop", move || {
            if stopping.is_cancelled() {
                Err("stopping".to_owned())
            } else {
                Ok(())
            }
        });
        let admin = admin(health, metrics);
        let admin = serve(self.admin, admin, drained.clone(), Duration::from_secs(1));
        let api = async {
            let served = serve(self.api, api, stop, drain).await;
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

/// Serves `router` over HTTP/1.1 until `stop`. Then it goes on for the drain's notice, with
/// `connection: close` on every answer; closes the listener and idle connections, lets requests in
/// hand finish within the drain's time, and cuts off the rest.
///
/// # Errors
/// When the listener breaks for good.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    stop: CancellationToken,
    drain: impl Into<Drain>,
) -> io::Result<()> {
    let Drain { notice, finish_max } = drain.into();
    let service = TowerToHyperService::new(closing_after(router, stop.clone()));
    let graceful = GracefulShutdown::new();
    let mut connections = JoinSet::new();
    let noticed = async {
        stop.cancelled().await;
        tokio::time::sleep(notice).await;
    };
    tokio::pin!(noticed);
    loop {
        while connections.try_join_next().is_some() {}
        let stream = tokio::select! {
            biased;
            () = &mut noticed => break,
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
    if tokio::time::timeout(finish_max, graceful.shutdown())
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

/// After the stop, every answer says that its connection closes: a client that keeps connections
/// open takes another one, and with it another instance, for its next request.
fn closing_after(router: Router, stop: CancellationToken) -> Router {
    router.layer(map_response(move |mut response: Response| {
        if stop.is_cancelled() {
            let close = HeaderValue::from_static("close");
            response.headers_mut().insert(CONNECTION, close);
        }
        std::future::ready(response)
    }))
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
