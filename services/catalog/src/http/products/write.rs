//! `PUT /internal/products/{sku}`.

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Response;
use steelyard_domain::fault::Invalid;
use steelyard_domain::id::Sku;
use steelyard_domain::product::ProductBody;
use steelyard_runtime::http::{HttpError, Json, Path};

use super::{App, load};
use crate::author::Author;
use crate::failure::{of_abort, stock_refused};
use crate::http::condition::{condition, unmet};
use crate::http::etag::tagged;
use crate::products::{self, Saved, Viewer};

pub(crate) async fn put(
    State(app): State<App>,
    Path(sku): Path<String>,
    author: Author,
    asked: HeaderMap,
    Json(body): Json<ProductBody>,
) -> Result<Response, HttpError> {
    let sku = path_sku(sku)?;
    let draft = body
        .check(Some(sku.clone()))
        .map_err(|faults| HttpError::validation_failed().with_faults(faults))?;
    let saved = products::save(app.pool()?, app.pen(&author), draft, &condition(&asked)?)
        .await
        .map_err(|abort| of_abort(&abort))?;
    let status = match saved {
        Saved::Created { .. } => StatusCode::CREATED,
        Saved::Updated { .. } | Saved::Unchanged { .. } => StatusCode::OK,
        Saved::Unmet(version) => return Err(unmet(version)),
        Saved::Refused(fault) if fault.code.starts_with("stock_") => {
            return Err(stock_refused(fault));
        }
        Saved::Refused(fault) => return Err(HttpError::validation_failed().with_faults([fault])),
    };
    let product = load(&app, &sku, &Viewer::office()).await?;
    // What was changed is always told, whatever the caller knew before.
    let mut asked = asked;
    asked.remove(header::IF_NONE_MATCH);
    tagged(status, &asked, &product, Some(product.version))
}

/// A new product's SKU must be one.
fn path_sku(text: String) -> Result<Sku, HttpError> {
    Sku::try_from(text).map_err(|Invalid { code, detail }| {
        HttpError::validation_failed().at("path/sku", code, detail)
    })
}
