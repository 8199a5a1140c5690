//! A service as a process that can be killed and started again.

use std::path::{Path, PathBuf};

use nix::sys::signal::Signal;
use steelyard_localstores::supervise::{Spec, Supervised};
use steelyard_localstores::{free_port, log_tail};
use steelyard_testkit::{Wire, wait_for};
use steelyard_tests::PATIENCE;
use tokio::sync::Mutex;

/// A service of the lane, with its connections.
pub(crate) struct Part {
    pub(crate) name: &'static str,
    pub(crate) wire: Wire,
    pub(crate) port: u16,
    admin_port: u16,
    env: Vec<(String, String)>,
    log: PathBuf,
    process: Mutex<Option<Supervised>>,
}

impl Part {
    /// Not running yet.
    pub(crate) fn new(name: &'static str, dir: &Path) -> Self {
        Self {
            name,
            wire: Wire::new(name),
            port: free_port().expect("a free port"),
            admin_port: free_port().expect("a free port"),
            env: Vec::new(),
            log: dir.join(format!("{name}.log")),
            process: Mutex::default(),
        }
    }

    pub(crate) fn base(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Gives it its settings.
    pub(crate) fn configure<const N: usize>(&mut self, env: [(&str, String); N]) {
        let own = [
            ("PART", self.name.to_owned()),
            ("RUST_LOG", "warn".to_owned()),
            ("LISTEN_ADDR", format!("127.0.0.1:{}", self.port)),
            ("ADMIN_ADDR", format!("127.0.0.1:{}", self.admin_port)),
        ];
        let all = own.into_iter().chain(env);
        self.env = all.map(|(name, value)| (name.to_owned(), value)).collect();
    }

    /// Starts it and waits until it is ready.
    pub(crate) async fn start(&self) {
        let program = Path::new(env!("CARGO_BIN_EXE_part"));
        let dir = self.log.parent().expect("a directory");
        let mut spec = Spec::new(self.name, program, dir, &self.log);
        spec.env.clone_from(&self.env);
        let process = Supervised::spawn(spec).await.expect("the part starts");
        *self.process.lock().await = Some(process);
        let ready = format!("http://127.0.0.1:{}/readyz", self.admin_port);
        wait_for(&format!("{} is ready", self.name), PATIENCE, async || {
            let answer = reqwest::get(&ready).await;
            answer.is_ok_and(|answer| answer.status().is_success())
        })
        .await;
    }

    /// Ends it as the kernel ends a process: at once.
    pub(crate) async fn kill(&self) {
        if let Some(mut process) = self.process.lock().await.take() {
            process.signal(Signal::SIGKILL);
            process.ended(PATIENCE).await.expect("the part is gone");
        }
    }

    /// The end of what it said.
    pub(crate) fn said(&self) -> String {
        format!("--- {}\n{}", self.name, log_tail(&self.log, 30))
    }
}
