//! Who was given which file: written down before it is given.

use steelyard_runtime::http::{Author, Context, HttpError};
use time::OffsetDateTime;
use uuid::Uuid;

use super::{App, of_sql};
use crate::db::{self, Given};

/// Writes into the audit that this caller gets a document's or a bundle's bytes, until `expires_at` at the latest.
///
/// # Errors
/// When it cannot be written: then nothing is given.
pub(super) async fn write_down(
    app: &App,
    author: &Author,
    (document_id, customer_id): (Uuid, &str),
    sha256: &[u8],
    expires_at: OffsetDateTime,
) -> Result<(), HttpError> {
    let context = Context::current();
    let given = Given {
        document_id,
        customer_id,
        issued_to: author.name(),
        request_id: context.as_ref().map_or("", Context::request_id),
        sha256,
        expires_at,
    };
    let written = db::write_down(app.queries()?, &given).await;
    written.map_err(|error| of_sql(&error))
}
