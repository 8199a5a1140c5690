//! `POST /internal/documents/bundles` and what became of them.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use steelyard_domain::document::{Bundle, BundleBody, BundleState};
use steelyard_domain::fault::{Faults, Invalid};
use steelyard_domain::id::CustomerId;
use steelyard_runtime::http::{Author, HttpError, Json, Path, Query};
use time::macros::format_description;
use time::{Date, OffsetDateTime};
use uuid::Uuid;

use super::content::{URL_MAX, led_to, sign};
use super::documents::OneQuery;
use super::{App, audit, of_sql};
use crate::bundle::{self, BYTES_MAX, DOCUMENTS_MAX, OPEN_MAX, Row, Wanted};
use crate::kind::Kind;

pub(super) async fn post(
    State(app): State<App>,
    author: Author,
    Json(body): Json<BundleBody>,
) -> Result<(StatusCode, Json<Bundle>), HttpError> {
    let wanted = wanted(&body, &author)?;
    let pool = app.queries()?;
    let size = wanted.size(pool).await.map_err(|error| of_sql(&error))?;
    if size.documents > DOCUMENTS_MAX || size.bytes > BYTES_MAX {
        let detail = format!(
            "{} documents of {} MB together; a bundle takes {DOCUMENTS_MAX} and {} MB: ask for a shorter period or one kind",
            size.documents,
            size.bytes / 1_000_000,
            BYTES_MAX / 1_000_000,
        );
        return Err(HttpError::validation_failed().at("/to", "bundle_too_large", detail));
    }
    let asked = bundle::ask(pool, &wanted).await;
    let asked = asked.map_err(|error| of_sql(&error))?.ok_or_else(|| {
        let detail = format!("{OPEN_MAX} bundles of yours are being made: wait for one of them");
        HttpError::new(StatusCode::CONFLICT, "too_many_bundles", detail)
    })?;
    app.bundles.wake();
    Ok((
        StatusCode::ACCEPTED,
        Json(asked.shown(OffsetDateTime::now_utc())),
    ))
}

pub(super) async fn get(
    State(app): State<App>,
    Path(id): Path<String>,
    Query(query): Query<OneQuery>,
) -> Result<Json<Bundle>, HttpError> {
    let found = find(&app, &id, &query).await?;
    Ok(Json(found.shown(OffsetDateTime::now_utc())))
}

pub(super) async fn content(
    State(app): State<App>,
    Path(id): Path<String>,
    Query(query): Query<OneQuery>,
    author: Author,
) -> Result<Response, HttpError> {
    let found = find(&app, &id, &query).await?;
    let now = OffsetDateTime::now_utc();
    let (status, code, detail) = match found.state(now) {
        BundleState::Ready => (StatusCode::OK, "", ""),
        BundleState::Waiting | BundleState::Running => (
            StatusCode::CONFLICT,
            "bundle_pending",
            "the bundle is being made: ask for its state until it is ready",
        ),
        BundleState::Failed => (
            StatusCode::GONE,
            "bundle_gone",
            "the bundle could not be made: ask for it again",
        ),
        BundleState::Expired => (
            StatusCode::GONE,
            "bundle_gone",
            "the bundle was kept for a day: ask for it again",
        ),
    };
    let (Some(key), Some(sha256), "") = (&found.object_key, &found.sha256, code) else {
        return Err(HttpError::new(status, code, detail));
    };
    let url = sign(&app, key, &found.file_name()).await?;
    let customer = found.customer_id.as_deref().unwrap_or_default();
    let of = (found.id, customer);
    audit::write_down(&app, &author, of, sha256, now + URL_MAX).await?;
    Ok(led_to(url))
}

async fn find(app: &App, id: &str, query: &OneQuery) -> Result<Row, HttpError> {
    let missing = || HttpError::not_found("there is no bundle with this id for this caller");
    // One id has one spelling; what is no id names nothing.
    let id = Some(id).filter(|id| id.len() == 36);
    let id = id
        .and_then(|id| Uuid::try_parse(id).ok())
        .ok_or_else(missing)?;
    let found = bundle::get(app.queries()?, id, query.customer_id.as_ref()).await;
    found.map_err(|error| of_sql(&error))?.ok_or_else(missing)
}

/// What the body asks for.
///
/// # Errors
/// 422 with every fault's place.
fn wanted(body: &BundleBody, author: &Author) -> Result<Wanted, HttpError> {
    let mut faults = Faults::default();
    let at = |place: &'static str| move || place.to_owned();
    let from = faults.take(at("/from"), day(&body.from));
    let to = faults.take(at("/to"), day(&body.to));
    if from > to && to.is_some() {
        faults.add("/to", "out_of_range", "must not be before from");
    }
    let customer_id = body.customer_id.as_deref();
    let customer_id =
        customer_id.and_then(|text| faults.take(at("/customer_id"), text.parse::<CustomerId>()));
    let kind = body.kind.as_deref();
    let kind = kind.and_then(|word| faults.take(at("/kind"), kind_of(word)));
    match (from, to) {
        (Some(from), Some(to)) if faults.is_empty() => Ok(Wanted {
            requested_by: author.name().to_owned(),
            customer_id,
            kind,
            from,
            to,
        }),
        _ => Err(HttpError::validation_failed().with_faults(faults.into_vec())),
    }
}

fn day(text: &str) -> Result<Date, Invalid> {
    Date::parse(text, &format_description!("[year]-[month]-[day]"))
        .map_err(|_| Invalid::new("invalid_value", "must be a day such as 2026-11-24"))
}

fn kind_of(word: &str) -> Result<Kind, Invalid> {
    let known = Kind::ALL.into_iter().find(|kind| kind.as_str() == word);
    let detail = "must be invoice, credit_note or delivery_note";
    known.ok_or_else(|| Invalid::new("invalid_value", detail))
}
