//! Answers to reads: from a copy that is fresh, else from the catalog, else from the last good copy.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::Response;
use futures_util::FutureExt as _;
use metrics::counter;
use steelyard_runtime::http::HttpError;
use tokio::time::Instant;

use super::copies::{About, Copy};
use super::flights::{Landed, Outcome};
use crate::app::App;
use crate::orders::CACHE_STATUS;
use crate::peers;

/// Prices and stock move: shared caches may keep an answer briefly, and longer while we are down.
const CACHE_CONTROL: &str = "public, max-age=10, stale-if-error=86400";

/// A question as the catalog is asked it.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    /// Path and query.
    pub(super) path: String,
    pub(super) about: About,
}

/// Where an answer comes from, for `Cache-Status` (RFC 9211) and the metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Source {
    /// A fresh copy, for so long yet.
    Hit(Duration),
    /// The catalog, for want of a copy.
    Miss { joined: bool },
    /// The catalog, since the copy was old, or since the caller asked for that.
    Asked {
        why: &'static str,
        not_modified: bool,
        joined: bool,
    },
    /// A copy that is too old by so much, for want of the catalog.
    Stale(Duration),
}

/// Answers a read.
///
/// # Errors
/// The catalog's refusal; 503 when it cannot be asked and there is no copy.
pub(super) async fn answer(
    app: &Arc<App>,
    request: &HeaderMap,
    asked: Asked,
) -> Result<Response, HttpError> {
    let copies = &app.copies;
    let kept = copies.get(&asked.path);
    let insists = is_no_cache(request);
    if let Some(copy) = &kept {
        if let Some(left) = copies.fresh_for(copy, asked.about)
            && !insists
        {
            return Ok(respond(request, copy, Source::Hit(left)));
        }
        if !insists && copies.is_away() {
            return Ok(stale(app, request, copy));
        }
    }
    let begin = || {
        // Made here, since it carries this request's names.
        let question = question(app, &asked, kept.as_deref());
        fetch(Arc::clone(app), asked.clone(), question, kept.clone()).boxed()
    };
    let epoch = copies.epoch(asked.about);
    let outcome = match app.flights.join(&asked.path, epoch, begin) {
        Some(seat) => seat.outcome.await.map(|landed| (landed, seat.joined)),
        None => {
            tracing::warn!("too many questions to the catalog are under way");
            Err(peers::down("catalog"))
        }
    };
    match outcome {
        Ok((Landed::Fetched(copy), joined)) => {
            let from = match (&kept, insists) {
                (None, _) => Source::Miss { joined },
                (Some(_), insists) => Source::Asked {
                    why: why(insists),
                    not_modified: false,
                    joined,
                },
            };
            Ok(respond(request, &copy, from))
        }
        Ok((Landed::Renewed(copy), joined)) => {
            let from = Source::Asked {
                why: why(insists),
                not_modified: true,
                joined,
            };
            Ok(respond(request, &copy, from))
        }
        Err(refused) if refused.status() == StatusCode::SERVICE_UNAVAILABLE => kept
            .or_else(|| copies.get(&asked.path))
            .map(|copy| stale(app, request, &copy))
            .ok_or(refused),
        Err(refused) => Err(refused),
    }
}

const fn why(insists: bool) -> &'static str {
    if insists { "request" } else { "stale" }
}

fn question(app: &App, asked: &Asked, known: Option<&Copy>) -> reqwest::RequestBuilder {
    let question = app.catalog.request(Method::GET, &asked.path);
    match known.and_then(|copy| copy.headers.get(header::ETAG)) {
        Some(tag) => question.header(header::IF_NONE_MATCH, tag),
        None => question,
    }
}

/// Asks the catalog and keeps what it says.
async fn fetch(
    app: Arc<App>,
    asked: Asked,
    question: reqwest::RequestBuilder,
    known: Option<Arc<Copy>>,
) -> Outcome {
    let (asked_at, epoch) = (Instant::now(), app.copies.epoch(asked.about));
    let said = async {
        let answer = peers::ask(&app.catalog, question).await?;
        let (status, headers) = (answer.status(), peers::kept_headers(answer.headers()));
        let body = peers::body(&app.catalog, answer).await?;
        Ok::<_, HttpError>((status, headers, body))
    };
    let (status, headers, body) = match said.await {
        Ok(said) => said,
        Err(down) => {
            app.copies.catalog_is_away();
            return Err(down);
        }
    };
    app.copies.catalog_is_there();
    let keep = |headers: HeaderMap, body: Bytes| {
        let copy = Arc::new(Copy {
            headers,
            body,
            asked_at,
            epoch,
        });
        app.copies.keep(&asked.path, &copy);
        copy
    };
    match (status, known) {
        (StatusCode::OK, _) => {
            let mut headers = headers;
            let cache_control = HeaderValue::from_static(CACHE_CONTROL);
            headers
                .entry(header::CACHE_CONTROL)
                .or_insert(cache_control);
            Ok(Landed::Fetched(keep(headers, body)))
        }
        (StatusCode::NOT_MODIFIED, Some(known)) => Ok(Landed::Renewed(keep(
            known.headers.clone(),
            known.body.clone(),
        ))),
        (StatusCode::NOT_FOUND, _) => {
            app.copies.forget(&asked.path);
            Err(peers::refusal(&app.catalog, status, &body))
        }
        _ => Err(peers::refusal(&app.catalog, status, &body)),
    }
}

fn stale(app: &App, request: &HeaderMap, copy: &Copy) -> Response {
    respond(request, copy, Source::Stale(app.copies.stale_for(copy)))
}

/// The copy as an answer: whole, or 304 when the caller has it.
fn respond(request: &HeaderMap, copy: &Copy, from: Source) -> Response {
    let (label, status) = told(from);
    counter!("gateway_product_reads_total", "from" => label).increment(1);
    let mut response = if has_it(request, copy.headers.get(header::ETAG)) {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        response
    } else {
        Response::new(Body::from(copy.body.clone()))
    };
    let headers = response.headers_mut();
    headers.clone_from(&copy.headers);
    if matches!(from, Source::Hit(_) | Source::Stale(_)) {
        headers.insert(header::AGE, copy.asked_at.elapsed().as_secs().into());
    }
    // Digits, words and punctuation: always a header value.
    if let Ok(status) = HeaderValue::try_from(status) {
        headers.insert(CACHE_STATUS, status);
    }
    response
}

/// The metric's label and the value of `Cache-Status`.
fn told(from: Source) -> (&'static str, String) {
    let collapsed = |joined: bool| if joined { "; collapsed" } else { "" };
    match from {
        Source::Hit(left) => ("hit", format!("steelyard; hit; ttl={}", left.as_secs())),
        Source::Miss { joined } => {
            let label = if joined { "joined" } else { "miss" };
            let status = format!("steelyard; fwd=uri-miss; stored{}", collapsed(joined));
            (label, status)
        }
        Source::Asked {
            why,
            not_modified,
            joined,
        } => {
            let label = match (joined, not_modified) {
                (true, _) => "joined",
                (false, true) => "renewed",
                (false, false) => "replaced",
            };
            let code = if not_modified { 304 } else { 200 };
            let collapsed = collapsed(joined);
            let status = format!("steelyard; fwd={why}; fwd-status={code}; stored{collapsed}");
            (label, status)
        }
        Source::Stale(by) => {
            let by = by.as_secs();
            let status = format!("steelyard; hit; ttl=-{by}; detail=\"catalog unavailable\"");
            ("stale", status)
        }
    }
}

/// Whether `Cache-Control: no-cache` asks for an answer of the catalog's own (RFC 9111, 5.2.1.4).
fn is_no_cache(request: &HeaderMap) -> bool {
    words(request, &header::CACHE_CONTROL).any(|word| word.eq_ignore_ascii_case("no-cache"))
}

/// Whether `If-None-Match` names this tag; weak ones count (RFC 9110, 13.1.2).
fn has_it(request: &HeaderMap, tag: Option<&HeaderValue>) -> bool {
    let Some(tag) = tag.and_then(|tag| tag.to_str().ok()) else {
        return false;
    };
    let opaque = |tag: &str| tag.strip_prefix("W/").unwrap_or(tag).to_owned();
    let tag = opaque(tag);
    words(request, &header::IF_NONE_MATCH).any(|known| known == "*" || opaque(known) == tag)
}

/// The members of a header that is a list.
fn words<'a>(headers: &'a HeaderMap, name: &header::HeaderName) -> impl Iterator<Item = &'a str> {
    headers
        .get_all(name)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use axum::http::{HeaderMap, HeaderValue, header};

    use super::{Source, has_it, is_no_cache, told};

    #[test]
    fn cache_status_says_where_an_answer_comes_from() {
        let said = |from| told(from).1;
        let s = Duration::from_secs;
        assert_eq!(said(Source::Hit(s(1))), "steelyard; hit; ttl=1");
        assert_eq!(
            said(Source::Miss { joined: true }),
            "steelyard; fwd=uri-miss; stored; collapsed"
        );
        let renewed = Source::Asked {
            why: "stale",
            not_modified: true,
            joined: false,
        };
        assert_eq!(
            said(renewed),
            "steelyard; fwd=stale; fwd-status=304; stored"
        );
        assert_eq!(
            said(Source::Stale(s(70))),
            "steelyard; hit; ttl=-70; detail=\"catalog unavailable\""
        );
    }

    #[test]
    fn headers_that_are_lists_are_read_as_lists() {
        let mut headers = HeaderMap::new();
        let tags = HeaderValue::from_static("\"a\", W/\"b\"");
        headers.insert(header::IF_NONE_MATCH, tags);
        headers.insert(
            header::CACHE_CONTROL,
            HeaderValue::from_static("max-age=0, No-Cache"),
        );
        let tag = |text: &'static str| Some(HeaderValue::from_static(text));
        assert!(has_it(&headers, tag("\"b\"").as_ref()));
        assert!(has_it(&headers, tag("W/\"a\"").as_ref()));
        assert!(!has_it(&headers, tag("\"c\"").as_ref()));
        assert!(!has_it(&headers, None));
        assert!(is_no_cache(&headers));
        assert!(!is_no_cache(&HeaderMap::new()));
    }
}
