//! Scale-in protection, asked of a stand-in for ECS's container agent.
#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::put;
use axum::{Json, Router};
use serde_json::{Value, json};
use steelyard_runtime::config::Env;
use steelyard_runtime::protection::{Options, TaskAgent};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

const SOON: Duration = Duration::from_secs(30);

/// What the agent answers, and who hears what it was asked.
#[derive(Clone)]
struct Agent {
    asked: mpsc::UnboundedSender<Value>,
    refuses: Arc<AtomicBool>,
}

async fn state(State(agent): State<Agent>, Json(wanted): Json<Value>) -> (StatusCode, Json<Value>) {
    agent.asked.send(wanted.clone()).unwrap();
    let answer = if agent.refuses.load(Ordering::Relaxed) {
        // As ECS refuses a task that belongs to no service.
        json!({ "requestID": "1", "failure": { "Arn": "task", "Reason": "TASK_NOT_VALID" } })
    } else {
        let enabled = &wanted["ProtectionEnabled"];
        json!({ "requestID": "1", "protection": { "ProtectionEnabled": enabled, "TaskArn": "task" } })
    };
    (StatusCode::OK, Json(answer))
}

/// A worker that can be told to be busy, and what the agent is asked for it.
struct Stand {
    busy: Arc<AtomicBool>,
    refuses: Arc<AtomicBool>,
    asked: mpsc::UnboundedReceiver<Value>,
    stop: CancellationToken,
    kept: JoinHandle<()>,
}

impl Stand {
    async fn new(options: Options) -> Self {
        let (asked, hears) = mpsc::unbounded_channel();
        let refuses = Arc::<AtomicBool>::default();
        let agent = Agent {
            asked,
            refuses: Arc::clone(&refuses),
        };
        let routes = Router::new()
            .route("/api/1/task-protection/v1/state", put(state))
            .with_state(agent);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let uri = format!("http://{}/api/1", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, routes).await });
        let (busy, stop) = (Arc::<AtomicBool>::default(), CancellationToken::new());
        let kept = tokio::spawn({
            let (busy, stop) = (Arc::clone(&busy), stop.clone());
            let agent = agent_at(&uri).with(options);
            async move {
                let is_busy = || busy.load(Ordering::Relaxed);
                agent.keep(is_busy, stop).await;
            }
        });
        Self {
            busy,
            refuses,
            asked: hears,
            stop,
            kept,
        }
    }

    async fn next(&mut self) -> Value {
        let asked = tokio::time::timeout(SOON, self.asked.recv()).await;
        asked.unwrap().unwrap()
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
    TaskAgent::read(&mut env.reader(), &env).unwrap()
}

fn quick() -> Options {
    Options {
        look_every: Duration::from_millis(5),
        idle_max: Duration::from_millis(50),
        renew_after: Duration::from_millis(100),
        retry_after: Duration::from_millis(20),
        ..Options::default()
    }
}

#[tokio::test]
async fn a_worker_is_protected_while_it_is_busy_and_no_longer() {
    let mut stand = Stand::new(quick()).await;
    let protect = json!({ "ProtectionEnabled": true, "ExpiresInMinutes": 5 });
    for _ in 0..2 {
        stand.busy.store(true, Ordering::Relaxed);
        assert_eq!(stand.next().await, protect);
        // Renewed while it goes on.
        assert_eq!(stand.next().await, protect);
        stand.busy.store(false, Ordering::Relaxed);
        while stand.next().await != json!({ "ProtectionEnabled": false }) {}
    }
    stand.ended().await;
}

#[tokio::test]
async fn a_refusal_is_tried_again_and_a_silent_agent_holds_up_no_stop() {
    let mut stand = Stand::new(quick()).await;
    stand.refuses.store(true, Ordering::Relaxed);
    stand.busy.store(true, Ordering::Relaxed);
    for _ in 0..3 {
        assert_eq!(stand.next().await["ProtectionEnabled"], true);
    }
    stand.ended().await;

    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let agent = agent_at(&format!("http://{}", silent.local_addr().unwrap())).with(quick());
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
