//! A TCP proxy that misbehaves on demand, in front of any server: what the tests and `cargo stack chaos` put between a
//! service and what it depends on.
//!
//! ```no_run
//! # async fn example() -> std::io::Result<()> {
//! let proxy = steelyard_chaosproxy::Proxy::start("127.0.0.1:5432".parse().unwrap())?;
//! proxy.stall(); // …connections to proxy.address() stay open and nothing passes
//! proxy.restore();
//! # Ok(())
//! # }
//! ```

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// Connections that may wait to be accepted.
const PENDING_MAX: u32 = 1_024;

/// A TCP proxy that misbehaves on demand, in front of any server.
///
/// Runs in the caller's runtime and ends when dropped.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    mode: watch::Sender<Mode>,
    counts: Arc<Counts>,
    stop: CancellationToken,
}

/// What a [`Proxy`] has seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProxyStatus {
    /// Connections that are open now.
    pub open: u64,
    /// Connections that were ever accepted.
    pub accepted: u64,
    /// Bytes from clients to the server.
    pub sent: u64,
    /// Bytes from the server to clients.
    pub received: u64,
}

#[derive(Clone, Debug)]
struct Mode {
    target: SocketAddr,
    refuse: bool,
    stall: bool,
    latency: Duration,
    /// Cancelled to cut the connections that are open.
    cut: CancellationToken,
}

#[derive(Debug, Default)]
struct Counts {
    open: AtomicU64,
    accepted: AtomicU64,
    sent: AtomicU64,
    received: AtomicU64,
}

impl Proxy {
    /// Starts a proxy in front of `target` on a free port of 127.0.0.1; to be called inside a Tokio runtime.
    ///
    /// # Errors
    /// When no port is free.
    pub fn start(target: SocketAddr) -> std::io::Result<Self> {
        let socket = hold((Ipv4Addr::LOCALHOST, 0).into())?;
        let address = socket.local_addr()?;
        let listener = socket.listen(PENDING_MAX)?;
        let mode = Mode {
            target,
            refuse: false,
            stall: false,
            latency: Duration::ZERO,
            cut: CancellationToken::new(),
        };
        let (mode, seen) = watch::channel(mode);
        let counts = Arc::new(Counts::default());
        let stop = CancellationToken::new();
        let work = run(listener, address, seen, Arc::clone(&counts));
        tokio::spawn(stop.clone().run_until_cancelled_owned(async move {
            if let Err(error) = work.await {
                tracing::error!(%error, %address, "a proxy lost its port");
            }
        }));
        Ok(Self {
            address,
            mode,
            counts,
            stop,
        })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Breaks the open connections once; new ones work.
    pub fn cut(&self) {
        self.mode.send_modify(cut);
    }

    /// Breaks the open connections and refuses new ones, as when the server is down.
    pub fn refuse(&self) {
        self.mode.send_modify(|mode| {
            mode.refuse = true;
            cut(mode);
        });
    }

    /// Accepts connections and passes nothing on, as when packets are lost.
    pub fn stall(&self) {
        self.mode.send_modify(|mode| mode.stall = true);
    }

    /// Leads new connections elsewhere, as a name does that follows a failover. Open ones stay where they are.
    pub fn lead_to(&self, target: SocketAddr) {
        self.mode.send_modify(|mode| mode.target = target);
    }

    /// Delays what passes, in each direction.
    pub fn latency(&self, latency: Duration) {
        self.mode.send_modify(|mode| mode.latency = latency);
    }

    /// Behaves again.
    pub fn restore(&self) {
        self.mode.send_modify(|mode| {
            mode.refuse = false;
            mode.stall = false;
            mode.latency = Duration::ZERO;
        });
    }

    /// What it has seen so far.
    #[must_use]
    pub fn status(&self) -> ProxyStatus {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let counts = &self.counts;
        ProxyStatus {
            open: read(&counts.open),
            accepted: read(&counts.accepted),
            sent: read(&counts.sent),
            received: read(&counts.received),
        }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.mode.send_modify(cut);
        self.stop.cancel();
    }
}

fn cut(mode: &mut Mode) {
    std::mem::take(&mut mode.cut).cancel();
}

async fn run(
    mut listener: TcpListener,
    address: SocketAddr,
    mut mode: watch::Receiver<Mode>,
    counts: Arc<Counts>,
) -> std::io::Result<()> {
    loop {
        let refuse = mode.borrow_and_update().refuse;
        if refuse {
            // Bound and not listening: connections are refused. Bound before the listener goes: else the system could
            // give the port to anyone who connects to anything.
            let holder = hold(address)?;
            drop(listener);
            if mode.wait_for(|mode| !mode.refuse).await.is_err() {
                return Ok(());
            }
            listener = holder.listen(PENDING_MAX)?;
        }
        tokio::select! {
            changed = mode.changed() => if changed.is_err() { return Ok(()) },
            accepted = listener.accept() => {
                let Ok((client, _)) = accepted else { continue };
                // One look for both: who connects while the server is taken away is cut or refused, never left over.
                let (refuse, cut, target) = {
                    let mode = mode.borrow();
                    (mode.refuse, mode.cut.clone(), mode.target)
                };
                if refuse {
                    continue;
                }
                counts.accepted.fetch_add(1, Ordering::Relaxed);
                let (mode, counts) = (mode.clone(), Arc::clone(&counts));
                tokio::spawn(async move {
                    counts.open.fetch_add(1, Ordering::Relaxed);
                    let _ = cut.run_until_cancelled_owned(connection(client, target, mode, &counts)).await;
                    counts.open.fetch_sub(1, Ordering::Relaxed);
                });
            }
        }
    }
}

/// A socket at this address, beside others of ours only.
fn hold(address: SocketAddr) -> std::io::Result<TcpSocket> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseport(true)?;
    socket.bind(address)?;
    Ok(socket)
}

async fn connection(
    client: TcpStream,
    target: SocketAddr,
    mode: watch::Receiver<Mode>,
    counts: &Counts,
) {
    let Ok(server) = TcpStream::connect(target).await else {
        return;
    };
    let _ = client.set_nodelay(true);
    let _ = server.set_nodelay(true);
    let (client_read, client_write) = client.into_split();
    let (server_read, server_write) = server.into_split();
    tokio::join!(
        pass(client_read, server_write, mode.clone(), &counts.sent),
        pass(server_read, client_write, mode, &counts.received),
    );
}

async fn pass(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    mut mode: watch::Receiver<Mode>,
    count: &AtomicU64,
) {
    let mut buffer = vec![0; 16 * 1024];
    while let Ok(length @ 1..) = from.read(&mut buffer).await {
        let latency = mode.borrow().latency;
        tokio::time::sleep(latency).await;
        if mode.wait_for(|mode| !mode.stall).await.is_err() {
            return;
        }
        if to.write_all(&buffer[..length]).await.is_err() {
            return;
        }
        count.fetch_add(length as u64, Ordering::Relaxed);
    }
    let _ = to.shutdown().await;
}
