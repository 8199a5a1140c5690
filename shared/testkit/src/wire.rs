//! Faults at every request that a process makes.
//!
//! All that a service does to the world it does by a request to a server: Postgres, Redis, SQS, a peer. A [`Wire`] stands
//! between one process and its servers and understands their protocols just so far that it sees where a request and its
//! answer begin and end. So it needs no hooks in the code: what it sees is what the shipped binary does, an effect that
//! someone adds tomorrow is seen tomorrow, and a fault comes where it hurts most, between two bytes.
//!
//! ```no_run
//! # async fn example(database: std::net::SocketAddr) {
//! use steelyard_testkit::{Fault, Wire};
//!
//! let wire = Wire::new("orders");
//! let postgres = wire.postgres(database).await; // the process gets this address instead
//! wire.record();
//! // … the process works …
//! let points = wire.points(); // "orders: INSERT orders #1", "orders: COMMIT orders outbox #1", …
//! wire.arm(points[0].clone(), Fault::AnswerLost);
//! // … the process works again, and this time loses that answer …
//! assert!(wire.has_fired());
//! # }
//! ```

mod http;
mod postgres;
mod redis;

pub use postgres::statement;

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::must;

/// A request of a process, in the order of its like since [`Wire::record`] or [`Wire::arm`].
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Point {
    /// Which process makes it.
    pub part: &'static str,
    /// What it asks for: `INSERT orders`, `POST /internal/reservations`, `DeleteMessageBatch orders.fifo`.
    pub call: String,
    /// The first, second, … of its like.
    pub nth: u32,
    /// Whether it is known to be one only by its answer, as a poll that brings something.
    pub late: bool,
}

impl fmt::Display for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.part, self.call)?;
        if self.nth > 1 {
            write!(f, " #{}", self.nth)?;
        }
        Ok(())
    }
}

/// What goes wrong at a point.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fault {
    /// The connection breaks before the request arrives: it has no effect, and the process cannot know.
    RequestLost,
    /// The connection breaks after the request had its effect and before the answer arrives: the process cannot know.
    AnswerLost,
    /// The process dies before the request arrives.
    DiesBefore,
    /// The process dies after the request had its effect.
    DiesAfter,
}

impl Fault {
    /// Every one.
    pub const ALL: [Self; 4] = [
        Self::RequestLost,
        Self::AnswerLost,
        Self::DiesBefore,
        Self::DiesAfter,
    ];

    /// In words.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::RequestLost => "request lost",
            Self::AnswerLost => "answer lost",
            Self::DiesBefore => "dies before",
            Self::DiesAfter => "dies after",
        }
    }

    /// Whether the request has no effect.
    #[must_use]
    pub const fn is_before(self) -> bool {
        matches!(self, Self::RequestLost | Self::DiesBefore)
    }

    /// Whether the process dies of it.
    #[must_use]
    pub const fn kills(self) -> bool {
        matches!(self, Self::DiesBefore | Self::DiesAfter)
    }
}

/// The connections of one process to its servers. Cheap to clone; ends with the last clone.
#[derive(Clone, Debug)]
pub struct Wire {
    inner: Arc<Inner>,
    _listening: Arc<DropGuard>,
}

#[derive(Debug)]
struct Inner {
    part: &'static str,
    state: Mutex<State>,
    /// Cancelled when nobody needs the listeners any more.
    stop: CancellationToken,
}

#[derive(Debug, Default)]
struct State {
    counts: HashMap<String, u32>,
    points: Vec<Point>,
    /// Every call that was ever seen, over all recordings.
    ever: HashSet<String>,
    armed: Option<(Point, Fault)>,
    has_fired: bool,
    /// Cancelled when the process is to be dead: not a byte passes any more.
    alive: CancellationToken,
}

/// What becomes of a request.
enum Verdict {
    Pass,
    /// It passes, and its answer does not.
    LoseAnswer(Fault),
    Break,
}

/// The connection is to be broken.
struct Broken;

impl Wire {
    /// The wire of a process of this name, without connections yet.
    #[must_use]
    pub fn new(part: &'static str) -> Self {
        let stop = CancellationToken::new();
        Self {
            _listening: Arc::new(stop.clone().drop_guard()),
            inner: Arc::new(Inner {
                part,
                state: Mutex::default(),
                stop,
            }),
        }
    }

    /// Forgets what was seen, and the fault if there is one.
    pub fn record(&self) {
        let mut state = self.inner.state();
        state.counts.clear();
        state.points.clear();
        state.armed = None;
        state.has_fired = false;
    }

    /// What was asked for since [`Wire::record`], in order.
    #[must_use]
    pub fn points(&self) -> Vec<Point> {
        self.inner.state().points.clone()
    }

    /// Every statement, call and script that was ever asked for, as it is named in [`Point::call`].
    #[must_use]
    pub fn calls_ever(&self) -> HashSet<String> {
        self.inner.state().ever.clone()
    }

    /// Has this fault happen when this point is reached; once.
    pub fn arm(&self, point: Point, fault: Fault) {
        self.record();
        self.inner.state().armed = Some((point, fault));
    }

    /// Whether the fault has happened.
    #[must_use]
    pub fn has_fired(&self) -> bool {
        self.inner.state().has_fired
    }

    /// Returns when the process has to die. Its connections are broken by then: the caller kills it, and starts another
    /// one after [`Wire::revive`].
    pub async fn death(&self) {
        let alive = self.inner.state().alive.clone();
        alive.cancelled().await;
    }

    /// Lets connections through again.
    pub fn revive(&self) {
        self.inner.state().alive = CancellationToken::new();
    }

    /// A way to a Postgres server.
    ///
    /// # Panics
    /// When no port is free.
    pub async fn postgres(&self, server: SocketAddr) -> SocketAddr {
        self.listen(server, |client, server, inner| async move {
            postgres::serve(client, server, &inner).await;
        })
        .await
    }

    /// A way to a Redis server. `scripts` names scripts by their SHA-1.
    ///
    /// # Panics
    /// When no port is free.
    pub async fn redis(&self, server: SocketAddr, scripts: HashMap<String, String>) -> SocketAddr {
        let scripts = Arc::new(scripts);
        self.listen(server, move |client, server, inner| {
            let scripts = Arc::clone(&scripts);
            async move { redis::serve(client, server, &inner, &scripts).await }
        })
        .await
    }

    /// A way to an HTTP server: a peer, or SQS.
    ///
    /// # Panics
    /// When no port is free.
    pub async fn http(&self, server: SocketAddr) -> SocketAddr {
        let listener = must(
            "bind a wire",
            TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await,
        );
        let address = must("a wire's address", listener.local_addr());
        let inner = Arc::clone(&self.inner);
        let forward = http::Forward::new(server);
        self.accept(listener, move |client| {
            let (inner, forward) = (Arc::clone(&inner), forward.clone());
            async move { http::serve(client, &forward, inner).await }
        });
        address
    }

    async fn listen<F>(
        &self,
        server: SocketAddr,
        serve: impl Fn(TcpStream, TcpStream, Arc<Inner>) -> F + Clone + Send + 'static,
    ) -> SocketAddr
    where
        F: Future<Output = ()> + Send,
    {
        let listener = must(
            "bind a wire",
            TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await,
        );
        let address = must("a wire's address", listener.local_addr());
        let inner = Arc::clone(&self.inner);
        self.accept(listener, move |client| {
            let (inner, serve) = (Arc::clone(&inner), serve.clone());
            async move {
                if let Ok(stream) = TcpStream::connect(server).await {
                    let _ = stream.set_nodelay(true);
                    serve(client, stream, inner).await;
                }
            }
        });
        address
    }

    fn accept<F>(&self, listener: TcpListener, serve: impl Fn(TcpStream) -> F + Send + 'static)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let inner = Arc::clone(&self.inner);
        let stop = self.inner.stop.clone();
        let accept = async move {
            while let Ok((client, _)) = listener.accept().await {
                let alive = inner.state().alive.clone();
                let _ = client.set_nodelay(true);
                tokio::spawn(alive.run_until_cancelled_owned(serve(client)));
            }
        };
        tokio::spawn(stop.run_until_cancelled_owned(accept));
    }
}

impl Inner {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A request has come.
    fn request(&self, call: &str) -> Verdict {
        let mut state = self.state();
        match state.pass(self.part, call, false) {
            None => Verdict::Pass,
            Some(fault) if fault.is_before() => {
                state.fire(fault);
                Verdict::Break
            }
            Some(fault) => Verdict::LoseAnswer(fault),
        }
    }

    /// Its answer has come.
    fn answer(&self, verdict: &Verdict) -> Result<(), Broken> {
        if let Verdict::LoseAnswer(fault) = verdict {
            self.state().fire(*fault);
            return Err(Broken);
        }
        Ok(())
    }

    /// An answer that makes its request a point.
    fn late(&self, call: &str) -> Result<(), Broken> {
        let mut state = self.state();
        match state.pass(self.part, call, true) {
            Some(fault) => {
                state.fire(fault);
                Err(Broken)
            }
            None => Ok(()),
        }
    }
}

impl State {
    fn pass(&mut self, part: &'static str, call: &str, late: bool) -> Option<Fault> {
        let nth = self.counts.entry(call.to_owned()).or_default();
        *nth += 1;
        let point = Point {
            part,
            call: call.to_owned(),
            nth: *nth,
            late,
        };
        let fault = match &self.armed {
            Some((armed, fault)) if *armed == point && !self.has_fired => Some(*fault),
            _ => None,
        };
        self.ever.insert(point.call.clone());
        self.points.push(point);
        fault
    }

    fn fire(&mut self, fault: Fault) {
        self.has_fired = true;
        if fault.kills() {
            self.alive.cancel();
        }
    }
}
