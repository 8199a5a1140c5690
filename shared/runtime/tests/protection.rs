//! Scale-in protection, asked of a stand-in for ECS's container agent.
#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::json;
use steelyard_runtime::config::Env;
use steelyard_runtime::protection::{Options, TaskAgent};
use steelyard_testkit::FakeAgent;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

const SOON: Duration = Duration::from_secs(30);

/// A worker that can be told to be busy, and the agent of its task.
struct Stand {
    busy: Arc<AtomicBool>,
    agent: FakeAgent,
    stop: CancellationToken,
    kept: JoinHandle<()>,
}

impl Stand {
    async fn new() -> Self {
        let agent = FakeAgent::start().await.unwrap();
        let (busy, stop) = (Arc::<AtomicBool>::default(), CancellationToken::new());
        let kept = tokio::spawn({
            let (busy, stop) = (Arc::clone(&busy), stop.clone());
            let agent = agent_at(&agent.uri);
            async move {
                let is_busy = || busy.load(Ordering::Relaxed);
                agent.keep(is_busy, stop).await;
            }
        });
        Self {
            busy,
            agent,
            stop,
            kept,
        }
    }

    async fn ended(self) {
        self.stop.cancel();
        tokio::time::timeout(SOON, self.kept)
            .await
            .unwrap()
            .unwrap();
    }
}

fn agent_at(uri: &str) -> TaskAgent {
    let env = Env::of([("ECS_AGENT_URI", uri)]);
    let agent = TaskAgent::read(&mut env.reader(), &env).unwrap();
    agent.with(Options {
        look_every: Duration::from_millis(5),
        idle_max: Duration::from_millis(50),
        renew_after: Duration::from_millis(100),
        retry_after: Duration::from_millis(20),
        ..Options::default()
    })
}

#[tokio::test]
async fn a_worker_is_protected_while_it_is_busy_and_no_longer() {
    let mut stand = Stand::new().await;
    let protect = json!({ "ProtectionEnabled": true, "ExpiresInMinutes": 5 });
    for _ in 0..2 {
        stand.busy.store(true, Ordering::Relaxed);
        assert_eq!(stand.agent.next().await.unwrap(), protect);
        // Renewed while it goes on.
        assert_eq!(stand.agent.next().await.unwrap(), protect);
        stand.busy.store(false, Ordering::Relaxed);
        while stand.agent.next().await.unwrap() != json!({ "ProtectionEnabled": false }) {}
    }
    stand.ended().await;
}

#[tokio::test]
async fn a_refusal_is_tried_again_and_a_silent_agent_holds_up_no_stop() {
    let mut stand = Stand::new().await;
    stand.agent.refuse();
    stand.busy.store(true, Ordering::Relaxed);
    for _ in 0..3 {
        let asked = stand.agent.next().await.unwrap();
        assert_eq!(asked["ProtectionEnabled"], true);
    }
    stand.ended().await;

    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let agent = agent_at(&format!("http://{}", silent.local_addr().unwrap()));
    let stop = CancellationToken::new();
    let kept = tokio::spawn({
        let stop = stop.clone();
        async move { agent.keep(|| true, stop).await }
    });
    // It is asked, and does not answer.
    let asked = tokio::time::timeout(SOON, silent.accept()).await;
    let _held = asked.unwrap().unwrap();
    stop.cancel();
    tokio::time::timeout(SOON, kept).await.unwrap().unwrap();
}
