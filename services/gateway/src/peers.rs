//! What the other services answer, as the gateway's callers see it.

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use reqwest::RequestBuilder;
use steelyard_domain::api::Problem;
use steelyard_runtime::client::Internal;
use steelyard_runtime::http::HttpError;

/// The largest answer that is passed on whole: a page of 100 orders of 2,000 lines each would be
/// 50 MB; such pages are asked for in smaller steps.
const ANSWER_BYTES_MAX: usize = 64 << 20;

/// Asks a peer and reads its answer.
///
/// # Errors
/// 503 when it cannot be reached, is late, fails (5xx) or breaks off.
pub(crate) async fn fetch(
    peer: &Internal,
    request: RequestBuilder,
) -> Result<(StatusCode, Bytes), HttpError> {
    let answer = ask(peer, request).await?;
    let status = answer.status();
    Ok((status, body(peer, answer).await?))
}

/// Asks a peer; its answer's body is still to come.
///
/// # Errors
/// 503 when it cannot be reached, is late or fails (5xx).
pub(crate) async fn ask(
    peer: &Internal,
    request: RequestBuilder,
) -> Result<reqwest::Response, HttpError> {
    let name = peer.peer();
    let answer = peer.send(request).await.map_err(|error| {
        tracing::warn!(peer = name, %error, "a peer cannot be asked");
        down(name)
    })?;
    let status = answer.status();
    if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS {
        tracing::warn!(peer = name, status = status.as_u16(), "a peer failed");
        return Err(down(name));
    }
    Ok(answer)
}

/// Reads an answer's body.
///
/// # Errors
/// 503 when it breaks off or is too large.
pub(crate) async fn body(
    peer: &Internal,
    mut answer: reqwest::Response,
) -> Result<Bytes, HttpError> {
    let name = peer.peer();
    let mut whole = Vec::new();
    let reading = async {
        while let Some(chunk) = answer.chunk().await? {
            if whole.len() + chunk.len() > ANSWER_BYTES_MAX {
                anyhow::bail!("an answer of more than {ANSWER_BYTES_MAX} bytes");
            }
            whole.extend_from_slice(&chunk);
        }
        Ok(())
    };
    match tokio::time::timeout(peer.deadline(), reading).await {
        Ok(Ok(())) => Ok(Bytes::from(whole)),
        Ok(Err(error)) => {
            tracing::warn!(peer = name, %error, "a peer's answer broke off");
            Err(down(name))
        }
        Err(_elapsed) => {
            tracing::warn!(peer = name, "a peer's answer did not end in time");
            Err(down(name))
        }
    }
}

/// A peer's answer as it is; its refusals with this request's names.
///
/// # Errors
/// Its refusals; 503 when it cannot be reached, is late, fails (5xx) or breaks off.
pub(crate) async fn pass_on(
    peer: &Internal,
    request: RequestBuilder,
) -> Result<Response, HttpError> {
    let answer = ask(peer, request).await?;
    let status = answer.status();
    let headers = kept_headers(answer.headers());
    let body = body(peer, answer).await?;
    if !status.is_success() {
        return Err(refusal(peer, status, &body));
    }
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    Ok(response)
}

/// A refusal of a peer (4xx) as the caller sees it.
pub(crate) fn refusal(peer: &Internal, status: StatusCode, body: &[u8]) -> HttpError {
    match serde_json::from_slice::<Problem>(body) {
        // That the peer does not know *us* is not the caller's fault.
        Ok(problem) if !matches!(problem.status, 401 | 403) => HttpError::passed_on(problem),
        _ => {
            let name = peer.peer();
            tracing::error!(
                peer = name,
                status = status.as_u16(),
                "a peer refused a call"
            );
            down(name)
        }
    }
}

/// 503: a peer cannot be asked.
pub(crate) fn down(peer: &'static str) -> HttpError {
    let code = match peer {
        "catalog" => "catalog_unavailable",
        "documents" => "documents_unavailable",
        _ => "orders_unavailable",
    };
    HttpError::unavailable(code, "this cannot be answered at the moment", 2)
}

/// Those headers of an answer that say what it is and how long it may be kept.
pub(crate) fn kept_headers(from: &HeaderMap) -> HeaderMap {
    use axum::http::header::{
        CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_TYPE, ETAG, LAST_MODIFIED, LOCATION, VARY,
    };

    let mut kept = HeaderMap::new();
    for name in [
        CACHE_CONTROL,
        CONTENT_DISPOSITION,
        CONTENT_TYPE,
        ETAG,
        LAST_MODIFIED,
        LOCATION,
        VARY,
    ] {
        if let Some(value) = from.get(&name) {
            kept.insert(name, value.clone());
        }
    }
    kept
}
