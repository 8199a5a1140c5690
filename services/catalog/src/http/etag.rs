//! Answers that a caller may already have.

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde::Serialize;
use sha2::{Digest as _, Sha256};
use steelyard_runtime::http::HttpError;

/// An answer in JSON with an `ETag` made of what it says, so that it changes exactly when the
/// product or its stock does; 304 without a body when `If-None-Match` names it. The tag of what has a version begins
/// with it: a change can ask for that version by `If-Match`.
pub(super) fn tagged<T: Serialize>(
    status: StatusCode,
    asked: &HeaderMap,
    answer: &T,
    version: Option<i64>,
) -> Result<Response, HttpError> {
    let body = serde_json::to_vec(answer).map_err(|error| {
        tracing::error!(%error, "an answer could not be written as JSON");
        HttpError::internal()
    })?;
    let hash = hex::encode(&Sha256::digest(&body)[..12]);
    let tag = match version {
        Some(version) => format!("\"{version}-{hash}\""),
        None => format!("\"{hash}\""),
    };
    let value = HeaderValue::try_from(&tag).map_err(|_| HttpError::internal())?;
    if status == StatusCode::OK && matches(asked, &tag) {
        return Ok((StatusCode::NOT_MODIFIED, [(header::ETAG, value)]).into_response());
    }
    let headers = [
        (
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/json"),
        ),
        (header::ETAG, value),
    ];
    Ok((status, headers, Body::from(body)).into_response())
}

/// Whether `If-None-Match` names the tag; weak ones count (RFC 9110, 13.1.2).
fn matches(asked: &HeaderMap, tag: &str) -> bool {
    asked
        .get_all(header::IF_NONE_MATCH)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .any(|known| known == "*" || known.strip_prefix("W/").unwrap_or(known) == tag)
}
