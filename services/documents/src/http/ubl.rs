//! `GET /internal/documents/{id}/ubl`: an invoice or a credit note as UBL 2.1, written anew of what its row says.

use std::borrow::Cow;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use sha2::{Digest, Sha256};
use steelyard_einvoice::{NotExpressible, ubl};
use steelyard_objects::attachment;
use steelyard_runtime::http::{Author, HttpError, Path, Query};
use time::OffsetDateTime;

use super::content::readable;
use super::documents::{OneQuery, find};
use super::{App, audit, of_sql};
use crate::archive::Availability;
use crate::bundle::file_name;
use crate::db;
use crate::model::Model;

pub(super) async fn get(
    State(app): State<App>,
    Path(id): Path<String>,
    Query(query): Query<OneQuery>,
    author: Author,
) -> Result<Response, HttpError> {
    let found = find(&app, &id, &query).await?;
    if found.removed_at.is_some() {
        readable(Availability::Removed)?;
    }
    let model = db::model(app.queries()?, found.id).await;
    let xml = match model.map_err(|error| of_sql(&error))? {
        Some(Model::Invoice(invoice)) => ubl::write(&invoice).map_err(|error| refused(&error))?,
        Some(Model::DeliveryNote(_)) => return Err(without("a delivery note charges nothing")),
        None => return Err(without("it was made elsewhere, and only its file is here")),
    };
    // As every way to a file; this one ends here.
    let of = (found.id, found.customer_id.as_str());
    let now = OffsetDateTime::now_utc();
    audit::write_down(&app, &author, of, &Sha256::digest(&xml), now).await?;
    let headers = [
        (header::CONTENT_TYPE, "application/xml".to_owned()),
        (
            header::CONTENT_DISPOSITION,
            attachment(&file_name(&found.number, "ubl.xml")),
        ),
        (header::CACHE_CONTROL, "no-store".to_owned()),
    ];
    Ok((headers, xml).into_response())
}

fn refused(error: &NotExpressible) -> HttpError {
    if let NotExpressible::Currency(_) = error {
        return without(error.to_string());
    }
    tracing::error!(%error, "an invoice that was issued cannot be written as UBL");
    HttpError::internal()
}

fn without(why: impl Into<Cow<'static, str>>) -> HttpError {
    HttpError::new(StatusCode::CONFLICT, "document_without_ubl", why)
}
