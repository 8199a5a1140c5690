//! Products over HTTP.

mod bulk;
mod list;
mod one;
mod stock;
mod write;

use serde::Deserialize;
use steelyard_domain::fault::Invalid;
use steelyard_domain::id::Sku;
use steelyard_domain::product::{Language, Product, is_country, is_group};
use steelyard_runtime::http::HttpError;
use time::OffsetDateTime;

pub(super) use bulk::{export, import, import_progress};
pub(super) use list::list;
pub(super) use one::{PageQuery, changes, get, source};
pub(super) use stock::{adjust, stock};
pub(super) use write::put;

use super::App;
use super::invalid_query;
use crate::failure::of_sql;
use crate::products::{self, Viewer};

/// Groups that a caller may name.
const GROUPS_MAX: usize = 20;

/// Which products beyond those for sale.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Include {
    All,
}

/// Reads who looks at products.
fn viewer(
    include: Option<Include>,
    language: Option<String>,
    country: Option<String>,
    groups: Option<&str>,
) -> Result<Viewer, HttpError> {
    let mut refused = invalid_query();
    let mut fault = |name: &str, invalid: Invalid| {
        let place = format!("query/{name}");
        let taken = std::mem::replace(&mut refused, invalid_query());
        refused = taken.at(place, invalid.code, invalid.detail);
    };
    let language = match language.map(Language::try_from).transpose() {
        Ok(language) => language,
        Err(invalid) => {
            fault("lang", invalid);
            None
        }
    };
    if country.as_deref().is_some_and(|code| !is_country(code)) {
        let detail = "must be two capital letters (ISO 3166-1)";
        fault("country", Invalid::new("invalid_country", detail));
    }
    let groups = groups.unwrap_or_default();
    let groups: Vec<String> = groups
        .split(',')
        .filter(|group| !group.is_empty())
        .map(str::to_owned)
        .collect();
    if groups.len() > GROUPS_MAX || !groups.iter().all(|group| is_group(group)) {
        let detail = format!("must be up to {GROUPS_MAX} names of groups, with commas between");
        fault("groups", Invalid::new("invalid_group", detail));
    }
    if !refused.faults().is_empty() {
        return Err(refused);
    }
    Ok(Viewer {
        all: include.is_some(),
        language,
        country,
        groups,
        at: OffsetDateTime::now_utc(),
    })
}

async fn load(app: &App, sku: &Sku, viewer: &Viewer) -> Result<Product, HttpError> {
    let product = products::get(app.reads()?, sku, viewer)
        .await
        .map_err(|error| of_sql(&error))?;
    let mut product = product.ok_or_else(|| no_product(sku))?;
    app.show_images(std::slice::from_mut(&mut product)).await?;
    Ok(product)
}

fn no_product(sku: &Sku) -> HttpError {
    HttpError::not_found(format!("there is no product {sku}"))
}

/// A path that is no SKU is no product.
fn sku_of(text: String) -> Result<Sku, HttpError> {
    Sku::try_from(text).map_err(|error| HttpError::not_found(format!("no product: {error}")))
}
