//! What a caller is told when the database did not do its part.

use axum::http::StatusCode;
use steelyard_domain::fault::Fault;
use steelyard_runtime::http::HttpError;
use steelyard_store::is_outage;

use crate::transaction::Abort;

/// Postgres is away, or was never there.
pub(crate) fn database_away() -> HttpError {
    HttpError::unavailable("database_away", "the catalog's database is away", 1)
}

/// An outage is a 503; anything else that Postgres refuses is a mistake of ours, and is logged.
pub(crate) fn of_sql(error: &sqlx::Error) -> HttpError {
    if is_outage(error) {
        tracing::warn!(%error, "the database is away");
        return database_away();
    }
    tracing::error!(%error, "the database refused a statement");
    HttpError::internal()
}

/// Like [`of_sql`]; a race that was lost over and over is a 503.
pub(crate) fn of_abort(abort: &Abort) -> HttpError {
    match abort {
        Abort::Raced => {
            let detail = "too many calls about the same goods at once; try again";
            HttpError::unavailable("contention", detail, 1)
        }
        Abort::Sql(error) => of_sql(error),
    }
}

/// 409: a booking would leave less on hand than is reserved (`stock_reserved`), or than there is at its place
/// (`stock_elsewhere`).
pub(crate) fn stock_refused(fault: Fault) -> HttpError {
    let problem = HttpError::new(
        StatusCode::CONFLICT,
        fault.code.clone(),
        fault.detail.clone(),
    );
    problem.with_faults([fault])
}
