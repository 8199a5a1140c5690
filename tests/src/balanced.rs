//! A load balancer as its clients know it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::interval;

use crate::client::{Client, plain_http};

/// How often a target is asked whether it is ready. Real ones ask every few seconds, and gateways
/// give notice of a stop accordingly longer. Meanwhile requests go to a gateway that is stopping:
/// asked much more often, and one that gives no notice would hardly be found out.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Sends requests to ready gateways in turn. A request is tried once: whatever fails, fails its
/// client, as it does behind a balancer that must not repeat a `POST`.
#[derive(Debug)]
pub struct Balanced {
    targets: Vec<Target>,
    next: AtomicUsize,
    _looks: JoinSet<()>,
}

#[derive(Debug)]
struct Target {
    client: Client,
    ready: Arc<AtomicBool>,
}

impl Balanced {
    pub(crate) fn new(gateways: &[(u16, u16)], token: &str) -> Self {
        let mut looks = JoinSet::new();
        let targets = gateways.iter().map(|&(port, admin_port)| {
            let ready = Arc::new(AtomicBool::new(true));
            looks.spawn(look(admin_port, Arc::clone(&ready)));
            Target {
                client: Client::new(port, token.to_owned()),
                ready,
            }
        });
        Self {
            targets: targets.collect(),
            next: AtomicUsize::new(0),
            _looks: looks,
        }
    }

    /// The gateway whose turn it is, of those that are ready; of all, if none is.
    pub fn client(&self) -> &Client {
        let turn = self.next.fetch_add(1, Ordering::Relaxed);
        let count = self.targets.len();
        let in_turn = (0..count).map(|n| &self.targets[(turn + n) % count]);
        let mut ready = in_turn
            .clone()
            .filter(|target| target.ready.load(Ordering::Relaxed));
        let target = ready.next().unwrap_or(&self.targets[turn % count]);
        &target.client
    }
}

async fn look(admin_port: u16, ready: Arc<AtomicBool>) {
    let url = format!("http://127.0.0.1:{admin_port}/readyz");
    let http = plain_http();
    let mut looks = interval(LOOK_EVERY);
    loop {
        looks.tick().await;
        let answer = http.get(&url).send().await;
        let is_ready = answer.is_ok_and(|answer| answer.status().is_success());
        ready.store(is_ready, Ordering::Relaxed);
    }
}
