//! `GET /v1/orders/{id}/events`: an order's changes as Server-Sent Events.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse as _, Response};
use futures_util::stream;
use serde::{Deserialize, Serialize};
use steelyard_domain::api::Problem;
use steelyard_domain::id::OrderId;
use steelyard_domain::order::{HistoryEntry, OrderStatus};
use steelyard_runtime::http::{HttpError, Path};
use steelyard_status::{Subscription, WatchEvent};
use time::OffsetDateTime;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;
use utoipa::ToSchema;

use super::read::{Found, ask_orders, find, order_id};
use crate::app::App;
use crate::auth::CallerOf;

/// Comments keep the stream from looking idle to balancers.
const COMMENT_EVERY: Duration = Duration::from_secs(15);
/// A stream ends after this; clients reconnect by themselves and go on where they were.
const STREAM_MAX: Duration = Duration::from_hours(1);
/// The order is asked for at least this often: a change may go unheard while Redis is down.
const ASK_EVERY: Duration = Duration::from_secs(10);

/// One change of an order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct StatusEvent {
    /// Which order.
    order_id: OrderId,
    /// The order's version with this change; 0 before a worker has settled it. It is the event's
    /// `id`, so a client that reconnects misses nothing.
    version: i64,
    /// The status after it.
    status: OrderStatus,
    /// By which command; left out where it is not known yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    command: Option<String>,
    /// When; left out where it is not known yet.
    #[serde(
        with = "time::serde::rfc3339::option",
        skip_serializing_if = "Option::is_none"
    )]
    at: Option<OffsetDateTime>,
}

/// Follow an order
///
/// Server-Sent Events: first what has happened so far, then each change as it happens. The
/// event's name is `status`, its id the order's version; a client that sends `Last-Event-ID` gets
/// what came after it.
#[utoipa::path(
    get,
    path = "/v1/orders/{id}/events",
    operation_id = "follow_order",
    tag = "orders",
    params(
        ("id" = OrderId, Path, description = "The order"),
        ("Last-Event-ID" = Option<i64>, Header, description = "Go on after this event"),
    ),
    responses(
        (status = 200, description = "A stream of events", body = StatusEvent, content_type = "text/event-stream"),
        (status = 404, description = "No such order, or another customer's", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "Too many streams, or not known at the moment; see `Retry-After`", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn events(
    State(app): State<Arc<App>>,
    CallerOf(caller): CallerOf,
    Path(order): Path<String>,
    headers: HeaderMap,
) -> Result<Response, HttpError> {
    let id = order_id(&order)?;
    let full = || HttpError::unavailable("too_many_streams", "too many streams are open", 5);
    let permit = Arc::clone(&app.event_streams)
        .try_acquire_owned()
        .map_err(|_| full())?;
    let changes = app.watch.subscribe(id).map_err(|_| full())?;
    let last_seen = headers
        .get("last-event-id")
        .and_then(|value| value.to_str().ok())
        .and_then(|text| text.trim().parse().ok())
        .unwrap_or(-1);
    let mut follower = Follower {
        id,
        last_sent: last_seen,
        ready: VecDeque::new(),
        changes,
        ends: Instant::now() + STREAM_MAX,
        app: Arc::clone(&app),
        _permit: permit,
    };
    match find(&app, &caller, id).await? {
        Found::Order(order) => follower.queue_order(&order),
        Found::Receipt { receipt, .. } => follower.queue(StatusEvent {
            order_id: id,
            version: 0,
            status: receipt.status,
            command: None,
            at: Some(receipt.accepted_at),
        }),
    }
    let events = stream::unfold(follower, async |mut follower| {
        let event = follower.next().await?;
        Some((Ok::<_, Infallible>(event), follower))
    });
    let events: stream::BoxStream<'static, _> = Box::pin(events);
    Ok(Sse::new(events)
        .keep_alive(KeepAlive::new().interval(COMMENT_EVERY))
        .into_response())
}

/// What of an order is followed.
#[derive(Deserialize)]
struct Followed {
    version: i64,
    status: OrderStatus,
    #[serde(with = "time::serde::rfc3339")]
    accepted_at: OffsetDateTime,
    #[serde(default)]
    history: Vec<HistoryEntry>,
}

struct Follower {
    id: OrderId,
    last_sent: i64,
    ready: VecDeque<StatusEvent>,
    changes: Subscription,
    ends: Instant,
    app: Arc<App>,
    _permit: OwnedSemaphorePermit,
}

impl Follower {
    async fn next(&mut self) -> Option<Event> {
        let stop = self.app.stop.clone();
        let ends = self.ends;
        let event = async {
            loop {
                if let Some(event) = self.ready.pop_front() {
                    return Some(event);
                }
                self.wait().await?;
            }
        };
        let event = stop
            .run_until_cancelled(tokio::time::timeout_at(ends, event))
            .await?
            .ok()??;
        let event_id = event.version.to_string();
        Event::default()
            .event("status")
            .id(event_id)
            .json_data(event)
            .ok()
    }

    /// Waits for a change, or a while, and asks for the order; `None` when the process stops.
    async fn wait(&mut self) -> Option<()> {
        let heard = match tokio::time::timeout(ASK_EVERY, self.changes.next()).await {
            Ok(event) => event?,
            Err(_elapsed) => WatchEvent::MayHaveMissed,
        };
        match (ask_orders(&self.app, self.id, None).await, heard) {
            (Ok(Some(order)), _) => self.queue_order(&order),
            // The orders service cannot say more than the push did.
            (_, WatchEvent::Changed(change)) => self.queue(StatusEvent {
                order_id: self.id,
                version: change.version,
                status: change.status,
                command: None,
                at: None,
            }),
            (_, WatchEvent::MayHaveMissed) => {}
        }
        Some(())
    }

    fn queue_order(&mut self, order: &[u8]) {
        let order: Followed = match serde_json::from_slice(order) {
            Ok(order) => order,
            Err(error) => {
                tracing::error!(%error, "the orders service's answer cannot be read");
                return;
            }
        };
        self.queue(StatusEvent {
            order_id: self.id,
            version: 0,
            status: OrderStatus::Accepted,
            command: None,
            at: Some(order.accepted_at),
        });
        for entry in order.history {
            self.queue(StatusEvent {
                order_id: self.id,
                version: entry.version,
                status: entry.status,
                command: Some(entry.command),
                at: Some(entry.at),
            });
        }
        // A history that does not reach the order's version must not hide its status.
        self.queue(StatusEvent {
            order_id: self.id,
            version: order.version,
            status: order.status,
            command: None,
            at: None,
        });
    }

    /// Queues what was not sent yet.
    fn queue(&mut self, event: StatusEvent) {
        if event.version > self.last_sent {
            self.last_sent = event.version;
            self.ready.push_back(event);
        }
    }
}
