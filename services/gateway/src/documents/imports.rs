//! `/v1/documents/imports`: how far bulk imports are.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::{Method, StatusCode};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse as _, Response};
use futures_util::stream;
use serde::{Deserialize, Serialize};
use steelyard_domain::api::{Page, Problem};
use steelyard_domain::document::{DocumentImport, ImportFault};
use steelyard_domain::internal::paths;
use steelyard_runtime::http::{HttpError, Path, Query};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;
use utoipa::IntoParams;

use super::id_of;
use crate::app::App;
use crate::peers;

/// Comments keep the stream from looking idle to balancers.
const COMMENT_EVERY: Duration = Duration::from_secs(15);
/// A stream ends after this; clients reconnect by themselves.
const STREAM_MAX: Duration = Duration::from_hours(1);
/// How often it is asked how far the import is.
const ASK_EVERY: Duration = Duration::from_secs(1);

/// How many.
#[derive(Debug, Deserialize, Serialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct LatestQuery {
    /// Entries; 20 when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[param(minimum = 1, maximum = 100)]
    limit: Option<u32>,
}

/// Which page.
#[derive(Debug, Deserialize, Serialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct FaultsQuery {
    /// Entries of a page; 20 when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[param(minimum = 1, maximum = 100)]
    limit: Option<u32>,
    /// `next_cursor` of the page before.
    #[serde(skip_serializing_if = "Option::is_none")]
    cursor: Option<String>,
}

/// List the latest bulk imports of documents
#[utoipa::path(
    get,
    path = "/v1/documents/imports",
    operation_id = "list_document_imports",
    tag = "documents",
    params(LatestQuery),
    responses(
        (status = 200, description = "The imports that something happened to last", body = Page<DocumentImport>),
        (status = 400, description = "A parameter that cannot be used", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "The documents service cannot be asked; see `Retry-After`", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn list(
    State(app): State<Arc<App>>,
    Query(query): Query<LatestQuery>,
) -> Result<Response, HttpError> {
    let request = app.documents.request(Method::GET, paths::IMPORTS);
    peers::pass_on(&app.documents, request.query(&query)).await
}

/// Show how far a bulk import is
#[utoipa::path(
    get,
    path = "/v1/documents/imports/{id}",
    operation_id = "get_document_import",
    tag = "documents",
    params(("id" = Uuid, Path, description = "The import")),
    responses(
        (status = 200, description = "The import and how far it is", body = DocumentImport),
        (status = 404, description = "No such import", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "The documents service cannot be asked; see `Retry-After`", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn show(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
) -> Result<Response, HttpError> {
    let request = app.documents.request(Method::GET, &path_of(&id)?);
    peers::pass_on(&app.documents, request).await
}

/// List rows that were not imported
///
/// By line; the first 100,000 are kept.
#[utoipa::path(
    get,
    path = "/v1/documents/imports/{id}/faults",
    operation_id = "list_document_import_faults",
    tag = "documents",
    params(("id" = Uuid, Path, description = "The import"), FaultsQuery),
    responses(
        (status = 200, description = "A page of faults", body = Page<ImportFault>),
        (status = 400, description = "A parameter or cursor that cannot be used", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "No such import", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "The documents service cannot be asked; see `Retry-After`", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn faults(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    Query(query): Query<FaultsQuery>,
) -> Result<Response, HttpError> {
    let path = format!("{}/faults", path_of(&id)?);
    let request = app.documents.request(Method::GET, &path);
    peers::pass_on(&app.documents, request.query(&query)).await
}

/// Follow a bulk import
///
/// Server-Sent Events named `progress`, each the import as it stands: now, whenever it got further, and at its end, which
/// ends the stream.
#[utoipa::path(
    get,
    path = "/v1/documents/imports/{id}/events",
    operation_id = "follow_document_import",
    tag = "documents",
    params(("id" = Uuid, Path, description = "The import")),
    responses(
        (status = 200, description = "A stream of events", body = DocumentImport, content_type = "text/event-stream"),
        (status = 404, description = "No such import", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "Too many streams, or the documents service cannot be asked; see `Retry-After`", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn events(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
) -> Result<Response, HttpError> {
    let path = path_of(&id)?;
    let full = || HttpError::unavailable("too_many_streams", "too many streams are open", 5);
    let permit = Arc::clone(&app.event_streams)
        .try_acquire_owned()
        .map_err(|_| full())?;
    let first = ask(&app, &path).await?;
    let follower = Follower {
        next: Some(first),
        sent: None,
        path,
        ends: Instant::now() + STREAM_MAX,
        app,
        _permit: permit,
    };
    let events = stream::unfold(follower, async |mut follower| {
        let event = follower.next().await?;
        Some((Ok::<_, Infallible>(event), follower))
    });
    let events: stream::BoxStream<'static, _> = Box::pin(events);
    Ok(Sse::new(events)
        .keep_alive(KeepAlive::new().interval(COMMENT_EVERY))
        .into_response())
}

struct Follower {
    next: Option<DocumentImport>,
    sent: Option<DocumentImport>,
    path: String,
    ends: Instant,
    app: Arc<App>,
    _permit: OwnedSemaphorePermit,
}

impl Follower {
    async fn next(&mut self) -> Option<Event> {
        if self
            .sent
            .as_ref()
            .is_some_and(|sent| sent.finished_at.is_some())
        {
            return None;
        }
        let stop = self.app.stop.clone();
        let news = stop
            .run_until_cancelled(tokio::time::timeout_at(self.ends, self.news()))
            .await?
            .ok()?;
        let event = Event::default().event("progress").json_data(&news).ok();
        self.sent = Some(news);
        event
    }

    /// The import, once it is not as it was sent last.
    async fn news(&mut self) -> DocumentImport {
        loop {
            let now = match self.next.take() {
                Some(first) => Ok(first),
                None => {
                    tokio::time::sleep(ASK_EVERY).await;
                    ask(&self.app, &self.path).await
                }
            };
            match now {
                Ok(now) if self.sent.as_ref() != Some(&now) => return now,
                // A service that is away is asked again; whoever follows notices nothing but a pause.
                Ok(_) | Err(_) => {}
            }
        }
    }
}

async fn ask(app: &App, path: &str) -> Result<DocumentImport, HttpError> {
    let request = app.documents.request(Method::GET, path);
    let (status, body) = peers::fetch(&app.documents, request).await?;
    if status != StatusCode::OK {
        return Err(peers::refusal(&app.documents, status, &body));
    }
    serde_json::from_slice(&body).map_err(|error| {
        tracing::error!(%error, "the documents service's answer cannot be read");
        peers::down(app.documents.peer())
    })
}

/// The documents service's path of an import.
///
/// # Errors
/// 404 for what cannot be its id.
fn path_of(id: &str) -> Result<String, HttpError> {
    let id = id_of(id);
    id.map(|id| format!("{}/{id}", paths::IMPORTS))
        .ok_or_else(|| HttpError::not_found("there is no import with this id"))
}
