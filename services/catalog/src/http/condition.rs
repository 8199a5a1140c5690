//! Changes that are made only if nobody else made one: `If-Match` and `If-None-Match`.

use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use steelyard_runtime::http::HttpError;

use crate::products::Condition;

/// Reads what the caller asks to hold. A tag of ours begins with the version that it belongs to, and only that counts:
/// stock that moved meanwhile is no change of the product. Weak tags count as well (a cache on the way may have made
/// them so); one that is not ours is never met.
pub(super) fn condition(headers: &HeaderMap) -> Result<Condition, HttpError> {
    if let Some(tags) = tags(headers, &header::IF_MATCH)? {
        if tags.contains(&"*") {
            return Ok(Condition::Present);
        }
        let versions = tags.into_iter().filter_map(version).collect();
        return Ok(Condition::Versions(versions));
    }
    match tags(headers, &header::IF_NONE_MATCH)? {
        None => Ok(Condition::None),
        Some(tags) if tags == ["*"] => Ok(Condition::Absent),
        Some(_) => {
            let detail = "a change takes If-None-Match: * (make, do not replace) and no other";
            Err(HttpError::new(
                StatusCode::BAD_REQUEST,
                "invalid_condition",
                detail,
            ))
        }
    }
}

fn tags<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Result<Option<Vec<&'h str>>, HttpError> {
    let mut all = Vec::new();
    for value in headers.get_all(name) {
        let text = value.to_str().map_err(|_| {
            let detail = format!("{name} is not ASCII");
            HttpError::new(StatusCode::BAD_REQUEST, "invalid_condition", detail)
        })?;
        all.extend(text.split(',').map(str::trim));
    }
    Ok((!all.is_empty()).then_some(all))
}

/// The version in a tag such as `"7-0f3a…"`.
fn version(tag: &str) -> Option<i64> {
    let tag = tag.strip_prefix("W/").unwrap_or(tag);
    let tag = tag.strip_prefix('"')?.strip_suffix('"')?;
    tag.split_once('-')?.0.parse().ok()
}

/// 412: it is not as the caller thought.
pub(super) fn unmet(version: Option<i64>) -> HttpError {
    let detail = match version {
        Some(version) => format!("it is at version {version} now: read it again"),
        None => "it is not there".to_owned(),
    };
    HttpError::new(
        StatusCode::PRECONDITION_FAILED,
        "precondition_failed",
        detail,
    )
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderMap, HeaderValue};

    use super::condition;
    use crate::products::Condition;

    #[test]
    fn only_the_version_of_a_tag_counts() {
        let of = |name: &'static str, value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(name, HeaderValue::from_str(value).expect("a header"));
            condition(&headers).map_err(|refused| refused.status().as_u16())
        };
        assert_eq!(of("x", ""), Ok(Condition::None));
        assert_eq!(of("if-match", "*"), Ok(Condition::Present));
        let versions = |all: &[i64]| Ok(Condition::Versions(all.to_vec()));
        assert_eq!(of("if-match", "\"7-ab\", W/\"8-cd\""), versions(&[7, 8]));
        assert_eq!(of("if-match", "\"foreign\""), versions(&[]));
        assert_eq!(of("if-none-match", "*"), Ok(Condition::Absent));
        assert_eq!(of("if-none-match", "\"7-ab\""), Err(400));
    }
}
