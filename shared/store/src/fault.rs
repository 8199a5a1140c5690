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
    use super::{is_outage, is_outage_code};

    #[test]
    fn an_outage_is_told_from_a_mistake() {
        for code in ["08006", "57P01", "57P03", "53300", "28P01", "25006"] {
            assert!(is_outage_code(code), "{code}");
        }
        for code in ["23505", "42P01", "22021", "40001", "57P04"] {
            assert!(!is_outage_code(code), "{code}");
        }
        assert!(is_outage(&sqlx::Error::PoolTimedOut));
        let cut = "unexpected response from SSLRequest: 0x00";
        assert!(is_outage(&sqlx::Error::Protocol(cut.into())));
        assert!(!is_outage(&sqlx::Error::RowNotFound));
    }
}
