//! An S3 that others wrote, and that knows cold classes: ministack from PyPI.

use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use steelyard_objects::{Bucket, S3Config};
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

    /// The tags of an object of the bucket, in the order of their names. Signatures are not looked at.
    pub(crate) async fn tags(&self, key: &str) -> Vec<(String, String)> {
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let url = format!("{}/documents/{key}?tagging", self.url);
        let answer = http.get(url).send().await.unwrap();
        let tags = answer.error_for_status().unwrap().text().await.unwrap();
        let text = |tag: &str, name: &str| {
            let (_, rest) = tag.split_once(&format!("<{name}>")).unwrap();
            rest.split('<').next().unwrap().to_owned()
        };
        let mut tags: Vec<_> = tags
            .split("<Tag>")
            .skip(1)
            .map(|tag| (text(tag, "Key"), text(tag, "Value")))
            .collect();
        tags.sort();
        tags
    }

    pub(crate) fn config(&self) -> S3Config {
        config(self.url.clone(), "test", "test")
    }

    pub(crate) async fn bucket(&self) -> Bucket {
        let bucket = Bucket::connect(self.config(), "documents").await;
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
