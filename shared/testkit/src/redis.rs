use std::net::{Ipv4Addr, SocketAddr};

use nix::sys::signal::Signal;
use steelyard_localstores::{Durability, Redis, StoreOptions};

use crate::{must, throwaway_dir};

/// A Redis server of this test's own, which it may flush, stall and kill. It keeps nothing over a restart: what a failover
/// to an empty replica would be.
#[derive(Debug)]
pub struct TestRedis {
    /// `redis://…` with its password. Stays the same over [`TestRedis::kill`] and [`TestRedis::start_again`].
    pub url: String,
    port: u16,
    password: String,
    server: Option<Redis>,
}

/// Starts a Redis server on a free port: a few milliseconds.
///
/// # Panics
/// When there is none installed or it does not start.
pub async fn redis() -> TestRedis {
    let server = start(None).await;
    TestRedis {
        url: server.url(),
        port: server.port(),
        password: server.password().to_owned(),
        server: Some(server),
    }
}

async fn start(again: Option<(u16, String)>) -> Redis {
    let mut options = StoreOptions::new(Durability::Throwaway);
    if let Some((port, password)) = again {
        options.port = Some(port);
        options.redis_password = Some(password);
    }
    must(
        "start a Redis for this test",
        Redis::start(&throwaway_dir("redis"), &options).await,
    )
}

impl TestRedis {
    /// Where it listens, for a proxy.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port).into()
    }

    /// The same server by way of a proxy at `address`.
    #[must_use]
    pub fn url_via(&self, address: SocketAddr) -> String {
        format!("redis://:{}@{address}", self.password)
    }

    /// Ends the server as a crash would. Connections break, new ones are refused.
    ///
    /// # Panics
    /// When it cannot be ended.
    pub async fn kill(&mut self) {
        if let Some(server) = self.server.take() {
            must("kill Redis", server.kill().await);
        }
    }

    /// Starts an empty server under the same URL after [`TestRedis::kill`].
    ///
    /// # Panics
    /// When it does not start.
    pub async fn start_again(&mut self) {
        if self.server.is_none() {
            self.server = Some(start(Some((self.port, self.password.clone()))).await);
        }
    }

    /// Stops the process in its tracks: connections stay open and nothing answers.
    pub fn stall(&mut self) {
        if let Some(server) = &mut self.server {
            server.signal(Signal::SIGSTOP);
        }
    }

    /// Ends a [`TestRedis::stall`].
    pub fn resume(&mut self) {
        if let Some(server) = &mut self.server {
            server.signal(Signal::SIGCONT);
        }
    }
}
