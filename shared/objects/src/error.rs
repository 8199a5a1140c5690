//! What went wrong, sorted by what helps.

use aws_sdk_s3::error::{DisplayErrorContext, ProvideErrorMetadata, SdkError};

/// Why a call failed.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum Error {
    /// No answer in time: it is not known whether the call had its effect.
    #[error("no answer from S3 in time: {0}")]
    Timeout(String),
    /// No connection, or it broke: it is not known whether the call had its effect.
    #[error("S3 cannot be reached: {0}")]
    Unreachable(String),
    /// S3 failed (5xx) or asked to slow down.
    #[error("S3 failed: {code}: {message}")]
    Unavailable {
        /// S3's error code.
        code: String,
        /// S3's words.
        message: String,
    },
    /// Credentials or a policy do not allow it (401, 403). Without the right to list a bucket, a missing object is
    /// answered so, too.
    #[error("S3 denies it: {code}: {message}")]
    Denied {
        /// S3's error code.
        code: String,
        /// S3's words.
        message: String,
    },
    /// There is no such bucket (or not yet).
    #[error("there is no bucket {0}")]
    NoSuchBucket(String),
    /// There is no such object.
    #[error("there is no object {0}")]
    NotFound(String),
    /// The object is larger than the caller takes.
    #[error("the object has more than {bytes_max} bytes")]
    TooLarge {
        /// What the caller takes.
        bytes_max: usize,
    },
    /// Refused for what it says; the same call will be refused again.
    #[error("S3 refused: {code}: {message}")]
    Refused {
        /// S3's error code.
        code: String,
        /// S3's words.
        message: String,
    },
}

impl Error {
    /// Whether S3 or the way to it is the trouble, so that the same call may succeed later. A policy or a bucket that is
    /// missing counts: it is a mistake of those who set the system up, and no message's own.
    #[must_use]
    pub const fn is_outage(&self) -> bool {
        match self {
            Self::Timeout(_)
            | Self::Unreachable(_)
            | Self::Unavailable { .. }
            | Self::Denied { .. }
            | Self::NoSuchBucket(_) => true,
            Self::NotFound(_) | Self::TooLarge { .. } | Self::Refused { .. } => false,
        }
    }

    /// Whether the object is of a class that is not read at once, and nobody had it restored.
    #[must_use]
    pub fn is_cold(&self) -> bool {
        matches!(self, Self::Refused { code, .. } if code == "InvalidObjectState")
    }
}

/// Sorts an error of the SDK; `key` is empty when the call is about the bucket.
pub(crate) fn call_error<E>(error: &SdkError<E>, bucket: &str, key: &str) -> Error
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    match error {
        SdkError::TimeoutError(_) => Error::Timeout(DisplayErrorContext(error).to_string()),
        SdkError::DispatchFailure(failure) if failure.is_timeout() => {
            Error::Timeout(DisplayErrorContext(error).to_string())
        }
        SdkError::ServiceError(service) => {
            let status = service.raw().status().as_u16();
            let code = service.err().code().unwrap_or_default();
            let message = service.err().message().unwrap_or_default();
            classify(status, code, message, bucket, key)
        }
        SdkError::ConstructionFailure(_) => Error::Refused {
            code: "InvalidRequest".to_owned(),
            message: DisplayErrorContext(error).to_string(),
        },
        _ => Error::Unreachable(DisplayErrorContext(error).to_string()),
    }
}

fn classify(status: u16, code: &str, message: &str, bucket: &str, key: &str) -> Error {
    let named = |code: &str| (code.to_owned(), message.to_owned());
    match (status, code) {
        (_, "NoSuchBucket") => Error::NoSuchBucket(bucket.to_owned()),
        // An answer to HEAD has no body that could name a code.
        (404, _) if key.is_empty() => Error::NoSuchBucket(bucket.to_owned()),
        (_, "NoSuchKey") | (404, _) => Error::NotFound(key.to_owned()),
        (
            _,
            "SlowDown"
            | "RequestTimeout"
            // Somebody else puts the same key at this moment.
            | "ConditionalRequestConflict"
            | "InternalError"
            | "ExpiredToken"
            | "RequestTimeTooSkewed",
        )
        | (408 | 429 | 500.., _) => {
            let (code, message) = named(if code.is_empty() { "Unavailable" } else { code });
            Error::Unavailable { code, message }
        }
        // It is cold: to be restored first.
        (_, "InvalidObjectState") => {
            let (code, message) = named(code);
            Error::Refused { code, message }
        }
        (401 | 403, _) => {
            let (code, message) = named(if code.is_empty() {
                "AccessDenied"
            } else {
                code
            });
            Error::Denied { code, message }
        }
        _ => {
            let (code, message) = named(if code.is_empty() { "Unknown" } else { code });
            Error::Refused { code, message }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Error, classify};

    #[test]
    fn an_outage_is_told_from_a_mistake() {
        let of = |status, code| classify(status, code, "", "media", "a");
        for (status, code) in [
            (503, "SlowDown"),
            (409, "ConditionalRequestConflict"),
            (500, ""),
            (400, "ExpiredToken"),
            (400, "RequestTimeout"),
            (403, "AccessDenied"),
            (404, "NoSuchBucket"),
        ] {
            assert!(of(status, code).is_outage(), "{status} {code}");
        }
        for (status, code) in [
            (404, "NoSuchKey"),
            (404, ""),
            (400, "BadDigest"),
            (416, ""),
            (403, "InvalidObjectState"),
        ] {
            assert!(!of(status, code).is_outage(), "{status} {code}");
        }
        assert_eq!(of(404, ""), Error::NotFound("a".to_owned()));
        let bucket = classify(404, "", "", "media", "");
        assert_eq!(bucket, Error::NoSuchBucket("media".to_owned()));
    }
}
