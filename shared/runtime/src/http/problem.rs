//! Errors as answers: RFC 9457 problem documents.

use std::borrow::Cow;

use axum::body::Body;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use steelyard_domain::api::Problem;
use steelyard_domain::fault::Fault;

use super::context::Context;

/// An error on its way to the caller. It becomes an `application/problem+json` body that names the
/// request in hand.
///
/// ```
/// use axum::http::StatusCode;
/// use steelyard_runtime::http::HttpError;
///
/// let refused = HttpError::new(StatusCode::CONFLICT, "archived", "ask for it with /restore")
///     .at("/id", "archived", "is in cold storage");
/// assert_eq!(refused.status(), 409);
/// ```
#[derive(Debug, Clone, thiserror::Error)]
#[error("{}: {}", .0.code, .0.detail)]
pub struct HttpError(Box<Inner>);

#[derive(Debug, Clone)]
struct Inner {
    status: StatusCode,
    code: Cow<'static, str>,
    detail: Cow<'static, str>,
    errors: Vec<Fault>,
    headers: HeaderMap,
}

impl HttpError {
    /// An error with a stable `code` (snake case; it is also the page `/problems/{code}`) and what
    /// went wrong this time.
    pub fn new(
        status: StatusCode,
        code: impl Into<Cow<'static, str>>,
        detail: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self(Box::new(Inner {
            status,
            code: code.into(),
            detail: detail.into(),
            errors: Vec::new(),
            headers: HeaderMap::new(),
        }))
    }

    /// 422: the faults say where.
    #[must_use]
    pub fn validation_failed() -> Self {
        let detail = "see errors: each names its place";
        Self::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "validation_failed",
            detail,
        )
    }

    /// 404.
    pub fn not_found(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", detail)
    }

    /// 503 with `Retry-After`.
    pub fn unavailable(
        code: &'static str,
        detail: impl Into<Cow<'static, str>>,
        retry_after_s: u32,
    ) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, code, detail).retry_after_s(retry_after_s)
    }

    /// 500 without a reason: that one is in the logs, under the request id.
    #[must_use]
    pub fn internal() -> Self {
        let detail = "something failed here; the logs know it by the request id";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", detail)
    }

    /// A peer's problem, passed on.
    #[must_use]
    pub fn passed_on(problem: Problem) -> Self {
        let status = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::BAD_GATEWAY);
        Self::new(status, problem.code, problem.detail).with_faults(problem.errors)
    }

    /// Adds one fault with its place.
    #[must_use]
    pub fn at(
        mut self,
        pointer: impl Into<String>,
        code: impl Into<Cow<'static, str>>,
        detail: impl Into<String>,
    ) -> Self {
        let (pointer, code, detail) = (pointer.into(), code.into(), detail.into());
        self.0.errors.push(Fault {
            pointer,
            code,
            detail,
        });
        self
    }

    /// Adds faults.
    #[must_use]
    pub fn with_faults(mut self, faults: impl IntoIterator<Item = Fault>) -> Self {
        self.0.errors.extend(faults);
        self
    }

    /// Says when to come back.
    #[must_use]
    pub fn retry_after_s(self, seconds: u32) -> Self {
        self.header(header::RETRY_AFTER, seconds.into())
    }

    /// Adds a header to the answer.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.0.headers.insert(name, value);
        self
    }

    /// The answer's status.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.0.status
    }

    /// The stable code.
    #[must_use]
    pub fn code(&self) -> &str {
        &self.0.code
    }

    /// The faults named so far.
    #[must_use]
    pub fn faults(&self) -> &[Fault] {
        &self.0.errors
    }
}

impl IntoResponse for HttpError {
    fn into_response(self) -> Response {
        let Inner {
            status,
            code,
            detail,
            errors,
            headers,
        } = *self.0;
        let request_id = Context::current();
        let problem = Problem {
            kind: format!("/problems/{code}"),
            title: title(&code),
            status: status.as_u16(),
            detail: detail.into_owned(),
            code: code.into_owned(),
            request_id: request_id
                .as_ref()
                .map_or("", Context::request_id)
                .to_owned(),
            errors,
        };
        // A struct of strings always serializes; an empty body would still carry the status.
        let body = serde_json::to_vec(&problem).unwrap_or_default();
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = status;
        *response.headers_mut() = headers;
        let kind = HeaderValue::from_static("application/problem+json");
        response.headers_mut().insert(header::CONTENT_TYPE, kind);
        response
    }
}

/// `body_too_large` → `Body too large`: the same words for the same code.
fn title(code: &str) -> String {
    let words = code.replace('_', " ");
    let mut letters = words.chars();
    letters.next().map_or_else(String::new, |first| {
        first.to_uppercase().chain(letters).collect()
    })
}
