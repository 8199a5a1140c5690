//! A stand-in for ECS's container agent (Amazon ECS developer guide, "Task scale-in protection endpoint").

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::extract::State;
use axum::routing::put;
use axum::{Json, Router};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

const SOON: Duration = Duration::from_secs(30);

/// An agent that does as it is asked, and tells what that was.
#[derive(Debug)]
pub struct FakeAgent {
    /// `ECS_AGENT_URI`.
    pub uri: String,
    refuses: Arc<AtomicBool>,
    asked: mpsc::UnboundedReceiver<Value>,
}

#[derive(Clone)]
struct Agent {
    asked: mpsc::UnboundedSender<Value>,
    refuses: Arc<AtomicBool>,
}

async fn state(State(agent): State<Agent>, Json(wanted): Json<Value>) -> Json<Value> {
    let enabled = wanted["ProtectionEnabled"].clone();
    // Nobody listens any more when the test is over.
    let _ = agent.asked.send(wanted);
    Json(if agent.refuses.load(Ordering::Relaxed) {
        // As ECS refuses a task that belongs to no service: with 200.
        json!({ "requestID": "1", "failure": { "Arn": "task", "Reason": "TASK_NOT_VALID" } })
    } else {
        json!({ "requestID": "1", "protection": { "ProtectionEnabled": enabled, "TaskArn": "task" } })
    })
}

impl FakeAgent {
    /// Starts one on a free port of this machine.
    ///
    /// # Errors
    /// When none can be had.
    pub async fn start() -> std::io::Result<Self> {
        let (asked, hears) = mpsc::unbounded_channel();
        let refuses = Arc::<AtomicBool>::default();
        let agent = Agent {
            asked,
            refuses: Arc::clone(&refuses),
        };
        let routes = Router::new()
            .route("/api/1/task-protection/v1/state", put(state))
            .with_state(agent);
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let uri = format!("http://{}/api/1", listener.local_addr()?);
        tokio::spawn(async move { axum::serve(listener, routes).await });
        Ok(Self {
            uri,
            refuses,
            asked: hears,
        })
    }

    /// From now on it answers that it cannot.
    pub fn refuse(&self) {
        self.refuses.store(true, Ordering::Relaxed);
    }

    /// What it was asked next; `None` when nothing came for half a minute.
    pub async fn next(&mut self) -> Option<Value> {
        tokio::time::timeout(SOON, self.asked.recv()).await.ok()?
    }

    /// Whether it was asked anything that was not looked at.
    pub fn was_asked(&mut self) -> bool {
        self.asked.try_recv().is_ok()
    }
}
