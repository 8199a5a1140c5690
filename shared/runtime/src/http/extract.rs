//! Extractors whose refusals are problem documents that name the place.

use axum::body::{Body, Bytes};
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde::de::DeserializeOwned;
use steelyard_domain::object::Object;

use super::problem::HttpError;

/// A JSON body, as argument and as answer.
#[derive(Debug, Clone)]
pub struct Json<T>(pub T);

impl<T, S> FromRequest<S> for Json<T>
where
    T: DeserializeOwned,
    S: Send + Sync,
{
    type Rejection = HttpError;

    async fn from_request(request: Request, state: &S) -> Result<Self, HttpError> {
        require_json(request.headers())?;
        let RawBody(bytes) = RawBody::from_request(request, state).await?;
        parse_json(&bytes).map(Self)
    }
}

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        match serde_json::to_vec(&self.0) {
            Ok(body) => (
                [(header::CONTENT_TYPE, "application/json")],
                Body::from(body),
            )
                .into_response(),
            Err(error) => {
                tracing::error!(%error, "an answer could not be written as JSON");
                HttpError::internal().into_response()
            }
        }
    }
}

/// The whole body, refused with 413 beyond the route's limit.
#[derive(Debug, Clone)]
pub struct RawBody(pub Bytes);

impl<S: Send + Sync> FromRequest<S> for RawBody {
    type Rejection = HttpError;

    async fn from_request(request: Request, state: &S) -> Result<Self, HttpError> {
        match Bytes::from_request(request, state).await {
            Ok(bytes) => Ok(Self(bytes)),
            Err(rejection) if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE => {
                let detail = "the body is larger than this route takes";
                Err(HttpError::new(
                    StatusCode::PAYLOAD_TOO_LARGE,
                    "body_too_large",
                    detail,
                ))
            }
            Err(_) => {
                let detail = "the body broke off before its end";
                Err(HttpError::new(
                    StatusCode::BAD_REQUEST,
                    "body_incomplete",
                    detail,
                ))
            }
        }
    }
}

/// Refuses a body that says it is something other than JSON, or does not say.
///
/// # Errors
/// 415 `unsupported_media_type`.
pub fn require_json(headers: &HeaderMap) -> Result<(), HttpError> {
    let is_json = |kind: &str| {
        let kind = kind.split(';').next().unwrap_or_default().trim();
        kind.eq_ignore_ascii_case("application/json")
            || kind.len() > 5
                && kind.is_ascii()
                && kind[kind.len() - 5..].eq_ignore_ascii_case("+json")
    };
    let kind = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    if kind.is_some_and(is_json) {
        return Ok(());
    }
    let detail = "send application/json and say so in Content-Type";
    Err(HttpError::new(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "unsupported_media_type",
        detail,
    ))
}

/// Reads a JSON object; only on failure it reads again, slower, to learn the place.
///
/// # Errors
/// 400 `malformed_json` for what is no JSON, 422 `validation_failed` for what has not the expected
/// shape; both name the place by a JSON pointer.
pub fn parse_json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, HttpError> {
    match serde_json::from_slice(bytes) {
        Ok(Object(value)) => Ok(value),
        Err(error) => Err(json_fault::<T>(bytes, &error)),
    }
}

#[cold]
fn json_fault<T: DeserializeOwned>(bytes: &[u8], error: &serde_json::Error) -> HttpError {
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let place = match serde_path_to_error::deserialize::<_, Object<T>>(&mut json) {
        Err(error) => pointer(error.path()),
        // The value itself was fine: something follows it.
        Ok(_) => String::new(),
    };
    let words = error.to_string();
    let (place, code) = name_fault(place, &words, error.is_data());
    let whole = if error.is_data() {
        HttpError::validation_failed()
    } else {
        HttpError::new(
            StatusCode::BAD_REQUEST,
            "malformed_json",
            "the body is not JSON",
        )
    };
    whole.at(place, code, words)
}

/// The place and code of serde's words; a field that is missing or unknown belongs to the place.
fn name_fault(place: String, words: &str, is_data: bool) -> (String, &'static str) {
    let quoted = || words.split('`').nth(1).unwrap_or_default();
    let with_field = |place: String| {
        let field = format!("/{}", escaped(quoted()));
        if place.ends_with(&field) {
            place
        } else {
            place + &field
        }
    };
    if !is_data {
        (place, "malformed_json")
    } else if words.starts_with("missing field") {
        (with_field(place), "required")
    } else if words.starts_with("unknown field") {
        (with_field(place), "unknown_field")
    } else if words.starts_with("duplicate field") {
        (with_field(place), "duplicate_field")
    } else if words.starts_with("invalid type") || words.contains("expected struct") {
        (place, "wrong_type")
    } else {
        (place, "invalid_value")
    }
}

fn pointer(path: &serde_path_to_error::Path) -> String {
    use serde_path_to_error::Segment;

    path.iter()
        .fold(String::new(), |at, segment| match segment {
            Segment::Seq { index } => format!("{at}/{index}"),
            Segment::Map { key } => format!("{at}/{}", escaped(key)),
            Segment::Enum { variant } => format!("{at}/{}", escaped(variant)),
            Segment::Unknown => at,
        })
}

/// Escapes a name for a JSON pointer (RFC 6901 §3).
fn escaped(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

/// The query string, with faults named `query/<field>`.
#[derive(Debug, Clone)]
pub struct Query<T>(pub T);

impl<T, S> FromRequestParts<S> for Query<T>
where
    T: DeserializeOwned,
    S: Send + Sync,
{
    type Rejection = HttpError;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, HttpError> {
        let query = parts.uri.query().unwrap_or_default();
        let fields = serde_urlencoded::Deserializer::new(form_urlencoded::parse(query.as_bytes()));
        serde_path_to_error::deserialize(fields)
            .map(Self)
            .map_err(|error| {
                let words = error.inner().to_string();
                let (place, code) = name_fault(pointer(error.path()), &words, true);
                let detail = "a query parameter cannot be used";
                HttpError::new(StatusCode::BAD_REQUEST, "invalid_query", detail).at(
                    format!("query{place}"),
                    code,
                    words,
                )
            })
    }
}

/// Path parameters; one that cannot be read is no such thing: 404.
#[derive(Debug, Clone)]
pub struct Path<T>(pub T);

impl<T, S> FromRequestParts<S> for Path<T>
where
    T: DeserializeOwned + Send,
    S: Send + Sync,
{
    type Rejection = HttpError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, HttpError> {
        match axum::extract::Path::from_request_parts(parts, state).await {
            Ok(axum::extract::Path(value)) => Ok(Self(value)),
            Err(_) => Err(HttpError::not_found("nothing has this name")),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::parse_json;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only read, to see what is refused")]
    struct Order {
        lines: Vec<Line>,
        notes: Option<std::collections::BTreeMap<String, String>>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only read, to see what is refused")]
    struct Line {
        quantity: i64,
    }

    #[test]
    fn each_fault_names_its_place() {
        for (body, status, pointer, code) in [
            (
                r#"{"lines":[{"quantity":1},{"quantity":1.5}]}"#,
                422,
                "/lines/1/quantity",
                "wrong_type",
            ),
            (
                r#"{"lines":[{"quantity":1e400}]}"#,
                400,
                "/lines/0/quantity",
                "malformed_json",
            ),
            (r#"{"lines":[{}]}"#, 422, "/lines/0/quantity", "required"),
            (
                r#"{"lines":[{"quantity":1,"size":2}]}"#,
                422,
                "/lines/0/size",
                "unknown_field",
            ),
            (
                r#"{"lines":[],"lines":[]}"#,
                422,
                "/lines",
                "duplicate_field",
            ),
            (
                r#"{"lines":[],"notes":{"a/b":1}}"#,
                422,
                "/notes/a~1b",
                "wrong_type",
            ),
            (r#"{"lines":[]} x"#, 400, "", "malformed_json"),
            (r#"{"lines":["#, 400, "/lines", "malformed_json"),
            ("[]", 422, "", "wrong_type"),
            ("", 400, "", "malformed_json"),
        ] {
            let refused = parse_json::<Order>(body.as_bytes()).expect_err(body);
            assert_eq!(refused.status(), status, "{body}");
            let fault = &refused.faults()[0];
            assert_eq!(
                (fault.pointer.as_str(), &*fault.code),
                (pointer, code),
                "{body}"
            );
        }
    }
}
