//! Many products: import and export.

use std::time::Duration;

use axum::body::{Body, BodyDataStream};
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;
use futures_util::StreamExt as _;
use serde::Deserialize;
use steelyard_domain::fault::Invalid;
use steelyard_domain::product::{ImportProgress, ImportReport};
use steelyard_runtime::http::{HttpError, Json, Path, Query};

use super::App;
use crate::author::Author;
use crate::export;
use crate::failure::{of_abort, of_sql};
use crate::http::invalid_query;
use crate::import::{self, Format, ImportFailure, Name, Order};

/// What is read of a refused import, so that its sender sees the answer: chunks of up to 400 KiB
/// or so, and for how long.
const UNREAD_CHUNKS_MAX: usize = 1_000;
const UNREAD_WAIT_MAX: Duration = Duration::from_secs(2);

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ImportQuery {
    name: Option<String>,
}

pub(crate) async fn import(
    State(app): State<App>,
    query: Result<Query<ImportQuery>, HttpError>,
    author: Author,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<ImportReport>, HttpError> {
    let mut body = body.into_data_stream();
    let imported = match query {
        Ok(Query(query)) => import_from(&app, query, &author, &headers, &mut body).await,
        Err(refused) => Err(refused),
    };
    if imported.is_err() {
        // A connection that is closed with bytes unread is reset, and the answer lost with it.
        let unread = body.take(UNREAD_CHUNKS_MAX).for_each(async |_| {});
        drop(tokio::time::timeout(UNREAD_WAIT_MAX, unread).await);
    }
    imported.map(Json)
}

async fn import_from(
    app: &App,
    query: ImportQuery,
    author: &Author,
    headers: &HeaderMap,
    body: &mut BodyDataStream,
) -> Result<ImportReport, HttpError> {
    let format = Format::of_body(headers).ok_or_else(|| {
        let detail = "send application/x-ndjson or text/csv and say so in Content-Type";
        let code = "unsupported_media_type";
        HttpError::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, code, detail)
    })?;
    let name = query.name.map(Name::try_from).transpose();
    let name = name.map_err(|Invalid { code, detail }| {
        invalid_query().at("query/name", code, detail.into_owned())
    })?;
    let order = Order {
        format,
        name,
        bytes_max: app.import_bytes_max(),
    };
    let report = import::import(app.pool()?, app.pen(author), body, &order).await;
    report.map_err(|failure| refusal(failure, order.bytes_max))
}

fn refusal(failure: ImportFailure, bytes_max: u64) -> HttpError {
    let conflict = |code: &'static str, detail: &'static str| {
        HttpError::new(StatusCode::CONFLICT, code, detail)
    };
    match failure {
        ImportFailure::TooLarge { lines } => {
            let detail =
                format!("an import has at most {bytes_max} bytes; its first {lines} lines stand");
            HttpError::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", detail)
        }
        ImportFailure::BrokenOff { lines } => {
            let detail = format!("the body broke off; its first {lines} lines stand");
            HttpError::new(StatusCode::BAD_REQUEST, "body_incomplete", detail)
        }
        ImportFailure::Columns(faults) => HttpError::validation_failed().with_faults(faults),
        ImportFailure::Differs => conflict(
            "import_differs",
            "under this name another body was sent before, and is saved in part; take another name",
        ),
        ImportFailure::Overtaken => conflict(
            "import_under_way",
            "the same import is being sent by somebody else",
        ),
        ImportFailure::Database(abort) => of_abort(&abort),
    }
}

pub(crate) async fn import_progress(
    State(app): State<App>,
    Path(name): Path<String>,
) -> Result<Json<ImportProgress>, HttpError> {
    let missing = || HttpError::not_found("there is no import of this name");
    let name = Name::try_from(name).map_err(|_| missing())?;
    let progress = import::progress(app.reads()?, &name).await;
    let progress = progress.map_err(|error| of_sql(&error))?;
    progress.map(Json).ok_or_else(missing)
}

pub(crate) async fn export(
    State(app): State<App>,
    headers: HeaderMap,
) -> Result<Response, HttpError> {
    let format = Format::wanted(&headers).ok_or_else(|| {
        let detail = "an export is application/x-ndjson or text/csv";
        HttpError::new(StatusCode::NOT_ACCEPTABLE, "not_acceptable", detail)
    })?;
    let mut response = Response::new(export::export(app.reads()?.clone(), format));
    let kind = HeaderValue::from_static(format.media_type());
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    Ok(response)
}
