//! `POST /internal/documents/{id}/restore`: back from cold storage.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use steelyard_domain::document::{Restore, RestoreState};
use steelyard_runtime::http::{HttpError, Json, Path, Query};
use time::OffsetDateTime;

use super::documents::{OneQuery, find};
use super::{App, of_archive};
use crate::archive::Availability;

pub(super) async fn post(
    State(app): State<App>,
    Path(id): Path<String>,
    Query(query): Query<OneQuery>,
) -> Result<Response, HttpError> {
    let found = find(&app, &id, &query).await?;
    let restored = app.archive.restore(found.id, OffsetDateTime::now_utc());
    let availability = restored.await.map_err(of_archive)?;
    let restore = |state, readable_until, expected_at| Restore {
        state,
        readable_until,
        expected_at,
    };
    let (status, answer) = match availability {
        Availability::Ready(until) => (StatusCode::OK, restore(RestoreState::Ready, until, None)),
        Availability::Restoring(by) => {
            let answer = restore(RestoreState::Restoring, None, Some(by));
            (StatusCode::ACCEPTED, answer)
        }
        // It was asked for this moment, and S3 does not say yet until when it takes.
        Availability::Archived => (
            StatusCode::ACCEPTED,
            restore(RestoreState::Restoring, None, None),
        ),
        other => {
            super::content::readable(other)?;
            return Err(HttpError::internal());
        }
    };
    Ok((status, Json(answer)).into_response())
}
