use redis::{ErrorKind, RedisError};

/// Why there is no answer.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum Error {
    /// It cannot be reached, or cannot serve now (loading, failing over, out of memory, disk full). Passes by itself.
    #[error("Redis is not available: {0}")]
    Unavailable(String),
    /// No answer within [`Limits::call_max`](crate::Limits::call_max). Whether the call had its effect is not known.
    #[error("Redis did not answer in time")]
    TimedOut,
    /// It refuses what is asked of it: credentials, permissions, configuration, a wrong command. Needs a human.
    #[error("Redis refuses: {0}")]
    Refused(String),
}

/// What servers say that can serve nothing, or no writes, at the moment.
const PASSING_CODES: [&str; 11] = [
    "BUSY",
    "CLUSTERDOWN",
    "LOADING",
    "MASTERDOWN",
    "MISCONF",
    "MOVED",
    "NOREPLICAS",
    "OOM",
    "READONLY",
    "TRYAGAIN",
    "ASK",
];

/// Codes of the server's errors: of a pipeline's, every one's.
fn has_code(error: &RedisError, codes: &[&str]) -> bool {
    let is_one = |code: &str| codes.contains(&code);
    match error.clone().into_server_errors() {
        Some(errors) => errors.iter().any(|(_, error)| is_one(error.code())),
        None => error.code().is_some_and(is_one),
    }
}

impl From<RedisError> for Error {
    fn from(error: RedisError) -> Self {
        if error.is_timeout() {
            return Self::TimedOut;
        }
        let is_passing = error.is_io_error()
            || error.is_connection_dropped()
            || error.is_connection_refusal()
            || has_code(&error, &PASSING_CODES)
            || matches!(
                error.kind(),
                ErrorKind::ClusterConnectionNotFound | ErrorKind::MasterNameNotFoundBySentinel
            );
        if is_passing {
            Self::Unavailable(error.to_string())
        } else {
            Self::Refused(error.to_string())
        }
    }
}

/// Whether the connection on which this was said is of no more use: it broke, it may be to a host that is gone, or the
/// server at its other end is no longer the primary.
pub(crate) fn ends_connection(error: &RedisError) -> bool {
    error.is_unrecoverable_error()
        || error.is_io_error()
        || has_code(error, &["READONLY", "MASTERDOWN"])
}
