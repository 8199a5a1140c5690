//! `GET /internal/documents/{id}/content`: the way to a file, for a minute.

use std::time::Duration;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use steelyard_runtime::http::{Author, HttpError, Path, Query};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::documents::{OneQuery, find};
use super::{App, audit, of_archive};
use crate::archive::Availability;
use crate::bundle::file_name;

/// How long a URL is good: to be followed at once.
pub(super) const URL_MAX: Duration = Duration::from_secs(60);
/// A file stays while its URL is good, and while it is fetched.
const URL_GOOD: time::Duration = time::Duration::minutes(10);

pub(super) async fn get(
    State(app): State<App>,
    Path(id): Path<String>,
    Query(query): Query<OneQuery>,
    author: Author,
) -> Result<Response, HttpError> {
    let found = find(&app, &id, &query).await?;
    let now = OffsetDateTime::now_utc();
    let (Some(key), Some(sha256)) = (&found.object_key, &found.sha256) else {
        return Err(pending());
    };
    // A row of one that is archived or was removed says so, and of old ones S3 is asked; all others are not looked at twice.
    if found.pack_id.is_some()
        || found.removed_at.is_some()
        || app.archive.may_be_cold(found.issued_on, now)
    {
        let fetched = app.archive.fetch(found.id, now, URL_GOOD).await;
        readable(fetched.map_err(of_archive)?)?;
    }
    let name = file_name(&found.number, key);
    let expires_at = now + URL_MAX;
    let url = sign(&app, key, &name).await?;
    let of = (found.id, found.customer_id.as_str());
    audit::write_down(&app, &author, of, sha256, expires_at).await?;
    metrics::counter!("documents_urls_total").increment(1);
    Ok(led_to(url))
}

pub(super) fn led_to(url: String) -> Response {
    let headers = [
        (header::LOCATION, url),
        // It is a key, for whoever asked and nobody else.
        (header::CACHE_CONTROL, "no-store".to_owned()),
    ];
    (StatusCode::FOUND, headers).into_response()
}

pub(super) async fn sign(app: &App, key: &str, name: &str) -> Result<String, HttpError> {
    let signed = app.public.presign_get(key, URL_MAX, Some(name)).await;
    signed.map(|signed| signed.url).map_err(|error| {
        tracing::error!(%error, "no URL can be signed");
        HttpError::unavailable("store_away", "the store of documents is away", 5)
    })
}

pub(super) fn readable(availability: Availability) -> Result<(), HttpError> {
    let (status, code, detail) = match availability {
        Availability::Ready(_) => return Ok(()),
        Availability::Unmade => return Err(pending()),
        Availability::Archived => (
            StatusCode::CONFLICT,
            "document_archived",
            "its file is in cold storage: ask for it by POST …/restore, and come back when it is there".to_owned(),
        ),
        Availability::Restoring(by) => (
            StatusCode::CONFLICT,
            "document_archived",
            format!(
                "its file is on its way from cold storage, and there by {} at the latest",
                by.format(&Rfc3339).unwrap_or_default()
            ),
        ),
        Availability::Removed => (
            StatusCode::GONE,
            "document_removed",
            "it was removed when its retention time was over".to_owned(),
        ),
    };
    Err(HttpError::new(status, code, detail))
}

fn pending() -> HttpError {
    let detail =
        "the document has its number, and its file is being made: try again in some seconds";
    HttpError::new(StatusCode::CONFLICT, "document_pending", detail)
}
