//! Categories over HTTP.

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Response;
use serde::Deserialize;
use steelyard_domain::api::Page;
use steelyard_domain::fault::Invalid;
use steelyard_domain::product::{Category, CategoryBody, Language};
use steelyard_runtime::http::{HttpError, Json, Path, Query};

use super::App;
use super::condition::{condition, unmet};
use super::etag::tagged;
use super::{invalid_query, opened, sealed};
use crate::author::Author;
use crate::categories::{self, Kept, Position};
use crate::failure::{of_abort, of_sql};

/// Entries of a page: a menu is read in one go.
const LIMIT_MAX: u32 = 1_000;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ListQuery {
    parent: Option<String>,
    lang: Option<String>,
    limit: Option<u32>,
    cursor: Option<String>,
}

pub(super) async fn list(
    State(app): State<App>,
    asked: HeaderMap,
    Query(query): Query<ListQuery>,
) -> Result<Response, HttpError> {
    let limit = query.limit.unwrap_or(LIMIT_MAX);
    if !(1..=LIMIT_MAX).contains(&limit) {
        let detail = format!("must be between 1 and {LIMIT_MAX}");
        return Err(invalid_query().at("query/limit", "out_of_range", detail));
    }
    let language = query.lang.map(Language::try_from).transpose();
    let language = language.map_err(|Invalid { code, detail }| {
        invalid_query().at("query/lang", code, detail.into_owned())
    })?;
    let parent = query.parent.as_deref();
    let of = ["categories".to_owned(), format!("{parent:?}")];
    let of: Vec<&str> = of.iter().map(String::as_str).collect();
    let after: Option<Position> = opened(&of, query.cursor.as_deref())?;
    let found = categories::list(
        app.reads()?,
        parent,
        language.as_ref(),
        after.as_ref(),
        limit + 1,
    )
    .await;
    let mut data = found.map_err(|error| of_sql(&error))?;
    let more = data.len() > limit as usize;
    data.truncate(limit as usize);
    let last = data.last().filter(|_| more);
    let next_cursor = sealed(&of, last.map(|last| Position(last.code.clone())).as_ref())?;
    tagged(StatusCode::OK, &asked, &Page { data, next_cursor }, None)
}

pub(super) async fn put(
    State(app): State<App>,
    Path(code): Path<String>,
    author: Author,
    asked: HeaderMap,
    Json(body): Json<CategoryBody>,
) -> Result<Response, HttpError> {
    let draft = body
        .check(code)
        .map_err(|faults| HttpError::validation_failed().with_faults(faults))?;
    let kept = categories::keep(app.pool()?, &author, &draft, &condition(&asked)?)
        .await
        .map_err(|abort| of_abort(&abort))?;
    let (status, category) = match kept {
        Kept::Created(category) => (StatusCode::CREATED, category),
        Kept::There(category) => (StatusCode::OK, category),
        Kept::Unmet(version) => return Err(unmet(version)),
        Kept::Refused(Invalid { code, detail }) => {
            return Err(HttpError::validation_failed().at("/parent", code, detail.into_owned()));
        }
    };
    answer(status, asked, &category)
}

fn answer(
    status: StatusCode,
    mut asked: HeaderMap,
    category: &Category,
) -> Result<Response, HttpError> {
    asked.remove(header::IF_NONE_MATCH);
    tagged(status, &asked, category, Some(category.version))
}
