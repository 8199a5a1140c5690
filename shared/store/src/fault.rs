//! What a database error means for whoever caused it.

use sqlx::Error;

/// Whether the database is the trouble, so that the same work may succeed later: it cannot be
/// reached, is starting, stopping, failing over, full, or out of connections or time.
///
/// Anything else is the statement's or the data's fault, and comes again whenever it is tried.
#[must_use]
pub fn is_outage(error: &Error) -> bool {
    match error {
        Error::Io(_)
        | Error::Tls(_)
        | Error::PoolTimedOut
        | Error::PoolClosed
        | Error::WorkerCrashed
        | Error::BeginFailed
        // An answer that Postgres does not give: a connection that broke while it was being made.
        | Error::Protocol(_) => true,
        Error::Database(error) => error.code().is_some_and(|code| is_outage_code(&code)),
        _ => false,
    }
}

/// Why Postgres, which is there, does not let this process in, if that is what it says: the database URL is wrong, or its
/// password is being rotated. An outage as well ([`is_outage`]), which for a process that was let in before it is.
pub(crate) fn refusal(error: &Error) -> Option<&'static str> {
    refusal_code(&error.as_database_error()?.code()?)
}

fn refusal_code(code: &str) -> Option<&'static str> {
    match code.get(..2)? {
        "28" => Some("its user or password is refused"),
        "3D" => Some("there is no database of its name"),
        _ => None,
    }
}

/// Whether the transaction lost a race (deadlock, serialization, lock wait) and may be tried again
/// at once.
#[must_use]
pub fn is_contention(error: &Error) -> bool {
    error
        .as_database_error()
        .and_then(sqlx::error::DatabaseError::code)
        .is_some_and(|code| matches!(&*code, "40001" | "40P01" | "55P03"))
}

/// By SQLSTATE (PostgreSQL manual, appendix A).
fn is_outage_code(code: &str) -> bool {
    // 08 connection, 28 authorization (a password in rotation), 3D no such database (yet),
    // 53 out of disk, memory or connections, 58 I/O error of the server.
    const CLASSES: [&str; 5] = ["08", "28", "3D", "53", "58"];
    // A statement out of time, shutdown by hand, crash, not up yet, idle session ended, and
    // read-only: a writer that was demoted.
    const CODES: [&str; 6] = ["57014", "57P01", "57P02", "57P03", "57P05", "25006"];
    CLASSES.iter().any(|class| code.starts_with(class)) || CODES.contains(&code)
}

#[cfg(test)]
mod tests {
    use super::{is_outage, is_outage_code, refusal_code};

    #[test]
    fn an_outage_is_told_from_a_mistake() {
        for code in ["08006", "57P01", "57P03", "53300", "28P01", "25006"] {
            assert!(is_outage_code(code), "{code}");
        }
        for code in ["23505", "42P01", "22021", "40001", "57P04"] {
            assert!(!is_outage_code(code), "{code}");
        }
        assert!(refusal_code("28P01").is_some() && refusal_code("28000").is_some());
        assert!(refusal_code("3D000").is_some() && refusal_code("57P03").is_none());
        assert!(is_outage(&sqlx::Error::PoolTimedOut));
        let cut = "unexpected response from SSLRequest: 0x00";
        assert!(is_outage(&sqlx::Error::Protocol(cut.into())));
        assert!(!is_outage(&sqlx::Error::RowNotFound));
    }
}
