//! An SQS that others wrote: ministack from PyPI, in a virtual environment of its own.

use std::{
    net::TcpListener,
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

/// The version that the exceptions were found with.
const PACKAGE: &str = "ministack==1.5.33";
const START_SECONDS_MAX: u64 = 60;

pub(crate) struct Ministack {
    child: Child,
    pub(crate) url: String,
}

impl Ministack {
    /// Installs it when it is not there yet, and starts it on a free port. The error says what is in the way.
    pub(crate) fn start() -> Result<Self, String> {
        let target = Path::new(env!("CARGO_TARGET_TMPDIR"));
        let environment = steelyard_testkit::python(target, "contract-venv", &[PACKAGE])?;
        let port = TcpListener::bind("127.0.0.1:0")
            .and_then(|listener| listener.local_addr())
            .unwrap()
            .port();
        let child = Command::new(environment.join("bin/ministack"))
            .env("GATEWAY_PORT", port.to_string())
            .env("BIND_HOST", "127.0.0.1")
            .env("SERVICES", "sqs")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| format!("ministack does not start: {error}"))?;
        let ministack = Self {
            child,
            url: format!("http://127.0.0.1:{port}"),
        };
        let deadline = Instant::now() + Duration::from_secs(START_SECONDS_MAX);
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            if Instant::now() > deadline {
                return Err(format!(
                    "ministack does not answer after {START_SECONDS_MAX} s"
                ));
            }
            std::thread::yield_now();
        }
        Ok(ministack)
    }
}

impl Drop for Ministack {
    fn drop(&mut self) {
        // It keeps nothing that needs an orderly end.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
