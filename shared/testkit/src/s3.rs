use std::net::SocketAddr;

use steelyard_locals3::Server;
use tempfile::TempDir;

use crate::must;

const ACCESS_KEY: &str = "test";
const SECRET_KEY: &str = "a secret of the tests";

/// An S3 server of this test's own, with its objects in a folder that goes with it.
#[derive(Debug)]
pub struct TestS3 {
    server: Server,
    _dir: TempDir,
}

/// Starts an S3 server in this process, with these buckets, on a free port.
///
/// # Panics
/// When it does not start.
pub async fn s3(buckets: &[&str]) -> TestS3 {
    let dir = must("a folder for S3", TempDir::new());
    let started = Server::start(dir.path(), buckets, &[], ACCESS_KEY, SECRET_KEY).await;
    TestS3 {
        server: must("start an S3 server", started),
        _dir: dir,
    }
}

impl TestS3 {
    /// Its endpoint.
    #[must_use]
    pub fn url(&self) -> String {
        self.server.url()
    }

    /// Where it listens, for a proxy.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// `AWS_ACCESS_KEY_ID`.
    #[must_use]
    pub const fn access_key(&self) -> &'static str {
        ACCESS_KEY
    }

    /// `AWS_SECRET_ACCESS_KEY`.
    #[must_use]
    pub const fn secret_key(&self) -> &'static str {
        SECRET_KEY
    }
}
