//! `Idempotency-Key` and `Prefer`.

use std::time::Duration;

use axum::http::{HeaderMap, StatusCode};
use steelyard_domain::id::IdempotencyKey;
use steelyard_runtime::http::HttpError;

/// The longest that a caller may ask us to wait.
const WAIT_S_MAX: u64 = 20;

/// The `Idempotency-Key` of a command.
///
/// # Errors
/// 400 when it is missing, given twice, too long or not printable ASCII.
pub(crate) fn idempotency_key(headers: &HeaderMap) -> Result<IdempotencyKey, HttpError> {
    const PLACE: &str = "header/idempotency-key";
    let refuse = |code: &'static str, why: &str| {
        let detail = "every command needs an Idempotency-Key header of its own";
        HttpError::new(StatusCode::BAD_REQUEST, "idempotency_key_invalid", detail)
            .at(PLACE, code, why)
    };
    let mut values = headers.get_all("idempotency-key").iter();
    let value = values
        .next()
        .ok_or_else(|| refuse("required", "is missing"))?;
    if values.next().is_some() {
        return Err(refuse("duplicate", "is given more than once"));
    }
    let text = value
        .to_str()
        .map_err(|_| refuse("invalid_character", "only printable ASCII is allowed"))?;
    text.parse()
        .map_err(|fault: steelyard_domain::fault::Invalid| refuse(fault.code, &fault.detail))
}

/// `Prefer: wait=N` (RFC 7240 §4.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Wait {
    /// How long we will wait: what was asked for, up to 20 s.
    pub(crate) time: Duration,
}

impl Wait {
    /// What `Preference-Applied` says.
    pub(crate) fn applied(self) -> String {
        format!("wait={}", self.time.as_secs())
    }
}

/// The caller's wish to wait, if it has one. A preference that cannot be read is ignored, as RFC
/// 7240 asks.
pub(crate) fn wait(headers: &HeaderMap) -> Option<Wait> {
    let preferences = headers
        .get_all("prefer")
        .iter()
        .filter_map(|value| value.to_str().ok());
    preferences
        .flat_map(|value| value.split(','))
        .find_map(|preference| {
            let (name, value) = preference.split(';').next()?.split_once('=')?;
            if !name.trim().eq_ignore_ascii_case("wait") {
                return None;
            }
            let asked: u64 = value.trim().trim_matches('"').parse().ok()?;
            (asked > 0).then(|| Wait {
                time: Duration::from_secs(asked.min(WAIT_S_MAX)),
            })
        })
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderMap, HeaderName};

    use super::{idempotency_key, wait};

    fn headers(name: &'static str, values: &[&str]) -> HeaderMap {
        let name = HeaderName::from_static(name);
        values
            .iter()
            .map(|value| (name.clone(), value.parse().expect("a value")))
            .collect()
    }

    #[test]
    fn a_key_is_one_printable_line() {
        assert!(idempotency_key(&headers("idempotency-key", &["536365"])).is_ok());
        let long = "x".repeat(300);
        for (values, code) in [
            (&[][..], "required"),
            (&[""][..], "required"),
            (&["a", "b"][..], "duplicate"),
            (&["ä"][..], "invalid_character"),
            (&[long.as_str()][..], "too_long"),
        ] {
            let refused = idempotency_key(&headers("idempotency-key", values)).expect_err(code);
            assert_eq!(refused.status(), 400);
            assert_eq!(refused.faults()[0].code, code);
            assert_eq!(refused.faults()[0].pointer, "header/idempotency-key");
        }
    }

    #[test]
    fn a_wish_to_wait_is_capped_and_nonsense_ignored() {
        for (value, seconds) in [
            ("wait=5", Some(5)),
            ("respond-async, Wait=3; x=y", Some(3)),
            ("wait=\"7\"", Some(7)),
            ("wait=3600", Some(20)),
            ("wait=0", None),
            ("wait=-1", None),
            ("wait=99999999999999999999999", None),
            ("return=minimal", None),
        ] {
            let wish = wait(&headers("prefer", &[value]));
            assert_eq!(wish.map(|wish| wish.time.as_secs()), seconds, "{value}");
        }
    }
}
