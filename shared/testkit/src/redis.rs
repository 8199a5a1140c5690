use std::net::{Ipv4Addr, SocketAddr};

use nix::sys::signal::Signal;
use steelyard_localstores::{Durability, Redis, RedisRole, StoreOptions};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::{must, throwaway_dir};

/// A Redis server of this test's own, which it may flush, stall and kill. It keeps nothing over a restart: what a failover
/// to an empty replica would be.
#[derive(Debug)]
pub struct TestRedis {
    /// `redis://…` with its password. Stays the same over [`TestRedis::kill`] and [`TestRedis::start_again`].
    pub url: String,
    port: u16,
    password: String,
    role: RedisRole,
    server: Option<Redis>,
}

/// Starts a Redis server on a free port: a few milliseconds.
///
/// # Panics
/// When there is none installed or it does not start.
pub async fn redis() -> TestRedis {
    TestRedis::start(RedisRole::Single, None).await
}

async fn start(role: &RedisRole, port: Option<u16>, password: Option<String>) -> Redis {
    let mut options = StoreOptions::new(Durability::Throwaway);
    options.port = port;
    options.redis_password = password;
    options.redis_role = role.clone();
    must(
        "start a Redis for this test",
        Redis::start(&throwaway_dir("redis"), &options).await,
    )
}

impl TestRedis {
    pub(crate) async fn start(role: RedisRole, password: Option<String>) -> Self {
        let server = start(&role, None, password).await;
        Self {
            url: server.url(),
            port: server.port(),
            password: server.password().to_owned(),
            role,
            server: Some(server),
        }
    }

    pub(crate) fn password(&self) -> &str {
        &self.password
    }

    /// Sends one command, as one types it, on a connection of its own, and returns the server's answer as it came.
    ///
    /// # Panics
    /// When the server does not answer.
    pub async fn command(&self, line: &str) -> String {
        let asked = async {
            let mut stream = TcpStream::connect(self.address()).await?;
            let text = format!("AUTH {}\r\n{line}\r\n", self.password);
            stream.write_all(text.as_bytes()).await?;
            // A sentinel knows no QUIT.
            stream.shutdown().await?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await?;
            std::io::Result::Ok(answer)
        };
        let answer = must("ask this test's Redis", asked.await);
        answer.strip_prefix("+OK\r\n").unwrap_or(&answer).to_owned()
    }

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
            let again = start(&self.role, Some(self.port), Some(self.password.clone()));
            self.server = Some(again.await);
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
