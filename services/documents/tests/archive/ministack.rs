//! An S3 that others wrote, and that knows cold classes: ministack from PyPI.

use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use steelyard_objects::Bucket;
use steelyard_testkit::wait_for;

use crate::stand::{SOON, config};

const PACKAGE: &str = "ministack==1.5.33";

pub(crate) struct Ministack {
    child: Child,
    url: String,
}

impl Ministack {
    /// Installs it when it is not there yet, and starts it on a free port. The error says what is in the way.
    pub(crate) async fn start() -> Result<Self, String> {
        let target = Path::new(env!("CARGO_TARGET_TMPDIR"));
        let environment = steelyard_testkit::python(target, "archive-venv", &[PACKAGE])?;
        let port = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
        let port = port.unwrap().port();
        let child = Command::new(environment.join("bin/ministack"))
            .env("GATEWAY_PORT", port.to_string())
            .env("BIND_HOST", "127.0.0.1")
            .env("SERVICES", "s3")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| format!("ministack does not start: {error}"))?;
        let ministack = Self {
            child,
            url: format!("http://127.0.0.1:{port}"),
        };
        wait_for("ministack answers", SOON, async || {
            tokio::net::TcpStream::connect(("127.0.0.1", port))
                .await
                .is_ok()
        })
        .await;
        Ok(ministack)
    }

    pub(crate) async fn bucket(&self) -> Bucket {
        let bucket = Bucket::connect(config(self.url.clone(), "test", "test"), "documents").await;
        bucket.make().await.unwrap();
        bucket
    }
}

impl Drop for Ministack {
    fn drop(&mut self) {
        // It keeps nothing that needs an orderly end.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
